CREATE SCHEMA governance;
COMMENT ON SCHEMA governance IS 'Organizations, their role agents and rules, the hire gate with its decisions, and the audit trail that proves itself.';

CREATE TYPE governance.member_role AS ENUM ('operator', 'arbiter', 'moderator', 'compliance_officer', 'reviewer');
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

-- The improved schema of role-agent governance. Rows of older systems keep their own text ids.

CREATE TABLE governance.organizations (
    id text NOT NULL DEFAULT uuidv7()::text,
    name text NOT NULL,
    description text,
    domain text NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    onboarding_complete boolean NOT NULL DEFAULT false,
    compliance_tags jsonb,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT organizations_pkey PRIMARY KEY (id),
    CONSTRAINT one_organization_per_domain UNIQUE (domain)
);
COMMENT ON TABLE governance.organizations IS 'Tenants: each has members, role agents and rules of its own. Source: role-agent governance.';
COMMENT ON COLUMN governance.organizations.compliance_tags IS 'JSON array of frameworks the organization answers to, e.g. SOC2, GDPR.';
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
    status governance.role_agent_status NOT NULL DEFAULT 'active',
    level integer NOT NULL DEFAULT 1,
    organization_id text NOT NULL,
    role_template_id text NOT NULL,
    assigned_to_did text NOT NULL,
    assigned_to text,
    assigned_to_user_id text,
    is_eligible_for_mint boolean NOT NULL DEFAULT false,
    last_trust_check timestamptz,
    trust_score double precision,
    ans_identifier text,
    ans_registration_status text DEFAULT 'not_registered',
    ans_registration_error text,
    ans_verification_url text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT role_agents_pkey PRIMARY KEY (id),
    CONSTRAINT role_agent_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id),
    CONSTRAINT role_agent_plays_a_role FOREIGN KEY (role_template_id) REFERENCES governance.role_templates (id),
    CONSTRAINT role_agent_level_is_1_to_5 CHECK (level BETWEEN 1 AND 5),
    CONSTRAINT role_agent_score_on_the_scale CHECK (trust_score BETWEEN 0 AND 1000)
);
COMMENT ON TABLE governance.role_agents IS 'Agents in the service of an organization: who plays which role, and with what standing.';
COMMENT ON COLUMN governance.role_agents.assigned_to_user_id IS 'Account of the person behind the role, when there is one.';
COMMENT ON COLUMN governance.role_agents.status IS 'active, inactive, suspended or retired; only active may act.';
COMMENT ON COLUMN governance.role_agents.level IS 'Level of assurance, 1 to 5, from the trust score at 250, 500, 750 and 900.';
COMMENT ON COLUMN governance.role_agents.assigned_to_did IS 'DID of the agent that plays the role; the role binds it once it has accepted.';
COMMENT ON COLUMN governance.role_agents.assigned_to IS 'Whoever plays the role, in the words of the organization.';
COMMENT ON COLUMN governance.role_agents.trust_score IS 'Trust of the agent on the scale 0 to 1000, as of last_trust_check.';
COMMENT ON COLUMN governance.role_agents.is_eligible_for_mint IS 'Trusted enough for a role badge: a score of 750 or more.';
COMMENT ON COLUMN governance.role_agents.soulbound_token_id IS 'Address of the role badge on chain; NULL: not minted.';
COMMENT ON COLUMN governance.role_agents.ans_identifier IS 'Name of the role agent in the agent name service.';
CREATE INDEX idx_role_agents_assigned_did ON governance.role_agents (assigned_to_did);
CREATE INDEX idx_role_agents_assigned_user ON governance.role_agents (assigned_to_user_id);
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
    min_loa_level integer,
    is_active boolean NOT NULL DEFAULT true,
    organization_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT role_trust_thresholds_pkey PRIMARY KEY (id),
    CONSTRAINT threshold_of_an_organization FOREIGN KEY (organization_id) REFERENCES governance.organizations (id),
    CONSTRAINT one_threshold_per_role_title UNIQUE (organization_id, role_title),
    CONSTRAINT threshold_level_is_1_to_5 CHECK (min_loa_level BETWEEN 1 AND 5),
    CONSTRAINT threshold_on_the_scale CHECK (min_trust_score BETWEEN 0 AND 1000)
);
COMMENT ON TABLE governance.role_trust_thresholds IS 'Least trust that an organization demands of whoever plays a role for it; `supplier` is whom it hires.';
COMMENT ON COLUMN governance.role_trust_thresholds.min_loa_level IS 'Least level of assurance, 1 to 5; NULL: any.';
COMMENT ON COLUMN governance.role_trust_thresholds.min_trust_score IS 'On the scale 0 to 1000.';
CREATE INDEX idx_role_threshold_org ON governance.role_trust_thresholds (organization_id);

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
CREATE TABLE governance.signals (
    id text NOT NULL DEFAULT uuidv7()::text,
    type text NOT NULL,
    title text NOT NULL,
    description text,
    metadata jsonb,
    value double precision,
    source text NOT NULL,
    source_type text,
    confidence double precision,
    verified boolean NOT NULL DEFAULT false,
    role_agent_id text NOT NULL,
    url text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT signals_pkey PRIMARY KEY (id),
    CONSTRAINT signal_confidence_is_a_share CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT signal_about_a_role_agent FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents (id)
);
COMMENT ON TABLE governance.signals IS 'Evidence from elsewhere about a role agent: training, audits, incidents, achievements.';
COMMENT ON COLUMN governance.signals.source_type IS 'Way by which the signal came, e.g. manual, webhook, audit_tool.';
COMMENT ON COLUMN governance.signals.confidence IS 'How sure the source is, 0 to 1; NULL: it does not say.';
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
    verification_method text,
    role_agent_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT certifications_pkey PRIMARY KEY (id),
    CONSTRAINT certification_of_a_role_agent FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents (id)
);
COMMENT ON TABLE governance.certifications IS 'Certificates that a role agent holds.';
COMMENT ON COLUMN governance.certifications.verification_method IS 'How it was checked: manual, onchain or issuer_api; NULL: not checked.';
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
    organization_id text,
    role_agent_id text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT audit_logs_pkey PRIMARY KEY (id),
    CONSTRAINT "audit_logs_organizationId_fkey" FOREIGN KEY (organization_id) REFERENCES governance.organizations (id)
        ON DELETE SET NULL ON UPDATE CASCADE,
    CONSTRAINT "audit_logs_roleAgentId_fkey" FOREIGN KEY (role_agent_id) REFERENCES governance.role_agents (id)
        ON DELETE SET NULL ON UPDATE CASCADE
);
COMMENT ON TABLE governance.audit_logs IS 'Who did what to which thing. Append only; governance.audit_seals proves it.';
COMMENT ON COLUMN governance.audit_logs.role_agent_id IS 'Role agent concerned, as long as it exists; its copy in metadata outlives it. NULL for rows older than the column.';
COMMENT ON COLUMN governance.audit_logs.organization_id IS 'Organization concerned, as long as it exists; its copy in metadata outlives it. NULL for rows older than the column.';
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
    status governance.blockchain_tx_status NOT NULL DEFAULT 'pending',
    transaction_type governance.blockchain_tx_type,
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
COMMENT ON COLUMN governance.blockchain_transactions.transaction_type IS 'What it is for; NULL for rows older than the column.';
COMMENT ON COLUMN governance.blockchain_transactions.status IS 'pending, confirmed or failed.';
COMMENT ON COLUMN governance.blockchain_transactions.gas_used IS 'Decimal number as text, in the unit of the network.';
CREATE INDEX idx_blockchain_tx_network ON governance.blockchain_transactions (network);
CREATE INDEX idx_blockchain_tx_status ON governance.blockchain_transactions (status);
CREATE INDEX idx_blockchain_tx_token ON governance.blockchain_transactions (token_id);

