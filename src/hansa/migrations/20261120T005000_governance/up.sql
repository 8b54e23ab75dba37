CREATE SCHEMA governance;
COMMENT ON SCHEMA governance IS 'Organizations, their role agents and rules, the hire gate with its decisions, and the audit trail that proves itself.';

CREATE TYPE governance.member_role AS ENUM ('operator', 'arbiter', 'moderator', 'compliance_officer', 'reviewer');

-- The twelve tables of role-agent governance, as they stand before its improvements: states are plain text, and rows
-- of older systems keep their own text ids.

CREATE TABLE governance.organizations (
    id text NOT NULL DEFAULT uuidv7()::text,
    name text NOT NULL,
    description text,
    domain text NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    onboarding_complete boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT organizations_pkey PRIMARY KEY (id),
    CONSTRAINT one_organization_per_domain UNIQUE (domain)
);
COMMENT ON TABLE governance.organizations IS 'Tenants: each has members, role agents and rules of its own. Source: role-agent governance.';
COMMENT ON COLUMN governance.organizations.domain IS 'Domain name under which the organization is known; claimed by its founder.';
COMMENT ON COLUMN governance.organizations.is_active IS 'False: whoever acts for the organization can hire nobody.';
COMMENT ON COLUMN governance.organizations.onboarding_complete IS 'True once the organization has named its first role agent.';
CREATE INDEX idx_organizations_active ON governance.organizations (is_active);

CREATE TABLE governance.role_templates (
    id text NOT NULL DEFAULT uuidv7()::text,
    title text NOT NULL,
    focus text NOT NULL,
    category text NOT NULL,
    selectable boolean NOT NULL DEFAULT true,
    responsibilities jsonb NOT NULL,
    security_contributions jsonb NOT NULL,
    organization_id text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT role_templates_pkey PRIMARY KEY (id),
    CONSTRAINT role_template_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id)
);
COMMENT ON TABLE governance.role_templates IS 'Roles that a role agent can play, with what each is responsible for.';
COMMENT ON COLUMN governance.role_templates.organization_id IS 'Whose own role it is; NULL: the house offers it to every organization.';
COMMENT ON COLUMN governance.role_templates.selectable IS 'False: kept for those who play it, offered to nobody new.';
COMMENT ON COLUMN governance.role_templates.responsibilities IS 'JSON array of texts.';
COMMENT ON COLUMN governance.role_templates.security_contributions IS 'JSON array of texts: what the role does for security.';
CREATE INDEX role_templates_by_organization ON governance.role_templates (organization_id, title);

INSERT INTO governance.role_templates (title, focus, category, responsibilities, security_contributions)
VALUES ('supplier', 'Delivers work to other agents', 'trade',
        '["Delivers what was agreed, in time", "Proves the work it was paid for"]', '["Earns trust by evidence"]'),
       ('buyer', 'Hires other agents and pays them', 'trade',
        '["Hires within the rules of its organization", "Accepts or disputes each delivery"]',
        '["Hires nobody below the trust its organization demands"]');

