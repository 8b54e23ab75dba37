-- Groups: a payer and two or more workers who agree by a vote.

CREATE TYPE negotiation.voting_rule AS ENUM ('unanimous', 'majority', 'trust_weighted');
COMMENT ON TYPE negotiation.voting_rule IS 'Whose approval makes an agreement: all members; more than half of them; members with more than half of the weight of all.';
CREATE TYPE negotiation.group_state AS ENUM ('open', 'agreed', 'rejected', 'expired');
COMMENT ON TYPE negotiation.group_state IS 'Where a group stands; every state but open is its end.';

CREATE TABLE negotiation.groups (
    id uuid NOT NULL DEFAULT uuidv7(),
    intent_id uuid NOT NULL,
    payer_did text NOT NULL,
    rule negotiation.voting_rule NOT NULL,
    state negotiation.group_state NOT NULL DEFAULT 'open',
    round integer NOT NULL DEFAULT 0,
    on_table integer,
    max_rounds integer NOT NULL DEFAULT 10,
    round_s integer,
    convergence_score numeric(3,2) NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    deadline_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT groups_pkey PRIMARY KEY (id),
    CONSTRAINT group_serves_an_intent_of_its_payer FOREIGN KEY (intent_id, payer_did)
        REFERENCES negotiation.intents (id, requester_did),
    CONSTRAINT group_max_rounds_within_bounds CHECK (max_rounds BETWEEN 1 AND 20),
    CONSTRAINT group_rounds_within_max CHECK (round BETWEEN 0 AND max_rounds),
    CONSTRAINT newest_proposal_on_the_table CHECK (on_table = round),
    CONSTRAINT group_round_time_possible CHECK (round_s BETWEEN 1 AND 2592000),
    CONSTRAINT group_time_possible CHECK (expires_at > created_at AND deadline_at <= expires_at),
    CONSTRAINT group_convergence_is_a_share CHECK (convergence_score BETWEEN 0 AND 1),
    CONSTRAINT group_agrees_on_a_proposal CHECK (state <> 'agreed' OR on_table IS NOT NULL),
    CONSTRAINT group_end_has_its_time CHECK ((state = 'open') = (ended_at IS NULL))
);
COMMENT ON TABLE negotiation.groups IS 'A haggle of three and more: one member pays, the others work, and a vote decides. Source: AINP, negotiation of several parties.';
COMMENT ON COLUMN negotiation.groups.round IS 'Number of the last proposal; 0: nobody has proposed yet.';
COMMENT ON COLUMN negotiation.groups.on_table IS 'Round of the proposal that can be voted on; NULL: there is none, because nobody proposed yet or a worker left since.';
COMMENT ON COLUMN negotiation.groups.round_s IS 'Seconds in which a proposal must come, and be agreed on or replaced; NULL: only the whole time counts.';
COMMENT ON COLUMN negotiation.groups.convergence_score IS 'Mean similarity of the terms that both last proposals state, 0 to 1, two decimals.';
COMMENT ON COLUMN negotiation.groups.expires_at IS 'End of the whole time.';
COMMENT ON COLUMN negotiation.groups.deadline_at IS 'When the group expires unless somebody acts: the end of the round or of the whole time, whichever is sooner.';
CREATE INDEX groups_by_intent ON negotiation.groups (intent_id);
CREATE INDEX groups_by_deadline ON negotiation.groups (deadline_at) WHERE state = 'open';

CREATE TABLE negotiation.group_members (
    group_id uuid NOT NULL,
    did text NOT NULL,
    weight numeric(5,4) NOT NULL,
    left_at timestamptz,
    CONSTRAINT member_named_once PRIMARY KEY (group_id, did),
    CONSTRAINT member_of_a_group FOREIGN KEY (group_id) REFERENCES negotiation.groups (id),
    CONSTRAINT member_is_an_agent FOREIGN KEY (did) REFERENCES registry.agents (did),
    CONSTRAINT every_member_has_weight CHECK (weight BETWEEN 0.05 AND 1)
);
COMMENT ON TABLE negotiation.group_members IS 'Who takes part in a group: its payer and its workers.';
COMMENT ON COLUMN negotiation.group_members.weight IS 'Trust in the member when the group opened, 0.05 to 1; counts under the rule trust_weighted.';
COMMENT ON COLUMN negotiation.group_members.left_at IS 'When the worker left, uncounted from then on; NULL: it takes part.';
CREATE INDEX group_members_by_agent ON negotiation.group_members (did, group_id DESC);

