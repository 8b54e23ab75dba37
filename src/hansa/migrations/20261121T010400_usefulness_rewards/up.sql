-- Proofs of useful work say when the agent worked, and are refused where AINP's rules against made-up work say so.
-- Older proofs never said: theirs is the time of writing. The column is filled by its change of type, since the rows
-- themselves are append only.
ALTER TABLE proof.usefulness_proofs ADD COLUMN worked_at timestamptz;
ALTER TABLE proof.usefulness_proofs ALTER COLUMN worked_at TYPE timestamptz USING created_at;
ALTER TABLE proof.usefulness_proofs
    ALTER COLUMN worked_at SET DEFAULT clock_timestamp(),
    ALTER COLUMN worked_at SET NOT NULL;
COMMENT ON COLUMN proof.usefulness_proofs.worked_at IS 'The time that the agent gives, at most five minutes away from created_at; of proofs older than this column the time of writing.';

CREATE TABLE proof.reward_policy (
    only_row boolean NOT NULL DEFAULT true,
    share_bps integer NOT NULL DEFAULT 1000,
    score_min numeric(5, 2) NOT NULL DEFAULT 10,
    CONSTRAINT one_reward_policy PRIMARY KEY (only_row),
    CONSTRAINT reward_policy_is_one_row CHECK (only_row),
    CONSTRAINT reward_share_within_the_pool CHECK (share_bps BETWEEN 0 AND 10000),
    CONSTRAINT reward_score_min_within_100 CHECK (score_min > 0 AND score_min <= 100)
);
COMMENT ON TABLE proof.reward_policy IS 'What an epoch offers, and to whom; one row, which appears on first use. An epoch keeps what it was opened with.';
COMMENT ON COLUMN proof.reward_policy.share_bps IS 'Share of the pool that an epoch offers, in basis points; 0: nothing is paid.';
COMMENT ON COLUMN proof.reward_policy.score_min IS 'Least usefulness, 0 to 100, that is rewarded. AINP: 10.';

CREATE TABLE proof.reward_epochs (
    epoch date NOT NULL,
    share_bps integer NOT NULL,
    score_min numeric(5, 2) NOT NULL,
    pool_units bigint NOT NULL,
    offered_units bigint NOT NULL,
    score_sum numeric NOT NULL,
    agents integer NOT NULL,
    reward_units bigint NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    CONSTRAINT one_reward_epoch_per_day PRIMARY KEY (epoch),
    CONSTRAINT reward_epoch_is_over CHECK (epoch < (opened_at AT TIME ZONE 'UTC')::date),
    CONSTRAINT reward_epoch_of_the_last_30_days CHECK (epoch >= (opened_at AT TIME ZONE 'UTC')::date - 30),
    CONSTRAINT epoch_offers_its_share CHECK (
        pool_units >= 0 AND offered_units = div(pool_units::numeric * share_bps, 10000)
    ),
    CONSTRAINT epoch_gives_no_more_than_it_offers CHECK (reward_units BETWEEN 0 AND offered_units)
);
COMMENT ON TABLE proof.reward_epochs IS 'Rewards from the pool, one row for each UTC day, fixed when it is opened: who gets what stands in proof.rewards. Source: AINP usefulness rewards.';
COMMENT ON COLUMN proof.reward_epochs.epoch IS 'The UTC day, over when the epoch is opened.';
COMMENT ON COLUMN proof.reward_epochs.share_bps IS 'The policy''s share of the pool, in basis points.';
COMMENT ON COLUMN proof.reward_epochs.score_min IS 'The policy''s least usefulness.';
COMMENT ON COLUMN proof.reward_epochs.pool_units IS 'What the pool held then, less what earlier epochs had still to pay, in units of 1/1000 credit.';
COMMENT ON COLUMN proof.reward_epochs.offered_units IS 'floor(pool_units x share_bps / 10 000), in units of 1/1000 credit.';
COMMENT ON COLUMN proof.reward_epochs.score_sum IS 'Sum of the usefulness of all agents among whom the offer was divided.';
COMMENT ON COLUMN proof.reward_epochs.agents IS 'How many of them get at least one unit.';
COMMENT ON COLUMN proof.reward_epochs.reward_units IS 'Sum of the rewards, in units of 1/1000 credit; what is left of the offer stays in the pool.';
COMMENT ON COLUMN proof.reward_epochs.closed_at IS 'When the last reward was paid; NULL: some wait.';
CREATE INDEX reward_epochs_to_pay ON proof.reward_epochs (epoch) WHERE closed_at IS NULL;

