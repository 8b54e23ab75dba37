-- verify: writes
-- What can be tried is tried on an agent of this transaction, which is undone.
SET LOCAL hansa.actor_kind = 'system';

-- What became of evidence of that agent with these values, which is undone at once: '' it was taken, or the name of the
-- rule that refused it; NULL when it failed for another reason, so that nothing follows from it.
CREATE FUNCTION pg_temp.refusal(p_kind text, p_outcome numeric, p_reliability float8, p_honesty float8, p_work text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    v_name text;
BEGIN
    INSERT INTO proof.trust_events (ref, agent_did, kind, outcome, reliability, honesty, work_ref, occurred_at)
    VALUES ('verify:' || gen_random_uuid(), 'did:web:worker.verify.invalid', p_kind::proof.trust_evidence, p_outcome,
            p_reliability, p_honesty, p_work, clock_timestamp());
    SET CONSTRAINTS ALL IMMEDIATE;
    RAISE EXCEPTION 'undone' USING ERRCODE = 'VR001';
EXCEPTION
    WHEN SQLSTATE 'VR001' THEN RETURN '';
    WHEN check_violation OR foreign_key_violation THEN
        GET STACKED DIAGNOSTICS v_name = CONSTRAINT_NAME;
        RETURN v_name;
    WHEN OTHERS THEN RETURN NULL;
END
$$;

-- An agent under a name that nobody can have.
WITH person AS (
    INSERT INTO identity.users (solana_did, wallet_address)
    SELECT 'did:sol:' || drawn.wallet, drawn.wallet
      FROM (SELECT translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z') AS wallet) AS drawn
    RETURNING id
)
INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                             content_hash, ttl_s, expires_at, creator_user_id)
SELECT 'did:web:worker.verify.invalid', 'verify-' || gen_random_uuid(), 'Verify ' || gen_random_uuid(), '', '', '',
       translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z'), decode(repeat('00', 32), 'hex'), '', 60,
       clock_timestamp(), person.id
  FROM person;

SELECT format('evidence: %s', tried.what) AS "check",
       coalesce(pg_temp.refusal(tried.kind, tried.outcome, tried.reliability, tried.honesty, tried.work)
                = tried.answer, false) AS ok
  FROM (VALUES ('work with an outcome is taken', 'work', 1.0, NULL::float8, NULL::float8, NULL, ''),
               ('work without an outcome is refused', 'work', NULL, NULL, NULL, NULL, 'outcome_belongs_to_work'),
               ('an attestation of honesty is taken', 'attestation', NULL, NULL, 0.95, NULL, ''),
               ('a dispute with two samples is taken', 'dispute', NULL, 0.05, 0.05, NULL, ''),
               ('an attestation with an outcome is refused', 'attestation', 1.0, NULL, 0.95, NULL,
                'outcome_belongs_to_work'),
               ('a dispute that says nothing is refused', 'dispute', NULL, NULL, NULL, NULL, 'evidence_says_something'),
               ('a sample above 1 is refused', 'attestation', NULL, NULL, 1.01, NULL, 'trust_samples_between_0_and_1'),
               ('a sample that is no number is refused', 'attestation', NULL, NULL, 'NaN', NULL,
                'trust_samples_between_0_and_1'),
               ('work that was never settled cannot be attested', 'attestation', NULL, NULL, 0.95,
                'verify:no such work', 'evidence_about_settled_work'))
       AS tried (what, kind, outcome, reliability, honesty, work, answer);
SELECT 'all counted evidence has a weight' AS "check", count(*) = 0 AS ok
  FROM proof.trust_events
 WHERE fold_position IS NOT NULL
   AND weight IS NULL;
SELECT 'full-weight evidence moves a dimension by a fifth of the way, half-weight evidence by a tenth' AS "check",
       bool_and(abs(moved.honesty - due.honesty) < 1e-12 AND moved.competence = 0.5) AS ok
  FROM (VALUES (1.0::float8, 0.59), (0.5, 0.545), (0, 0.5)) AS due (weight, honesty)
 CROSS JOIN LATERAL jsonb_populate_record(
       NULL::proof.trust_events,
       jsonb_build_object('kind', 'attestation', 'honesty', 0.95, 'weight', due.weight, 'occurred_at', now())) AS event
 CROSS JOIN LATERAL proof.trust_after(ROW(0.5, 0.5, 0.5, 0.5, now())::proof.trust_vector, event, 0.977) AS moved;
SELECT 'the application sets weights and no other column of evidence' AS "check",
       has_column_privilege('hansa_app', 'proof.trust_events', 'weight', 'UPDATE')
       AND NOT has_column_privilege('hansa_app', 'proof.trust_events', 'honesty', 'UPDATE')
       AND NOT has_table_privilege('hansa_app', 'proof.trust_events', 'DELETE') AS ok;
SELECT 'trust is what the evidence says' AS "check", count(*) = 0 AS ok,
       string_agg(kind || ' ' || subject || ': ' || finding, '; ') AS detail
  FROM proof.differences
 WHERE kind = 'trust';