CREATE TABLE negotiation.group_proposals (
    group_id uuid NOT NULL,
    n integer NOT NULL,
    by_did text NOT NULL,
    price bigint NOT NULL,
    delivery_s integer,
    quality numeric(3,2),
    custom jsonb NOT NULL DEFAULT '{}',
    convergence_delta numeric NOT NULL DEFAULT 0,
    proposed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT group_proposals_pkey PRIMARY KEY (group_id, n),
    CONSTRAINT group_proposal_by_a_member FOREIGN KEY (group_id, by_did) REFERENCES negotiation.group_members (group_id, did),
    CONSTRAINT group_price_possible CHECK (price BETWEEN 1 AND 1000000000000000),
    CONSTRAINT group_delivery_time_possible CHECK (delivery_s BETWEEN 1 AND 31536000),
    CONSTRAINT group_quality_is_a_share CHECK (quality BETWEEN 0 AND 1),
    CONSTRAINT group_custom_terms_are_few CHECK (jsonb_typeof(custom) = 'object' AND length(custom::text) <= 10000)
);
COMMENT ON TABLE negotiation.group_proposals IS 'Every proposal ever made in a group, one row each.';
COMMENT ON COLUMN negotiation.group_proposals.price IS 'Sum of the parts, units of 1/1000 credit.';
COMMENT ON COLUMN negotiation.group_proposals.delivery_s IS 'Time from agreement to delivery for every worker, seconds; NULL: not stated.';
COMMENT ON COLUMN negotiation.group_proposals.quality IS 'Promised quality, 0 to 1; NULL: not stated.';
COMMENT ON COLUMN negotiation.group_proposals.convergence_delta IS 'Similarity to the proposal before, 0 to 1, full precision.';
ALTER TABLE negotiation.groups ADD CONSTRAINT proposal_on_the_table
    FOREIGN KEY (id, on_table) REFERENCES negotiation.group_proposals (group_id, n);

CREATE TABLE negotiation.group_parts (
    group_id uuid NOT NULL,
    n integer NOT NULL,
    worker_did text NOT NULL,
    units bigint NOT NULL,
    CONSTRAINT worker_has_one_part PRIMARY KEY (group_id, n, worker_did),
    CONSTRAINT part_of_a_proposal FOREIGN KEY (group_id, n) REFERENCES negotiation.group_proposals (group_id, n),
    CONSTRAINT part_for_a_member FOREIGN KEY (group_id, worker_did) REFERENCES negotiation.group_members (group_id, did),
    CONSTRAINT part_possible CHECK (units BETWEEN 1 AND 1000000000000000)
);
COMMENT ON TABLE negotiation.group_parts IS 'What each worker that a proposal includes would be paid.';
COMMENT ON COLUMN negotiation.group_parts.units IS 'Price of this worker, units of 1/1000 credit.';

CREATE TABLE negotiation.group_votes (
    group_id uuid NOT NULL,
    n integer NOT NULL,
    member_did text NOT NULL,
    approves boolean NOT NULL,
    voted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_vote_a_round PRIMARY KEY (group_id, n, member_did),
    CONSTRAINT vote_on_a_proposal FOREIGN KEY (group_id, n) REFERENCES negotiation.group_proposals (group_id, n),
    CONSTRAINT vote_of_a_member FOREIGN KEY (group_id, member_did) REFERENCES negotiation.group_members (group_id, did)
);
COMMENT ON TABLE negotiation.group_votes IS 'Who approved which proposal and who did not; said once. The proposer''s own approval is a row too.';

CREATE TABLE negotiation.group_deals (
    group_id uuid NOT NULL,
    worker_did text NOT NULL,
    negotiation_id uuid NOT NULL,
    CONSTRAINT worker_bound_once PRIMARY KEY (group_id, worker_did),
    CONSTRAINT deal_of_one_group UNIQUE (negotiation_id),
    CONSTRAINT deal_of_a_member FOREIGN KEY (group_id, worker_did) REFERENCES negotiation.group_members (group_id, did),
    CONSTRAINT group_deal_is_a_negotiation FOREIGN KEY (negotiation_id) REFERENCES negotiation.negotiations (id)
);
COMMENT ON TABLE negotiation.group_deals IS 'Who is bound by an agreed group, each by an accepted negotiation of its own with the payer.';

