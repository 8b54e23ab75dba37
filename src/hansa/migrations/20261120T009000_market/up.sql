CREATE SCHEMA market;
COMMENT ON SCHEMA market IS 'Tasks that fulfil deals, what they delivered, reviews of them, statistics of agents and leaderboards. Source: AMOCA. Amounts are units of 1/1000 credit.';

CREATE TYPE market.task_status AS ENUM ('pending', 'in_progress', 'completed', 'failed', 'cancelled');
COMMENT ON TYPE market.task_status IS 'pending: made, not started. in_progress: the agent works, or has delivered and waits. completed: accepted and paid. failed: started and never delivered. cancelled: ended without blame.';
CREATE TYPE market.task_priority AS ENUM ('low', 'medium', 'high', 'urgent');
COMMENT ON TYPE market.task_priority IS 'How soon the buyer wants it, in the order of the labels.';
CREATE TYPE market.payment_type AS ENUM ('hourly', 'task_based', 'subscription');
COMMENT ON TYPE market.payment_type IS 'What the price of a task is measured by.';
CREATE TYPE market.leaderboard_period AS ENUM ('daily', 'weekly', 'monthly', 'all_time');
COMMENT ON TYPE market.leaderboard_period IS 'Which deeds a leaderboard counts: those of the last 24 hours, 7 days, 30 days, or all.';

CREATE TABLE market.task_keys (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    negotiation_id uuid NOT NULL,
    domain_id integer,
    status market.task_status NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT task_keys_pkey PRIMARY KEY (id),
    CONSTRAINT key_of_a_buyer FOREIGN KEY (user_id) REFERENCES identity.users (id),
    CONSTRAINT key_of_an_agent FOREIGN KEY (agent_id) REFERENCES registry.agents (id),
    CONSTRAINT key_of_a_deal FOREIGN KEY (negotiation_id) REFERENCES negotiation.negotiations (id),
    CONSTRAINT task_in_a_domain FOREIGN KEY (domain_id) REFERENCES registry.domains (id),
    CONSTRAINT one_task_per_deal UNIQUE (negotiation_id),
    CONSTRAINT key_names_one_buyer_and_agent UNIQUE (id, user_id, agent_id, negotiation_id),
    CONSTRAINT ended_keys_have_an_end CHECK ((status IN ('pending', 'in_progress')) = (ended_at IS NULL))
);
COMMENT ON TABLE market.task_keys IS 'What is public of a task and kept for ever: who worked for whom, in which domain, and how it ended. Reviews, statistics and leaderboards stand on it, so they survive the archiving of tasks. A trigger on tasks keeps it.';
COMMENT ON COLUMN market.task_keys.ended_at IS 'When it was completed, failed or cancelled; NULL: it has not ended.';
COMMENT ON CONSTRAINT key_names_one_buyer_and_agent ON market.task_keys IS 'Lets a review demand by a foreign key that it is of this buyer, this agent and this deal.';
CREATE INDEX task_keys_by_agent ON market.task_keys (agent_id, ended_at);