CREATE TABLE governance.role_agents (
    id text NOT NULL DEFAULT uuidv7()::text,
    name text NOT NULL,
    description text,
    blockchain_address text,
    soulbound_token_id text,
    blockchain_network text,
    status text NOT NULL DEFAULT 'active',
    level integer NOT NULL DEFAULT 1,
    organization_id text NOT NULL,
    role_template_id text NOT NULL,
    assigned_to_did text NOT NULL,
    assigned_to text,
    is_eligible_for_mint boolean NOT NULL DEFAULT false,
    last_trust_check timestamptz,
    trust_score double precision,
    ans_identifier text,
    ans_registration_status text DEFAULT 'not_registered',
    ans_registration_error text,
    ans_verification_url text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT role_agents_pkey PRIMARY KEY (id),
    CONSTRAINT role_agent_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id),
    CONSTRAINT role_agent_plays_a_role FOREIGN KEY (role_template_id) REFERENCES governance.role_templates (id),
    CONSTRAINT role_agent_level_is_1_to_5 CHECK (level BETWEEN 1 AND 5),
    CONSTRAINT role_agent_score_on_the_scale CHECK (trust_score BETWEEN 0 AND 1000)
);
COMMENT ON TABLE governance.role_agents IS 'Agents in the service of an organization: who plays which role, and with what standing.';
COMMENT ON COLUMN governance.role_agents.status IS 'active, inactive, suspended or retired; only active may act. Text, because rows of older systems say more.';
COMMENT ON COLUMN governance.role_agents.level IS 'Level of assurance, 1 to 5, from the trust score at 250, 500, 750 and 900.';
COMMENT ON COLUMN governance.role_agents.assigned_to_did IS 'DID of the agent that plays the role; the role binds it once it has accepted.';
COMMENT ON COLUMN governance.role_agents.assigned_to IS 'Whoever plays the role, in the words of the organization.';
COMMENT ON COLUMN governance.role_agents.trust_score IS 'Trust of the agent on the scale 0 to 1000, as of last_trust_check.';
COMMENT ON COLUMN governance.role_agents.is_eligible_for_mint IS 'Trusted enough for a role badge: a score of 750 or more.';
COMMENT ON COLUMN governance.role_agents.soulbound_token_id IS 'Address of the role badge on chain; NULL: not minted.';
COMMENT ON COLUMN governance.role_agents.ans_identifier IS 'Name of the role agent in the agent name service.';
CREATE INDEX idx_role_agents_assigned ON governance.role_agents (assigned_to_did);
CREATE INDEX idx_role_agents_blockchain ON governance.role_agents (blockchain_address);
CREATE INDEX idx_role_agents_eligible ON governance.role_agents (is_eligible_for_mint);
CREATE INDEX idx_role_agents_org ON governance.role_agents (organization_id);
CREATE INDEX idx_role_agents_role ON governance.role_agents (role_template_id);
CREATE INDEX idx_role_agents_status ON governance.role_agents (status);
CREATE INDEX idx_role_agents_trust ON governance.role_agents (trust_score);
CREATE INDEX idx_role_agents_ans ON governance.role_agents (ans_identifier);
CREATE INDEX idx_role_agents_ans_status ON governance.role_agents (ans_registration_status);

CREATE TABLE governance.role_trust_thresholds (
    id text NOT NULL DEFAULT uuidv7()::text,
    role_title text NOT NULL,
    min_trust_score double precision NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    organization_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT role_trust_thresholds_pkey PRIMARY KEY (id),
    CONSTRAINT threshold_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id),
    CONSTRAINT one_threshold_per_role_title UNIQUE (organization_id, role_title),
    CONSTRAINT threshold_on_the_scale CHECK (min_trust_score BETWEEN 0 AND 1000)
);
COMMENT ON TABLE governance.role_trust_thresholds IS 'Least trust that an organization demands of whoever plays a role for it; `supplier` is whom it hires.';
COMMENT ON COLUMN governance.role_trust_thresholds.min_trust_score IS 'On the scale 0 to 1000.';
CREATE INDEX idx_role_threshold_org ON governance.role_trust_thresholds (organization_id);

CREATE TABLE governance.signals (
    id text NOT NULL DEFAULT uuidv7()::text,
    type text NOT NULL,
    title text NOT NULL,
    description text,
    metadata jsonb,
    value double precision,
    source text NOT NULL,
    verified boolean NOT NULL DEFAULT false,
    role_agent_id text NOT NULL,
    url text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT signals_pkey PRIMARY KEY (id),
    CONSTRAINT signal_about_a_role_agent FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents (id)
);
COMMENT ON TABLE governance.signals IS 'Evidence from elsewhere about a role agent: training, audits, incidents, achievements.';
COMMENT ON COLUMN governance.signals.source IS 'Who says so.';
CREATE INDEX idx_signals_role_agent ON governance.signals (role_agent_id);
CREATE INDEX idx_signals_type ON governance.signals (type);
CREATE INDEX idx_signals_verified ON governance.signals (verified);

CREATE TABLE governance.certifications (
    id text NOT NULL DEFAULT uuidv7()::text,
    name text NOT NULL,
    issuer text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz,
    credential_url text,
    verified boolean NOT NULL DEFAULT false,
    role_agent_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT certifications_pkey PRIMARY KEY (id),
    CONSTRAINT certification_of_a_role_agent FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents (id)
);
COMMENT ON TABLE governance.certifications IS 'Certificates that a role agent holds.';
COMMENT ON COLUMN governance.certifications.expires_at IS 'NULL: it does not expire.';
CREATE INDEX idx_certifications_role_agent ON governance.certifications (role_agent_id);
CREATE INDEX idx_certifications_expires ON governance.certifications (expires_at);
CREATE INDEX idx_certifications_verified ON governance.certifications (verified);