-- Groups. Whatever can race in a group waits for its row, which every act locks first.

CREATE FUNCTION negotiation.keep_group_history()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'what a group has proposed, voted and agreed stays as it was'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'group_history_is_append_only';
END
$$;
COMMENT ON FUNCTION negotiation.keep_group_history IS 'Keeps proposals, parts, votes and deals of groups, and groups that have ended, as they are.';
CREATE TRIGGER group_proposals_append_only BEFORE UPDATE OR DELETE ON negotiation.group_proposals
    FOR EACH ROW EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_proposals_not_emptied BEFORE TRUNCATE ON negotiation.group_proposals
    FOR EACH STATEMENT EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_parts_append_only BEFORE UPDATE OR DELETE ON negotiation.group_parts
    FOR EACH ROW EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_parts_not_emptied BEFORE TRUNCATE ON negotiation.group_parts
    FOR EACH STATEMENT EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_votes_append_only BEFORE UPDATE OR DELETE ON negotiation.group_votes
    FOR EACH ROW EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_votes_not_emptied BEFORE TRUNCATE ON negotiation.group_votes
    FOR EACH STATEMENT EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_deals_append_only BEFORE UPDATE OR DELETE ON negotiation.group_deals
    FOR EACH ROW EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER group_deals_not_emptied BEFORE TRUNCATE ON negotiation.group_deals
    FOR EACH STATEMENT EXECUTE FUNCTION negotiation.keep_group_history();
CREATE TRIGGER groups_end_once BEFORE UPDATE ON negotiation.groups
    FOR EACH ROW WHEN (OLD.state <> 'open') EXECUTE FUNCTION negotiation.keep_group_history();

-- Deferred to the commit, because a proposal is written before its parts.
CREATE FUNCTION negotiation.check_group_price()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF (SELECT proposal.price FROM negotiation.group_proposals AS proposal
         WHERE proposal.group_id = NEW.group_id AND proposal.n = NEW.n)
       IS DISTINCT FROM
       (SELECT sum(part.units) FROM negotiation.group_parts AS part
         WHERE part.group_id = NEW.group_id AND part.n = NEW.n) THEN
        RAISE EXCEPTION 'the price of proposal % is not the sum of its parts', NEW.n
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_price_is_its_parts';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION negotiation.check_group_price IS 'At the commit, the price of a group''s proposal is the sum of its parts.';
CREATE CONSTRAINT TRIGGER group_price_is_its_parts AFTER INSERT ON negotiation.group_proposals
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION negotiation.check_group_price();
CREATE CONSTRAINT TRIGGER group_parts_are_its_price AFTER INSERT ON negotiation.group_parts
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION negotiation.check_group_price();

-- The one place that knows the rules. Nobody pays or works without having said so: without the payer's approval, or
-- without a worker who approves a part of its own, no number of other votes is an agreement.
CREATE FUNCTION negotiation.group_tally(p_group uuid)
RETURNS TABLE (
    members integer, approving integer, opposing integer, weight numeric, approving_weight numeric,
    payer_approves boolean, bound text[], agreed boolean
)
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT counted.members, counted.approving, counted.opposing, counted.weight, counted.approving_weight,
           counted.payer_approves, counted.bound,
           CASE counted.rule
               WHEN 'unanimous' THEN counted.approving = counted.members
               WHEN 'majority' THEN 2 * counted.approving > counted.members
               WHEN 'trust_weighted' THEN 2 * counted.approving_weight > counted.weight
           END AND counted.payer_approves AND cardinality(counted.bound) > 0
      FROM (SELECT team.rule,
                   count(*)::integer AS members,
                   (count(*) FILTER (WHERE vote.approves))::integer AS approving,
                   (count(*) FILTER (WHERE NOT vote.approves))::integer AS opposing,
                   sum(member.weight) AS weight,
                   coalesce(sum(member.weight) FILTER (WHERE vote.approves), 0) AS approving_weight,
                   coalesce(bool_or(vote.approves) FILTER (WHERE member.did = team.payer_did), false) AS payer_approves,
                   coalesce(array_agg(member.did ORDER BY member.did)
                                FILTER (WHERE vote.approves AND part.units IS NOT NULL), '{}') AS bound
              FROM negotiation.groups AS team
              JOIN negotiation.group_members AS member ON member.group_id = team.id AND member.left_at IS NULL
              LEFT JOIN negotiation.group_votes AS vote
                     ON vote.group_id = team.id AND vote.n = team.on_table AND vote.member_did = member.did
              LEFT JOIN negotiation.group_parts AS part
                     ON part.group_id = team.id AND part.n = team.on_table AND part.worker_did = member.did
             WHERE team.id = p_group
             GROUP BY team.rule) AS counted