CREATE TABLE proof.rewards (
    epoch date NOT NULL,
    agent_did text NOT NULL,
    score numeric(5, 2) NOT NULL,
    units bigint NOT NULL,
    compute_units bigint NOT NULL,
    memory_units bigint NOT NULL,
    routing_units bigint NOT NULL,
    validation_units bigint NOT NULL,
    learning_units bigint NOT NULL,
    movement_id uuid,
    paid_at timestamptz,
    CONSTRAINT one_reward_per_epoch_and_agent PRIMARY KEY (epoch, agent_did),
    CONSTRAINT reward_of_an_epoch FOREIGN KEY (epoch) REFERENCES proof.reward_epochs (epoch),
    CONSTRAINT reward_of_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did) ON DELETE RESTRICT,
    CONSTRAINT reward_paid_by_a_movement FOREIGN KEY (movement_id) REFERENCES credits.credit_transactions (id),
    CONSTRAINT one_reward_per_movement UNIQUE (movement_id),
    CONSTRAINT reward_units_positive CHECK (units > 0),
    CONSTRAINT reward_is_the_sum_of_its_parts CHECK (
        least(compute_units, memory_units, routing_units, validation_units, learning_units) >= 0
        AND units::numeric = compute_units::numeric + memory_units + routing_units + validation_units + learning_units
    ),
    CONSTRAINT paid_rewards_have_a_movement CHECK ((movement_id IS NULL) = (paid_at IS NULL))
);
COMMENT ON TABLE proof.rewards IS 'Who gets what of an epoch, fixed when it is opened and paid once. Amounts are units of 1/1000 credit. Source: AINP usefulness rewards.';
COMMENT ON COLUMN proof.rewards.score IS 'Usefulness of the agent when the epoch was opened, 0 to 100.';
COMMENT ON COLUMN proof.rewards.units IS 'floor(offered_units x score / score_sum) of the epoch.';
COMMENT ON COLUMN proof.rewards.compute_units IS 'The part for computing: units in proportion to what each type of work scored in 30 days, remainders to the largest fractions.';
COMMENT ON COLUMN proof.rewards.memory_units IS 'The part for memory.';
COMMENT ON COLUMN proof.rewards.routing_units IS 'The part for routing.';
COMMENT ON COLUMN proof.rewards.validation_units IS 'The part for validation.';
COMMENT ON COLUMN proof.rewards.learning_units IS 'The part for learning.';
COMMENT ON COLUMN proof.rewards.movement_id IS 'The movement that paid it; NULL: not yet.';
CREATE INDEX rewards_to_pay ON proof.rewards (epoch, agent_did) WHERE movement_id IS NULL;
CREATE INDEX rewards_by_agent ON proof.rewards (agent_did, epoch DESC);

CREATE VIEW proof.recent_usefulness_by_type WITH (security_invoker) AS
SELECT recent.agent_did, recent.work_type, round(avg(recent.usefulness_score), 2) AS score,
       sum(recent.usefulness_score) AS score_sum, count(*) AS proofs, max(recent.usefulness_score) AS best_score,
       (array_agg(recent.id ORDER BY recent.usefulness_score DESC, recent.id))[1] AS best_proof
  FROM proof.usefulness_proofs AS recent
 WHERE recent.created_at > now() - interval '30 days'
 GROUP BY recent.agent_did, recent.work_type;
COMMENT ON VIEW proof.recent_usefulness_by_type IS 'The same 30 days by type of work: mean and sum of the scores, how many, and the best of them.';

