-- Which CRLs the certificates that are not over point to: a look for each CRL, not one for each certificate.
CREATE INDEX certificates_by_crl ON certificates (backend, issuer, crl_url, not_after);
