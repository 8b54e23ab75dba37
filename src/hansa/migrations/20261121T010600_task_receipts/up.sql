CREATE TYPE proof.receipt_state AS ENUM ('pending', 'finalized', 'rejected', 'expired', 'unattested');
COMMENT ON TYPE proof.receipt_state IS 'pending: it can be attested. finalized: client and committee stand behind the work. rejected: the committee does not. expired: no verdict in time. unattested: too few agents could sit, so there is no committee.';
CREATE TYPE proof.attestation_kind AS ENUM ('ACCEPTED', 'AUDIT_PASS', 'AUDIT_FAIL', 'SAFETY_PASS');
COMMENT ON TYPE proof.attestation_kind IS 'ACCEPTED is said by the client, the others by members of the committee; SAFETY_PASS is told and not counted. Source: AINP.';
CREATE TYPE proof.verdict AS ENUM ('pass', 'fail');
COMMENT ON TYPE proof.verdict IS 'What a quorum says of a piece of work.';
CREATE TYPE proof.seat_finding AS ENUM ('agreed', 'disagreed', 'silent', 'unjudged');
COMMENT ON TYPE proof.seat_finding IS 'How a member of a committee did: its audit is the verdict or is against it, it let the time pass without a word, or there is nothing to hold it against.';

CREATE TABLE proof.attestation_policy (
    id boolean NOT NULL DEFAULT true,
    k smallint NOT NULL,
    m smallint NOT NULL,
    window_s integer NOT NULL,
    min_trust double precision NOT NULL,
    stake_min bigint NOT NULL,
    reward_units bigint NOT NULL,
    slash_bps integer NOT NULL,
    unbonding_s integer NOT NULL,
    CONSTRAINT one_attestation_policy PRIMARY KEY (id),
    CONSTRAINT attestation_policy_possible CHECK (
        id AND k BETWEEN 1 AND m AND m <= 31 AND window_s BETWEEN 1 AND 2592000 AND min_trust > 0 AND min_trust <= 1
        AND stake_min > 0 AND reward_units >= 0 AND slash_bps BETWEEN 0 AND 10000 AND unbonding_s BETWEEN 0 AND 2592000
    )
);
COMMENT ON TABLE proof.attestation_policy IS 'How settled work is attested, where an operator changed it; at most one row. What holds is in proof.attestation_rules, and a receipt keeps the numbers that it began with.';
COMMENT ON COLUMN proof.attestation_policy.k IS 'Audits that must pass.';
COMMENT ON COLUMN proof.attestation_policy.m IS 'Seats of a committee.';
COMMENT ON COLUMN proof.attestation_policy.window_s IS 'Seconds from the drawing of a committee to the end of its time.';
COMMENT ON COLUMN proof.attestation_policy.min_trust IS 'Least trust with which an agent may sit, 0 to 1. Nothing known is 0.5.';
COMMENT ON COLUMN proof.attestation_policy.stake_min IS 'Least stake with which an agent may sit, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.attestation_policy.reward_units IS 'Most that a member earns whose audit is the verdict, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.attestation_policy.slash_bps IS 'Part of its stake that a member loses whose audit is against the verdict, in basis points; a silent one loses a tenth of that.';
COMMENT ON COLUMN proof.attestation_policy.unbonding_s IS 'Seconds for which a stake stays locked after its agent asked for it back.';

