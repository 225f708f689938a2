-- A CRL of a million entries is 50 MB: its DER moves into parts that are written one by one, and a CRL's rows are read
-- from the index alone.
CREATE TABLE crl_parts (
  issuer   TEXT NOT NULL,
  url      TEXT NOT NULL,
  number   BIGINT NOT NULL,
  sha256   TEXT NOT NULL, -- of the whole CRL; empty for what was there before this migration
  position BIGINT NOT NULL,
  part     TEXT NOT NULL,
  PRIMARY KEY (issuer, url, number, sha256, position)
);
INSERT INTO crl_parts (issuer, url, number, sha256, position, part) SELECT issuer, url, number, '', 0, der FROM crls;
ALTER TABLE crls ADD COLUMN entries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE crls ADD COLUMN sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE crls ADD COLUMN parts BIGINT NOT NULL DEFAULT 1;
ALTER TABLE crls DROP COLUMN der;

DROP INDEX certificates_revoked;
CREATE INDEX certificates_revoked ON certificates (issuer, crl_url, serial, not_after, revoked_at, revocation_reason)
  WHERE revoked_at IS NOT NULL;
