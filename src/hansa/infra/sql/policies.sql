GRANT USAGE ON SCHEMA ops TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON ops.outbox TO hansa_app;
GRANT SELECT, INSERT ON ops.effects TO hansa_app;
GRANT SELECT, INSERT, DELETE ON ops.idempotency_keys TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.heartbeats TO hansa_app;
GRANT SELECT, INSERT, DELETE, UPDATE (next_at) ON ops.rate_limits TO hansa_app;
-- Readiness compares what is applied with what the code was made for.
GRANT USAGE ON SCHEMA mig TO hansa_app;
GRANT SELECT ON mig.revisions TO hansa_app;
