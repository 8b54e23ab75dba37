CREATE TYPE governance.blockchain_tx_status AS ENUM ('pending', 'confirmed', 'failed');
COMMENT ON TYPE governance.blockchain_tx_status IS 'What became of a transaction on chain.';
CREATE TYPE governance.blockchain_tx_type AS ENUM ('NFT_MINT', 'TRANSFER', 'OTHER');
COMMENT ON TYPE governance.blockchain_tx_type IS 'What a transaction on chain is for.';
CREATE TYPE governance.role_agent_status AS ENUM ('active', 'inactive', 'suspended', 'retired');
COMMENT ON TYPE governance.role_agent_status IS 'Standing of a role agent; only active may act.';
CREATE TYPE governance.artifact_type AS ENUM ('RoleAgent', 'MCP');
COMMENT ON TYPE governance.artifact_type IS 'What can be approved: a role agent, or a policy of the tool gateway.';
CREATE TYPE governance.approval_facet AS ENUM ('security', 'compliance', 'policy', 'risk');
COMMENT ON TYPE governance.approval_facet IS 'Point of view of an approval.';
CREATE TYPE governance.approval_decision AS ENUM ('approve', 'reject');
COMMENT ON TYPE governance.approval_decision IS 'What a reviewer says.';
CREATE TYPE governance.policy_status AS ENUM ('draft', 'active', 'archived');
COMMENT ON TYPE governance.policy_status IS 'Life of a policy version.';

CREATE TABLE governance.trust_histories (
    id text NOT NULL DEFAULT uuidv7()::text,
    role_agent_id text NOT NULL,
    trust_score double precision NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    metadata jsonb,
    CONSTRAINT trust_histories_pkey PRIMARY KEY (id),
    CONSTRAINT trust_history_of_a_role_agent FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents (id),
    CONSTRAINT trust_history_on_the_scale CHECK (trust_score BETWEEN 0 AND 1000)
);
COMMENT ON TABLE governance.trust_histories IS 'How the trust score of each role agent developed.';
COMMENT ON COLUMN governance.trust_histories.trust_score IS 'On the scale 0 to 1000, as of computed_at.';
COMMENT ON COLUMN governance.trust_histories.metadata IS 'What it was computed from.';
CREATE INDEX idx_trust_histories_role_agent ON governance.trust_histories (role_agent_id);
CREATE INDEX idx_trust_histories_time ON governance.trust_histories (computed_at);
ALTER TABLE governance.trust_histories ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY trust_histories_of_the_house ON governance.trust_histories
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY trust_histories_of_members ON governance.trust_histories FOR SELECT
    USING (role_agent_id IN (SELECT agent.id FROM governance.role_agents AS agent));

ALTER TABLE governance.organizations ADD COLUMN compliance_tags jsonb;
COMMENT ON COLUMN governance.organizations.compliance_tags IS 'JSON array of frameworks the organization answers to, e.g. SOC2, GDPR.';

ALTER TABLE governance.role_agents ADD COLUMN assigned_to_user_id text;
COMMENT ON COLUMN governance.role_agents.assigned_to_user_id IS 'Account of the person behind the role, when there is one.';

ALTER TABLE governance.role_trust_thresholds ADD COLUMN min_loa_level integer;
COMMENT ON COLUMN governance.role_trust_thresholds.min_loa_level IS 'Least level of assurance, 1 to 5; NULL: any.';

ALTER TABLE governance.signals
    ADD COLUMN confidence double precision,
    ADD COLUMN source_type text;
COMMENT ON COLUMN governance.signals.confidence IS 'How sure the source is, 0 to 1; NULL: it does not say.';
COMMENT ON COLUMN governance.signals.source_type IS 'Way by which the signal came, e.g. manual, webhook, audit_tool.';

ALTER TABLE governance.certifications ADD COLUMN verification_method text;
COMMENT ON COLUMN governance.certifications.verification_method IS 'How it was checked: manual, onchain or issuer_api; NULL: not checked.';

ALTER TABLE governance.blockchain_transactions ADD COLUMN transaction_type governance.blockchain_tx_type;
COMMENT ON COLUMN governance.blockchain_transactions.transaction_type IS 'What it is for; NULL for rows older than the column.';

ALTER TABLE governance.audit_logs
    ADD COLUMN organization_id text,
    ADD COLUMN role_agent_id text;
COMMENT ON COLUMN governance.audit_logs.organization_id IS 'Organization concerned, as long as it exists; its copy in metadata outlives it. NULL for rows older than the column.';
COMMENT ON COLUMN governance.audit_logs.role_agent_id IS 'Role agent concerned, as long as it exists; its copy in metadata outlives it. NULL for rows older than the column.';

-- A default that is the same for all rows needs no rewrite; from then on each row gets its own instant.
ALTER TABLE governance.role_agents ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE governance.role_agents ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE governance.signals ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE governance.signals ALTER COLUMN updated_at SET DEFAULT clock_timestamp();
ALTER TABLE governance.loa_policies ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE governance.loa_policies ALTER COLUMN updated_at SET DEFAULT clock_timestamp();

-- The same index, under the name of the improved schema.
ALTER INDEX governance.idx_role_agents_assigned RENAME TO idx_role_agents_assigned_did;

-- What reads or writes the status must get along with both types while the column is converted.
CREATE OR REPLACE FUNCTION governance.set_role_agent_status(p_role_agent text, p_status text)
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
