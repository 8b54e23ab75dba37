-- The functions as they were.
CREATE OR REPLACE FUNCTION governance.set_role_agent_status(p_role_agent text, p_status text)
RETURNS void
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_status text;
BEGIN
    SELECT status INTO v_status FROM governance.role_agents WHERE id = p_role_agent FOR NO KEY UPDATE;
    IF v_status IS NULL THEN
        RAISE EXCEPTION 'there is no role agent %', p_role_agent
            USING ERRCODE = 'check_violation', CONSTRAINT = 'role_agent_known';
    ELSIF v_status = 'retired' THEN
        RAISE EXCEPTION 'role agent % is retired', p_role_agent
            USING ERRCODE = 'check_violation', CONSTRAINT = 'retired_role_agents_stay_retired';
    END IF;
    UPDATE governance.role_agents SET status = p_status WHERE id = p_role_agent;
END
$$;

CREATE OR REPLACE FUNCTION governance.hire_rules(p_buyer text, p_seller text, p_role_title text)
RETURNS TABLE (organization_id text, organization_closed text, min_trust_score double precision,
               buyer_role_agent text, buyer_status text, seller_role_agent text, seller_status text)
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    v_kind text := governance.enter_house();
BEGIN
    RETURN QUERY
    WITH accepted AS (
        SELECT agent.id, agent.organization_id, agent.assigned_to_did AS did, agent.status
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
        SELECT agent.id, agent.status
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

ALTER INDEX governance.idx_role_agents_assigned_did RENAME TO idx_role_agents_assigned;
ALTER TABLE governance.loa_policies DROP COLUMN updated_at;
ALTER TABLE governance.signals DROP COLUMN updated_at;
ALTER TABLE governance.role_agents DROP COLUMN updated_at;
ALTER TABLE governance.audit_logs DROP COLUMN role_agent_id, DROP COLUMN organization_id;
ALTER TABLE governance.blockchain_transactions DROP COLUMN transaction_type;
ALTER TABLE governance.certifications DROP COLUMN verification_method;
ALTER TABLE governance.signals DROP COLUMN source_type, DROP COLUMN confidence;
ALTER TABLE governance.role_trust_thresholds DROP COLUMN min_loa_level;
ALTER TABLE governance.role_agents DROP COLUMN assigned_to_user_id;
ALTER TABLE governance.organizations DROP COLUMN compliance_tags;
DROP TABLE governance.trust_histories;
DROP TYPE governance.policy_status;
DROP TYPE governance.approval_decision;
DROP TYPE governance.approval_facet;
DROP TYPE governance.artifact_type;
DROP TYPE governance.role_agent_status;
DROP TYPE governance.blockchain_tx_type;
DROP TYPE governance.blockchain_tx_status;