-- Whoever may not name the score, and the application may not, gets it from the formula.
CREATE FUNCTION proof.score_usefulness()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF NEW.usefulness_score IS NULL THEN
        NEW.usefulness_score :=
            proof.usefulness_score(NEW.work_type, NEW.metrics, cardinality(NEW.attestations) > 0);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.score_usefulness IS 'Scores a proof by the formula as it is written.';

CREATE TRIGGER usefulness_scored BEFORE INSERT ON proof.usefulness_proofs
    FOR EACH ROW EXECUTE FUNCTION proof.score_usefulness();

CREATE FUNCTION proof.seconds_until(p_at timestamptz)
RETURNS integer
LANGUAGE sql VOLATILE SET search_path = ''
AS $$ SELECT greatest(1, ceil(extract(epoch FROM p_at - clock_timestamp())))::integer $$;
COMMENT ON FUNCTION proof.seconds_until IS 'Whole seconds to wait until an instant, at least one.';

-- AINP's rules against made-up work. They are looked at after the row is in, so that what can never be taken is
-- refused by its own name before anything is said of waiting, and under a lock of the agent, so that of two proofs at
-- once one sees the other. Time is the database's: the application may not name created_at.
CREATE FUNCTION proof.limit_usefulness()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_apart_s numeric := abs(extract(epoch FROM NEW.worked_at - NEW.created_at));
    v_found record;
BEGIN
    IF v_apart_s > 300 THEN
        RAISE EXCEPTION 'the proof says %, the clock of the house says %', NEW.worked_at, NEW.created_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'useful_work_is_of_now',
                  DETAIL = jsonb_build_object('timestamp', NEW.worked_at, 'clock', NEW.created_at,
                                              'apart_s', ceil(v_apart_s), 'apart_s_max', 300);
    END IF;

    PERFORM pg_advisory_xact_lock(hashtextextended('proof.usefulness ' || NEW.agent_did, 0));

    SELECT count(*) AS proofs, min(latest.created_at) + interval '1 hour' AS free_at
      INTO v_found
      FROM (SELECT other.created_at
              FROM proof.usefulness_proofs AS other
             WHERE other.agent_did = NEW.agent_did
               AND other.id <> NEW.id
               AND other.created_at > NEW.created_at - interval '1 hour'
               AND other.created_at <= NEW.created_at
             ORDER BY other.created_at DESC
             LIMIT 100) AS latest;
    IF v_found.proofs >= 100 THEN
        RAISE EXCEPTION 'an agent proves at most 100 pieces of work in an hour'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'hundred_proofs_an_hour',
                  DETAIL = jsonb_build_object('proofs', v_found.proofs, 'proofs_max', 100, 'window_s', 3600,
                                              'retry_after_s', proof.seconds_until(v_found.free_at));
    END IF;

    IF NEW.usefulness_score >= 99 THEN
        SELECT count(*) AS proofs, min(latest.created_at) + interval '1 hour' AS free_at
          INTO v_found
          FROM (SELECT other.created_at
                  FROM proof.usefulness_proofs AS other
                 WHERE other.agent_did = NEW.agent_did
                   AND other.id <> NEW.id
                   AND other.usefulness_score >= 99
                   AND other.created_at > NEW.created_at - interval '1 hour'
                   AND other.created_at <= NEW.created_at
                 ORDER BY other.created_at DESC
                 LIMIT 5) AS latest;
        IF v_found.proofs >= 5 THEN
            RAISE EXCEPTION 'an agent scores 99 or more at most 5 times in an hour'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'five_top_scores_an_hour',
                      DETAIL = jsonb_build_object('score', NEW.usefulness_score, 'top_score', 99,
                                                  'proofs', v_found.proofs, 'proofs_max', 5, 'window_s', 3600,
                                                  'retry_after_s', proof.seconds_until(v_found.free_at));
        END IF;
    END IF;

    -- Of two that wait for the lock, the later one may come first: so the nearest on either side counts.
    SELECT max(other.created_at) AS last_at, max(other.created_at) + interval '5 seconds' AS free_at
      INTO v_found
      FROM proof.usefulness_proofs AS other
     WHERE other.agent_did = NEW.agent_did
       AND other.id <> NEW.id
       AND other.created_at > NEW.created_at - interval '5 seconds'
       AND other.created_at < NEW.created_at + interval '5 seconds';
    IF v_found.last_at IS NOT NULL THEN
        RAISE EXCEPTION 'the last proof of this agent is less than 5 seconds old'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'five_seconds_between_proofs',
                  DETAIL = jsonb_build_object('last_at', v_found.last_at, 'interval_s', 5,
                                              'retry_after_s', proof.seconds_until(v_found.free_at));
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION proof.limit_usefulness IS 'Refuses a proof whose time is more than 5 minutes off, the 101st of an agent within an hour, the 6th of 99 points or more within an hour, and one within 5 seconds of another.';

