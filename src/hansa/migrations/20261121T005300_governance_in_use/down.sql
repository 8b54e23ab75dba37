CREATE OR REPLACE FUNCTION governance.record(p_action text, p_entity text, p_entity_id text, p_metadata jsonb)
RETURNS text
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_id text := uuidv7()::text;
BEGIN
    INSERT INTO governance.audit_logs (id, action, entity, entity_id, user_id, metadata)
    VALUES (v_id, p_action, p_entity, p_entity_id,
            coalesce(nullif(current_setting('hansa.actor', true), ''), nullif(current_setting('hansa.user', true), '')),
            p_metadata || jsonb_build_object('actor_kind', current_setting('hansa.actor_kind', true),
                                             'trace', current_setting('hansa.trace', true)));
    RETURN v_id;
END
$$;

DROP TRIGGER audit_rows_append_only ON governance.audit_logs;
CREATE TRIGGER audit_rows_append_only BEFORE UPDATE OR DELETE ON governance.audit_logs
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
DROP FUNCTION governance.refuse_audit_change();
DROP TRIGGER loa_policies_touched ON governance.loa_policies;
DROP TRIGGER signals_touched ON governance.signals;
DROP TRIGGER role_agents_touched ON governance.role_agents;
COMMENT ON COLUMN governance.role_agents.status IS 'active, inactive, suspended or retired; only active may act. Text, because rows of older systems say more.';
