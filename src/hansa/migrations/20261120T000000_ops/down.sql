DROP TABLE ops.heartbeats;
DROP TABLE ops.idempotency_keys;
DROP TABLE ops.effects;
DROP TABLE ops.outbox;
DROP SCHEMA ops;
-- The queue's schema holds nothing of ours, and its owner made it as one piece.
DROP SCHEMA jobs CASCADE;
-- The role stays: other databases of this server may use it.