$$;
COMMENT ON FUNCTION negotiation.group_tally IS 'The votes on the table counted under the group''s rule: whether they are an agreement, and whom it would bind (AINP).';

CREATE FUNCTION negotiation.check_group_agreement()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups;
    v_tally record;
    v_bound text[];
BEGIN
    IF TG_TABLE_NAME = 'groups' THEN
        v_group := NEW;
    ELSE
        SELECT * INTO v_group FROM negotiation.groups WHERE id = NEW.group_id;
    END IF;
    SELECT * INTO v_tally FROM negotiation.group_tally(v_group.id);
    SELECT coalesce(array_agg(deal.worker_did ORDER BY deal.worker_did), '{}')
      INTO v_bound
      FROM negotiation.group_deals AS deal
      LEFT JOIN negotiation.group_parts AS part
             ON part.group_id = deal.group_id AND part.n = v_group.on_table AND part.worker_did = deal.worker_did
      LEFT JOIN negotiation.negotiations AS sealed
             ON sealed.id = deal.negotiation_id AND sealed.initiator_did = v_group.payer_did
            AND sealed.responder_did = deal.worker_did AND sealed.intent_id = v_group.intent_id
            AND sealed.hold_id IS NOT NULL AND (sealed.final_proposal ->> 'price')::bigint = part.units
     WHERE deal.group_id = v_group.id
    HAVING count(*) = count(sealed.id);
    IF v_group.state <> 'agreed' OR NOT v_tally.agreed OR v_bound IS DISTINCT FROM v_tally.bound THEN
        RAISE EXCEPTION 'the deals of group % are not what its members agreed on', v_group.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_binds_what_was_agreed';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION negotiation.check_group_agreement IS 'At the commit, an agreed group has an agreement by its rule, and one accepted deal at its part for everybody bound and nobody else.';
CREATE CONSTRAINT TRIGGER group_binds_what_was_agreed AFTER INSERT OR UPDATE ON negotiation.groups
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.state = 'agreed') EXECUTE FUNCTION negotiation.check_group_agreement();
CREATE CONSTRAINT TRIGGER deals_of_an_agreed_group AFTER INSERT ON negotiation.group_deals
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION negotiation.check_group_agreement();

CREATE FUNCTION negotiation.open_group(
    p_intent uuid, p_payer text, p_rule negotiation.voting_rule, p_members text[], p_weights numeric[],
    p_max_rounds integer, p_ttl interval, p_round_s integer
)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_group negotiation.groups;
BEGIN
    IF cardinality(p_members) NOT BETWEEN 3 AND 20 THEN
        RAISE EXCEPTION 'a group has 2 to 19 workers, not %', cardinality(p_members) - 1
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_of_two_to_nineteen_workers';
    ELSIF EXISTS (SELECT FROM registry.agents WHERE did = ANY (p_members)
                   GROUP BY creator_user_id HAVING count(*) > 1) THEN
        -- One account would have several votes, and could pay itself.
        RAISE EXCEPTION 'two members are agents of one account'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'members_of_different_accounts';
    END IF;
    INSERT INTO negotiation.groups (
        intent_id, payer_did, rule, max_rounds, round_s, created_at, expires_at, deadline_at)
    VALUES (p_intent, p_payer, p_rule, p_max_rounds, p_round_s, v_now, v_now + p_ttl,
            least(v_now + p_ttl, v_now + make_interval(secs => p_round_s)))
    RETURNING * INTO v_group;
    INSERT INTO negotiation.group_members (group_id, did, weight)
    SELECT v_group.id, member.did, member.weight
      FROM unnest(p_members, p_weights) AS member (did, weight);
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.open_group IS 'Open a group of a payer, who is the first of the members, and its workers; each with its weight.';