CREATE TABLE governance.audit_logs (
    id text NOT NULL DEFAULT uuidv7()::text,
    action text NOT NULL,
    entity text NOT NULL,
    entity_id text NOT NULL,
    user_id text,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT audit_logs_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE governance.audit_logs IS 'Who did what to which thing. Append only; governance.audit_seals proves it.';
COMMENT ON COLUMN governance.audit_logs.action IS 'Past fact in words of its context, e.g. hire.denied.';
COMMENT ON COLUMN governance.audit_logs.user_id IS 'Who acted: a DID, the id of a person''s account, or the name of a job. NULL: nobody had proven to be anybody.';
COMMENT ON COLUMN governance.audit_logs.metadata IS 'Object: organization_id and role_agent_id (copies that outlive both), actor_kind, trace, and facts.';
CREATE INDEX idx_audit_action ON governance.audit_logs (action);
CREATE INDEX idx_audit_created ON governance.audit_logs (created_at);
CREATE INDEX idx_audit_entity ON governance.audit_logs (entity);
CREATE INDEX audit_logs_by_organization ON governance.audit_logs ((metadata ->> 'organization_id'), created_at);

CREATE TABLE governance.blockchain_transactions (
    id text NOT NULL DEFAULT uuidv7()::text,
    transaction_hash text NOT NULL,
    network text NOT NULL,
    block_number integer,
    gas_used text,
    gas_price text,
    status text NOT NULL DEFAULT 'pending',
    role_agent_id text,
    contract_address text,
    token_id text,
    metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT blockchain_transactions_pkey PRIMARY KEY (id),
    CONSTRAINT one_row_per_governance_transaction UNIQUE (transaction_hash),
    CONSTRAINT badge_transaction_of_a_role_agent FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents (id)
);
COMMENT ON TABLE governance.blockchain_transactions IS 'Transactions on chain that mint or move the badge of a role agent.';
COMMENT ON COLUMN governance.blockchain_transactions.status IS 'pending, confirmed or failed.';
COMMENT ON COLUMN governance.blockchain_transactions.gas_used IS 'Decimal number as text, in the unit of the network.';
CREATE INDEX idx_blockchain_tx_network ON governance.blockchain_transactions (network);
CREATE INDEX idx_blockchain_tx_status ON governance.blockchain_transactions (status);
CREATE INDEX idx_blockchain_tx_token ON governance.blockchain_transactions (token_id);

CREATE TABLE governance.loa_policies (
    id text NOT NULL DEFAULT uuidv7()::text,
    organization_id text NOT NULL,
    artifact_type text NOT NULL,
    min_reviewers integer NOT NULL,
    required_facets text[],
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT loa_policies_pkey PRIMARY KEY (id),
    CONSTRAINT loa_policy_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id)
);
COMMENT ON TABLE governance.loa_policies IS 'Quorum that an organization demands before a kind of artifact takes effect.';
COMMENT ON COLUMN governance.loa_policies.artifact_type IS 'RoleAgent or MCP.';
COMMENT ON COLUMN governance.loa_policies.required_facets IS 'Points of view that must all approve: security, compliance, policy, risk.';
CREATE INDEX idx_loa_policies_org ON governance.loa_policies (organization_id);

CREATE TABLE governance.approvals (
    id text NOT NULL DEFAULT uuidv7()::text,
    organization_id text NOT NULL,
    artifact_id text NOT NULL,
    artifact_type text NOT NULL,
    reviewer_id text NOT NULL,
    facet text NOT NULL,
    decision text NOT NULL,
    comment text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT approvals_pkey PRIMARY KEY (id),
    CONSTRAINT approval_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id)
);
COMMENT ON TABLE governance.approvals IS 'Votes of reviewers on an artifact, each from one point of view.';
COMMENT ON COLUMN governance.approvals.decision IS 'approve or reject.';
CREATE INDEX idx_approvals_org ON governance.approvals (organization_id);