CREATE TRIGGER usefulness_limited AFTER INSERT ON proof.usefulness_proofs
    FOR EACH ROW EXECUTE FUNCTION proof.limit_usefulness();

-- Rewards: a share of the pool once a day, divided by usefulness.

-- The order in which types of work get what rounding leaves over, when their fractions are equal.
CREATE FUNCTION proof.work_type_position(p_work_type text)
RETURNS integer
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$ SELECT array_position('{compute,memory,routing,validation,learning}'::text[], p_work_type) $$;
COMMENT ON FUNCTION proof.work_type_position IS 'Place of a type of work in AINP''s list.';

CREATE FUNCTION proof.divide_rewards(p_offered bigint, p_score_min numeric)
RETURNS TABLE (agent_did text, score numeric, score_sum numeric, units bigint, work_type text, part_units bigint)
LANGUAGE plpgsql STABLE SET search_path = ''
AS $$
BEGIN
    RETURN QUERY
    WITH useful AS (
        SELECT agent.did, recent.score, sum(recent.score) OVER () AS score_sum,
               div(p_offered * recent.score, sum(recent.score) OVER ()) AS units
          FROM proof.recent_usefulness AS recent
          JOIN registry.agents AS agent ON agent.did = recent.agent_did
         WHERE agent.retired_at IS NULL
           AND recent.score >= p_score_min
    ), weighed AS (
        SELECT useful.did, useful.score, useful.score_sum, useful.units, by_type.work_type,
               useful.units * by_type.score_sum AS numerator,
               sum(by_type.score_sum) OVER (PARTITION BY useful.did) AS whole
          FROM useful
          JOIN proof.recent_usefulness_by_type AS by_type ON by_type.agent_did = useful.did
    ), floored AS (
        SELECT weighed.*, div(weighed.numerator, weighed.whole) AS part,
               row_number() OVER (
                   PARTITION BY weighed.did
                   ORDER BY mod(weighed.numerator, weighed.whole) DESC, proof.work_type_position(weighed.work_type)
               ) AS place
          FROM weighed
    )
    SELECT floored.did, floored.score, floored.score_sum, floored.units::bigint, floored.work_type,
           (floored.part + CASE WHEN floored.place <= floored.units - sum(floored.part) OVER (PARTITION BY floored.did)
                                THEN 1 ELSE 0 END)::bigint
      FROM floored;
END
$$;
COMMENT ON FUNCTION proof.divide_rewards IS 'Divide units among the agents that are useful enough now, floor(offered x score / sum of scores) each, and what each gets among its types of work by what they scored, remainders to the largest fractions.';

CREATE FUNCTION proof.take_reward_policy()
RETURNS proof.reward_policy
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_policy proof.reward_policy;
BEGIN
    INSERT INTO proof.reward_policy (only_row) VALUES (true) ON CONFLICT (only_row) DO NOTHING;
    SELECT * INTO v_policy FROM proof.reward_policy FOR NO KEY UPDATE;
    RETURN v_policy;
END
$$;
COMMENT ON FUNCTION proof.take_reward_policy IS 'The policy of rewards, locked; on first use its row is written with the defaults.';

