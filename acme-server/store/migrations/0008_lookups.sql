-- Which CRLs the certificates that are not over point to: a look for each CRL, not one for each certificate.
CREATE INDEX certificates_by_crl ON certificates (backend, issuer, crl_url, not_after);

-- 1: an authorization of it ended as invalid, deactivated or revoked before it was finalized, so that it is open no more. Open
-- orders are counted for each new one, and an account that fails a thousand times is counted as fast as another.
ALTER TABLE orders ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
UPDATE orders SET lost = 1 WHERE finalized_at IS NULL AND certificate_id IS NULL AND error IS NULL AND EXISTS (
  SELECT 1 FROM order_authorizations AS tie JOIN authorizations AS held ON held.id = tie.authorization_id
  WHERE tie.order_id = orders.id AND held.status NOT IN ('pending', 'valid'));
DROP INDEX orders_without_outcome;
CREATE INDEX orders_open ON orders (account_id) WHERE certificate_id IS NULL AND error IS NULL AND lost = 0;