CREATE TABLE governance.mcp_policies (
    id text NOT NULL DEFAULT uuidv7()::text,
    organization_id text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    status text NOT NULL,
    rego_module text NOT NULL,
    sha256 text NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    scope jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT mcp_policies_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_policy_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id)
);
COMMENT ON TABLE governance.mcp_policies IS 'Rules in Rego about which tools may be called, version by version.';
COMMENT ON COLUMN governance.mcp_policies.status IS 'draft, active or archived.';
COMMENT ON COLUMN governance.mcp_policies.sha256 IS 'Hex digest of rego_module; approvals are bound to it.';
COMMENT ON COLUMN governance.mcp_policies.scope IS 'Object with the arrays resources and actions.';
CREATE INDEX idx_mcp_policies_org ON governance.mcp_policies (organization_id);
CREATE INDEX idx_mcp_policies_status ON governance.mcp_policies (status);

CREATE TABLE governance.mcp_policy_tests (
    id text NOT NULL DEFAULT uuidv7()::text,
    policy_id text NOT NULL,
    name text NOT NULL,
    input jsonb NOT NULL,
    expected jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT mcp_policy_tests_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE governance.mcp_policy_tests IS 'What a policy must answer to a given input.';
CREATE INDEX idx_mcp_policy_tests_policy ON governance.mcp_policy_tests (policy_id);

-- What Hansa adds stands beside the twelve.

CREATE TABLE governance.organization_members (
    organization_id text NOT NULL,
    did text,
    user_id uuid,
    role governance.member_role NOT NULL,
    facet text,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT member_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id),
    CONSTRAINT member_is_a_known_person FOREIGN KEY (user_id) REFERENCES identity.users (id),
    CONSTRAINT member_is_a_did_or_a_person CHECK (num_nonnulls(did, user_id) = 1),
    CONSTRAINT reviewers_have_a_facet CHECK ((role = 'reviewer') = (facet IS NOT NULL)),
    CONSTRAINT one_membership_per_role UNIQUE NULLS NOT DISTINCT (organization_id, did, user_id, role, facet)
);
COMMENT ON TABLE governance.organization_members IS 'Who may do what in an organization: a DID or a person, once for each role.';
COMMENT ON COLUMN governance.organization_members.facet IS 'Point of view for which a reviewer may approve, e.g. security; NULL for other roles.';
COMMENT ON COLUMN governance.organization_members.added_by IS 'DID that granted the role; the founder granted its own.';
CREATE INDEX organization_members_by_did ON governance.organization_members (did);
CREATE INDEX organization_members_by_user ON governance.organization_members (user_id);

CREATE TABLE governance.role_acceptances (
    role_agent_id text NOT NULL,
    did text NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT role_acceptances_pkey PRIMARY KEY (role_agent_id, did),
    CONSTRAINT acceptance_of_a_role_agent FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents (id)
);
COMMENT ON TABLE governance.role_acceptances IS 'Agents that took the role assigned to them. Without it a stranger could ground any agent by naming it and suspending the role.';

CREATE TABLE governance.decisions (
    id uuid NOT NULL DEFAULT uuidv7(),
    subject text NOT NULL,
    buyer_did text NOT NULL,
    seller_did text NOT NULL,
    amount bigint NOT NULL,
    outcome text NOT NULL,
    reasons text[] NOT NULL,
    policy jsonb NOT NULL,
    decided_at timestamptz NOT NULL,
    CONSTRAINT decisions_pkey PRIMARY KEY (id),
    CONSTRAINT decision_names_its_pair UNIQUE (id, buyer_did, seller_did, outcome),
    CONSTRAINT decision_allows_or_denies CHECK (outcome IN ('ALLOW', 'DENY')),
    CONSTRAINT decided_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT denials_have_reasons CHECK ((outcome = 'DENY') = (cardinality(reasons) > 0))
);
COMMENT ON TABLE governance.decisions IS 'Every decision of the hire gate, for and against. Append only; a deal refers to the ALLOW of its own pair.';
COMMENT ON COLUMN governance.decisions.subject IS 'What is decided about, in words of the caller, e.g. negotiation:<id>.';
COMMENT ON COLUMN governance.decisions.amount IS 'Price, in units of 1/1000 credit.';
COMMENT ON COLUMN governance.decisions.reasons IS 'What speaks against it, each `code: words`; empty when it is allowed.';
COMMENT ON COLUMN governance.decisions.policy IS 'All that the decision looked at, so that it can be made again.';
CREATE INDEX decisions_by_buyer ON governance.decisions (buyer_did, decided_at DESC);
CREATE INDEX decisions_by_seller ON governance.decisions (seller_did, decided_at DESC);

