CREATE SCHEMA discovery;
COMMENT ON SCHEMA discovery IS 'The search index over agents, what was asked of it, and the newest deals. A read model: everything but the queries can be rebuilt from the contexts below.';

-- The longest card has more text than a tsvector holds (1 MB); what is cut off is found by nobody, and a registration
-- that cannot be indexed would hold up every later event of its agent.
CREATE FUNCTION discovery.search_document(p_name text, p_skills text[], p_tagline text, p_description text)
RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
AS $$
SELECT setweight(to_tsvector('pg_catalog.english'::regconfig, p_name), 'A')
       || setweight(to_tsvector('pg_catalog.english'::regconfig, left(array_to_string(p_skills, ' '), 50000)), 'B')
       || setweight(to_tsvector('pg_catalog.english'::regconfig, p_tagline), 'C')
       || setweight(to_tsvector('pg_catalog.english'::regconfig, left(p_description, 50000)), 'D')
$$;
COMMENT ON FUNCTION discovery.search_document IS 'What full text finds an agent by: its name weighs most, then skills, tagline, descriptions.';

CREATE FUNCTION discovery.skill_keys(p_skills text[], p_tags text[])
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
AS $$ SELECT coalesce(array_agg(DISTINCT lower(skill)), '{}') FROM unnest(p_skills || p_tags) AS skill $$;
COMMENT ON FUNCTION discovery.skill_keys IS 'Names and tags of skills in lower case, each once: what a filter on skills compares with.';

CREATE TABLE discovery.agents (
    did text NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    tagline text NOT NULL,
    skills text[] NOT NULL,
    tags text[] NOT NULL,
    skill_keys text[] NOT NULL GENERATED ALWAYS AS (discovery.skill_keys(skills, tags)) STORED,
    domains integer[] NOT NULL,
    document tsvector NOT NULL,
    price_asset text,
    price_min bigint,
    status registry.agent_status NOT NULL,
    verified boolean NOT NULL,
    listed boolean NOT NULL,
    usefulness numeric(5, 2) NOT NULL DEFAULT 0,
    reputation numeric(3, 2) NOT NULL DEFAULT 0,
    lower_bound double precision NOT NULL DEFAULT 0,
    trust double precision NOT NULL DEFAULT 0.5,
    trust_decay_rate double precision NOT NULL DEFAULT 1,
    trust_as_of timestamptz,
    settlements bigint NOT NULL DEFAULT 0,
    last_settled_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_index_entry_per_agent PRIMARY KEY (did)
) WITH (fillfactor = 80);
COMMENT ON TABLE discovery.agents IS 'The search index, one row per agent that ever registered. Search reads this and nothing else; reactions keep it, and discovery.differences says whether they did. No index covers what a settlement changes, so those updates stay on their page.';
COMMENT ON COLUMN discovery.agents.slug IS 'Name of the agent in URLs.';
COMMENT ON COLUMN discovery.agents.skills IS 'Names of the skills as the agent wrote them.';
COMMENT ON COLUMN discovery.agents.tags IS 'Tags of the skills in the current card.';
COMMENT ON COLUMN discovery.agents.domains IS 'Ids of the domains, the primary one first.';
COMMENT ON COLUMN discovery.agents.document IS 'Name, skills, tagline and the descriptions of the agent and its skills, in this order of weight.';
COMMENT ON COLUMN discovery.agents.price_asset IS 'What price_min is counted in; NULL: the agent names no prices.';
COMMENT ON COLUMN discovery.agents.price_min IS 'Least for one task (the most, when it names only that) in the smallest unit of the asset; NULL: it does not say. At most 2^53 - 1, where the whole numbers of JSON end.';
COMMENT ON COLUMN discovery.agents.listed IS 'Whether search may show the agent: not after it retired.';
COMMENT ON COLUMN discovery.agents.usefulness IS 'Average usefulness over the last 30 days, 0 to 100.';
COMMENT ON COLUMN discovery.agents.reputation IS 'Published reputation, 0 to 1.';
COMMENT ON COLUMN discovery.agents.lower_bound IS 'Lower bound of the expected success on the day of the newest evidence; breaks ties.';
COMMENT ON COLUMN discovery.agents.trust IS 'Trust as of trust_as_of, 0 to 1; search lets it fade towards 0.5 until now.';
COMMENT ON COLUMN discovery.agents.trust_decay_rate IS 'What is left of the distance from 0.5 after a day.';
COMMENT ON COLUMN discovery.agents.trust_as_of IS 'Time of the newest evidence; NULL: there is none and trust is the neutral 0.5.';
COMMENT ON COLUMN discovery.agents.settlements IS 'Settled pieces of work that count as evidence.';
CREATE INDEX agents_by_document ON discovery.agents USING gin (document) WHERE listed;
CREATE INDEX agents_by_skill ON discovery.agents USING gin (skill_keys) WHERE listed;
CREATE INDEX agents_by_domain ON discovery.agents USING gin (domains) WHERE listed;
CREATE INDEX agents_by_price ON discovery.agents (price_asset, price_min) WHERE listed;

