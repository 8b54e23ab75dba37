CREATE TABLE proof.usefulness_proofs (
    id uuid NOT NULL DEFAULT uuidv7(),
    intent_id uuid NOT NULL,
    agent_did text NOT NULL,
    work_type text NOT NULL,
    metrics jsonb NOT NULL,
    attestations text[] NOT NULL DEFAULT '{}',
    trace_id text NOT NULL,
    usefulness_score numeric(5, 2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT usefulness_proofs_pkey PRIMARY KEY (id),
    CONSTRAINT useful_work_proven_once UNIQUE (agent_did, trace_id),
    CONSTRAINT useful_work_by_a_registered_agent FOREIGN KEY (agent_did) REFERENCES registry.agents (did) ON DELETE RESTRICT,
    CONSTRAINT work_type_known CHECK (work_type IN ('compute', 'memory', 'routing', 'validation', 'learning')),
    CONSTRAINT usefulness_score_within_100 CHECK (usefulness_score BETWEEN 0 AND 100),
    CONSTRAINT work_metrics_are_few CHECK (jsonb_typeof(metrics) = 'object' AND length(metrics::text) <= 10000),
    CONSTRAINT attestations_are_few CHECK (cardinality(attestations) <= 5),
    CONSTRAINT trace_names_the_work CHECK (length(trace_id) BETWEEN 1 AND 200)
);
COMMENT ON TABLE proof.usefulness_proofs IS 'What agents say they did beyond what was paid, one row for each piece of work, scored once. Append only. Source: AINP proofs of useful work.';
COMMENT ON COLUMN proof.usefulness_proofs.intent_id IS 'The intent that the work served; kept by the negotiation context.';
COMMENT ON COLUMN proof.usefulness_proofs.work_type IS 'compute, memory, routing, validation or learning: says which metric is scored.';
COMMENT ON COLUMN proof.usefulness_proofs.metrics IS 'What the agent measured itself: compute_ms, memory_bytes, routing_hops, validation_checks, learning_samples, and whatever else it wants to keep. The metric of the work type is scored.';
COMMENT ON COLUMN proof.usefulness_proofs.attestations IS 'Credentials of the house over settled work of this agent, each presented for this proof and verified; empty: nothing but the agent''s word.';
COMMENT ON COLUMN proof.usefulness_proofs.trace_id IS 'The agent''s own name for the work, under which it is proven once.';
COMMENT ON COLUMN proof.usefulness_proofs.usefulness_score IS '0 to 100, by proof.usefulness_score when the row was written.';
CREATE INDEX idx_usefulness_agent ON proof.usefulness_proofs (agent_did, created_at DESC);
COMMENT ON INDEX proof.idx_usefulness_agent IS 'The history of an agent, newest first.';
CREATE INDEX idx_usefulness_intent ON proof.usefulness_proofs (intent_id);
COMMENT ON INDEX proof.idx_usefulness_intent IS 'Work that served an intent.';
CREATE INDEX idx_usefulness_work_type ON proof.usefulness_proofs (work_type);
COMMENT ON INDEX proof.idx_usefulness_work_type IS 'Work of one type.';
CREATE INDEX idx_usefulness_score ON proof.usefulness_proofs (usefulness_score DESC);
COMMENT ON INDEX proof.idx_usefulness_score IS 'The most useful work first.';
CREATE INDEX idx_usefulness_trace ON proof.usefulness_proofs (trace_id);
COMMENT ON INDEX proof.idx_usefulness_trace IS 'Work under one trace, whoever did it.';
CREATE INDEX idx_usefulness_agent_score ON proof.usefulness_proofs (agent_did, usefulness_score DESC);
COMMENT ON INDEX proof.idx_usefulness_agent_score IS 'The most useful work of an agent first.';
CREATE INDEX idx_usefulness_metrics ON proof.usefulness_proofs USING gin (metrics);
COMMENT ON INDEX proof.idx_usefulness_metrics IS 'Work with certain metrics.';

-- Proofs of useful work: the formula in one place, so that nobody scores by another one.

CREATE FUNCTION proof.usefulness_score(p_work_type text, p_metrics jsonb, p_attested boolean)
RETURNS numeric
LANGUAGE plpgsql IMMUTABLE SET search_path = ''
AS $$
DECLARE
    v_rule record;
    v_amount numeric;
BEGIN
    SELECT rule.metric, rule.per_point, rule.amount_max
      INTO v_rule
      FROM (VALUES ('compute', 'compute_ms', 100, 3600000),
                   ('memory', 'memory_bytes', 1048576, 1073741824),
                   ('routing', 'routing_hops', 0.1, 100),
                   ('validation', 'validation_checks', 0.2, 10000),
                   ('learning', 'learning_samples', 10, 1000000)) AS rule (work_type, metric, per_point, amount_max)
     WHERE rule.work_type = p_work_type;
    IF v_rule.metric IS NULL THEN
        RAISE EXCEPTION 'work is compute, memory, routing, validation or learning'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'work_type_known';
    END IF;
    IF jsonb_typeof(p_metrics -> v_rule.metric) = 'number' THEN
        v_amount := (p_metrics ->> v_rule.metric)::numeric;
    END IF;
    IF coalesce(v_amount <= 0 OR v_amount > v_rule.amount_max, true) THEN
        RAISE EXCEPTION '% is proven by %, a number above 0 and up to %', p_work_type, v_rule.metric, v_rule.amount_max
            USING ERRCODE = 'check_violation', CONSTRAINT = 'metric_proves_the_work',
                  DETAIL = jsonb_build_object('metric', v_rule.metric, 'amount_max', v_rule.amount_max);
    END IF;
    RETURN least(100, round(v_amount / v_rule.per_point * CASE WHEN p_attested THEN 1.1 ELSE 1 END, 2));
END
$$;
COMMENT ON FUNCTION proof.usefulness_score IS 'Usefulness of one piece of work, 0 to 100, by the metric of its type: a point per 100 ms, per MiB, per 1/10 hop, per 1/5 check, per 10 samples; a tenth more when it is attested. Refused without that metric, or when no work is that large.';

CREATE FUNCTION proof.keep_usefulness()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'proofs of useful work stay as they were scored'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION proof.keep_usefulness IS 'Keeps proofs of useful work as they were written.';

CREATE TRIGGER usefulness_kept BEFORE UPDATE OR DELETE ON proof.usefulness_proofs
    FOR EACH ROW EXECUTE FUNCTION proof.keep_usefulness();

-- The one place that says which proofs an average stands on.
CREATE VIEW proof.recent_usefulness WITH (security_invoker) AS
SELECT recent.agent_did, round(avg(recent.usefulness_score), 2) AS score, count(*) AS proofs
  FROM proof.usefulness_proofs AS recent
 WHERE recent.created_at > now() - interval '30 days'
 GROUP BY recent.agent_did;
COMMENT ON VIEW proof.recent_usefulness IS 'Plain mean of the proofs of each agent over the last 30 days; an agent without any is not listed and counts 0. Source: AINP.';

GRANT SELECT, INSERT ON proof.usefulness_proofs TO hansa_app;
GRANT SELECT ON proof.recent_usefulness TO hansa_app;

-- Everybody may check what an agent claims; the claim is made by the agent itself.
ALTER TABLE proof.usefulness_proofs ENABLE ROW LEVEL SECURITY;
ALTER TABLE proof.usefulness_proofs FORCE ROW LEVEL SECURITY;
CREATE POLICY usefulness_is_open ON proof.usefulness_proofs FOR SELECT USING (true);
CREATE POLICY usefulness_for_the_house ON proof.usefulness_proofs
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY agents_prove_their_usefulness ON proof.usefulness_proofs FOR INSERT
    WITH CHECK (current_setting('hansa.actor_kind', true) = 'agent'
                AND agent_did = current_setting('hansa.actor', true));
