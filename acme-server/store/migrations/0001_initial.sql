-- The first schema. TEXT and BIGINT only, so that SQLite and PostgreSQL both take this file as it is (ADR 0007).
-- Times are Unix seconds, DER is base64url, problems are JSON text, lists are tables of their own, truth is 0 or 1.
-- Ids are made by the server: 48 bits of time, then 128 random bits, as text.

-- Small facts about the installation, by name.
CREATE TABLE state (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE accounts (
  id              TEXT NOT NULL PRIMARY KEY,
  directory       TEXT NOT NULL,
  key_thumbprint  TEXT NOT NULL,
  key_jwk         TEXT NOT NULL,
  key_spki_sha256 TEXT NOT NULL,
  status          TEXT NOT NULL,
  terms_agreed    TEXT NOT NULL,
  created_at      BIGINT NOT NULL,
  UNIQUE (directory, key_thumbprint)
);
-- RFC 8555 section 11.1: no account key, of any directory, may be a certificate's key.
CREATE INDEX accounts_by_spki ON accounts (key_spki_sha256);

CREATE TABLE account_contacts (
  account_id TEXT NOT NULL REFERENCES accounts (id),
  position   BIGINT NOT NULL,
  contact    TEXT NOT NULL,
  PRIMARY KEY (account_id, position)
);

CREATE TABLE authorizations (
  id               TEXT NOT NULL PRIMARY KEY,
  directory        TEXT NOT NULL,
  account_id       TEXT NOT NULL REFERENCES accounts (id),
  identifier_type  TEXT NOT NULL,
  identifier_value TEXT NOT NULL,
  wildcard         BIGINT NOT NULL,
  profile          TEXT NOT NULL,
  status           TEXT NOT NULL,
  expires_at       BIGINT NOT NULL,
  created_at       BIGINT NOT NULL
);
CREATE INDEX authorizations_by_identifier ON authorizations (account_id, identifier_value, identifier_type);
CREATE INDEX authorizations_pending ON authorizations (account_id, expires_at) WHERE status = 'pending';

CREATE TABLE challenges (
  id               TEXT NOT NULL PRIMARY KEY,
  authorization_id TEXT NOT NULL REFERENCES authorizations (id),
  position         BIGINT NOT NULL,
  type             TEXT NOT NULL,
  token            TEXT NOT NULL,
  status           TEXT NOT NULL,
  validated_at     BIGINT,
  error            TEXT,
  attempts         BIGINT NOT NULL,
  next_attempt_at  BIGINT,
  UNIQUE (authorization_id, position)
);

CREATE TABLE orders (
  id             TEXT NOT NULL PRIMARY KEY,
  directory      TEXT NOT NULL,
  account_id     TEXT REFERENCES accounts (id), -- null: the server's own certificate
  profile        TEXT NOT NULL,
  not_before     BIGINT,
  not_after      BIGINT,
  created_at     BIGINT NOT NULL,
  expires_at     BIGINT NOT NULL,
  csr            TEXT,
  finalized_at   BIGINT,
  certificate_id TEXT, -- certificates (id), which refers back here; one of the two cannot be declared
  error          TEXT
);
CREATE INDEX orders_by_account ON orders (account_id, created_at, id);
CREATE INDEX orders_without_outcome ON orders (account_id) WHERE certificate_id IS NULL AND error IS NULL;
CREATE INDEX orders_processing ON orders (finalized_at)
  WHERE finalized_at IS NOT NULL AND certificate_id IS NULL AND error IS NULL;

CREATE TABLE order_identifiers (
  order_id TEXT NOT NULL REFERENCES orders (id),
  position BIGINT NOT NULL,
  type     TEXT NOT NULL,
  value    TEXT NOT NULL,
  PRIMARY KEY (order_id, position)
);

-- An authorization is its account's; several orders may rely on it.
CREATE TABLE order_authorizations (
  order_id         TEXT NOT NULL REFERENCES orders (id),
  position         BIGINT NOT NULL,
  authorization_id TEXT NOT NULL REFERENCES authorizations (id),
  PRIMARY KEY (order_id, position),
  UNIQUE (authorization_id, order_id)
);

-- Intents, durable before any signature, and what became of them.
CREATE TABLE issuances (
  id              TEXT NOT NULL PRIMARY KEY,
  order_id        TEXT NOT NULL REFERENCES orders (id),
  backend         TEXT NOT NULL,
  issuer          TEXT NOT NULL,
  serial          TEXT NOT NULL, -- empty: the CA chooses it
  profile         TEXT NOT NULL,
  profile_hash    TEXT NOT NULL,
  key_policy_hash TEXT NOT NULL,
  spki_sha256     TEXT NOT NULL,
  request         TEXT NOT NULL,
  poll            TEXT NOT NULL,
  crl_url         TEXT NOT NULL,
  not_before      BIGINT NOT NULL,
  not_after       BIGINT NOT NULL,
  created_at      BIGINT NOT NULL,
  state           TEXT NOT NULL
);
CREATE INDEX issuances_by_order ON issuances (order_id, created_at, id);
-- A CA is never asked twice for one order.
CREATE UNIQUE INDEX issuances_one_per_order ON issuances (order_id) WHERE state <> 'abandoned';
CREATE UNIQUE INDEX issuances_serial ON issuances (issuer, serial) WHERE serial <> '';
CREATE INDEX issuances_by_state ON issuances (state);
-- RFC 8555 section 11.1 the other way round: a certificate's key becomes no account's.
CREATE INDEX issuances_by_spki ON issuances (spki_sha256);

CREATE TABLE certificates (
  id                TEXT NOT NULL PRIMARY KEY,
  directory         TEXT NOT NULL,
  account_id        TEXT REFERENCES accounts (id), -- null: the server's own
  order_id          TEXT NOT NULL UNIQUE REFERENCES orders (id),
  issuance_id       TEXT NOT NULL UNIQUE REFERENCES issuances (id),
  backend           TEXT NOT NULL,
  issuer            TEXT NOT NULL,
  serial            TEXT NOT NULL,
  spki_sha256       TEXT NOT NULL,
  not_before        BIGINT NOT NULL,
  not_after         BIGINT NOT NULL,
  crl_url           TEXT NOT NULL,
  chain_pem         TEXT NOT NULL,
  issued_at         BIGINT NOT NULL,
  revoked_at        BIGINT,
  revocation_reason BIGINT,
  UNIQUE (issuer, serial)
);
CREATE INDEX certificates_by_account ON certificates (account_id);
CREATE INDEX certificates_by_time ON certificates (issued_at, id);
CREATE INDEX certificates_own ON certificates (directory, issued_at) WHERE account_id IS NULL;
CREATE INDEX certificates_revoked ON certificates (issuer, crl_url, serial) WHERE revoked_at IS NOT NULL;

CREATE TABLE certificate_identifiers (
  certificate_id TEXT NOT NULL REFERENCES certificates (id),
  position       BIGINT NOT NULL,
  type           TEXT NOT NULL,
  value          TEXT NOT NULL,
  PRIMARY KEY (certificate_id, position)
);

-- Alternate chains (RFC 8555 section 7.4.2); the first choice stands with its certificate.
CREATE TABLE certificate_chains (
  certificate_id TEXT NOT NULL REFERENCES certificates (id),
  position       BIGINT NOT NULL,
  chain_pem      TEXT NOT NULL,
  PRIMARY KEY (certificate_id, position)
);

-- The queue. Done is deleted; run_at of a leased one is when its lease ends.
CREATE TABLE jobs (
  id          TEXT NOT NULL PRIMARY KEY,
  kind        TEXT NOT NULL,
  subject     TEXT NOT NULL,
  generation  BIGINT NOT NULL,
  run_at      BIGINT NOT NULL,
  attempts    BIGINT NOT NULL,
  lease_token TEXT,
  note        TEXT NOT NULL,
  parked      BIGINT NOT NULL,
  UNIQUE (kind, subject)
);
CREATE INDEX jobs_due ON jobs (kind, run_at, id) WHERE parked = 0;

-- The CRL in force of each shard.
CREATE TABLE crls (
  issuer      TEXT NOT NULL,
  url         TEXT NOT NULL,
  file        TEXT NOT NULL UNIQUE,
  number      BIGINT NOT NULL,
  this_update BIGINT NOT NULL,
  next_update BIGINT NOT NULL,
  der         TEXT NOT NULL,
  PRIMARY KEY (issuer, url)
);

CREATE TABLE blocked_keys (
  spki_sha256 TEXT NOT NULL PRIMARY KEY,
  blocked_at  BIGINT NOT NULL,
  why         TEXT NOT NULL
);

-- The audit trail. No foreign keys: it outlives what it tells of. Sequence and hash are given when a row is sealed;
-- until then the id, made by the process that writes, says what came first.
CREATE TABLE audit_events (
  id               BIGINT NOT NULL PRIMARY KEY,
  sequence         BIGINT UNIQUE,
  happened_at      BIGINT NOT NULL,
  kind             TEXT NOT NULL,
  actor            TEXT NOT NULL,
  directory        TEXT,
  account_id       TEXT,
  order_id         TEXT,
  authorization_id TEXT,
  certificate_id   TEXT,
  details          TEXT NOT NULL,
  hash             TEXT
);
CREATE INDEX audit_events_by_order ON audit_events (order_id, id) WHERE order_id IS NOT NULL;
