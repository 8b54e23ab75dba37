CREATE FUNCTION market.update_updated_at_column()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION market.update_updated_at_column IS 'Keeps updated_at true whoever changes a row. Source: AMOCA.';
CREATE TRIGGER tasks_updated_at BEFORE UPDATE ON market.tasks
    FOR EACH ROW EXECUTE FUNCTION market.update_updated_at_column();
CREATE TRIGGER reviews_updated_at BEFORE UPDATE ON market.reviews
    FOR EACH ROW EXECUTE FUNCTION market.update_updated_at_column();
CREATE TRIGGER agent_stats_updated_at BEFORE UPDATE ON market.agent_stats
    FOR EACH ROW EXECUTE FUNCTION market.update_updated_at_column();

-- The key comes before its task, because the task refers to it.
CREATE FUNCTION market.keep_task_key()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_ended_at timestamptz := CASE WHEN NEW.status NOT IN ('pending', 'in_progress') THEN clock_timestamp() END;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO market.task_keys (
            id, user_id, agent_id, negotiation_id, domain_id, status, created_at, started_at, ended_at)
        VALUES (NEW.id, NEW.user_id, NEW.agent_id, NEW.negotiation_id, NEW.domain_id, NEW.status, NEW.created_at,
                NEW.started_at, v_ended_at);
    ELSE
        UPDATE market.task_keys
           SET status = NEW.status,
               started_at = NEW.started_at,
               ended_at = coalesce(NEW.completed_at, v_ended_at)
         WHERE id = NEW.id
           AND (status, started_at) IS DISTINCT FROM (NEW.status, NEW.started_at);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION market.keep_task_key IS 'Keeps the public key of a task in step with the task.';
CREATE TRIGGER tasks_keep_their_key BEFORE INSERT OR UPDATE ON market.tasks
    FOR EACH ROW EXECUTE FUNCTION market.keep_task_key();

-- Two statements: an INSERT ... ON CONFLICT would check the difference itself for being negative.
CREATE FUNCTION market.add_to_stats(p_agent uuid, p_difference market.agent_stats)
RETURNS void
LANGUAGE sql SET search_path = ''
AS $$
    INSERT INTO market.agent_stats (agent_id) VALUES (p_agent)
    ON CONFLICT (agent_id) DO NOTHING;
    UPDATE market.agent_stats
       SET tasks_completed = tasks_completed + coalesce(p_difference.tasks_completed, 0),
           tasks_failed = tasks_failed + coalesce(p_difference.tasks_failed, 0),
           responses = responses + coalesce(p_difference.responses, 0),
           response_s = response_s + coalesce(p_difference.response_s, 0),
           total_earnings = total_earnings + coalesce(p_difference.total_earnings, 0),
           hire_count = hire_count + coalesce(p_difference.hire_count, 0),
           review_count = review_count + coalesce(p_difference.review_count, 0),
           stars = stars + coalesce(p_difference.stars, 0)
     WHERE agent_id = p_agent
$$;
COMMENT ON FUNCTION market.add_to_stats IS 'Add differences to the counters of an agent; what is NULL stays as it is. Makes the row when there is none.';

CREATE FUNCTION market.response_seconds(p_created_at timestamptz, p_started_at timestamptz)
RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT greatest(0, floor(extract(epoch FROM p_started_at - p_created_at)))::bigint
$$;
COMMENT ON FUNCTION market.response_seconds IS 'Whole seconds from the making of a task to its start; NULL: not started.';