CREATE TABLE governance.audit_unsealed (
    arrival bigint GENERATED ALWAYS AS IDENTITY,
    audit_id text NOT NULL,
    CONSTRAINT audit_unsealed_pkey PRIMARY KEY (arrival),
    CONSTRAINT one_wait_per_audit_row UNIQUE (audit_id),
    CONSTRAINT waiting_audit_row_exists FOREIGN KEY (audit_id) REFERENCES governance.audit_logs (id)
);
COMMENT ON TABLE governance.audit_unsealed IS 'Audit rows that wait for their seal, so that the sealer never searches the whole trail for them.';

-- The chain is kept by PostgreSQL too: each link but the first refers to the number and the hash of the one before.
CREATE TABLE governance.audit_seals (
    n bigint NOT NULL,
    audit_id text NOT NULL,
    prev_n bigint GENERATED ALWAYS AS (nullif(n - 1, 0)) STORED,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT audit_seals_pkey PRIMARY KEY (n),
    CONSTRAINT one_seal_per_audit_row UNIQUE (audit_id),
    CONSTRAINT seal_of_an_audit_row FOREIGN KEY (audit_id) REFERENCES governance.audit_logs (id),
    CONSTRAINT seals_count_from_1 CHECK (n >= 1),
    CONSTRAINT first_seal_follows_nothing CHECK (n > 1 OR prev_hash = decode(repeat('00', 32), 'hex')),
    CONSTRAINT seal_has_one_hash UNIQUE (n, hash),
    CONSTRAINT seal_follows_the_one_before FOREIGN KEY (prev_n, prev_hash) REFERENCES governance.audit_seals (n, hash)
);
COMMENT ON TABLE governance.audit_seals IS 'The chain over the audit rows: one seal for each row, in the order in which they were sealed. Append only.';
COMMENT ON COLUMN governance.audit_seals.n IS 'Place in the chain: 1, 2, 3 and so on without a gap.';
COMMENT ON COLUMN governance.audit_seals.hash IS 'SHA-256 over prev_hash and the content of the row, see governance.audit_link; 32 bytes.';
COMMENT ON COLUMN governance.audit_seals.prev_hash IS 'Hash of the seal before; 32 zero bytes before the first.';
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
BEGIN
    INSERT INTO governance.audit_logs (id, action, entity, entity_id, user_id, metadata)
    VALUES (v_id, p_action, p_entity, p_entity_id,
            coalesce(nullif(current_setting('hansa.actor', true), ''), nullif(current_setting('hansa.user', true), '')),
            p_metadata || jsonb_build_object('actor_kind', current_setting('hansa.actor_kind', true),
                                             'trace', current_setting('hansa.trace', true)));
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

CREATE TRIGGER audit_rows_append_only BEFORE UPDATE OR DELETE ON governance.audit_logs
    FOR EACH ROW EXECUTE FUNCTION governance.refuse_change();
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
-- Every policy asks this view, and the policy of its table asks nothing: so no policy ever asks itself.
CREATE VIEW governance.actor_roles WITH (security_invoker) AS
SELECT member.organization_id, member.role, member.facet
  FROM governance.organization_members AS member
 WHERE member.did = nullif(current_setting('hansa.actor', true), '')
    OR member.user_id = nullif(current_setting('hansa.user', true), '')::uuid;
COMMENT ON VIEW governance.actor_roles IS 'The roles of whoever acts in this transaction, in every organization.';

CREATE VIEW governance.audit_trail WITH (security_invoker) AS
SELECT audit.id, audit.action, audit.entity, audit.entity_id, audit.user_id, audit.metadata, audit.created_at,
       seal.n, seal.prev_hash, seal.hash, seal.sealed_at
  FROM governance.audit_logs AS audit
  LEFT JOIN governance.audit_seals AS seal ON seal.audit_id = audit.id;
COMMENT ON VIEW governance.audit_trail IS 'Audit rows with their seals; n is NULL while a row waits for its seal.';
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