CREATE TABLE proof.task_receipts (
    id uuid NOT NULL,
    log_id uuid NOT NULL,
    agent_did text NOT NULL,
    k smallint NOT NULL,
    m smallint NOT NULL,
    slash_bps integer NOT NULL,
    reward_units bigint NOT NULL,
    state proof.receipt_state NOT NULL DEFAULT 'pending',
    committee text[],
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    drawn_at timestamptz,
    due_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT task_receipts_pkey PRIMARY KEY (id),
    CONSTRAINT one_receipt_per_log UNIQUE (log_id),
    CONSTRAINT receipt_of_logged_work FOREIGN KEY (log_id, agent_did) REFERENCES proof.work_history_logs (id, agent_did),
    CONSTRAINT quorum_within_the_committee CHECK (k BETWEEN 1 AND m),
    CONSTRAINT receipt_numbers_possible CHECK (slash_bps BETWEEN 0 AND 10000 AND reward_units >= 0),
    CONSTRAINT committee_is_drawn_whole CHECK (
        num_nonnulls(committee, drawn_at, due_at) IN (0, 3) AND (committee IS NULL OR cardinality(committee) BETWEEN k AND m)
    ),
    CONSTRAINT worker_never_sits CHECK (agent_did <> ALL (committee)),
    CONSTRAINT ended_receipts_have_an_end CHECK ((state = 'pending') = (ended_at IS NULL)),
    CONSTRAINT judged_receipts_had_a_committee CHECK (state IN ('pending', 'unattested') OR committee IS NOT NULL)
);
COMMENT ON TABLE proof.task_receipts IS 'One receipt for each piece of settled work: who may attest it, and what they said in the end. Everybody sees this much. Source: AINP task receipts.';
COMMENT ON COLUMN proof.task_receipts.k IS 'Audits that must pass.';
COMMENT ON COLUMN proof.task_receipts.m IS 'Seats of the committee; some are empty when fewer agents could sit, and empty seats never help a verdict.';
COMMENT ON COLUMN proof.task_receipts.slash_bps IS 'Part of its stake that a member loses here whose audit is against the verdict, in basis points.';
COMMENT ON COLUMN proof.task_receipts.reward_units IS 'What a member earns here whose audit is the verdict, in units of 1/1000 credit: never more than its part of what the deal brought the pool.';
COMMENT ON COLUMN proof.task_receipts.committee IS 'DIDs of the members in the order of the draw; NULL: not drawn yet, or too few could sit.';
COMMENT ON COLUMN proof.task_receipts.due_at IS 'End of the time for attestations; NULL: no committee was drawn.';
COMMENT ON COLUMN proof.task_receipts.ended_at IS 'When it left pending.';
CREATE INDEX task_receipts_by_agent ON proof.task_receipts (agent_did, id DESC);
CREATE INDEX task_receipts_by_member ON proof.task_receipts USING gin (committee);
CREATE INDEX task_receipts_to_end ON proof.task_receipts (due_at) WHERE state = 'pending';

CREATE TABLE proof.receipted_deals (
    receipt_id uuid NOT NULL,
    client_did text NOT NULL,
    intent_id uuid,
    amount bigint NOT NULL,
    asset proof.asset NOT NULL,
    CONSTRAINT one_deal_per_receipt PRIMARY KEY (receipt_id),
    CONSTRAINT deal_of_a_receipt FOREIGN KEY (receipt_id) REFERENCES proof.task_receipts (id),
    CONSTRAINT receipted_amount_not_negative CHECK (amount >= 0)
);
COMMENT ON TABLE proof.receipted_deals IS 'The private half of a receipt: whose deal it was. For the two parties and the committee.';
COMMENT ON COLUMN proof.receipted_deals.intent_id IS 'The intent that the work served; kept by the negotiation context. NULL: none is known.';
COMMENT ON COLUMN proof.receipted_deals.amount IS 'The whole price, smallest units of the asset.';
CREATE INDEX receipted_deals_by_client ON proof.receipted_deals (client_did, receipt_id DESC);

CREATE TABLE proof.committee_draws (
    receipt_id uuid NOT NULL,
    position bigint NOT NULL,
    work_hash text NOT NULL,
    previous text NOT NULL,
    seed text NOT NULL,
    candidates jsonb NOT NULL,
    digest text NOT NULL,
    CONSTRAINT one_draw_per_receipt PRIMARY KEY (receipt_id),
    CONSTRAINT draw_of_a_receipt FOREIGN KEY (receipt_id) REFERENCES proof.task_receipts (id),
    CONSTRAINT one_draw_per_position UNIQUE (position),
    CONSTRAINT one_draw_after_each UNIQUE (previous),
    CONSTRAINT draw_hashes_are_sha256 CHECK (
        work_hash ~ '^[0-9a-f]{64}$' AND previous ~ '^[0-9a-f]{64}$'
        AND seed ~ '^[0-9a-f]{64}$' AND digest ~ '^[0-9a-f]{64}$'
    )
);
COMMENT ON TABLE proof.committee_draws IS 'What each committee was drawn from, so that anybody who may see it can draw it again. A chain: each names the digest of the one before. Append only.';
COMMENT ON COLUMN proof.committee_draws.position IS 'Place in the chain, from 1.';
COMMENT ON COLUMN proof.committee_draws.work_hash IS 'zkp_hash of the work log: covers a salt of the house that neither party knew before the settlement.';
COMMENT ON COLUMN proof.committee_draws.previous IS 'Digest of the draw before this one; zeros for the first.';
COMMENT ON COLUMN proof.committee_draws.seed IS 'SHA-256, hex, of receipt id, work hash and previous digest, joined by |.';
COMMENT ON COLUMN proof.committee_draws.candidates IS 'Everybody who could sit, one agent of each account: [{"agent": DID, "trust": "0.530000"}], trust 0 to 1 at that instant, as text.';
COMMENT ON COLUMN proof.committee_draws.digest IS 'SHA-256, hex, of seed, candidates and members in canonical JSON (RFC 8785).';

