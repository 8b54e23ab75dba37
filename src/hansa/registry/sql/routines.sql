CREATE TRIGGER agents_updated_at BEFORE UPDATE ON registry.agents
    FOR EACH ROW EXECUTE FUNCTION identity.update_updated_at_column();
CREATE TRIGGER agent_pricing_updated_at BEFORE UPDATE ON registry.agent_pricing
    FOR EACH ROW EXECUTE FUNCTION identity.update_updated_at_column();

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