-- Counts what a change of a task adds and what it takes back, so that every transition is right, also by psql.
CREATE FUNCTION market.update_agent_stats_on_task_completion()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_difference market.agent_stats;
BEGIN
    v_difference.tasks_completed := (NEW.status = 'completed')::integer - (OLD.status IS NOT DISTINCT FROM 'completed')::integer;
    v_difference.tasks_failed := (NEW.status = 'failed')::integer - (OLD.status IS NOT DISTINCT FROM 'failed')::integer;
    v_difference.responses := (NEW.started_at IS NOT NULL)::integer - (OLD.started_at IS NOT NULL)::integer;
    v_difference.response_s := coalesce(market.response_seconds(NEW.created_at, NEW.started_at), 0)
                             - coalesce(market.response_seconds(OLD.created_at, OLD.started_at), 0);
    IF (v_difference.tasks_completed, v_difference.tasks_failed, v_difference.responses, v_difference.response_s)
       <> (0, 0, 0, 0) THEN
        PERFORM market.add_to_stats(NEW.agent_id, v_difference);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION market.update_agent_stats_on_task_completion IS 'Keeps the task counters of agent_stats at every transition of a task, both ways. Source: AMOCA.';
CREATE TRIGGER trigger_update_agent_stats AFTER INSERT OR UPDATE ON market.tasks
    FOR EACH ROW EXECUTE FUNCTION market.update_agent_stats_on_task_completion();

CREATE FUNCTION market.update_agent_rating_on_review()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_counted boolean := OLD.id IS NOT NULL AND OLD.withdrawn_at IS NULL;
    v_counts boolean := NEW.id IS NOT NULL AND NEW.withdrawn_at IS NULL;
    v_difference market.agent_stats;
BEGIN
    v_difference.review_count := v_counts::integer - v_counted::integer;
    v_difference.stars := CASE WHEN v_counts THEN NEW.rating ELSE 0 END - CASE WHEN v_counted THEN OLD.rating ELSE 0 END;
    IF (v_difference.review_count, v_difference.stars) <> (0, 0) THEN
        PERFORM market.add_to_stats(coalesce(NEW.agent_id, OLD.agent_id), v_difference);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION market.update_agent_rating_on_review IS 'Keeps the rating of agent_stats when a review is written, edited, taken back or deleted. Source: AMOCA.';
CREATE TRIGGER trigger_update_agent_rating AFTER INSERT OR UPDATE OR DELETE ON market.reviews
    FOR EACH ROW EXECUTE FUNCTION market.update_agent_rating_on_review();

-- A foreign key cannot say "not", so the one rule that forbids is a trigger.
CREATE FUNCTION market.refuse_creators_review()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF EXISTS (SELECT FROM registry.agents AS agent
                WHERE agent.id = NEW.agent_id AND agent.creator_user_id = NEW.user_id) THEN
        RAISE EXCEPTION 'the creator of an agent does not review it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'review_not_by_the_creator';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION market.refuse_creators_review IS 'Nobody reviews an agent that is their own.';
CREATE TRIGGER review_not_by_the_creator BEFORE INSERT OR UPDATE OF user_id, agent_id ON market.reviews
    FOR EACH ROW EXECUTE FUNCTION market.refuse_creators_review();

CREATE FUNCTION market.calculate_agent_success_rate(p_agent_id uuid)
RETURNS numeric
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT coalesce(round(count(*) FILTER (WHERE status = 'completed') * 100.0 / nullif(count(*), 0), 2), 0)
      FROM market.task_keys
     WHERE agent_id = p_agent_id
       AND status IN ('completed', 'failed')
$$;
COMMENT ON FUNCTION market.calculate_agent_success_rate IS 'Completed of completed and failed tasks in percent, counted from the tasks themselves; 0 before the first. agent_stats keeps the same number. Source: AMOCA.';

-- Every transition begins here: the row lock makes two of them wait for each other, then the guards see the truth.
CREATE FUNCTION market.take_task(p_task uuid)
RETURNS market.tasks
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_task market.tasks;
BEGIN
    SELECT * INTO v_task FROM market.tasks WHERE id = p_task FOR NO KEY UPDATE;
    IF v_task.id IS NULL THEN
        RAISE EXCEPTION 'there is no task %', p_task
            USING ERRCODE = 'check_violation', CONSTRAINT = 'task_known';
    ELSIF v_task.status NOT IN ('pending', 'in_progress') THEN
        RAISE EXCEPTION 'the task is %', v_task.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'task_not_ended',
                  DETAIL = jsonb_build_object('status', v_task.status);
    END IF;
    RETURN v_task;
