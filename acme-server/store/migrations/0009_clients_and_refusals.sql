-- The last refusals of each account, for its operator: one row for each order and kind of problem, counted, and the
-- oldest rows beyond a few are removed.
CREATE TABLE refusals (
  account_id TEXT NOT NULL REFERENCES accounts (id),
  order_id   TEXT NOT NULL, -- empty: the request was about no order
  type       TEXT NOT NULL, -- the URN of the problem
  sequence   BIGINT NOT NULL, -- within the account: the highest is the newest
  status     BIGINT NOT NULL,
  detail     TEXT NOT NULL,
  route      TEXT NOT NULL,
  client     TEXT NOT NULL,
  first_at   BIGINT NOT NULL,
  last_at    BIGINT NOT NULL,
  count      BIGINT NOT NULL,
  PRIMARY KEY (account_id, order_id, type)
);

-- The client's address that an order was finalized from. Null: finalized by an earlier version, or the server's own.
ALTER TABLE orders ADD COLUMN finalized_from TEXT;
