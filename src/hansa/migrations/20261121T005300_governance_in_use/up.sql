-- From the first change on, updated_at is true: a default alone never moves.
CREATE TRIGGER role_agents_touched BEFORE UPDATE ON governance.role_agents
    FOR EACH ROW EXECUTE FUNCTION governance.touch();
CREATE TRIGGER signals_touched BEFORE UPDATE ON governance.signals
    FOR EACH ROW EXECUTE FUNCTION governance.touch();
CREATE TRIGGER loa_policies_touched BEFORE UPDATE ON governance.loa_policies
    FOR EACH ROW EXECUTE FUNCTION governance.touch();

COMMENT ON COLUMN governance.role_agents.status IS 'active, inactive, suspended or retired; only active may act.';

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
DROP TRIGGER audit_rows_append_only ON governance.audit_logs;
CREATE TRIGGER audit_rows_append_only BEFORE UPDATE OR DELETE ON governance.audit_logs
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_audit_change();

-- The row is given its id first: RETURNING would demand that its writer may read it. What it speaks of may be hidden
-- from the writer, or not exist: then the copies in metadata alone tell.
CREATE OR REPLACE FUNCTION governance.record(p_action text, p_entity text, p_entity_id text, p_metadata jsonb)
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