CREATE TABLE discovery.ranking_weights (
    only_row boolean NOT NULL DEFAULT true,
    relevance numeric(5, 4) NOT NULL,
    trust numeric(5, 4) NOT NULL,
    usefulness numeric(5, 4) NOT NULL,
    CONSTRAINT one_set_of_ranking_weights PRIMARY KEY (only_row),
    CONSTRAINT ranking_weights_are_one_row CHECK (only_row),
    CONSTRAINT ranking_weights_not_negative CHECK (least(relevance, trust, usefulness) >= 0),
    CONSTRAINT ranking_weights_sum_to_one CHECK (relevance + trust + usefulness = 1)
);
COMMENT ON TABLE discovery.ranking_weights IS 'What relevance, trust and usefulness weigh in the order of search results; one row. Source: AINP discovery.';
COMMENT ON COLUMN discovery.ranking_weights.usefulness IS 'Weighs usefulness / 100.';
INSERT INTO discovery.ranking_weights (relevance, trust, usefulness) VALUES (0.6, 0.3, 0.1);

CREATE TABLE discovery.results (
    results_hash text NOT NULL,
    results jsonb NOT NULL,
    result_count integer NOT NULL GENERATED ALWAYS AS (jsonb_array_length(results -> 'hits')) STORED,
    computed_first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT one_row_per_search_result PRIMARY KEY (results_hash),
    CONSTRAINT search_result_hash_is_a_cid CHECK (results_hash ~ '^bafkrei[a-z2-7]{52}$')
);
COMMENT ON TABLE discovery.results IS 'Results of searches under the hash of their content: the same result is kept once, however often and by whomever it was found.';
COMMENT ON COLUMN discovery.results.results_hash IS 'CIDv1 (raw, sha2-256) of the canonical JSON (RFC 8785) of results: whoever has the result can check the hash.';
COMMENT ON COLUMN discovery.results.results IS '{"hits": [...]}, the best first.';
CREATE INDEX results_by_age ON discovery.results (computed_first_at);

CREATE TABLE discovery.answers (
    query_hash text NOT NULL,
    results_hash text NOT NULL,
    computed_at timestamptz NOT NULL,
    CONSTRAINT one_answer_per_query PRIMARY KEY (query_hash),
    CONSTRAINT answer_of_kept_results FOREIGN KEY (results_hash) REFERENCES discovery.results (results_hash)
);
COMMENT ON TABLE discovery.answers IS 'The newest result of each query, for whoever asks the same while it is young. Holds nobody''s name and no search text.';
COMMENT ON COLUMN discovery.answers.query_hash IS 'CIDv1 of the canonical JSON of the query''s parameters.';
CREATE INDEX answers_by_age ON discovery.answers (computed_at);
CREATE INDEX answers_by_result ON discovery.answers (results_hash);

CREATE TABLE discovery.agent_queries (
    id uuid NOT NULL DEFAULT uuidv7(),
    user_id uuid,
    asked_by text,
    query_params jsonb NOT NULL,
    capability_filter jsonb,
    results_hash text NOT NULL,
    "timestamp" timestamptz NOT NULL DEFAULT clock_timestamp(),
    age_s double precision NOT NULL,
    CONSTRAINT agent_queries_pkey PRIMARY KEY (id),
    CONSTRAINT query_of_an_account FOREIGN KEY (user_id) REFERENCES identity.users (id) ON DELETE CASCADE,
    CONSTRAINT query_of_kept_results FOREIGN KEY (results_hash) REFERENCES discovery.results (results_hash),
    CONSTRAINT query_age_not_negative CHECK (age_s >= 0)
);
COMMENT ON TABLE discovery.agent_queries IS 'Every search, one row each, for 90 days. Whoever asked sees it, nobody else. Source: Proof-of-Service registry.';
COMMENT ON COLUMN discovery.agent_queries.user_id IS 'The account that asked, by itself or through an agent; NULL: nobody has proven to be anybody.';
COMMENT ON COLUMN discovery.agent_queries.asked_by IS 'DID that asked, proven by a signature or a session; NULL: nobody has proven to be anybody.';
COMMENT ON COLUMN discovery.agent_queries.query_params IS 'All that was asked, canonical: what was left out is left out, skills are sorted and in lower case.';
COMMENT ON COLUMN discovery.agent_queries.capability_filter IS 'The part of it that is about what an agent can do (skills, domain); NULL: nothing was.';
COMMENT ON COLUMN discovery.agent_queries.results_hash IS 'CIDv1 of the canonical result, which is in discovery.results.';
COMMENT ON COLUMN discovery.agent_queries.age_s IS 'How old the result was when it was given, in seconds; 0: it was made for this query.';
CREATE INDEX idx_agent_queries_user ON discovery.agent_queries (user_id, "timestamp" DESC);
CREATE INDEX agent_queries_by_asker ON discovery.agent_queries (asked_by, "timestamp" DESC);
CREATE INDEX agent_queries_by_result ON discovery.agent_queries (results_hash);
CREATE INDEX agent_queries_to_sweep ON discovery.agent_queries ("timestamp");

CREATE TABLE discovery.recent_deals (
    negotiation_id uuid NOT NULL,
    agent_did text NOT NULL,
    amount bigint NOT NULL,
    settled_at timestamptz NOT NULL,
    CONSTRAINT one_row_per_recent_deal PRIMARY KEY (negotiation_id)
);
COMMENT ON TABLE discovery.recent_deals IS 'The newest settled deals for the home page. Who bought is not here: work is private until its agent discloses it.';
COMMENT ON COLUMN discovery.recent_deals.negotiation_id IS 'Makes a deal appear once; not shown.';
COMMENT ON COLUMN discovery.recent_deals.agent_did IS 'The agent that did the work.';
COMMENT ON COLUMN discovery.recent_deals.amount IS 'Units of 1/1000 credit.';
CREATE INDEX recent_deals_by_time ON discovery.recent_deals (settled_at DESC, negotiation_id DESC);