CREATE TABLE proof.task_attestations (
    id uuid NOT NULL DEFAULT uuidv7(),
    receipt_id uuid NOT NULL,
    by_did text NOT NULL,
    kind proof.attestation_kind NOT NULL,
    score double precision,
    evidence_hash text,
    key_id text NOT NULL,
    statement_hash text NOT NULL,
    signature text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT task_attestations_pkey PRIMARY KEY (id),
    CONSTRAINT attestation_of_a_receipt FOREIGN KEY (receipt_id) REFERENCES proof.task_receipts (id),
    CONSTRAINT one_attestation_of_a_kind UNIQUE (receipt_id, by_did, kind),
    CONSTRAINT attested_score_within_1 CHECK (score BETWEEN 0 AND 1),
    CONSTRAINT attested_evidence_is_sha256 CHECK (evidence_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT attestation_hash_is_sha256 CHECK (statement_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT attestation_key_of_its_author CHECK (starts_with(key_id, by_did || '#')),
    CONSTRAINT attestation_is_signed CHECK (signature ~ '^[1-9A-HJ-NP-Za-km-z]{64,88}$')
);
COMMENT ON TABLE proof.task_attestations IS 'What client and committee say of a piece of work, each signed so that anybody can check it later. Append only. Source: AINP task attestations.';
COMMENT ON COLUMN proof.task_attestations.score IS 'How good the work is, 0 to 1; NULL: its author does not say.';
COMMENT ON COLUMN proof.task_attestations.evidence_hash IS 'SHA-256, hex, of what its author looked at or wrote down; NULL: nothing is named.';
COMMENT ON COLUMN proof.task_attestations.key_id IS 'DID URL of the key that signed, which counted at that time.';
COMMENT ON COLUMN proof.task_attestations.statement_hash IS 'SHA-256, hex, of the signed statement: canonical JSON (RFC 8785) of type, receipt, by, kind, score and evidence_hash.';
COMMENT ON COLUMN proof.task_attestations.signature IS 'Ed25519 signature over the statement, in base58.';
CREATE UNIQUE INDEX one_audit_per_member ON proof.task_attestations (receipt_id, by_did)
    WHERE kind IN ('AUDIT_PASS', 'AUDIT_FAIL');

CREATE TABLE proof.agent_stakes (
    agent_did text NOT NULL,
    hold_id uuid,
    generation integer NOT NULL DEFAULT 0,
    unbonding_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_stake_per_agent PRIMARY KEY (agent_did),
    CONSTRAINT stake_of_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did),
    CONSTRAINT stake_is_held FOREIGN KEY (hold_id) REFERENCES credits.holds (id),
    CONSTRAINT one_stake_per_hold UNIQUE (hold_id),
    CONSTRAINT stake_generation_not_negative CHECK (generation >= 0)
);
COMMENT ON TABLE proof.agent_stakes IS 'What an agent puts at risk to sit in committees: a hold of credits. Its amount is that of the hold while this is held, else nothing.';
COMMENT ON COLUMN proof.agent_stakes.hold_id IS 'The hold of credits; NULL: none was made yet.';
COMMENT ON COLUMN proof.agent_stakes.generation IS 'How many holds there have been: a stake that changes gets a new one.';
COMMENT ON COLUMN proof.agent_stakes.unbonding_until IS 'The agent asked for its stake back, sits in no new committee, and gets it after this time; NULL: it did not ask.';
CREATE INDEX stakes_to_release ON proof.agent_stakes (unbonding_until) WHERE unbonding_until IS NOT NULL;

CREATE TABLE proof.committee_findings (
    receipt_id uuid NOT NULL,
    member_did text NOT NULL,
    finding proof.seat_finding NOT NULL,
    stake_units bigint NOT NULL,
    slashed_units bigint NOT NULL,
    reward_units bigint NOT NULL,
    reward_movement uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_finding_per_member PRIMARY KEY (receipt_id, member_did),
    CONSTRAINT finding_on_a_receipt FOREIGN KEY (receipt_id) REFERENCES proof.task_receipts (id),
    CONSTRAINT slash_within_the_stake CHECK (slashed_units BETWEEN 0 AND stake_units),
    CONSTRAINT only_failing_members_are_slashed CHECK (slashed_units = 0 OR finding IN ('disagreed', 'silent')),
    CONSTRAINT only_agreeing_members_are_rewarded CHECK (reward_units = 0 OR (reward_units > 0 AND finding = 'agreed')),
    CONSTRAINT reward_is_paid_where_one_is_due CHECK (reward_movement IS NULL OR reward_units > 0),
    CONSTRAINT reward_is_a_movement FOREIGN KEY (reward_movement) REFERENCES credits.credit_transactions (id)
);
COMMENT ON TABLE proof.committee_findings IS 'How each member of a committee did, once its receipt ended, and what that cost or brought it.';
COMMENT ON COLUMN proof.committee_findings.stake_units IS 'Its stake at that moment, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.committee_findings.slashed_units IS 'What went from its stake to the pool, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.committee_findings.reward_units IS 'What it gets from the pool, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.committee_findings.reward_movement IS 'The movement that paid it; NULL: nothing is due, or the pool had too little so far.';
CREATE INDEX findings_to_reward ON proof.committee_findings (created_at) WHERE reward_units > 0 AND reward_movement IS NULL;

-- Receipts. The one rule of the quorum: everybody who asks, asks here.

CREATE TYPE proof.quorum_count AS (
    passes integer,
    fails integer,
    accepted boolean,
    k smallint,
    m smallint,
    reached boolean,
    verdict proof.verdict
);
COMMENT ON TYPE proof.quorum_count IS 'How far the attestations of a receipt have come; verdict NULL: undecided.';

CREATE FUNCTION proof.quorum(p_receipt uuid)
RETURNS proof.quorum_count
LANGUAGE sql STABLE SET search_path = ''
AS $$
SELECT ROW(counted.passes, counted.fails, counted.accepted, receipt.k, receipt.m, counted.passes >= receipt.k,
           CASE WHEN counted.accepted AND counted.passes >= receipt.k THEN 'pass'
                WHEN counted.fails > receipt.m - receipt.k THEN 'fail'
           END)::proof.quorum_count
  FROM proof.task_receipts AS receipt
  LEFT JOIN proof.receipted_deals AS deal ON deal.receipt_id = receipt.id
 CROSS JOIN LATERAL (
       SELECT count(DISTINCT said.by_did) FILTER (WHERE said.kind = 'AUDIT_PASS' AND seated.sits)::integer AS passes,
              count(DISTINCT said.by_did) FILTER (WHERE said.kind = 'AUDIT_FAIL' AND seated.sits)::integer AS fails,
              coalesce(bool_or(said.kind = 'ACCEPTED' AND said.by_did = deal.client_did), false) AS accepted
         FROM proof.task_attestations AS said
        CROSS JOIN LATERAL (SELECT said.by_did = ANY (receipt.committee) AS sits) AS seated
        WHERE said.receipt_id = receipt.id) AS counted
 WHERE receipt.id = p_receipt
$$;
COMMENT ON FUNCTION proof.quorum IS 'pass: the client accepted and k different members of the committee say that the work passes. fail: more than m - k say that it fails, so k of m seats can no longer pass. NULL: neither yet.';

-- Whoever attests shares the lock on the receipt, whoever ends it wants it alone: no word arrives after the count.
CREATE FUNCTION proof.check_attestation()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_receipt proof.task_receipts;
    v_client text;
BEGIN
    SELECT * INTO v_receipt FROM proof.task_receipts WHERE id = NEW.receipt_id FOR SHARE;
    SELECT client_did INTO v_client FROM proof.receipted_deals WHERE receipt_id = NEW.receipt_id;
    IF v_receipt.id IS NULL THEN
        RAISE EXCEPTION 'there is no receipt %', NEW.receipt_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_known';
    ELSIF NEW.kind = 'ACCEPTED' AND NEW.by_did IS DISTINCT FROM v_client THEN
        RAISE EXCEPTION 'only the client accepts the work'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'work_accepted_by_its_client';
    ELSIF NEW.kind <> 'ACCEPTED' AND (NEW.by_did = ANY (v_receipt.committee)) IS NOT TRUE THEN
        RAISE EXCEPTION 'only members of the committee audit the work'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'work_audited_by_its_committee';
    ELSIF v_receipt.state <> 'pending' THEN
        RAISE EXCEPTION 'the receipt is %', v_receipt.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_pending_to_attest',
                  DETAIL = jsonb_build_object('state', v_receipt.state);
    ELSIF v_receipt.due_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the time for attestations ended at %', v_receipt.due_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'attestation_in_time',
                  DETAIL = jsonb_build_object('due_at', v_receipt.due_at);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.check_attestation IS 'Lets the client accept and the committee audit, while the receipt is pending and in time; nobody else, and nothing later.';

CREATE TRIGGER attestation_checked BEFORE INSERT ON proof.task_attestations
    FOR EACH ROW EXECUTE FUNCTION proof.check_attestation();

CREATE FUNCTION proof.keep_as_attested()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'what was drawn and what was attested stays as it was'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION proof.keep_as_attested IS 'Keeps draws, attestations and the deals behind receipts as they were written.';

CREATE TRIGGER attestations_kept BEFORE UPDATE OR DELETE ON proof.task_attestations
    FOR EACH ROW EXECUTE FUNCTION proof.keep_as_attested();
CREATE TRIGGER draws_kept BEFORE UPDATE OR DELETE ON proof.committee_draws
    FOR EACH ROW EXECUTE FUNCTION proof.keep_as_attested();
CREATE TRIGGER receipted_deals_kept BEFORE UPDATE OR DELETE ON proof.receipted_deals
    FOR EACH ROW EXECUTE FUNCTION proof.keep_as_attested();

-- A trigger and no routine alone: psql has the rights of the application, and must not end a receipt otherwise either.
CREATE FUNCTION proof.keep_receipt()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_verdict proof.verdict;
BEGIN
    IF TG_OP = 'DELETE'
       OR to_jsonb(NEW) - '{state,committee,drawn_at,due_at,ended_at}'::text[]
          <> to_jsonb(OLD) - '{state,committee,drawn_at,due_at,ended_at}'::text[] THEN
        RAISE EXCEPTION 'a receipt stays as it was written'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
    ELSIF OLD.state <> 'pending' THEN
        RAISE EXCEPTION 'the receipt is % already', OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_ends_once';
    ELSIF OLD.committee IS NOT NULL
          AND (NEW.committee, NEW.drawn_at, NEW.due_at) IS DISTINCT FROM
              (OLD.committee, OLD.drawn_at, OLD.due_at) THEN
        RAISE EXCEPTION 'the committee was drawn at %', OLD.drawn_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'committee_is_drawn_once';
    ELSIF NEW.state = 'pending' THEN
        RETURN NEW;
    END IF;
    v_verdict := (proof.quorum(NEW.id)).verdict;
    IF NOT (CASE NEW.state
                WHEN 'finalized' THEN coalesce(v_verdict = 'pass', false)
                WHEN 'rejected' THEN coalesce(v_verdict = 'fail', false)
                WHEN 'expired' THEN v_verdict IS NULL AND coalesce(NEW.due_at <= clock_timestamp(), false)
                ELSE NEW.committee IS NULL
            END) THEN
        RAISE EXCEPTION 'the attestations do not make the receipt %', NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_ends_by_its_quorum';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.keep_receipt IS 'Lets a committee be drawn once, and a receipt end once: as its quorum says, when its time is over without one, or because nobody could sit.';

CREATE TRIGGER receipt_kept BEFORE UPDATE OR DELETE ON proof.task_receipts
    FOR EACH ROW EXECUTE FUNCTION proof.keep_receipt();

CREATE FUNCTION proof.seat_committee(
    p_receipt uuid, p_work_hash text, p_previous text, p_seed text, p_candidates jsonb, p_members text[], p_digest text
)
RETURNS SETOF proof.task_receipts
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF (SELECT count(DISTINCT member) FROM unnest(p_members) AS member
         WHERE p_candidates @> jsonb_build_array(jsonb_build_object('agent', member))) <> cardinality(p_members)
       OR EXISTS (SELECT FROM proof.receipted_deals
                   WHERE receipt_id = p_receipt AND client_did = ANY (p_members)) THEN
        RAISE EXCEPTION 'a committee is drawn from its candidates, and no party sits in it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'committee_of_candidates';
    END IF;
    INSERT INTO proof.committee_draws (receipt_id, position, work_hash, previous, seed, candidates, digest)
    SELECT p_receipt, coalesce(max(position), 0) + 1, p_work_hash, p_previous, p_seed, p_candidates, p_digest
      FROM proof.committee_draws;
    RETURN QUERY
    UPDATE proof.task_receipts AS receipt
       SET committee = p_members, drawn_at = clock_timestamp(),
           due_at = clock_timestamp() + make_interval(secs => policy.window_s)
      FROM proof.attestation_rules AS policy
     WHERE receipt.id = p_receipt
    RETURNING receipt.*;
END
$$;
COMMENT ON FUNCTION proof.seat_committee IS 'Write down a draw and give the receipt its committee; the time for attestations begins.';

-- The lock waits for everybody who is attesting; what follows then sees what they said.
CREATE FUNCTION proof.finalise_receipt(p_receipt uuid)
RETURNS SETOF proof.task_receipts
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_receipt proof.task_receipts;
    v_verdict proof.verdict;
BEGIN
    SELECT * INTO v_receipt FROM proof.task_receipts WHERE id = p_receipt FOR NO KEY UPDATE;
    IF v_receipt.id IS NULL THEN
        RAISE EXCEPTION 'there is no receipt %', p_receipt
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_known';
    END IF;
    v_verdict := (proof.quorum(p_receipt)).verdict;
    IF v_receipt.state <> 'pending'
       OR (v_verdict IS NULL AND coalesce(v_receipt.due_at > clock_timestamp(), true)) THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE proof.task_receipts
       SET ended_at = clock_timestamp(),
           state = CASE v_verdict WHEN 'pass' THEN 'finalized' WHEN 'fail' THEN 'rejected' ELSE 'expired'
                   END::proof.receipt_state
     WHERE id = p_receipt
    RETURNING *;
END
$$;
COMMENT ON FUNCTION proof.finalise_receipt IS 'End a receipt that has a verdict or whose time is over; no row when it ended before or is not due.';

CREATE FUNCTION proof.check_stake()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NOT EXISTS (SELECT
                     FROM credits.holds AS hold
                    WHERE hold.id = NEW.hold_id
                      AND hold.account = NEW.agent_did
                      AND hold.purpose_kind = 'stake') THEN
        RAISE EXCEPTION 'a stake is a hold on the account of its own agent'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'stake_is_a_hold_of_its_agent';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.check_stake IS 'Keeps an agent from staking money of somebody else, or money that is held for a deal.';

CREATE TRIGGER stake_checked BEFORE INSERT OR UPDATE ON proof.agent_stakes
    FOR EACH ROW WHEN (NEW.hold_id IS NOT NULL) EXECUTE FUNCTION proof.check_stake();

CREATE VIEW proof.live_stakes WITH (security_invoker) AS
SELECT stake.agent_did, hold.amount, hold.id AS hold_id, hold.expires_at, stake.unbonding_until, stake.generation
  FROM proof.agent_stakes AS stake
  JOIN credits.holds AS hold ON hold.id = stake.hold_id AND hold.state = 'held';
COMMENT ON VIEW proof.live_stakes IS 'Stakes whose money is held now, amounts in units of 1/1000 credit.';

-- The numbers of the house stand here, not in a row: a table that is empty can be taken back without losing anything.
CREATE VIEW proof.attestation_rules WITH (security_invoker) AS
SELECT changed.k, changed.m, changed.window_s, changed.min_trust, changed.stake_min, changed.reward_units,
       changed.slash_bps, changed.unbonding_s
  FROM proof.attestation_policy AS changed
UNION ALL
SELECT 3::smallint, 5::smallint, 86400, 0.5::double precision, 10000::bigint, 500::bigint, 2000, 3600
 WHERE NOT EXISTS (SELECT FROM proof.attestation_policy);
COMMENT ON VIEW proof.attestation_rules IS 'How settled work is attested now: as an operator says, else as the house began.';

GRANT SELECT, INSERT, UPDATE (k, m, window_s, min_trust, stake_min, reward_units, slash_bps, unbonding_s)
   ON proof.attestation_policy TO hansa_app;
GRANT SELECT, INSERT (id, log_id, agent_did, k, m, slash_bps, reward_units),
      UPDATE (state, committee, drawn_at, due_at, ended_at) ON proof.task_receipts TO hansa_app;
GRANT SELECT, INSERT ON proof.receipted_deals, proof.committee_draws TO hansa_app;
GRANT SELECT, INSERT (receipt_id, by_did, kind, score, evidence_hash, key_id, statement_hash, signature)
   ON proof.task_attestations TO hansa_app;
GRANT SELECT, INSERT (receipt_id, member_did, finding, stake_units, slashed_units, reward_units),
      UPDATE (reward_movement) ON proof.committee_findings TO hansa_app;
GRANT SELECT, INSERT (agent_did), UPDATE (hold_id, generation, unbonding_until, updated_at)
   ON proof.agent_stakes TO hansa_app;
GRANT SELECT ON proof.live_stakes, proof.attestation_rules TO hansa_app;

-- Everybody sees that work was attested and how. Who attests must be able to lock the row, so USING is open; only the
-- house changes it, and the trigger says how.
ALTER TABLE proof.task_receipts ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.task_receipts FORCE ROW LEVEL SECURITY;
CREATE POLICY receipts_are_open ON proof.task_receipts FOR SELECT USING (true);
CREATE POLICY settling_opens_receipts ON proof.task_receipts FOR INSERT WITH CHECK (true);
CREATE POLICY the_house_ends_receipts ON proof.task_receipts FOR UPDATE
    USING (true)
    WITH CHECK (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));

