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
CREATE FUNCTION discovery.recent_deals_max()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = ''
RETURN 200;
COMMENT ON FUNCTION discovery.recent_deals_max IS 'How many of the newest deals are kept.';

-- Each writes what is due now, whatever event asked for it: a second delivery, or one out of order, changes nothing.

CREATE FUNCTION discovery.write_profiles(p_agents text[])
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    INSERT INTO discovery.agents
           (did, slug, name, tagline, skills, tags, domains, document, price_asset, price_min, status, verified, listed)
    SELECT due.did, due.slug, due.name, due.tagline, due.skills, due.tags, due.domains, due.document, due.price_asset,
           due.price_min, due.status, due.verified, due.listed
      FROM discovery.profiles_due AS due
     WHERE due.did = ANY (p_agents)
    ON CONFLICT (did) DO UPDATE
       SET slug = EXCLUDED.slug, name = EXCLUDED.name, tagline = EXCLUDED.tagline, skills = EXCLUDED.skills,
           tags = EXCLUDED.tags, domains = EXCLUDED.domains, document = EXCLUDED.document,
           price_asset = EXCLUDED.price_asset, price_min = EXCLUDED.price_min, status = EXCLUDED.status,
           verified = EXCLUDED.verified, listed = EXCLUDED.listed, updated_at = EXCLUDED.updated_at;
END
$$;
COMMENT ON FUNCTION discovery.write_profiles IS 'Bring what the index says about these agents by their cards to what is due.';

-- Two events of one settlement ask for the same row; the second finds nothing to write.
CREATE FUNCTION discovery.write_standings(p_agents text[])
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    UPDATE discovery.agents AS known
       SET usefulness = due.usefulness, reputation = due.reputation, lower_bound = due.lower_bound, trust = due.trust,
           trust_decay_rate = due.trust_decay_rate, trust_as_of = due.trust_as_of, settlements = due.settlements,
           last_settled_at = due.last_settled_at, updated_at = clock_timestamp()
      FROM discovery.standings_due AS due
     WHERE known.did = ANY (p_agents)
       AND due.did = known.did
       AND (known.usefulness, known.reputation, known.lower_bound, known.trust, known.trust_decay_rate,
            known.trust_as_of, known.settlements, known.last_settled_at)
           IS DISTINCT FROM
           (due.usefulness, due.reputation, due.lower_bound, due.trust, due.trust_decay_rate,
            due.trust_as_of, due.settlements, due.last_settled_at);
END
$$;
COMMENT ON FUNCTION discovery.write_standings IS 'Bring what the index says about these agents by their work to what is due; agents that are not in the index yet get it with their profile.';

-- Two reactions about one agent may run at once. The lock comes before the statement that reads what is due, so the
-- one that writes last has also read last. Rebuilding takes the first lock alone.
CREATE FUNCTION discovery.lock_entry(p_agent text)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('discovery.index', 0));
    PERFORM pg_advisory_xact_lock(hashtextextended('discovery.index ' || p_agent, 0));
END
$$;
COMMENT ON FUNCTION discovery.lock_entry IS 'Make writers of one agent''s index entry wait for each other.';

CREATE FUNCTION discovery.refresh_profile(p_agent text)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM discovery.lock_entry(p_agent);
    PERFORM discovery.write_profiles(ARRAY[p_agent]);
    PERFORM discovery.write_standings(ARRAY[p_agent]);
END
$$;
COMMENT ON FUNCTION discovery.refresh_profile IS 'Bring the whole index entry of one agent to what is due.';

CREATE FUNCTION discovery.refresh_standing(p_agent text)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM discovery.lock_entry(p_agent);
    PERFORM discovery.write_standings(ARRAY[p_agent]);
END
$$;
COMMENT ON FUNCTION discovery.refresh_standing IS 'Bring what the index says about one agent by its work to what is due, without reading its card again.';

CREATE FUNCTION discovery.rebuild()
RETURNS bigint
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_agents text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('discovery.index', 0));
    v_agents := ARRAY(SELECT did FROM registry.agents);
    DELETE FROM discovery.agents AS known
     WHERE NOT EXISTS (SELECT FROM registry.agents AS agent WHERE agent.did = known.did);
    PERFORM discovery.write_profiles(v_agents);
    PERFORM discovery.write_standings(v_agents);
    DELETE FROM discovery.recent_deals;
    INSERT INTO discovery.recent_deals (negotiation_id, agent_did, amount, settled_at)
    SELECT negotiation_id, agent_did, amount, settled_at
      FROM discovery.recent_deals_due
    ON CONFLICT (negotiation_id) DO NOTHING;
    RETURN cardinality(v_agents);
