-- Some routines below enter the house: until they leave it, the policies see a job of the house, so that one door
-- opens a little (read all seals, read the rule that binds a buyer) while the tables stay closed to the caller. It
-- lends nobody a right on a table, as SECURITY DEFINER would; an error in between undoes it with the transaction.
-- (A SET clause of the routine would be shorter; only a superuser may write one for a setting of our own.)
CREATE FUNCTION governance.enter_house()
RETURNS text
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := current_setting('hansa.actor_kind', true);
BEGIN
    PERFORM set_config('hansa.actor_kind', 'system', true);
    RETURN v_kind;
END
$$;
COMMENT ON FUNCTION governance.enter_house IS 'From now on the policies see a job of the house; returns the kind of actor to leave with.';

CREATE FUNCTION governance.leave_house(p_kind text)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM set_config('hansa.actor_kind', coalesce(p_kind, ''), true);
END
$$;
COMMENT ON FUNCTION governance.leave_house IS 'The policies see the caller again.';

-- The one way into being a tenant: the organization and its first operator appear together.
CREATE FUNCTION governance.found_organization(p_name text, p_domain text, p_description text, p_founder text)
RETURNS governance.organizations
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := governance.enter_house();
    v_organization governance.organizations;
BEGIN
    INSERT INTO governance.organizations (name, domain, description)
    VALUES (p_name, p_domain, p_description)
    RETURNING * INTO v_organization;
    INSERT INTO governance.organization_members (organization_id, did, role, added_by)
    VALUES (v_organization.id, p_founder, 'operator', p_founder);
    PERFORM governance.leave_house(v_kind);
    RETURN v_organization;
END
$$;
COMMENT ON FUNCTION governance.found_organization IS 'Found an organization; its founder becomes its first operator.';

-- Members see themselves only (a policy that looked for its own table would never end); this shows all to each.
CREATE FUNCTION governance.members_of(p_organization text)
RETURNS SETOF governance.organization_members
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := governance.enter_house();
BEGIN
    RETURN QUERY
    SELECT member.*
      FROM governance.organization_members AS member
     WHERE member.organization_id = p_organization
     ORDER BY member.added_at, member.role;
    PERFORM governance.leave_house(v_kind);
END
$$;
COMMENT ON FUNCTION governance.members_of IS 'All members of an organization. Callers check first that they may see them.';

-- The row of the organization is locked, so that two role agents of one new title share its template.
CREATE FUNCTION governance.role_template_of(p_organization text, p_title text)
RETURNS text
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_template text;
BEGIN
    PERFORM FROM governance.organizations WHERE id = p_organization FOR NO KEY UPDATE;
    SELECT template.id
      INTO v_template
      FROM governance.role_templates AS template
     WHERE lower(template.title) = lower(p_title)
       AND template.selectable
       AND (template.organization_id = p_organization OR template.organization_id IS NULL)
     ORDER BY template.organization_id NULLS LAST, template.created_at, template.id
     LIMIT 1;
    IF v_template IS NULL THEN
        v_template := uuidv7()::text;
        INSERT INTO governance.role_templates
               (id, title, focus, category, responsibilities, security_contributions, organization_id)
        VALUES (v_template, p_title, p_title, 'own', '[]', '[]', p_organization);
    END IF;
    RETURN v_template;
END
$$;
COMMENT ON FUNCTION governance.role_template_of IS 'The role of a title: the organization''s own, else that of the house; a new title becomes a role of the organization.';

CREATE FUNCTION governance.set_role_agent_status(p_role_agent text, p_status text)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_status text;
    v_wanted governance.role_agents.status%TYPE := p_status;
BEGIN
    SELECT status INTO v_status FROM governance.role_agents WHERE id = p_role_agent FOR NO KEY UPDATE;
    IF v_status IS NULL THEN
        RAISE EXCEPTION 'there is no role agent %', p_role_agent
            USING ERRCODE = 'check_violation', CONSTRAINT = 'role_agent_known';
    ELSIF v_status = 'retired' THEN
        RAISE EXCEPTION 'role agent % is retired', p_role_agent
            USING ERRCODE = 'check_violation', CONSTRAINT = 'retired_role_agents_stay_retired';
    END IF;
    UPDATE governance.role_agents SET status = v_wanted WHERE id = p_role_agent;