-- One at a time: the policy's row is the lock, so that no two epochs offer the same money.
CREATE FUNCTION proof.open_reward_epoch(p_epoch date)
RETURNS boolean
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_policy proof.reward_policy := proof.take_reward_policy();
    v_pool bigint;
    v_offered bigint;
BEGIN
    IF EXISTS (SELECT FROM proof.reward_epochs AS known WHERE known.epoch = p_epoch) THEN
        RETURN false;
    END IF;
    SELECT greatest(0, pool.balance - (SELECT coalesce(sum(promised.units), 0)
                                         FROM proof.rewards AS promised
                                        WHERE promised.movement_id IS NULL))
      INTO v_pool
      FROM credits.system_balances AS pool
     WHERE pool.account = 'system:pool';
    v_offered := div(v_pool::numeric * v_policy.share_bps, 10000);

    WITH parts AS MATERIALIZED (
        SELECT * FROM proof.divide_rewards(v_offered, v_policy.score_min)
    ), shares AS (
        SELECT parts.agent_did, parts.score, parts.units, max(parts.score_sum) AS score_sum,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'compute'), 0) AS compute_units,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'memory'), 0) AS memory_units,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'routing'), 0) AS routing_units,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'validation'), 0) AS validation_units,
               coalesce(sum(parts.part_units) FILTER (WHERE parts.work_type = 'learning'), 0) AS learning_units
          FROM parts
         GROUP BY parts.agent_did, parts.score, parts.units
    ), opened AS (
        INSERT INTO proof.reward_epochs
               (epoch, share_bps, score_min, pool_units, offered_units, score_sum, agents, reward_units)
        SELECT p_epoch, v_policy.share_bps, v_policy.score_min, v_pool, v_offered,
               coalesce(max(shares.score_sum), 0), count(*) FILTER (WHERE shares.units > 0),
               coalesce(sum(shares.units), 0)
          FROM shares
    )
    INSERT INTO proof.rewards (epoch, agent_did, score, units, compute_units, memory_units, routing_units,
                               validation_units, learning_units)
    SELECT p_epoch, shares.agent_did, shares.score, shares.units, shares.compute_units, shares.memory_units,
           shares.routing_units, shares.validation_units, shares.learning_units
      FROM shares
     WHERE shares.units > 0;
    RETURN true;
END
$$;
COMMENT ON FUNCTION proof.open_reward_epoch IS 'Fix what the epoch of a UTC day offers and who gets what of it, once: false when it was fixed before. Pays nothing yet.';

CREATE FUNCTION proof.require_whole_epoch(p_epoch date)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF EXISTS (SELECT
                 FROM proof.reward_epochs AS named
                CROSS JOIN LATERAL (SELECT count(*) AS agents, coalesce(sum(reward.units), 0) AS units
                                      FROM proof.rewards AS reward
                                     WHERE reward.epoch = named.epoch) AS found
                WHERE named.epoch = p_epoch
                  AND (named.agents, named.reward_units) IS DISTINCT FROM (found.agents, found.units)) THEN
        RAISE EXCEPTION 'the rewards of % are not what its epoch says', p_epoch
            USING ERRCODE = 'check_violation', CONSTRAINT = 'epoch_is_the_sum_of_its_rewards';
    END IF;
END
$$;
COMMENT ON FUNCTION proof.require_whole_epoch IS 'Refuses an epoch whose number and sum are not those of its rewards.';

CREATE FUNCTION proof.check_opened_epoch()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM proof.require_whole_epoch(NEW.epoch);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION proof.check_opened_epoch IS 'At the commit, an epoch is the sum of its rewards.';

CREATE CONSTRAINT TRIGGER epoch_is_whole AFTER INSERT ON proof.reward_epochs
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION proof.check_opened_epoch();

CREATE FUNCTION proof.check_added_rewards()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM proof.require_whole_epoch(touched.epoch) FROM (SELECT DISTINCT added.epoch FROM added) AS touched;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION proof.check_added_rewards IS 'No reward joins an epoch that has all of its own.';