-- Who may see the deal may see all that was said about it: the policies below ask this one.
ALTER TABLE proof.receipted_deals ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.receipted_deals FORCE ROW LEVEL SECURITY;
CREATE POLICY settling_adds_deals_to_receipts ON proof.receipted_deals FOR INSERT WITH CHECK (true);
CREATE POLICY receipted_deals_for_the_house ON proof.receipted_deals
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_and_committee_see_the_deal ON proof.receipted_deals FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND (client_did = current_setting('hansa.actor', true)
                OR EXISTS (SELECT
                             FROM proof.task_receipts AS receipt
                            WHERE receipt.id = receipt_id
                              AND (receipt.agent_did = current_setting('hansa.actor', true)
                                   OR current_setting('hansa.actor', true) = ANY (receipt.committee)))));

ALTER TABLE proof.committee_draws ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.committee_draws FORCE ROW LEVEL SECURITY;
CREATE POLICY draws_for_the_house ON proof.committee_draws
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_and_committee_see_the_draw ON proof.committee_draws FOR SELECT
    USING (EXISTS (SELECT FROM proof.receipted_deals AS deal WHERE deal.receipt_id = committee_draws.receipt_id));

ALTER TABLE proof.task_attestations ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.task_attestations FORCE ROW LEVEL SECURITY;
CREATE POLICY attestations_for_the_house ON proof.task_attestations
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_attest_for_themselves ON proof.task_attestations FOR INSERT
    WITH CHECK (current_setting('hansa.actor_kind', true) = 'agent'
                AND by_did = current_setting('hansa.actor', true));
CREATE POLICY parties_and_committee_see_attestations ON proof.task_attestations FOR SELECT
    USING (EXISTS (SELECT FROM proof.receipted_deals AS deal WHERE deal.receipt_id = task_attestations.receipt_id));

ALTER TABLE proof.committee_findings ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.committee_findings FORCE ROW LEVEL SECURITY;
CREATE POLICY findings_for_the_house ON proof.committee_findings
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY parties_and_committee_see_findings ON proof.committee_findings FOR SELECT
    USING (EXISTS (SELECT FROM proof.receipted_deals AS deal WHERE deal.receipt_id = committee_findings.receipt_id));

ALTER TABLE proof.agent_stakes ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.agent_stakes FORCE ROW LEVEL SECURITY;
CREATE POLICY stakes_for_the_house ON proof.agent_stakes
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_keep_their_stake ON proof.agent_stakes
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND agent_did = current_setting('hansa.actor', true));