END
$$;
COMMENT ON FUNCTION market.take_task IS 'Lock a task that has not ended; refused by name otherwise.';

CREATE FUNCTION market.take_work(p_task uuid, p_by text)
RETURNS market.tasks
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_task market.tasks := market.take_task(p_task);
BEGIN
    IF p_by <> v_task.seller_did THEN
        RAISE EXCEPTION 'only the agent that was hired works on the task'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'the_seller_works';
    ELSIF v_task.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'the money for the task was held until %', v_task.expires_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'task_in_time',
                  DETAIL = jsonb_build_object('expires_at', v_task.expires_at);
    END IF;
    RETURN v_task;
END
$$;
COMMENT ON FUNCTION market.take_work IS 'Lock a task for the agent that works on it, while its money is held; refused by name otherwise.';

CREATE FUNCTION market.start_task(p_task uuid, p_by text)
RETURNS market.tasks
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_task market.tasks := market.take_work(p_task, p_by);
BEGIN
    IF v_task.status <> 'pending' THEN
        RAISE EXCEPTION 'the task was started at %', v_task.started_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'task_starts_once';
    END IF;
    UPDATE market.tasks
       SET status = 'in_progress', started_at = clock_timestamp()
     WHERE id = p_task
    RETURNING * INTO v_task;
    RETURN v_task;
END
$$;
COMMENT ON FUNCTION market.start_task IS 'The seller begins to work; from now on the buyer cannot cancel alone.';

CREATE FUNCTION market.deliver_task(p_task uuid, p_by text)
RETURNS market.tasks
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_task market.tasks := market.take_work(p_task, p_by);
    v_now timestamptz := clock_timestamp();
BEGIN
    IF v_task.started_at IS NULL THEN
        RAISE EXCEPTION 'the task was not started'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'task_started_to_deliver';
    ELSIF v_task.delivered_at IS NOT NULL THEN
        RAISE EXCEPTION 'the task was delivered at %', v_task.delivered_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'task_delivered_once';
    END IF;
    UPDATE market.tasks
       SET delivered_at = v_now,
           actual_hours = round(extract(epoch FROM v_now - started_at) / 3600, 2)
     WHERE id = p_task
    RETURNING * INTO v_task;
    RETURN v_task;
END
$$;
COMMENT ON FUNCTION market.deliver_task IS 'The seller hands the work over; once. What was handed over are rows of task_deliverables in the same transaction.';

-- The settlement follows in the same transaction: the deferred foreign key of paid_deal refuses a commit without it.
CREATE FUNCTION market.accept_delivery(p_task uuid, p_by text)
RETURNS market.tasks
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_task market.tasks := market.take_task(p_task);
    v_now timestamptz := clock_timestamp();
BEGIN
    IF p_by <> v_task.buyer_did THEN
        RAISE EXCEPTION 'only the agent that pays accepts a delivery'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'the_buyer_accepts';
    ELSIF v_task.delivered_at IS NULL THEN
        RAISE EXCEPTION 'nothing was delivered yet'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'task_delivered_to_accept';
    END IF;
    UPDATE market.tasks
       SET status = 'completed', accepted_at = v_now, completed_at = v_now
     WHERE id = p_task
    RETURNING * INTO v_task;
    RETURN v_task;
END
$$;
COMMENT ON FUNCTION market.accept_delivery IS 'The buyer takes the work; the task is completed and its deal must be settled in the same transaction.';

CREATE FUNCTION market.cancel_task(p_task uuid, p_by text)
RETURNS market.tasks
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_task market.tasks := market.take_task(p_task);
BEGIN
    IF p_by NOT IN (v_task.buyer_did, v_task.seller_did) THEN
        RAISE EXCEPTION '% is not a party of the task', p_by
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_party_cancels';
    ELSIF v_task.delivered_at IS NOT NULL THEN
        RAISE EXCEPTION 'the task was delivered at %', v_task.delivered_at
            USING ERRCODE = 'check_violation', CONSTRAINT = 'delivered_tasks_are_not_cancelled';
    ELSIF v_task.status = 'in_progress' AND p_by = v_task.buyer_did THEN
        RAISE EXCEPTION 'the work has begun: only the agent that works can give it up'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'buyer_cancels_before_the_start';
    END IF;
    RETURN market.end_unfinished(v_task);
