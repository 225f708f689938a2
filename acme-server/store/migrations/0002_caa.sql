-- When CAA records were last asked for and permitted the name; null: never, or CAA is off in the profile.
ALTER TABLE authorizations ADD COLUMN caa_checked_at BIGINT;