CREATE TABLE governance.loa_policies (
    id text NOT NULL DEFAULT uuidv7()::text,
    organization_id text NOT NULL,
    artifact_type governance.artifact_type NOT NULL,
    min_reviewers integer NOT NULL,
    required_facets governance.approval_facet[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
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
    artifact_type governance.artifact_type NOT NULL,
    reviewer_id text NOT NULL,
    facet governance.approval_facet NOT NULL,
    decision governance.approval_decision NOT NULL,
    comment text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT approvals_pkey PRIMARY KEY (id),
    CONSTRAINT "approvals_artifactId_artifactType_reviewerId_facet_key"
        UNIQUE (artifact_id, artifact_type, reviewer_id, facet),
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
    status governance.policy_status NOT NULL,
    rego_module text NOT NULL,
    sha256 text NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    scope jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT mcp_policies_pkey PRIMARY KEY (id),
    CONSTRAINT "mcp_policies_organizationId_name_version_key" UNIQUE (organization_id, name, version),
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
    CONSTRAINT mcp_policy_tests_pkey PRIMARY KEY (id),
    CONSTRAINT "mcp_policy_tests_policyId_fkey" FOREIGN KEY (policy_id) REFERENCES governance.mcp_policies (id)
        ON DELETE CASCADE ON UPDATE CASCADE
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