END
$$;
COMMENT ON FUNCTION governance.set_role_agent_status IS 'Change what a role agent may do; a retired one stays retired.';

CREATE FUNCTION governance.accept_role(p_role_agent text, p_did text)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    PERFORM FROM governance.role_agents WHERE id = p_role_agent AND assigned_to_did = p_did;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role agent % is not assigned to %', p_role_agent, p_did
            USING ERRCODE = 'check_violation', CONSTRAINT = 'role_accepted_by_its_agent';
    END IF;
    INSERT INTO governance.role_acceptances (role_agent_id, did)
    VALUES (p_role_agent, p_did)
    ON CONFLICT ON CONSTRAINT role_acceptances_pkey DO NOTHING;
END
$$;
COMMENT ON FUNCTION governance.accept_role IS 'Take a role: from now on its organization''s rules bind the agent. The second time changes nothing.';

-- All that the hire gate must know about the rules, for a buyer and a seller who each see only their own side.
-- A buyer is bound by the organizations it founded and by those whose role it has accepted. A seller is stopped by a
-- role that it accepted anywhere, and by any role that the buyer's own organizations gave it.
CREATE FUNCTION governance.hire_rules(p_buyer text, p_seller text, p_role_title text)
RETURNS TABLE (organization_id text, organization_closed text, min_trust_score double precision,
               buyer_role_agent text, buyer_status text, seller_role_agent text, seller_status text)
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := governance.enter_house();
BEGIN
    RETURN QUERY
    WITH accepted AS (
        SELECT agent.id, agent.organization_id, agent.assigned_to_did AS did, agent.status::text AS status
          FROM governance.role_agents AS agent
          JOIN governance.role_acceptances AS acceptance
            ON acceptance.role_agent_id = agent.id
           AND acceptance.did = agent.assigned_to_did
         WHERE agent.assigned_to_did IN (p_buyer, p_seller)
    ), binding AS (
        SELECT accepted.organization_id
          FROM accepted
         WHERE accepted.did = p_buyer
           AND accepted.status <> 'retired'
         UNION
        SELECT member.organization_id
          FROM governance.organization_members AS member
         WHERE member.did = p_buyer
           AND member.role = 'operator'
           AND member.added_by = member.did
    ), threshold AS (
        SELECT demanded.organization_id, demanded.min_trust_score
          FROM governance.role_trust_thresholds AS demanded
          JOIN binding ON binding.organization_id = demanded.organization_id
         WHERE demanded.is_active
           AND lower(demanded.role_title) = lower(p_role_title)
         ORDER BY demanded.min_trust_score DESC, demanded.organization_id
         LIMIT 1
    ), buyer_stopped AS (
        SELECT accepted.id, accepted.status
          FROM accepted
         WHERE accepted.did = p_buyer
           AND accepted.status NOT IN ('active', 'retired')
         ORDER BY accepted.id
         LIMIT 1
    ), seller_stopped AS (
        SELECT agent.id, agent.status::text AS status
          FROM governance.role_agents AS agent
         WHERE agent.assigned_to_did = p_seller
           AND agent.status <> 'active'
           AND (agent.id IN (SELECT accepted.id FROM accepted)
                OR agent.organization_id IN (SELECT binding.organization_id FROM binding))
           -- Who was retired from one role and plays another for the same organization is not out of its service.
           AND (agent.status <> 'retired'
                OR NOT EXISTS (SELECT FROM governance.role_agents AS other
                                WHERE other.organization_id = agent.organization_id
                                  AND other.assigned_to_did = agent.assigned_to_did
                                  AND other.status = 'active'))
         ORDER BY agent.id
         LIMIT 1
    )
    SELECT (SELECT threshold.organization_id FROM threshold),
           (SELECT min(closed.id)
              FROM governance.organizations AS closed
              JOIN binding ON binding.organization_id = closed.id
             WHERE NOT closed.is_active),
           (SELECT threshold.min_trust_score FROM threshold),
           (SELECT buyer_stopped.id FROM buyer_stopped), (SELECT buyer_stopped.status FROM buyer_stopped),
           (SELECT seller_stopped.id FROM seller_stopped), (SELECT seller_stopped.status FROM seller_stopped);
    PERFORM governance.leave_house(v_kind);
