-- Revocations whose certificates are not here: a restored backup was older than they are. They stay on the CRL.
CREATE TABLE kept_revocations (
  issuer     TEXT NOT NULL,
  crl_url    TEXT NOT NULL,
  serial     TEXT NOT NULL,
  revoked_at BIGINT NOT NULL,
  reason     BIGINT NOT NULL,
  not_after  BIGINT NOT NULL,
  PRIMARY KEY (issuer, crl_url, serial)
);

-- The highest CRL number of all: the next one passes it after a restore.
CREATE INDEX crls_by_number ON crls (number);
