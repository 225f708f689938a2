module conformance.gatehouse.invalid/flows

go 1.18

require golang.org/x/crypto v0.24.0