END
$$;
COMMENT ON FUNCTION governance.hire_rules IS 'The rules that bind a hire: the strictest threshold, a closed organization, and role agents that are not active. Always one row.';

CREATE FUNCTION governance.file_decision(
    p_subject text, p_buyer text, p_seller text, p_amount bigint, p_reasons text[], p_policy jsonb, p_at timestamptz
)
RETURNS governance.decisions
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := governance.enter_house();
    v_decision governance.decisions;
BEGIN
    INSERT INTO governance.decisions (subject, buyer_did, seller_did, amount, outcome, reasons, policy, decided_at)
    VALUES (p_subject, p_buyer, p_seller, p_amount, CASE WHEN p_reasons = '{}' THEN 'ALLOW' ELSE 'DENY' END,
            p_reasons, p_policy, p_at)
    RETURNING * INTO v_decision;
    PERFORM governance.leave_house(v_kind);
    RETURN v_decision;
END
$$;
COMMENT ON FUNCTION governance.file_decision IS 'Keep a decision of the hire gate: nothing against it is an ALLOW, anything is a DENY.';

-- The row is given its id first: RETURNING would demand that its writer may read it.
CREATE FUNCTION governance.record(p_action text, p_entity text, p_entity_id text, p_metadata jsonb)
RETURNS text
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_id text := uuidv7()::text;
    v_kind text := governance.enter_house();
    v_organization text;
    v_role_agent text;
BEGIN
    SELECT organization.id INTO v_organization
      FROM governance.organizations AS organization
     WHERE organization.id = p_metadata ->> 'organization_id';
    SELECT agent.id INTO v_role_agent
      FROM governance.role_agents AS agent
     WHERE agent.id = p_metadata ->> 'role_agent_id';
    PERFORM governance.leave_house(v_kind);
    INSERT INTO governance.audit_logs (id, action, entity, entity_id, user_id, metadata, organization_id, role_agent_id)
    VALUES (v_id, p_action, p_entity, p_entity_id,
            coalesce(nullif(current_setting('hansa.actor', true), ''), nullif(current_setting('hansa.user', true), '')),
            p_metadata || jsonb_build_object('actor_kind', current_setting('hansa.actor_kind', true),
                                             'trace', current_setting('hansa.trace', true)),
            v_organization, v_role_agent);
    RETURN v_id;
END
$$;
COMMENT ON FUNCTION governance.record IS 'Add a row to the audit trail in the name of whoever acts in this transaction; it waits for its seal.';

CREATE FUNCTION governance.await_seal()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    INSERT INTO governance.audit_unsealed (audit_id)
    SELECT fresh.id FROM fresh ORDER BY fresh.created_at, fresh.id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION governance.await_seal IS 'Puts new audit rows into the queue of the sealer.';

CREATE TRIGGER audit_rows_await_their_seal AFTER INSERT ON governance.audit_logs
    REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION governance.await_seal();

