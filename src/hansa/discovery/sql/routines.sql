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