CREATE TABLE market.tasks (
    id uuid NOT NULL DEFAULT uuidv7(),
    user_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    negotiation_id uuid NOT NULL,
    buyer_did text NOT NULL,
    seller_did text NOT NULL,
    domain_id integer,
    title text NOT NULL,
    description text NOT NULL,
    task_type text,
    status market.task_status NOT NULL DEFAULT 'pending',
    priority market.task_priority NOT NULL DEFAULT 'medium',
    budget bigint NOT NULL,
    payment_type market.payment_type NOT NULL DEFAULT 'task_based',
    estimated_hours numeric(8,2),
    actual_hours numeric(10,2),
    due_date timestamptz,
    expires_at timestamptz NOT NULL,
    started_at timestamptz,
    delivered_at timestamptz,
    accepted_at timestamptz,
    completed_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    paid_deal uuid GENERATED ALWAYS AS (CASE WHEN status = 'completed' THEN negotiation_id END) STORED,
    CONSTRAINT tasks_pkey PRIMARY KEY (id),
    CONSTRAINT task_agrees_with_its_key FOREIGN KEY (id, user_id, agent_id, negotiation_id)
        REFERENCES market.task_keys (id, user_id, agent_id, negotiation_id),
    CONSTRAINT task_domain_known FOREIGN KEY (domain_id) REFERENCES registry.domains (id),
    CONSTRAINT completed_tasks_are_paid FOREIGN KEY (paid_deal) REFERENCES negotiation.settlements (negotiation_id)
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT task_parties_different CHECK (buyer_did <> seller_did),
    CONSTRAINT task_title_within_length CHECK (length(title) BETWEEN 1 AND 200),
    CONSTRAINT task_description_within_length CHECK (length(description) BETWEEN 1 AND 20000),
    CONSTRAINT task_type_within_length CHECK (length(task_type) BETWEEN 1 AND 50),
    CONSTRAINT task_metadata_is_small CHECK (jsonb_typeof(metadata) = 'object' AND length(metadata::text) <= 10000),
    CONSTRAINT estimated_hours_possible CHECK (estimated_hours BETWEEN 0.01 AND 100000),
    CONSTRAINT task_budget_positive CHECK (budget > 0),
    CONSTRAINT started_tasks_have_a_start CHECK (
        CASE status WHEN 'pending' THEN started_at IS NULL WHEN 'cancelled' THEN true ELSE started_at IS NOT NULL END
    ),
    CONSTRAINT deliveries_follow_a_start CHECK (delivered_at IS NULL OR started_at IS NOT NULL),
    CONSTRAINT completed_tasks_were_accepted CHECK (
        (status = 'completed') = (completed_at IS NOT NULL)
        AND (status = 'completed') = (accepted_at IS NOT NULL)
        AND (status <> 'completed' OR delivered_at IS NOT NULL)
    ),
    CONSTRAINT failed_tasks_delivered_nothing CHECK (status <> 'failed' OR delivered_at IS NULL)
);
COMMENT ON TABLE market.tasks IS 'The work that fulfils an accepted deal, from its making to its payment; seen by its two parties. Source: AMOCA tasks.';
COMMENT ON COLUMN market.tasks.user_id IS 'The account behind the buyer.';
COMMENT ON COLUMN market.tasks.agent_id IS 'The agent that works.';
COMMENT ON COLUMN market.tasks.buyer_did IS 'DID of the agent that pays: the initiator of the negotiation.';
COMMENT ON COLUMN market.tasks.seller_did IS 'DID of the agent that works: the responder of the negotiation.';
COMMENT ON COLUMN market.tasks.budget IS 'The agreed price, in units of 1/1000 credit.';
COMMENT ON COLUMN market.tasks.estimated_hours IS 'What the buyer expects; NULL: nothing said.';
COMMENT ON COLUMN market.tasks.actual_hours IS 'Hours from start to delivery, set with the delivery.';
COMMENT ON COLUMN market.tasks.due_date IS 'When the deal promises the delivery.';
COMMENT ON COLUMN market.tasks.expires_at IS 'When the held money goes back to the buyer by itself: no work is started or delivered after it.';
COMMENT ON COLUMN market.tasks.completed_at IS 'AMOCA''s name for the end of a finished task; the same moment as accepted_at.';
COMMENT ON COLUMN market.tasks.paid_deal IS 'The deal of a completed task: its foreign key demands that the deal is settled, so a completed task that was not paid cannot be committed.';
CREATE INDEX tasks_by_buyer ON market.tasks (buyer_did, id DESC);
CREATE INDEX tasks_by_seller ON market.tasks (seller_did, id DESC);
CREATE INDEX idx_tasks_user ON market.tasks (user_id);
CREATE INDEX idx_tasks_agent ON market.tasks (agent_id);
CREATE INDEX idx_tasks_status ON market.tasks (status);