-- The only place where a link of the chain is computed. The content is the text of a jsonb value: keys in one order,
-- numbers in one form, the time in UTC with microseconds, whatever the session's settings are. Columns are named one
-- by one, so a column that is added later leaves every old link true.
CREATE FUNCTION governance.audit_link(p_prev_hash bytea, p_audit governance.audit_logs)
RETURNS bytea
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT sha256(p_prev_hash || convert_to(
        jsonb_build_object(
            'id', (p_audit).id,
            'action', (p_audit).action,
            'entity', (p_audit).entity,
            'entity_id', (p_audit).entity_id,
            'user_id', (p_audit).user_id,
            'metadata', (p_audit).metadata,
            'created_at', to_char((p_audit).created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        )::text, 'UTF8'));
$$;
COMMENT ON FUNCTION governance.audit_link IS 'Hash of an audit row and of the link before it: SHA-256 over the previous hash and the row as canonical JSON.';

-- One sealer at a time, and each reads the head only after the one before has committed: a snapshot taken before the
-- lock would show an old head. Rows are sealed when they are visible; that some were written earlier does not matter,
-- since the order of the chain is the order of sealing.
CREATE FUNCTION governance.seal_audit(p_limit integer)
RETURNS integer
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := governance.enter_house();
    v_n bigint;
    v_hash bytea;
    v_waiting record;
    v_sealed integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('governance.audit_seals', 0));
    SELECT seal.n, seal.hash INTO v_n, v_hash FROM governance.audit_seals AS seal ORDER BY seal.n DESC LIMIT 1;
    v_n := coalesce(v_n, 0);
    v_hash := coalesce(v_hash, decode(repeat('00', 32), 'hex'));
    FOR v_waiting IN
        SELECT waiting.arrival, audit AS content, audit.id
          FROM governance.audit_unsealed AS waiting
          JOIN governance.audit_logs AS audit ON audit.id = waiting.audit_id
         ORDER BY waiting.arrival
         LIMIT p_limit
    LOOP
        INSERT INTO governance.audit_seals (n, audit_id, prev_hash, hash)
        VALUES (v_n + 1, v_waiting.id, v_hash, governance.audit_link(v_hash, v_waiting.content))
        RETURNING n, hash INTO v_n, v_hash;
        DELETE FROM governance.audit_unsealed WHERE arrival = v_waiting.arrival;
        v_sealed := v_sealed + 1;
    END LOOP;
    PERFORM governance.leave_house(v_kind);
    RETURN v_sealed;
END
$$;
COMMENT ON FUNCTION governance.seal_audit IS 'Chain up to p_limit waiting audit rows; returns how many.';

-- Reads the whole trail whoever asks: a verdict on the part that a caller may see would call the rest missing.
CREATE FUNCTION governance.audit_breaks(p_limit integer)
RETURNS TABLE (n bigint, audit_id text, finding text)
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := governance.enter_house();
BEGIN
    RETURN QUERY
    WITH link AS (
        SELECT seal.n, seal.audit_id, seal.prev_hash, seal.hash, audit AS content, audit.id IS NULL AS missing,
               coalesce(lag(seal.n) OVER chain, 0) AS n_before,
               coalesce(lag(seal.hash) OVER chain, decode(repeat('00', 32), 'hex')) AS hash_before
          FROM governance.audit_seals AS seal
          LEFT JOIN governance.audit_logs AS audit ON audit.id = seal.audit_id
        WINDOW chain AS (ORDER BY seal.n)
    ), broken AS (
        SELECT link.*, link.n <> link.n_before + 1 AS after_a_gap, link.prev_hash <> link.hash_before AS torn
          FROM link
         WHERE link.missing
            OR link.n <> link.n_before + 1
            OR link.prev_hash <> link.hash_before
            OR link.hash <> governance.audit_link(link.prev_hash, link.content)
         ORDER BY link.n
         LIMIT p_limit
    )
    SELECT broken.n, broken.audit_id,
           CASE
               WHEN broken.missing THEN 'missing'
               WHEN broken.after_a_gap THEN 'follows a gap'
               WHEN broken.torn THEN 'torn from the seal before'
               -- A row that another broken link fits has not changed: it stands in the wrong place.
               WHEN EXISTS (SELECT FROM broken AS other
                             WHERE other.n <> broken.n
                               AND other.hash = governance.audit_link(other.prev_hash, broken.content)) THEN 'reordered'
               ELSE 'edited'
           END
      FROM broken
     UNION ALL
    SELECT NULL::bigint, audit.id, 'never queued for a seal'
      FROM governance.audit_logs AS audit
     WHERE NOT EXISTS (SELECT FROM governance.audit_seals AS seal WHERE seal.audit_id = audit.id)
       AND NOT EXISTS (SELECT FROM governance.audit_unsealed AS waiting WHERE waiting.audit_id = audit.id)
     UNION ALL
    SELECT NULL::bigint, waiting.audit_id, 'missing'
      FROM governance.audit_unsealed AS waiting
     WHERE NOT EXISTS (SELECT FROM governance.audit_logs AS audit WHERE audit.id = waiting.audit_id)
     ORDER BY 1 NULLS LAST, 2
     LIMIT p_limit;
    PERFORM governance.leave_house(v_kind);