END
$$;
COMMENT ON FUNCTION market.cancel_task IS 'Call a task off before its delivery: the buyer until it was started, the seller until it was delivered.';

-- Work that was begun and never handed over has failed. Everything else ends without blame, also a delivery that
-- nobody answered: what it was worth was never judged.
CREATE FUNCTION market.end_unfinished(p_task market.tasks)
RETURNS market.tasks
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_task market.tasks;
BEGIN
    UPDATE market.tasks
       SET status = CASE WHEN p_task.status = 'in_progress' AND p_task.delivered_at IS NULL
                         THEN 'failed' ELSE 'cancelled' END::market.task_status
     WHERE id = p_task.id
    RETURNING * INTO v_task;
    RETURN v_task;
END
$$;
COMMENT ON FUNCTION market.end_unfinished IS 'End a locked task that will not be completed: failed when it was begun and not delivered, cancelled otherwise.';

CREATE FUNCTION market.end_task_of_deal(p_negotiation uuid)
RETURNS SETOF market.tasks
LANGUAGE sql SET search_path = ''
AS $$
    SELECT ended.*
      FROM (SELECT task
              FROM market.tasks AS task
             WHERE task.negotiation_id = p_negotiation
               AND task.status IN ('pending', 'in_progress')
               FOR NO KEY UPDATE) AS open
     CROSS JOIN LATERAL market.end_unfinished(open.task) AS ended
$$;
COMMENT ON FUNCTION market.end_task_of_deal IS 'End the task of a deal that is over without a settlement; no row when there is none to end.';

CREATE FUNCTION market.lb_score(
    p_completed bigint, p_failed bigint, p_stars bigint, p_reviews bigint, p_earned numeric,
    p_tasks_reference integer, p_earnings_reference bigint
)
RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = ''
AS $$
    SELECT round((
           40 * greatest(0, belief.mean - sqrt(belief.mean * (1 - belief.mean) / (p_completed + p_failed + 3)))
         + 30 * least(1, ln(1 + p_completed::double precision) / ln(1 + p_tasks_reference::double precision))
         + 20 * ((p_stars + 4 * 3.5) / (p_reviews + 4) - 1)::double precision / 4
         + 10 * least(1, ln(1 + p_earned::double precision) / ln(1 + p_earnings_reference::double precision))
           )::numeric, 2)
      FROM (SELECT (p_completed + 1)::double precision / (p_completed + p_failed + 2) AS mean) AS belief
$$;
COMMENT ON FUNCTION market.lb_score IS 'Score of an agent''s deeds, 0 to 100. 40 for success: mean of Beta(completed + 1, failed + 1) less one standard deviation, so that few tasks prove little. 30 for tasks and 10 for earnings: logarithm relative to a reference, capped. 20 for rating: mean with four imagined ratings of 3.5. Weights: AMOCA.';

CREATE FUNCTION market.record_hire(p_did text, p_units bigint)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_difference market.agent_stats;
BEGIN
    v_difference.hire_count := 1;
    v_difference.total_earnings := p_units;
    PERFORM market.add_to_stats(agent.id, v_difference) FROM registry.agents AS agent WHERE agent.did = p_did;
END
$$;
COMMENT ON FUNCTION market.record_hire IS 'Count one settled deal of an agent and its share.';

-- First the lock, then the look: while boards are being published this waits, and then finds the mark taken away.
CREATE FUNCTION market.note_change()
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM FROM market.leaderboard_publications ORDER BY period FOR UPDATE;
    UPDATE market.leaderboard_publications SET changed_at = clock_timestamp() WHERE changed_at IS NULL;
