-- Whose account a job works for, so that accounts take turns at a lane; empty: the server's own work.
ALTER TABLE jobs ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
UPDATE jobs SET account_id = COALESCE(
  (SELECT authorizations.account_id FROM challenges
   JOIN authorizations ON authorizations.id = challenges.authorization_id WHERE challenges.id = jobs.subject), '')
  WHERE kind = 'validate_challenge';
UPDATE jobs SET account_id = COALESCE((SELECT orders.account_id FROM orders WHERE orders.id = jobs.subject), '')
  WHERE kind = 'issue_certificate';

-- 1: a run was cut short while other jobs waited. The next one gets its full time, and waits for a place that gives it.
ALTER TABLE jobs ADD COLUMN cut_short BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_due_by_account ON jobs (kind, cut_short, account_id, run_at, id) WHERE parked = 0;