CREATE TABLE market.task_deliverables (
    id uuid NOT NULL DEFAULT uuidv7(),
    task_id uuid NOT NULL,
    file_url text,
    file_name text,
    file_type text,
    description text,
    content_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT task_deliverables_pkey PRIMARY KEY (id),
    CONSTRAINT deliverable_of_a_task FOREIGN KEY (task_id) REFERENCES market.tasks (id),
    CONSTRAINT deliverable_url_safe CHECK (file_url ~ '^(https|ipfs)://[^[:space:]]+$' AND length(file_url) <= 2048),
    CONSTRAINT deliverable_texts_within_length CHECK (
        length(file_name) BETWEEN 1 AND 255 AND length(file_type) BETWEEN 1 AND 127 AND length(description) BETWEEN 1 AND 20000
    ),
    CONSTRAINT deliverable_is_a_file_or_a_text CHECK (
        CASE WHEN file_url IS NULL THEN file_name IS NULL AND description IS NOT NULL ELSE file_name IS NOT NULL END
    ),
    CONSTRAINT content_hash_is_sha256 CHECK (content_hash ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE market.task_deliverables IS 'What was delivered for a task: files elsewhere, pinned by their hash, and texts. Source: AMOCA task_deliverables.';
COMMENT ON COLUMN market.task_deliverables.file_url IS 'https or ipfs URL of a file; NULL: the description is what was delivered.';
COMMENT ON COLUMN market.task_deliverables.content_hash IS 'sha256 in hexadecimal: of the file as its maker states it, or of the description''s UTF-8.';
CREATE INDEX task_deliverables_by_task ON market.task_deliverables (task_id);

CREATE TABLE market.reviews (
    id uuid NOT NULL DEFAULT uuidv7(),
    user_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    task_id uuid NOT NULL,
    negotiation_id uuid NOT NULL,
    rating integer NOT NULL,
    title text,
    review_text text,
    pros text[] NOT NULL DEFAULT '{}',
    cons text[] NOT NULL DEFAULT '{}',
    would_hire_again boolean,
    response_time_rating integer,
    quality_rating integer,
    communication_rating integer,
    value_rating integer,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    withdrawn_at timestamptz,
    CONSTRAINT reviews_pkey PRIMARY KEY (id),
    CONSTRAINT review_by_the_buyer_of_its_task FOREIGN KEY (task_id, user_id, agent_id, negotiation_id)
        REFERENCES market.task_keys (id, user_id, agent_id, negotiation_id),
    CONSTRAINT reviewed_task_is_paid FOREIGN KEY (negotiation_id) REFERENCES negotiation.settlements (negotiation_id),
    CONSTRAINT unique_user_task_review UNIQUE (user_id, task_id),
    CONSTRAINT review_names_one_agent UNIQUE (id, agent_id),
    CONSTRAINT ratings_from_1_to_5 CHECK (
        rating BETWEEN 1 AND 5 AND response_time_rating BETWEEN 1 AND 5 AND quality_rating BETWEEN 1 AND 5
        AND communication_rating BETWEEN 1 AND 5 AND value_rating BETWEEN 1 AND 5
    ),
    CONSTRAINT review_texts_within_length CHECK (length(title) BETWEEN 1 AND 200 AND length(review_text) BETWEEN 1 AND 10000),
    CONSTRAINT pros_and_cons_are_few CHECK (
        cardinality(pros) <= 10 AND cardinality(cons) <= 10 AND length(array_to_string(pros || cons, '')) <= 4000
    )
);
COMMENT ON TABLE market.reviews IS 'What a buyer says about an agent after a task was finished and paid; at most one per task. Rows stay for ever: one that was taken back is marked, not shown and not counted. Source: AMOCA reviews.';
COMMENT ON COLUMN market.reviews.rating IS '1 to 5 stars.';
COMMENT ON COLUMN market.reviews.response_time_rating IS '1 to 5; NULL: not rated. The same holds for quality, communication and value for money.';
COMMENT ON COLUMN market.reviews.withdrawn_at IS 'When its writer took it back; NULL: it counts.';
CREATE INDEX reviews_by_agent ON market.reviews (agent_id, id DESC);
CREATE INDEX idx_reviews_rating ON market.reviews (rating);

CREATE TABLE market.review_responses (
    id uuid NOT NULL DEFAULT uuidv7(),
    review_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    response_text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT review_responses_pkey PRIMARY KEY (id),
    CONSTRAINT response_by_the_reviewed_agent FOREIGN KEY (review_id, agent_id) REFERENCES market.reviews (id, agent_id),
    CONSTRAINT one_response_per_review UNIQUE (review_id),
    CONSTRAINT response_within_length CHECK (length(response_text) BETWEEN 1 AND 5000)
);
COMMENT ON TABLE market.review_responses IS 'What the reviewed agent answers to a review, once. Source: AMOCA review_responses.';

CREATE TABLE market.agent_stats (
    agent_id uuid NOT NULL,
    tasks_completed integer NOT NULL DEFAULT 0,
    tasks_failed integer NOT NULL DEFAULT 0,
    responses integer NOT NULL DEFAULT 0,
    response_s bigint NOT NULL DEFAULT 0,
    total_earnings bigint NOT NULL DEFAULT 0,
    hire_count integer NOT NULL DEFAULT 0,
    review_count integer NOT NULL DEFAULT 0,
    stars bigint NOT NULL DEFAULT 0,
    success_rate numeric(5,2) NOT NULL GENERATED ALWAYS AS (
        coalesce(round(tasks_completed * 100.0 / nullif(tasks_completed + tasks_failed, 0), 2), 0)
    ) STORED,
    avg_response_time_minutes integer GENERATED ALWAYS AS (response_s / 60 / nullif(responses, 0)) STORED,
    rating numeric(3,2) NOT NULL GENERATED ALWAYS AS (coalesce(round(stars::numeric / nullif(review_count, 0), 2), 0)) STORED,
    avg_rating numeric(3,2) NOT NULL GENERATED ALWAYS AS (coalesce(round(stars::numeric / nullif(review_count, 0), 2), 0)) STORED,
    bayesian_rating numeric(3,2) NOT NULL GENERATED ALWAYS AS (round((stars + 4 * 3.5) / (review_count + 4), 2)) STORED,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT agent_stats_pkey PRIMARY KEY (agent_id),
    CONSTRAINT stats_of_an_agent FOREIGN KEY (agent_id) REFERENCES registry.agents (id),
    CONSTRAINT stats_not_negative CHECK (
        least(tasks_completed, tasks_failed, responses, response_s, total_earnings, hire_count, review_count, stars) >= 0
    )
);
COMMENT ON TABLE market.agent_stats IS 'Lifetime numbers of an agent; a row appears with the first deed. Counters are kept by triggers on tasks and reviews and by the reaction to settled deals; rates are computed from them by PostgreSQL. Source: AMOCA agent_stats.';
COMMENT ON COLUMN market.agent_stats.responses IS 'How many tasks the agent ever started.';
COMMENT ON COLUMN market.agent_stats.response_s IS 'Sum of the seconds from the making of a task to its start.';
COMMENT ON COLUMN market.agent_stats.total_earnings IS 'The agent''s own shares of all settled deals, in units of 1/1000 credit.';
COMMENT ON COLUMN market.agent_stats.hire_count IS 'How many deals with the agent were settled, with a task or without.';
COMMENT ON COLUMN market.agent_stats.stars IS 'Sum of the ratings of all reviews that count.';
COMMENT ON COLUMN market.agent_stats.success_rate IS 'Completed of completed and failed tasks, in percent, 0 to 100; 0 before the first.';
COMMENT ON COLUMN market.agent_stats.avg_response_time_minutes IS 'Mean whole minutes from the making of a task to its start; NULL before the first.';
COMMENT ON COLUMN market.agent_stats.rating IS 'Plain mean of the ratings, 1 to 5; 0 before the first.';
COMMENT ON COLUMN market.agent_stats.avg_rating IS 'The same number as rating: AMOCA names it twice.';
COMMENT ON COLUMN market.agent_stats.bayesian_rating IS 'Mean of the ratings and of four imagined ones of 3.5, so that few reviews say little.';

CREATE TABLE market.leaderboard_params (
    version integer NOT NULL,
    period market.leaderboard_period NOT NULL,
    looks_back interval,
    tasks_reference integer NOT NULL,
    earnings_reference bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT leaderboard_params_pkey PRIMARY KEY (version, period),
    CONSTRAINT references_positive CHECK (tasks_reference > 0 AND earnings_reference > 0),
    CONSTRAINT all_time_looks_back_for_ever CHECK ((period = 'all_time') = (looks_back IS NULL))
);
COMMENT ON TABLE market.leaderboard_params IS 'What a score is measured against, per period; the highest version counts. Fixed references make a score depend on the agent''s own deeds only. A new version changes every score at the next publication; old ones stay on record.';
COMMENT ON COLUMN market.leaderboard_params.looks_back IS 'Deeds of this long before the publication count; NULL: all.';
COMMENT ON COLUMN market.leaderboard_params.tasks_reference IS 'Completed tasks that earn all 30 points.';
COMMENT ON COLUMN market.leaderboard_params.earnings_reference IS 'Earnings that earn all 10 points, in units of 1/1000 credit.';

INSERT INTO market.leaderboard_params (version, period, looks_back, tasks_reference, earnings_reference)
VALUES (1, 'daily', '24 hours', 20, 1000000),
       (1, 'weekly', '7 days', 60, 5000000),
       (1, 'monthly', '30 days', 150, 15000000),
       (1, 'all_time', NULL, 1000, 100000000);

CREATE TABLE market.leaderboard_publications (
    period market.leaderboard_period NOT NULL,
    changed_at timestamptz,
    published_at timestamptz,
    CONSTRAINT leaderboard_publications_pkey PRIMARY KEY (period)
);
COMMENT ON TABLE market.leaderboard_publications IS 'When the boards of a period were last published, and whether something has happened since. The row is locked while its boards are being published.';
COMMENT ON COLUMN market.leaderboard_publications.changed_at IS 'First change that is not published yet; NULL: none.';

INSERT INTO market.leaderboard_publications (period) VALUES ('daily'), ('weekly'), ('monthly'), ('all_time');

CREATE TABLE market.leaderboard_rankings (
    id uuid NOT NULL DEFAULT uuidv7(),
    agent_id uuid NOT NULL,
    domain_id integer,
    period market.leaderboard_period NOT NULL,
    rank integer NOT NULL,
    previous_rank integer,
    total_agents_in_domain integer NOT NULL,
    score numeric(10,2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT leaderboard_rankings_pkey PRIMARY KEY (id),
    CONSTRAINT ranking_of_an_agent FOREIGN KEY (agent_id) REFERENCES registry.agents (id),
    CONSTRAINT ranking_in_a_domain FOREIGN KEY (domain_id) REFERENCES registry.domains (id),
    CONSTRAINT unique_agent_domain_period UNIQUE NULLS NOT DISTINCT (agent_id, domain_id, period),
    CONSTRAINT rank_within_its_board CHECK (rank BETWEEN 1 AND total_agents_in_domain),
    CONSTRAINT score_from_0_to_100 CHECK (score BETWEEN 0 AND 100)
);
COMMENT ON TABLE market.leaderboard_rankings IS 'The published leaderboards: one board for each domain and period, and one over all domains for each period. Source: AMOCA leaderboard_rankings.';
COMMENT ON COLUMN market.leaderboard_rankings.domain_id IS 'NULL: the board over all domains.';
COMMENT ON COLUMN market.leaderboard_rankings.rank IS 'One more than the agents with a higher score: equal scores share a rank.';
COMMENT ON COLUMN market.leaderboard_rankings.previous_rank IS 'Rank before it last changed; NULL: it never did.';
COMMENT ON COLUMN market.leaderboard_rankings.total_agents_in_domain IS 'How many agents this board ranks.';
COMMENT ON COLUMN market.leaderboard_rankings.score IS '0 to 100: up to 40 for success, 30 for tasks, 20 for rating, 10 for earnings.';
CREATE INDEX idx_leaderboard_rank ON market.leaderboard_rankings (period, domain_id, rank);
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
CREATE VIEW market.leaderboard_deeds WITH (security_invoker) AS
SELECT key.agent_id, key.domain_id, key.ended_at AS at,
       (key.status = 'completed')::integer AS completed, (key.status = 'failed')::integer AS failed,
       0 AS stars, 0 AS reviews, 0::bigint AS earned
  FROM market.task_keys AS key
 WHERE key.status IN ('completed', 'failed')
UNION ALL
SELECT review.agent_id, key.domain_id, review.created_at, 0, 0, review.rating, 1, 0
  FROM market.reviews AS review
  JOIN market.task_keys AS key ON key.id = review.task_id
 WHERE review.withdrawn_at IS NULL
UNION ALL
SELECT agent.id, key.domain_id, settlement.settled_at, 0, 0, 0, 0, settlement.agent_units
  FROM negotiation.settlements AS settlement
  JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
  JOIN registry.agents AS agent ON agent.did = deal.responder_did
  LEFT JOIN market.task_keys AS key ON key.negotiation_id = deal.id;
COMMENT ON VIEW market.leaderboard_deeds IS 'Everything that counts for a leaderboard, one row per deed with its time: tasks that ended, reviews, and the agent''s shares of settled deals. A deal without a task has no domain.';

CREATE VIEW market.leaderboard_standings WITH (security_invoker) AS
SELECT scored.period, scored.domain_id, scored.agent_id, scored.score,
       rank() OVER (PARTITION BY scored.period, scored.domain_id ORDER BY scored.score DESC)::integer AS rank,
       count(*) OVER (PARTITION BY scored.period, scored.domain_id)::integer AS total_agents_in_domain
  FROM (SELECT params.period, deed.domain_id, deed.agent_id,
               market.lb_score(sum(deed.completed), sum(deed.failed), sum(deed.stars), sum(deed.reviews),
                               sum(deed.earned), min(params.tasks_reference), min(params.earnings_reference)) AS score
          FROM market.leaderboard_params AS params
          JOIN market.leaderboard_deeds AS deed ON params.looks_back IS NULL OR deed.at > now() - params.looks_back
          JOIN registry.agents AS agent ON agent.id = deed.agent_id
         WHERE params.version = (SELECT max(latest.version) FROM market.leaderboard_params AS latest)
           AND agent.retired_at IS NULL
         GROUP BY GROUPING SETS ((params.period, deed.agent_id, deed.domain_id), (params.period, deed.agent_id))
        HAVING grouping(deed.domain_id) = 1 OR deed.domain_id IS NOT NULL) AS scored;
COMMENT ON VIEW market.leaderboard_standings IS 'What all leaderboards should show at this moment, counted from the deeds of agents that are not retired; domain NULL is the board over all domains.';

CREATE VIEW market.recounted_stats WITH (security_invoker) AS
SELECT agent.id AS agent_id, task.tasks_completed, task.tasks_failed, task.responses, task.response_s,
       deal.total_earnings, deal.hire_count, review.review_count, review.stars,
       market.calculate_agent_success_rate(agent.id) AS success_rate,
       coalesce(review.rating, 0) AS rating
  FROM registry.agents AS agent
 CROSS JOIN LATERAL (
       SELECT (count(*) FILTER (WHERE key.status = 'completed'))::integer AS tasks_completed,
              (count(*) FILTER (WHERE key.status = 'failed'))::integer AS tasks_failed,
              count(key.started_at)::integer AS responses,
              coalesce(sum(market.response_seconds(key.created_at, key.started_at)), 0)::bigint AS response_s
         FROM market.task_keys AS key
        WHERE key.agent_id = agent.id) AS task
 CROSS JOIN LATERAL (
       SELECT count(*)::integer AS hire_count, coalesce(sum(settlement.agent_units), 0)::bigint AS total_earnings
         FROM negotiation.settlements AS settlement
         JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
        WHERE deal.responder_did = agent.did) AS deal
 CROSS JOIN LATERAL (
       SELECT count(*)::integer AS review_count, coalesce(sum(review.rating), 0)::bigint AS stars,
              round(avg(review.rating), 2) AS rating
         FROM market.reviews AS review
        WHERE review.agent_id = agent.id
          AND review.withdrawn_at IS NULL) AS review;
COMMENT ON VIEW market.recounted_stats IS 'The numbers of agent_stats counted again from tasks, deals and reviews. Hires and earnings of agent_stats follow by a reaction, a moment after the settlement.';

CREATE VIEW market.v_agent_leaderboard WITH (security_invoker) AS
SELECT agent.id, agent.did, agent.agent_id, agent.name, agent.avatar_url,
       coalesce(stats.tasks_completed, 0) AS tasks_completed,
       coalesce(stats.success_rate, 0) AS success_rate,
       coalesce(stats.rating, 0) AS rating,
       coalesce(stats.review_count, 0) AS review_count,
       ARRAY(SELECT domain.name::text
               FROM registry.agent_domains AS membership
               JOIN registry.domains AS domain ON domain.id = membership.domain_id
              WHERE membership.agent_id = agent.id
              ORDER BY membership.is_primary DESC, domain.name) AS domains,
       ranking.period, ranking.domain_id, ranking.rank, ranking.previous_rank, ranking.total_agents_in_domain,
       ranking.score, agent.created_at AS joined_at
  FROM market.leaderboard_rankings AS ranking
  JOIN registry.agents AS agent ON agent.id = ranking.agent_id
  LEFT JOIN market.agent_stats AS stats ON stats.agent_id = agent.id;
COMMENT ON VIEW market.v_agent_leaderboard IS 'The published boards with what people want to see of each agent: one row per agent and board. Statistics are lifetime numbers on every board. Source: AMOCA.';

CREATE VIEW market.v_agent_profiles WITH (security_invoker) AS
SELECT agent.id, agent.did, agent.agent_id, agent.name, agent.tagline, agent.description, agent.avatar_url,
       agent.cover_image_url, agent.wallet_address, agent.status, agent.verified, agent.created_at, agent.updated_at,
       agent.last_active, agent.creator_user_id, agent.retired_at,
       pricing.asset, pricing.currency, pricing.hourly_rate, pricing.task_based_min, pricing.task_based_max,
       pricing.subscription_monthly,
       coalesce(stats.tasks_completed, 0) AS tasks_completed,
       coalesce(stats.tasks_failed, 0) AS tasks_failed,
       coalesce(stats.success_rate, 0) AS success_rate,
       stats.avg_response_time_minutes,
       coalesce(stats.total_earnings, 0) AS total_earnings,
       coalesce(stats.rating, 0) AS rating,
       coalesce(stats.avg_rating, 0) AS avg_rating,
       coalesce(stats.review_count, 0) AS review_count,
       stats.bayesian_rating,
       coalesce(stats.hire_count, 0) AS hire_count
  FROM registry.agents AS agent
  LEFT JOIN registry.agent_pricing AS pricing ON pricing.agent_id = agent.id
  LEFT JOIN market.agent_stats AS stats ON stats.agent_id = agent.id;
COMMENT ON VIEW market.v_agent_profiles IS 'Each agent with its prices (smallest unit of asset) and statistics in one row. Source: AMOCA.';
GRANT USAGE ON SCHEMA market TO hansa_app;
GRANT SELECT, INSERT ON market.task_keys TO hansa_app;
GRANT UPDATE (status, started_at, ended_at) ON market.task_keys TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON market.tasks TO hansa_app;
GRANT SELECT, INSERT ON market.task_deliverables TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON market.reviews TO hansa_app;
GRANT SELECT, INSERT ON market.review_responses TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON market.agent_stats TO hansa_app;
GRANT SELECT, INSERT ON market.leaderboard_params TO hansa_app;
GRANT SELECT, UPDATE ON market.leaderboard_publications TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON market.leaderboard_rankings TO hansa_app;
GRANT SELECT ON market.leaderboard_deeds, market.leaderboard_standings, market.recounted_stats,
                market.v_agent_leaderboard, market.v_agent_profiles TO hansa_app;

-- What is in a task is between its parties. Statistics and boards are public and stand on task_keys, which has no
-- word of the task in it: so no policy hides a deed from a count, whoever looks.
ALTER TABLE market.tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE market.tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY tasks_known_to_the_house ON market.tasks
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY tasks_of_their_parties ON market.tasks
    USING (current_setting('hansa.actor_kind', true) IN ('agent', 'user')
           AND current_setting('hansa.actor', true) IN (buyer_did, seller_did));
CREATE POLICY tasks_of_their_account ON market.tasks FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND user_id = nullif(current_setting('hansa.user', true), '')::uuid);

ALTER TABLE market.task_deliverables ENABLE ROW LEVEL SECURITY;
ALTER TABLE market.task_deliverables FORCE ROW LEVEL SECURITY;
CREATE POLICY deliverables_seen_with_their_task ON market.task_deliverables
    USING (EXISTS (SELECT FROM market.tasks AS task WHERE task.id = task_id));