-- Locks the group and refuses unless this member may act in it now.
CREATE FUNCTION negotiation.take_seat(p_group uuid, p_by text)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups;
BEGIN
    SELECT * INTO v_group FROM negotiation.groups WHERE id = p_group FOR NO KEY UPDATE;
    IF v_group.id IS NULL THEN
        RAISE EXCEPTION 'there is no group %', p_group
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_known';
    ELSIF NOT EXISTS (SELECT FROM negotiation.group_members
                       WHERE group_id = p_group AND did = p_by AND left_at IS NULL) THEN
        RAISE EXCEPTION '% takes no part in this group', p_by
            USING ERRCODE = 'check_violation', CONSTRAINT = 'only_members_take_part';
    ELSIF v_group.state <> 'open' THEN
        RAISE EXCEPTION 'the group is %', v_group.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_open',
                  DETAIL = jsonb_build_object('state', v_group.state);
    ELSIF v_group.deadline_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the time of the group was over at %', v_group.deadline_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'group_in_time';
    END IF;
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.take_seat IS 'Lock an open group for one of its members; refused by name otherwise.';

CREATE FUNCTION negotiation.group_convergence(
    p_before negotiation.group_proposals, p_after negotiation.group_proposals
)
RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT coalesce(avg(term.similarity), 0)
      FROM (VALUES
               (1 - abs(p_before.price - p_after.price)::numeric / greatest(p_before.price, p_after.price)),
               (1 - abs(p_before.delivery_s - p_after.delivery_s)::numeric
                    / greatest(p_before.delivery_s, p_after.delivery_s)),
               (1 - abs(p_before.quality - p_after.quality))
           ) AS term (similarity)
$$;
COMMENT ON FUNCTION negotiation.group_convergence IS 'Similarity of two proposals of a group, 0 to 1: mean over total price, delivery time and quality, as far as both state them.';

CREATE FUNCTION negotiation.propose_to_group(
    p_group uuid, p_by text, p_workers text[], p_units bigint[], p_delivery_s integer, p_quality numeric, p_custom jsonb
)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups := negotiation.take_seat(p_group, p_by);
    v_n integer := v_group.round + 1;
    v_before negotiation.group_proposals;
    v_after negotiation.group_proposals;
BEGIN
    SELECT * INTO v_before FROM negotiation.group_proposals WHERE group_id = p_group AND n = v_group.round;
    IF v_group.on_table IS NOT NULL AND v_before.by_did = p_by THEN
        RAISE EXCEPTION 'your proposal is on the table: another member is to answer it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'members_take_turns',
                  DETAIL = jsonb_build_object('round', v_group.round);
    ELSIF v_group.round >= v_group.max_rounds THEN
        RAISE EXCEPTION 'all % rounds are used', v_group.max_rounds
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rounds_left_to_propose';
    ELSIF EXISTS (SELECT FROM unnest(p_workers) AS named (did)
                   WHERE named.did = v_group.payer_did
                      OR NOT EXISTS (SELECT FROM negotiation.group_members AS member
                                      WHERE member.group_id = p_group AND member.did = named.did
                                        AND member.left_at IS NULL)) THEN
        RAISE EXCEPTION 'a part is for a worker who takes part in the group'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'parts_are_for_workers';
    END IF;
    v_after.price := (SELECT coalesce(sum(part.units), 0) FROM unnest(p_units) AS part (units));
    v_after.delivery_s := p_delivery_s;
    v_after.quality := p_quality;
    INSERT INTO negotiation.group_proposals (group_id, n, by_did, price, delivery_s, quality, custom, convergence_delta)
    VALUES (p_group, v_n, p_by, v_after.price, p_delivery_s, p_quality, p_custom,
            negotiation.group_convergence(v_before, v_after))
    RETURNING * INTO v_after;
    INSERT INTO negotiation.group_parts (group_id, n, worker_did, units)
    SELECT p_group, v_n, part.worker, part.units
      FROM unnest(p_workers, p_units) AS part (worker, units);
    UPDATE negotiation.groups
       SET round = v_n,
           on_table = v_n,
           convergence_score = round(v_after.convergence_delta, 2),
           deadline_at = least(expires_at, clock_timestamp() + make_interval(secs => round_s))
     WHERE id = p_group
    RETURNING * INTO v_group;
    INSERT INTO negotiation.group_votes (group_id, n, member_did, approves) VALUES (p_group, v_n, p_by, true);
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.propose_to_group IS 'Put a proposal on the table in place of another member''s; the proposer approves it.';