END
$$;
COMMENT ON FUNCTION discovery.rebuild IS 'Work the index and the recent deals out anew; reactions wait meanwhile. Returns how many agents there are.';
-- What the index must say, worked out from the contexts below. The routines write exactly these rows, and
-- discovery.differences compares with them, so a column is defined in one place.

CREATE VIEW discovery.profiles_due WITH (security_invoker) AS
SELECT agent.did, agent.agent_id::text AS slug, agent.name::text AS name, agent.tagline::text AS tagline,
       claimed.skills, coalesce(card.skills, '{}') AS tags, entered.domains,
       discovery.search_document(agent.name, claimed.skills || card.skills, agent.tagline,
                                 concat_ws(' ', agent.description, described.skills)) AS document,
       pricing.asset AS price_asset,
       CASE WHEN coalesce(pricing.task_based_min, pricing.task_based_max) IS NOT NULL -- least() passes over NULL
            THEN least(coalesce(pricing.task_based_min, pricing.task_based_max), 9007199254740991) END AS price_min,
       agent.status, agent.verified, agent.retired_at IS NULL AS listed
  FROM registry.agents AS agent
  LEFT JOIN registry.agent_capabilities AS card ON card.agent_did = agent.did AND card.version = agent.version
  LEFT JOIN registry.agent_cards AS signed ON signed.did = agent.did AND signed.version = agent.version
  LEFT JOIN registry.agent_pricing AS pricing ON pricing.agent_id = agent.id
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(skill.name::text ORDER BY own.id), '{}') AS skills
         FROM registry.agent_skills AS own
         JOIN registry.skills AS skill ON skill.id = own.skill_id
        WHERE own.agent_id = agent.id) AS claimed
 CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(own.domain_id ORDER BY own.is_primary DESC, own.domain_id), '{}') AS domains
         FROM registry.agent_domains AS own
        WHERE own.agent_id = agent.id) AS entered
 CROSS JOIN LATERAL (
       SELECT string_agg(text.value #>> '{}', ' ') AS skills
         FROM jsonb_path_query(signed.raw::jsonb, '$.skills[*].description') AS text (value)) AS described;
COMMENT ON VIEW discovery.profiles_due IS 'What the index must say about each agent by its current card.';

-- Without evidence the lower bound is the one that knowing nothing gives, so a newcomer stands above an agent whose
-- work is known to be bad. Trust needs no such rule: the neutral 0.5 is its default.
CREATE VIEW discovery.standings_due WITH (security_invoker) AS
SELECT agent.did, agent.usefulness_score_cached AS usefulness, coalesce(published.score, 0.00) AS reputation,
       coalesce(standing.lower_bound, 0.5 - 0.5 / sqrt(policy.prior + 1)) AS lower_bound,
       coalesce(trust.score, 0.5) AS trust, coalesce(trust.decay_rate, 1) AS trust_decay_rate,
       trust.last_updated AS trust_as_of, coalesce(state.settlements, 0) AS settlements, state.last_settled_at
  FROM registry.agents AS agent
 CROSS JOIN proof.adopted_policy() AS policy
  LEFT JOIN proof.reputation_scores AS published ON published.agent_did = agent.did
  LEFT JOIN proof.reputation_state AS state ON state.agent_did = agent.did
  LEFT JOIN proof.trust_scores AS trust ON trust.agent_did = agent.did
  LEFT JOIN LATERAL proof.standing_on(policy, state, state.as_of) AS standing ON state.agent_did IS NOT NULL;
COMMENT ON VIEW discovery.standings_due IS 'What the index must say about each agent by its settled work.';

CREATE VIEW discovery.recent_deals_due WITH (security_invoker) AS
SELECT settlement.negotiation_id, deal.responder_did AS agent_did, settlement.amount, settlement.settled_at
  FROM negotiation.settlements AS settlement
  JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
 ORDER BY settlement.settled_at DESC, settlement.negotiation_id DESC
 LIMIT discovery.recent_deals_max();
COMMENT ON VIEW discovery.recent_deals_due IS 'The newest deals by what was settled.';

CREATE VIEW discovery.differences WITH (security_invoker) AS
SELECT 'profile' AS kind, coalesce(due.did, known.did) AS subject,
       CASE WHEN known.did IS NULL THEN 'is not in the index'
            WHEN due.did IS NULL THEN 'is in the index and not in the registry'
            ELSE wrong.finding
       END AS finding
  FROM discovery.agents AS known
  FULL JOIN discovery.profiles_due AS due ON due.did = known.did
 CROSS JOIN LATERAL (
       SELECT string_agg(format('%s is %s, due is %s', fact.key, to_jsonb(known) -> fact.key, fact.value), '; ')
              AS finding
         FROM jsonb_each(to_jsonb(due)) AS fact
        WHERE fact.value IS DISTINCT FROM to_jsonb(known) -> fact.key) AS wrong
 WHERE known.did IS NULL OR due.did IS NULL OR wrong.finding IS NOT NULL
UNION ALL
SELECT 'standing', known.did, wrong.finding
  FROM discovery.agents AS known
  JOIN discovery.standings_due AS due ON due.did = known.did
 CROSS JOIN LATERAL (
       SELECT string_agg(format('%s is %s, due is %s', fact.key, to_jsonb(known) -> fact.key, fact.value), '; ')
              AS finding
         FROM jsonb_each(to_jsonb(due)) AS fact
        WHERE fact.value IS DISTINCT FROM to_jsonb(known) -> fact.key) AS wrong
 WHERE wrong.finding IS NOT NULL
UNION ALL
SELECT 'deal', due.negotiation_id::text, 'is not among the recent deals'
  FROM discovery.recent_deals_due AS due
 WHERE NOT EXISTS (SELECT FROM discovery.recent_deals AS known WHERE known.negotiation_id = due.negotiation_id)
UNION ALL
SELECT 'deal', known.negotiation_id::text,
       format('%s got %s at %s: nothing was settled like this', known.agent_did, known.amount, known.settled_at)
  FROM discovery.recent_deals AS known
 WHERE NOT EXISTS (SELECT
                     FROM negotiation.settlements AS settlement
                     JOIN negotiation.negotiations AS deal ON deal.id = settlement.negotiation_id
                    WHERE settlement.negotiation_id = known.negotiation_id
                      AND deal.responder_did = known.agent_did
                      AND settlement.amount = known.amount
                      AND settlement.settled_at = known.settled_at);
COMMENT ON VIEW discovery.differences IS 'Every way in which the index or the recent deals differ from the contexts below; empty once all events are delivered.';
GRANT USAGE ON SCHEMA discovery TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON discovery.agents TO hansa_app;
GRANT SELECT, INSERT, DELETE ON discovery.recent_deals TO hansa_app;
GRANT SELECT, UPDATE ON discovery.ranking_weights TO hansa_app;
GRANT SELECT, INSERT, DELETE ON discovery.results TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON discovery.answers TO hansa_app;
GRANT SELECT, INSERT, DELETE ON discovery.agent_queries TO hansa_app;
GRANT SELECT ON discovery.profiles_due, discovery.standings_due, discovery.recent_deals_due, discovery.differences
    TO hansa_app;

-- What is found is public; what somebody searches for is theirs. Results and answers name nobody.
ALTER TABLE discovery.agent_queries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY queries_known_to_the_house ON discovery.agent_queries
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY people_see_their_queries ON discovery.agent_queries FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'user'
           AND user_id = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY agents_see_their_queries ON discovery.agent_queries FOR SELECT
    USING (current_setting('hansa.actor_kind', true) = 'agent'
           AND asked_by = current_setting('hansa.actor', true));
CREATE POLICY everybody_asks_as_themselves ON discovery.agent_queries FOR INSERT
    WITH CHECK (asked_by IS NOT DISTINCT FROM nullif(current_setting('hansa.actor', true), '')
                AND (user_id IS NULL
                     OR user_id = nullif(current_setting('hansa.user', true), '')::uuid
                     OR user_id = (SELECT own.user_id FROM identity.user_dids AS own
                                    WHERE own.did = current_setting('hansa.actor', true))));
