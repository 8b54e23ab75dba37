GRANT USAGE ON SCHEMA governance TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON governance.organizations TO hansa_app;
GRANT SELECT, INSERT ON governance.organization_members TO hansa_app;
GRANT SELECT, INSERT ON governance.role_templates TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON governance.role_agents TO hansa_app;
GRANT SELECT, INSERT ON governance.role_acceptances TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON governance.role_trust_thresholds TO hansa_app;
GRANT SELECT, INSERT ON governance.decisions TO hansa_app;
GRANT SELECT, INSERT ON governance.audit_logs TO hansa_app;
GRANT SELECT, INSERT ON governance.audit_seals TO hansa_app;
GRANT SELECT, INSERT, DELETE ON governance.audit_unsealed TO hansa_app;
GRANT SELECT ON governance.actor_roles, governance.audit_trail TO hansa_app;
-- Signals, certifications, badge transactions, quorums, approvals and tool policies are granted by the migration that
-- brings the commands which write them; that they belong to their tenants holds from the first row.

ALTER TABLE governance.organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.organization_members ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.role_templates ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.role_agents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.role_acceptances ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.role_trust_thresholds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.trust_histories ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.signals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.certifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.blockchain_transactions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.loa_policies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.approvals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.mcp_policies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.mcp_policy_tests ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.decisions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE governance.audit_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- The house: its jobs and its operators.
CREATE POLICY organizations_of_the_house ON governance.organizations
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY organization_members_of_the_house ON governance.organization_members
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY role_templates_of_the_house ON governance.role_templates
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY role_agents_of_the_house ON governance.role_agents
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY role_acceptances_of_the_house ON governance.role_acceptances
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY role_trust_thresholds_of_the_house ON governance.role_trust_thresholds
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY trust_histories_of_the_house ON governance.trust_histories
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY signals_of_the_house ON governance.signals
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY certifications_of_the_house ON governance.certifications
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY blockchain_transactions_of_the_house ON governance.blockchain_transactions
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY loa_policies_of_the_house ON governance.loa_policies
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY approvals_of_the_house ON governance.approvals
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY mcp_policies_of_the_house ON governance.mcp_policies
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY mcp_policy_tests_of_the_house ON governance.mcp_policy_tests
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY decisions_of_the_house ON governance.decisions
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));
CREATE POLICY audit_logs_of_the_house ON governance.audit_logs
    USING (current_setting('hansa.actor_kind', true) IN ('system', 'operator'));

-- Members see what belongs to their organization; its operators write.
CREATE POLICY memberships_of_the_actor ON governance.organization_members FOR SELECT
    USING (did = nullif(current_setting('hansa.actor', true), '')
           OR user_id = nullif(current_setting('hansa.user', true), '')::uuid);
CREATE POLICY members_added_by_operators ON governance.organization_members FOR INSERT
    WITH CHECK (added_by = nullif(current_setting('hansa.actor', true), '')
                AND organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held
                                         WHERE held.role = 'operator'));

CREATE POLICY organizations_of_members ON governance.organizations FOR SELECT
    USING (id IN (SELECT held.organization_id FROM governance.actor_roles AS held)
           OR id IN (SELECT agent.organization_id FROM governance.role_agents AS agent
                      WHERE agent.assigned_to_did = nullif(current_setting('hansa.actor', true), '')));
CREATE POLICY organizations_run_by_operators ON governance.organizations FOR UPDATE
    USING (id IN (SELECT held.organization_id FROM governance.actor_roles AS held WHERE held.role = 'operator'));

CREATE POLICY role_templates_of_members ON governance.role_templates FOR SELECT
    USING (organization_id IS NULL
           OR organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held)
           OR id IN (SELECT agent.role_template_id FROM governance.role_agents AS agent
                      WHERE agent.assigned_to_did = nullif(current_setting('hansa.actor', true), '')));
