-- verify: writes
-- The rules are tried on an agent of this transaction, which is undone; of the rewards that exist, the sums are taken.
SET LOCAL hansa.actor_kind = 'system';

-- An agent under a name that nobody can have.
WITH person AS (
    INSERT INTO identity.users (solana_did, wallet_address)
    SELECT 'did:sol:' || drawn.wallet, drawn.wallet
      FROM (SELECT translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z') AS wallet) AS drawn
    RETURNING id
)
INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                             content_hash, ttl_s, expires_at, creator_user_id)
SELECT 'did:web:prover.verify.invalid', 'verify-' || gen_random_uuid(), 'Verify ' || gen_random_uuid(), '', '', '',
       translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z'), decode(repeat('00', 32), 'hex'), '', 60,
       clock_timestamp(), person.id
  FROM person;

-- What became of a proof now, after `p_before` others of the same score that lie `p_apart` from each other and end
-- `p_ago` ago; all of it is undone at once. '' it was taken, or the name of the rule that refused it; NULL when it
-- failed for another reason.
CREATE FUNCTION pg_temp.refusal(
    p_score numeric, p_before integer, p_apart interval, p_ago interval, p_off interval DEFAULT '0'
)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_name text;
BEGIN
    FOR v_number IN REVERSE p_before..1 LOOP
        INSERT INTO proof.usefulness_proofs
               (intent_id, agent_did, work_type, metrics, trace_id, usefulness_score, created_at, worked_at)
        VALUES (gen_random_uuid(), 'did:web:prover.verify.invalid', 'compute', '{}', 'before ' || v_number, p_score,
                v_now - p_ago - (v_number - 1) * p_apart, v_now - p_ago - (v_number - 1) * p_apart);
    END LOOP;
    INSERT INTO proof.usefulness_proofs
           (intent_id, agent_did, work_type, metrics, trace_id, usefulness_score, created_at, worked_at)
    VALUES (gen_random_uuid(), 'did:web:prover.verify.invalid', 'compute', '{}', 'now', p_score, v_now, v_now + p_off);
    RAISE EXCEPTION 'undone' USING ERRCODE = 'VR001';
EXCEPTION
    WHEN SQLSTATE 'VR001' THEN RETURN '';
    WHEN check_violation THEN
        GET STACKED DIAGNOSTICS v_name = CONSTRAINT_NAME;
        RETURN v_name;
    WHEN OTHERS THEN RETURN NULL;
END
$$;

SELECT 'a proof whose time is more than five minutes off is refused, and no other' AS "check",
       pg_temp.refusal(1, 0, '0', '0', '5 minutes') = ''
       AND pg_temp.refusal(1, 0, '0', '0', '-5 minutes') = ''
       AND pg_temp.refusal(1, 0, '0', '0', '5 minutes 1 second') = 'useful_work_is_of_now'
       AND pg_temp.refusal(1, 0, '0', '0', '-5 minutes -1 second') = 'useful_work_is_of_now' AS ok;
SELECT 'an agent proves at most 100 pieces of work in an hour' AS "check",
       pg_temp.refusal(1, 99, '10 seconds', '10 seconds') = ''
       AND pg_temp.refusal(1, 100, '10 seconds', '10 seconds') = 'hundred_proofs_an_hour' AS ok;
SELECT 'an agent scores 99 or more at most five times in an hour' AS "check",
       pg_temp.refusal(99, 4, '1 minute', '1 minute') = ''
       AND pg_temp.refusal(99, 5, '1 minute', '1 minute') = 'five_top_scores_an_hour'
       AND pg_temp.refusal(99, 5, '1 minute', '1 hour') = ''
       AND pg_temp.refusal(98.99, 5, '1 minute', '1 minute') = '' AS ok;
SELECT 'proofs of an agent are five seconds apart' AS "check",
       pg_temp.refusal(1, 1, '0', '5 seconds') = ''
       AND pg_temp.refusal(1, 1, '0', '4.999 seconds') = 'five_seconds_between_proofs' AS ok;
SELECT 'the application names neither the score nor the time of a proof' AS "check",
       has_column_privilege('hansa_app', 'proof.usefulness_proofs', 'worked_at', 'INSERT')
       AND NOT has_column_privilege('hansa_app', 'proof.usefulness_proofs', 'created_at', 'INSERT')
       AND NOT has_column_privilege('hansa_app', 'proof.usefulness_proofs', 'usefulness_score', 'INSERT') AS ok;

SELECT 'every epoch is the sum of its rewards, and gives no more than it offered' AS "check",
       count(*) = 0 AS ok, string_agg(epoch.epoch::text, ', ') AS detail
  FROM proof.reward_epochs AS epoch
 CROSS JOIN LATERAL (SELECT count(*) AS agents, coalesce(sum(reward.units), 0) AS units
                       FROM proof.rewards AS reward
                      WHERE reward.epoch = epoch.epoch) AS found
 WHERE (epoch.agents, epoch.reward_units) IS DISTINCT FROM (found.agents, found.units)
    OR found.units > epoch.offered_units;
SELECT 'every reward of a closed epoch was paid from the pool, to the unit' AS "check",
       count(*) = 0 AS ok, string_agg(reward.epoch || ' ' || reward.agent_did, ', ') AS detail
  FROM proof.rewards AS reward
  JOIN proof.reward_epochs AS epoch ON epoch.epoch = reward.epoch
 CROSS JOIN LATERAL (SELECT sum(posting.amount) FILTER (WHERE posting.account = reward.agent_did) AS given,
                            -sum(posting.amount) FILTER (WHERE posting.account = 'system:pool') AS taken
                       FROM credits.postings AS posting
                      WHERE posting.transaction_id = reward.movement_id) AS moved
 WHERE (reward.movement_id IS NOT NULL OR epoch.closed_at IS NOT NULL)
   AND (moved.given, moved.taken) IS DISTINCT FROM (reward.units::numeric, reward.units::numeric);
SELECT 'the application fixes rewards and marks them as paid, and changes nothing else of them' AS "check",
       has_column_privilege('hansa_app', 'proof.rewards', 'movement_id', 'UPDATE')
       AND NOT has_column_privilege('hansa_app', 'proof.rewards', 'units', 'UPDATE')
       AND NOT has_column_privilege('hansa_app', 'proof.reward_epochs', 'opened_at', 'INSERT')
       AND NOT has_table_privilege('hansa_app', 'proof.rewards', 'DELETE')
       AND NOT has_table_privilege('hansa_app', 'proof.reward_epochs', 'DELETE') AS ok;