END
$$;
COMMENT ON FUNCTION market.note_change IS 'Say that something has happened which the boards do not show yet. Called by reactions only: it serialises.';

-- Publishes by one set-based statement; the locked rows make two publishers of one period wait for each other.
CREATE FUNCTION market.update_leaderboard_rankings(p_period market.leaderboard_period DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_changed integer;
BEGIN
    PERFORM FROM market.leaderboard_publications AS publication
      WHERE p_period IS NULL OR publication.period = p_period
      ORDER BY publication.period
        FOR UPDATE;
    MERGE INTO market.leaderboard_rankings AS shown
    USING (SELECT * FROM market.leaderboard_standings WHERE p_period IS NULL OR period = p_period) AS standing
       ON (shown.agent_id, shown.period, coalesce(shown.domain_id, 0))
        = (standing.agent_id, standing.period, coalesce(standing.domain_id, 0))
     WHEN MATCHED AND (shown.rank, shown.score, shown.total_agents_in_domain)
                   <> (standing.rank, standing.score, standing.total_agents_in_domain) THEN
          UPDATE SET previous_rank = CASE WHEN shown.rank = standing.rank THEN shown.previous_rank ELSE shown.rank END,
                     rank = standing.rank,
                     score = standing.score,
                     total_agents_in_domain = standing.total_agents_in_domain,
                     updated_at = clock_timestamp()
     WHEN NOT MATCHED THEN
          INSERT (agent_id, domain_id, period, rank, total_agents_in_domain, score)
          VALUES (standing.agent_id, standing.domain_id, standing.period, standing.rank,
                  standing.total_agents_in_domain, standing.score)
     WHEN NOT MATCHED BY SOURCE AND (p_period IS NULL OR shown.period = p_period) THEN
          DELETE;
    GET DIAGNOSTICS v_changed = ROW_COUNT;
    UPDATE market.leaderboard_publications
       SET changed_at = NULL, published_at = clock_timestamp()
     WHERE p_period IS NULL OR period = p_period;
    RETURN v_changed;
END
$$;
COMMENT ON FUNCTION market.update_leaderboard_rankings IS 'Publish the boards of one period, or of all when none is named; returns how many rows changed. Never called by a trigger: it reads every deed. Source: AMOCA.';

CREATE FUNCTION market.publish_due_leaderboards()
RETURNS integer
LANGUAGE sql SET search_path = ''
AS $$
    SELECT count(market.update_leaderboard_rankings(due.period))::integer
      FROM (SELECT publication.period
              FROM market.leaderboard_publications AS publication
             WHERE publication.changed_at IS NOT NULL
                OR publication.published_at IS NULL
                OR (publication.period <> 'all_time' AND publication.published_at < clock_timestamp() - interval '1 hour')
             ORDER BY publication.period
               FOR UPDATE SKIP LOCKED) AS due
$$;
COMMENT ON FUNCTION market.publish_due_leaderboards IS 'Publish the boards of every period in which something has happened since, and those that look back a limited time at least every hour, since deeds fall out of them by themselves. Returns how many periods were published.';

-- Noting the change first makes two operators wait for each other, so that versions follow one another.
CREATE FUNCTION market.set_leaderboard_references(p_period market.leaderboard_period, p_tasks integer, p_earnings bigint)
RETURNS integer
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_latest integer;
BEGIN
    PERFORM market.note_change();
    SELECT max(version) INTO v_latest FROM market.leaderboard_params;
    INSERT INTO market.leaderboard_params (version, period, looks_back, tasks_reference, earnings_reference)
    SELECT v_latest + 1, period, looks_back,
           CASE WHEN period = p_period THEN p_tasks ELSE tasks_reference END,
           CASE WHEN period = p_period THEN p_earnings ELSE earnings_reference END
      FROM market.leaderboard_params
     WHERE version = v_latest;
    RETURN v_latest + 1;
END
$$;
COMMENT ON FUNCTION market.set_leaderboard_references IS 'Measure the scores of one period against other references from the next publication on; a new version, so that the old ones stay on record.';