CREATE FUNCTION negotiation.vote_in_group(p_group uuid, p_by text, p_round integer, p_approves boolean)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups := negotiation.take_seat(p_group, p_by);
BEGIN
    IF v_group.on_table IS NULL OR p_round IS DISTINCT FROM v_group.on_table THEN
        RAISE EXCEPTION 'round % is not on the table', p_round
            USING ERRCODE = 'check_violation', CONSTRAINT = 'accepts_what_was_seen',
                  DETAIL = jsonb_build_object('round', v_group.on_table);
    END IF;
    INSERT INTO negotiation.group_votes (group_id, n, member_did, approves)
    VALUES (p_group, p_round, p_by, p_approves);
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.vote_in_group IS 'Say once whether a member approves the proposal on the table, which it names.';

CREATE FUNCTION negotiation.agree_group(p_group uuid, p_negotiations uuid[])
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups;
BEGIN
    INSERT INTO negotiation.group_deals (group_id, worker_did, negotiation_id)
    SELECT p_group, sealed.responder_did, sealed.id
      FROM negotiation.negotiations AS sealed
     WHERE sealed.id = ANY (p_negotiations);
    UPDATE negotiation.groups
       SET state = 'agreed', ended_at = clock_timestamp()
     WHERE id = p_group
    RETURNING * INTO v_group;
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.agree_group IS 'End a group by the deals that bind its members; whether they are the right ones is checked at the commit.';

-- What was voted on included the one who leaves, so nothing is left on the table to agree on.
CREATE FUNCTION negotiation.leave_group(p_group uuid, p_by text)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups := negotiation.take_seat(p_group, p_by);
    v_workers integer;
BEGIN
    IF p_by = v_group.payer_did THEN
        RAISE EXCEPTION 'the payer rejects instead of leaving'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'the_payer_stays_in_its_group';
    END IF;
    UPDATE negotiation.group_members SET left_at = clock_timestamp() WHERE group_id = p_group AND did = p_by;
    SELECT count(*) INTO v_workers
      FROM negotiation.group_members
     WHERE group_id = p_group AND did <> v_group.payer_did AND left_at IS NULL;
    UPDATE negotiation.groups
       SET on_table = NULL,
           deadline_at = least(expires_at, clock_timestamp() + make_interval(secs => round_s)),
           state = CASE WHEN v_workers = 0 THEN 'rejected' ELSE state END,
           ended_at = CASE WHEN v_workers = 0 THEN clock_timestamp() END
     WHERE id = p_group
    RETURNING * INTO v_group;
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.leave_group IS 'Take a worker out of an open group, and the proposal off the table; without any worker the group is rejected.';

CREATE FUNCTION negotiation.reject_group(p_group uuid, p_by text)
RETURNS negotiation.groups
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_group negotiation.groups := negotiation.take_seat(p_group, p_by);
BEGIN
    IF p_by <> v_group.payer_did THEN
        RAISE EXCEPTION 'only the payer ends the group; a worker leaves it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'the_payer_rejects_its_group';
    END IF;
    UPDATE negotiation.groups
       SET state = 'rejected', ended_at = clock_timestamp()
     WHERE id = p_group
    RETURNING * INTO v_group;
    RETURN v_group;
END
$$;
COMMENT ON FUNCTION negotiation.reject_group IS 'End an open group without a deal.';

CREATE FUNCTION negotiation.expire_groups(p_limit integer)
RETURNS SETOF negotiation.groups
LANGUAGE sql SET search_path = ''
AS $$
    UPDATE negotiation.groups AS stale
       SET state = 'expired', ended_at = clock_timestamp()
      FROM (SELECT candidate.id
              FROM negotiation.groups AS candidate
             WHERE candidate.state = 'open'
               AND candidate.deadline_at <= clock_timestamp()
             ORDER BY candidate.deadline_at
             LIMIT p_limit
               FOR NO KEY UPDATE SKIP LOCKED) AS due
     WHERE stale.id = due.id
    RETURNING stale.*
$$;
COMMENT ON FUNCTION negotiation.expire_groups IS 'End open groups whose time is over, some at a time, and return them.';

GRANT SELECT, INSERT, UPDATE (state, round, on_table, convergence_score, deadline_at, ended_at) ON negotiation.groups TO hansa_app;
GRANT SELECT, INSERT, UPDATE (left_at) ON negotiation.group_members TO hansa_app;
GRANT SELECT, INSERT ON negotiation.group_proposals, negotiation.group_parts, negotiation.group_votes, negotiation.group_deals TO hansa_app;
