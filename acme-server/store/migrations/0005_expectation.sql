-- What the certificate is held against, as JSON (ca-backends/expectation.h). Null: stored before this migration, when
-- the other columns, the order and the profile said all of it.
ALTER TABLE issuances ADD COLUMN expected TEXT;
