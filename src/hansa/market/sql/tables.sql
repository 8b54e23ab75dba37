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
