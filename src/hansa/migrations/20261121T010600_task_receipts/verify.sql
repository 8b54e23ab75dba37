-- verify: writes
-- What can be tried is tried on work of this transaction, which is undone.
SET LOCAL hansa.actor_kind = 'system';

-- '' when a statement was taken, else the name of the rule that refused it; its effect is undone in any case.
CREATE FUNCTION pg_temp.refusal(p_statement text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    v_name text;
BEGIN
    EXECUTE p_statement;
    RAISE EXCEPTION 'undone' USING ERRCODE = 'VR001';
EXCEPTION
    WHEN SQLSTATE 'VR001' THEN RETURN '';
    WHEN integrity_constraint_violation OR check_violation OR unique_violation OR foreign_key_violation THEN
        GET STACKED DIAGNOSTICS v_name = CONSTRAINT_NAME;
        RETURN v_name;
END
$$;

WITH person AS (
    INSERT INTO identity.users (solana_did, wallet_address)
    SELECT 'did:sol:' || drawn.wallet, drawn.wallet
      FROM (SELECT translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z') AS wallet) AS drawn
    RETURNING id
)
INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                             content_hash, ttl_s, expires_at, creator_user_id)
SELECT 'did:web:receipts.verify.invalid', 'verify-' || gen_random_uuid(), 'Verify ' || gen_random_uuid(), '', '', '',
       translate(replace(gen_random_uuid()::text, '-', ''), '0', 'z'), decode(repeat('00', 32), 'hex'), '', 60,
       clock_timestamp(), person.id
  FROM person;

INSERT INTO proof.work_history_logs (id, agent_did, subject_kind, subject_id, task_hash, zkp_hash, encrypted_data)
VALUES ('00000000-0000-7000-8000-000000000001', 'did:web:receipts.verify.invalid', 'verify', gen_random_uuid()::text,
        repeat('0', 64), repeat('0', 64), '\x48534531'::bytea || decode(repeat('00', 63), 'hex'));
INSERT INTO proof.task_receipts (id, log_id, agent_did, k, m, slash_bps, reward_units, committee, drawn_at, due_at)
VALUES ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001',
        'did:web:receipts.verify.invalid', 1, 1, 0, 0, '{did:web:member.verify.invalid}', clock_timestamp(),
        clock_timestamp() + interval '1 hour');
INSERT INTO proof.receipted_deals (receipt_id, client_did, amount, asset)
VALUES ('00000000-0000-7000-8000-000000000002', 'did:web:client.verify.invalid', 1, 'CREDIT');

CREATE FUNCTION pg_temp.attested(p_by text, p_kind text)
RETURNS text
LANGUAGE sql
AS $$
    SELECT pg_temp.refusal(format(
        'INSERT INTO proof.task_attestations (receipt_id, by_did, kind, key_id, statement_hash, signature)
         VALUES (%L, %L, %L, %L, %L, %L)',
        '00000000-0000-7000-8000-000000000002', p_by, p_kind, p_by || '#key', repeat('0', 64), repeat('1', 64)
    ))
$$;

SELECT 'one policy says how work is attested' AS "check", count(*) = 1 AS ok FROM proof.attestation_rules;
SELECT 'only the client accepts, only the committee audits' AS "check",
       pg_temp.attested('did:web:client.verify.invalid', 'ACCEPTED') = ''
       AND pg_temp.attested('did:web:member.verify.invalid', 'AUDIT_PASS') = ''
       AND pg_temp.attested('did:web:member.verify.invalid', 'ACCEPTED') = 'work_accepted_by_its_client'
       AND pg_temp.attested('did:web:client.verify.invalid', 'AUDIT_PASS') = 'work_audited_by_its_committee'
       AND pg_temp.attested('did:web:receipts.verify.invalid', 'SAFETY_PASS') = 'work_audited_by_its_committee' AS ok;
SELECT 'nobody ends a receipt without its quorum' AS "check",
       bool_and(pg_temp.refusal(format(
           'UPDATE proof.task_receipts SET state = %L, ended_at = now() WHERE id = %L',
           state, '00000000-0000-7000-8000-000000000002'
       )) = 'receipt_ends_by_its_quorum') AS ok
  FROM unnest('{finalized,rejected,expired,unattested}'::text[]) AS state;
SELECT 'attestations cannot be changed or deleted' AS "check",
       NOT has_table_privilege('hansa_app', 'proof.task_attestations', 'DELETE')
       AND NOT has_any_column_privilege('hansa_app', 'proof.task_attestations', 'UPDATE')
       AND EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = to_regclass('proof.task_attestations') AND tgname = 'attestations_kept'
                      AND tgenabled = 'O') AS ok;
SELECT 'a member audits once' AS "check", count(*) = 1 AS ok
  FROM pg_index
 WHERE indexrelid = to_regclass('proof.one_audit_per_member')
   AND indisunique
   AND indisvalid;
SELECT 'the parties of a deal are not shown to everybody' AS "check", count(*) = 6 AS ok
  FROM pg_class
 WHERE oid IN (to_regclass('proof.task_receipts'), to_regclass('proof.receipted_deals'),
               to_regclass('proof.committee_draws'), to_regclass('proof.task_attestations'),
               to_regclass('proof.committee_findings'), to_regclass('proof.agent_stakes'))
   AND relrowsecurity
   AND relforcerowsecurity;
SELECT 'every stake that was made is a hold of its agent' AS "check", count(*) = 0 AS ok
  FROM proof.agent_stakes AS stake
  JOIN credits.holds AS hold ON hold.id = stake.hold_id
 WHERE hold.account <> stake.agent_did
    OR hold.purpose_kind <> 'stake';
SELECT 'no party of a deal sits in its committee' AS "check", count(*) = 0 AS ok
  FROM proof.task_receipts AS receipt
  JOIN proof.receipted_deals AS deal ON deal.receipt_id = receipt.id
 WHERE deal.client_did = ANY (receipt.committee);
