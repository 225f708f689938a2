-- The issuers of each backend, so that a server whose CA is out of reach still knows them, and for as long as there are
-- certificates or unfinished intents of them.
CREATE TABLE issuers (
  backend   TEXT NOT NULL,
  id        TEXT NOT NULL, -- SHA-256 of its SubjectPublicKeyInfo
  chain_pem TEXT NOT NULL, -- itself first, without the root
  root_pem  TEXT NOT NULL, -- empty: not known
  added_at  BIGINT NOT NULL,
  PRIMARY KEY (backend, id)
);