CREATE POLICY role_templates_by_operators ON governance.role_templates FOR INSERT
    WITH CHECK (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held
                                     WHERE held.role = 'operator'));

CREATE POLICY role_agents_of_members ON governance.role_agents FOR SELECT
    USING (assigned_to_did = nullif(current_setting('hansa.actor', true), '')
           OR organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held));
CREATE POLICY role_agents_named_by_operators ON governance.role_agents FOR INSERT
    WITH CHECK (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held
                                     WHERE held.role = 'operator'));
CREATE POLICY role_agents_changed_by_operators ON governance.role_agents FOR UPDATE
    USING (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held
                                WHERE held.role = 'operator'));

CREATE POLICY role_acceptances_seen_with_the_role ON governance.role_acceptances FOR SELECT
    USING (did = nullif(current_setting('hansa.actor', true), '')
           OR role_agent_id IN (SELECT agent.id FROM governance.role_agents AS agent));
CREATE POLICY role_acceptances_by_the_agent ON governance.role_acceptances FOR INSERT
    WITH CHECK (did = nullif(current_setting('hansa.actor', true), ''));

CREATE POLICY thresholds_of_members ON governance.role_trust_thresholds FOR SELECT
    USING (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held));
CREATE POLICY thresholds_named_by_operators ON governance.role_trust_thresholds FOR INSERT
    WITH CHECK (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held
                                     WHERE held.role = 'operator'));
CREATE POLICY thresholds_changed_by_operators ON governance.role_trust_thresholds FOR UPDATE
    USING (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held
                                WHERE held.role = 'operator'));

CREATE POLICY trust_histories_of_members ON governance.trust_histories FOR SELECT
    USING (role_agent_id IN (SELECT agent.id FROM governance.role_agents AS agent));
CREATE POLICY signals_of_members ON governance.signals FOR SELECT
    USING (role_agent_id IN (SELECT agent.id FROM governance.role_agents AS agent));
CREATE POLICY certifications_of_members ON governance.certifications FOR SELECT
    USING (role_agent_id IN (SELECT agent.id FROM governance.role_agents AS agent));
CREATE POLICY blockchain_transactions_of_members ON governance.blockchain_transactions FOR SELECT
    USING (role_agent_id IN (SELECT agent.id FROM governance.role_agents AS agent));
CREATE POLICY loa_policies_of_members ON governance.loa_policies FOR SELECT
    USING (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held));
CREATE POLICY approvals_of_members ON governance.approvals FOR SELECT
    USING (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held));
CREATE POLICY mcp_policies_of_members ON governance.mcp_policies FOR SELECT
    USING (organization_id IN (SELECT held.organization_id FROM governance.actor_roles AS held));
CREATE POLICY mcp_policy_tests_of_members ON governance.mcp_policy_tests FOR SELECT
    USING (policy_id IN (SELECT policy.id FROM governance.mcp_policies AS policy));

-- A decision is shown to its pair, and to the organization whose rule it applied.
CREATE POLICY decisions_of_the_pair ON governance.decisions FOR SELECT
    USING (nullif(current_setting('hansa.actor', true), '') IN (buyer_did, seller_did)
           OR policy ->> 'organization_id' IN (SELECT held.organization_id FROM governance.actor_roles AS held));

-- Whoever acts leaves evidence under its own name; it is read by the one who acted and by the organization concerned.
CREATE POLICY audit_rows_written_by_the_actor ON governance.audit_logs FOR INSERT
    WITH CHECK (user_id IS NOT DISTINCT FROM coalesce(nullif(current_setting('hansa.actor', true), ''),
                                                      nullif(current_setting('hansa.user', true), '')));
CREATE POLICY audit_rows_of_members ON governance.audit_logs FOR SELECT
    USING (user_id = coalesce(nullif(current_setting('hansa.actor', true), ''),
                              nullif(current_setting('hansa.user', true), ''))
           OR metadata ->> 'organization_id' IN (SELECT held.organization_id FROM governance.actor_roles AS held));