END
$$;
COMMENT ON FUNCTION governance.audit_breaks IS 'What is wrong with the audit trail, first link first: edited, missing, reordered, torn, or smuggled in behind the triggers.';

CREATE FUNCTION governance.audit_state()
RETURNS TABLE (sealed bigint, head bytea, sealed_at timestamptz, unsealed bigint)
LANGUAGE sql STABLE SET search_path = ''
AS $$
    SELECT coalesce(seal.n, 0), coalesce(seal.hash, decode(repeat('00', 32), 'hex')), seal.sealed_at,
           (SELECT count(*) FROM governance.audit_unsealed)
      FROM (VALUES (1)) AS always (one)
      LEFT JOIN LATERAL (SELECT last.n, last.hash, last.sealed_at
                           FROM governance.audit_seals AS last
                          ORDER BY last.n DESC
                          LIMIT 1) AS seal ON true;
$$;
COMMENT ON FUNCTION governance.audit_state IS 'Length and last hash of the chain, and how many audit rows wait for their seal.';

CREATE FUNCTION governance.refuse_change()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    RAISE EXCEPTION 'rows of %.% stay as they were written', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'governance_evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION governance.refuse_change IS 'Keeps audit rows, seals and decisions as they were written.';

-- An audit row loses its organization or role agent when they go; nothing else about it may change.
CREATE FUNCTION governance.refuse_audit_change()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_bereft governance.audit_logs := OLD;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.organization_id IS NULL THEN
            v_bereft.organization_id := NULL;
        END IF;
        IF NEW.role_agent_id IS NULL THEN
            v_bereft.role_agent_id := NULL;
        END IF;
        IF NEW IS DISTINCT FROM OLD AND NEW IS NOT DISTINCT FROM v_bereft THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'rows of %.% stay as they were written', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'governance_evidence_is_append_only';
END
$$;
COMMENT ON FUNCTION governance.refuse_audit_change IS 'Keeps audit rows as they were written, but for references to what is gone.';
CREATE TRIGGER audit_rows_append_only BEFORE UPDATE OR DELETE ON governance.audit_logs
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_audit_change();
CREATE TRIGGER audit_rows_not_emptied BEFORE TRUNCATE ON governance.audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE ON governance.audit_seals
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER audit_seals_not_emptied BEFORE TRUNCATE ON governance.audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE ON governance.decisions
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
CREATE TRIGGER decisions_not_emptied BEFORE TRUNCATE ON governance.decisions
    FOR EACH STATEMENT EXECUTE FUNCTION governance.refuse_change();

CREATE FUNCTION governance.touch()
RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION governance.touch IS 'Keeps updated_at true.';

CREATE TRIGGER organizations_touched BEFORE UPDATE ON governance.organizations
    FOR EACH ROW EXECUTE FUNCTION governance.touch();
CREATE TRIGGER thresholds_touched BEFORE UPDATE ON governance.role_trust_thresholds
    FOR EACH ROW EXECUTE FUNCTION governance.touch();
CREATE TRIGGER role_agents_touched BEFORE UPDATE ON governance.role_agents
    FOR EACH ROW EXECUTE FUNCTION governance.touch();
CREATE TRIGGER signals_touched BEFORE UPDATE ON governance.signals
    FOR EACH ROW EXECUTE FUNCTION governance.touch();
CREATE TRIGGER loa_policies_touched BEFORE UPDATE ON governance.loa_policies
    FOR EACH ROW EXECUTE FUNCTION governance.touch();
