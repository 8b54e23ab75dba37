-- Rewards that were fixed and the times that agents gave cannot be kept: the engine refuses to lose them unasked.
REVOKE INSERT (intent_id, agent_did, work_type, metrics, attestations, trace_id, worked_at)
    ON proof.usefulness_proofs FROM hansa_app;
GRANT INSERT ON proof.usefulness_proofs TO hansa_app;

DROP FUNCTION registry.cache_usefulness(text[], numeric[], timestamptz);

DROP TABLE proof.rewards;
DROP TABLE proof.reward_epochs;
DROP FUNCTION proof.keep_reward();
DROP FUNCTION proof.keep_epoch();
DROP FUNCTION proof.check_added_rewards();
DROP FUNCTION proof.check_opened_epoch();
DROP FUNCTION proof.require_whole_epoch(date);
DROP FUNCTION proof.open_reward_epoch(date);
DROP FUNCTION proof.take_reward_policy();
DROP TABLE proof.reward_policy;
DROP FUNCTION proof.divide_rewards(bigint, numeric);
DROP FUNCTION proof.work_type_position(text);
DROP VIEW proof.recent_usefulness_by_type;

DROP TRIGGER usefulness_limited ON proof.usefulness_proofs;
DROP TRIGGER usefulness_scored ON proof.usefulness_proofs;
DROP FUNCTION proof.limit_usefulness();
DROP FUNCTION proof.score_usefulness();
DROP FUNCTION proof.seconds_until(timestamptz);
ALTER TABLE proof.usefulness_proofs DROP COLUMN worked_at;