CREATE TRIGGER rewards_are_whole AFTER INSERT ON proof.rewards
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION proof.check_added_rewards();

CREATE FUNCTION proof.keep_epoch()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.closed_at IS NOT NULL OR to_jsonb(NEW) - 'closed_at' <> to_jsonb(OLD) - 'closed_at' THEN
        RAISE EXCEPTION 'an epoch stays as it was opened, and is closed once'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rewards_stay_as_fixed';
    ELSIF EXISTS (SELECT FROM proof.rewards AS unpaid WHERE unpaid.epoch = NEW.epoch AND unpaid.movement_id IS NULL) THEN
        RAISE EXCEPTION 'rewards of % wait to be paid', NEW.epoch
            USING ERRCODE = 'check_violation', CONSTRAINT = 'epoch_closes_when_all_is_paid';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.keep_epoch IS 'Lets an epoch be closed when all its rewards are paid, and nothing else.';

CREATE TRIGGER epoch_kept BEFORE UPDATE OR DELETE ON proof.reward_epochs
    FOR EACH ROW EXECUTE FUNCTION proof.keep_epoch();

CREATE FUNCTION proof.keep_reward()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.movement_id IS NOT NULL
       OR to_jsonb(NEW) - '{movement_id,paid_at}'::text[] <> to_jsonb(OLD) - '{movement_id,paid_at}'::text[] THEN
        RAISE EXCEPTION 'a reward stays as it was fixed, and is paid once'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'rewards_stay_as_fixed';
    ELSIF NEW.movement_id IS NOT NULL
       AND NEW.units IS DISTINCT FROM (SELECT sum(posting.amount)
                                         FROM credits.postings AS posting
                                        WHERE posting.transaction_id = NEW.movement_id
                                          AND posting.account = NEW.agent_did) THEN
        RAISE EXCEPTION 'movement % does not pay % units to %', NEW.movement_id, NEW.units, NEW.agent_did
            USING ERRCODE = 'check_violation', CONSTRAINT = 'reward_is_what_its_movement_paid';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION proof.keep_reward IS 'Lets a reward be marked as paid by the movement that paid it, once, and nothing else.';

CREATE TRIGGER reward_kept BEFORE UPDATE OR DELETE ON proof.rewards
    FOR EACH ROW EXECUTE FUNCTION proof.keep_reward();

-- One statement for all agents, which the context above calls from its own: proof says how useful they are.
CREATE FUNCTION registry.cache_usefulness(p_dids text[], p_scores numeric[], p_at timestamptz)
RETURNS TABLE (agent text, score numeric, previous numeric)
LANGUAGE sql SET search_path = ''
AS $$
UPDATE registry.agents AS known
   SET usefulness_score_cached = computed.score, usefulness_last_updated = p_at
  FROM unnest(p_dids, p_scores) AS computed (did, score)
 WHERE known.did = computed.did
RETURNING new.did, new.usefulness_score_cached, old.usefulness_score_cached
$$;
COMMENT ON FUNCTION registry.cache_usefulness IS 'Write computed usefulness, 0 to 100, beside the agents; gives back what each had before.';

REVOKE INSERT ON proof.usefulness_proofs FROM hansa_app;
-- The score is the formula's and the time is the database's: the application may name neither.
GRANT INSERT (intent_id, agent_did, work_type, metrics, attestations, trace_id, worked_at)
    ON proof.usefulness_proofs TO hansa_app;
GRANT SELECT ON proof.recent_usefulness_by_type TO hansa_app;
GRANT SELECT, INSERT (only_row), UPDATE (share_bps, score_min) ON proof.reward_policy TO hansa_app;
GRANT SELECT, UPDATE (closed_at),
      INSERT (epoch, share_bps, score_min, pool_units, offered_units, score_sum, agents, reward_units)
    ON proof.reward_epochs TO hansa_app;
GRANT SELECT, UPDATE (movement_id, paid_at),
      INSERT (epoch, agent_did, score, units, compute_units, memory_units, routing_units, validation_units,
              learning_units)
    ON proof.rewards TO hansa_app;
