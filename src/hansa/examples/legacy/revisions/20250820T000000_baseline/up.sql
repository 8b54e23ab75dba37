-- Role-agent governance before its improvement plan: thirteen tables with quoted camelCase names in schema public.
-- Statuses, facets, decisions and kinds of artifacts are free text, tests of policies refer to nothing, and a policy
-- without an organization is a rule of the house.

CREATE TABLE "organizations" (
    "id" text NOT NULL,
    "name" text NOT NULL,
    "description" text,
    "domain" text NOT NULL,
    "isActive" boolean NOT NULL DEFAULT true,
    "onboardingComplete" boolean NOT NULL DEFAULT false,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    CONSTRAINT "organizations_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "organizations_domain_key" ON "organizations" ("domain");
CREATE INDEX "idx_organizations_active" ON "organizations" ("isActive");
CREATE INDEX "idx_organizations_domain" ON "organizations" ("domain");

CREATE TABLE "organization_members" (
    "id" text NOT NULL,
    "organizationId" text NOT NULL,
    "name" text NOT NULL,
    "email" text NOT NULL,
    "role" text NOT NULL,
    "isActive" boolean NOT NULL DEFAULT true,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    CONSTRAINT "organization_members_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "organization_members_organizationId_fkey" FOREIGN KEY ("organizationId")
        REFERENCES "organizations" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE "role_templates" (
    "id" text NOT NULL,
    "title" text NOT NULL,
    "focus" text NOT NULL,
    "category" text NOT NULL,
    "selectable" boolean NOT NULL DEFAULT true,
    "responsibilities" jsonb NOT NULL,
    "securityContributions" jsonb NOT NULL,
    "organizationId" text,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    CONSTRAINT "role_templates_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "role_templates_organizationId_fkey" FOREIGN KEY ("organizationId")
        REFERENCES "organizations" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);

CREATE TABLE "role_agents" (
    "id" text NOT NULL,
    "name" text NOT NULL,
    "description" text,
    "blockchainAddress" text,
    "soulboundTokenId" text,
    "blockchainNetwork" text,
    "status" text NOT NULL DEFAULT 'active',
    "level" integer NOT NULL DEFAULT 1,
    "organizationId" text NOT NULL,
    "roleTemplateId" text NOT NULL,
    "assignedToDid" text NOT NULL,
    "assignedTo" text,
    "isEligibleForMint" boolean NOT NULL DEFAULT false,
    "lastTrustCheck" timestamp(3),
    "trustScore" double precision,
    "ansIdentifier" text,
    "ansRegistrationStatus" text DEFAULT 'not_registered',
    "ansRegistrationError" text,
    "ansVerificationUrl" text,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "role_agents_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "role_agents_organizationId_fkey" FOREIGN KEY ("organizationId")
        REFERENCES "organizations" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "role_agents_roleTemplateId_fkey" FOREIGN KEY ("roleTemplateId")
        REFERENCES "role_templates" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
COMMENT ON COLUMN "role_agents"."status" IS 'Only an active agent may act.';
CREATE INDEX "idx_role_agents_assigned" ON "role_agents" ("assignedToDid");
CREATE INDEX "idx_role_agents_blockchain" ON "role_agents" ("blockchainAddress");
CREATE INDEX "idx_role_agents_eligible" ON "role_agents" ("isEligibleForMint");
CREATE INDEX "idx_role_agents_org" ON "role_agents" ("organizationId");
CREATE INDEX "idx_role_agents_role" ON "role_agents" ("roleTemplateId");
CREATE INDEX "idx_role_agents_status" ON "role_agents" ("status");
CREATE INDEX "idx_role_agents_trust" ON "role_agents" ("trustScore");
CREATE INDEX "idx_role_agents_ans" ON "role_agents" ("ansIdentifier");
CREATE INDEX "idx_role_agents_ans_status" ON "role_agents" ("ansRegistrationStatus");

CREATE TABLE "role_trust_thresholds" (
    "id" text NOT NULL,
    "roleTitle" text NOT NULL,
    "minTrustScore" double precision NOT NULL,
    "isActive" boolean NOT NULL DEFAULT true,
    "organizationId" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    CONSTRAINT "role_trust_thresholds_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "role_trust_thresholds_organizationId_fkey" FOREIGN KEY ("organizationId")
        REFERENCES "organizations" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "idx_role_threshold_org" ON "role_trust_thresholds" ("organizationId");
CREATE UNIQUE INDEX "role_trust_thresholds_organizationId_roleTitle_key"
    ON "role_trust_thresholds" ("organizationId", "roleTitle");

CREATE TABLE "signals" (
    "id" text NOT NULL,
    "type" text NOT NULL,
    "title" text NOT NULL,
    "description" text,
    "metadata" jsonb,
    "value" double precision,
    "source" text NOT NULL,
    "verified" boolean NOT NULL DEFAULT false,
    "roleAgentId" text NOT NULL,
    "url" text,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "signals_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "signals_roleAgentId_fkey" FOREIGN KEY ("roleAgentId")
        REFERENCES "role_agents" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "idx_signals_role_agent" ON "signals" ("roleAgentId");
CREATE INDEX "idx_signals_type" ON "signals" ("type");
CREATE INDEX "idx_signals_verified" ON "signals" ("verified");

CREATE TABLE "certifications" (
    "id" text NOT NULL,
    "name" text NOT NULL,
    "issuer" text NOT NULL,
    "issuedAt" timestamp(3) NOT NULL,
    "expiresAt" timestamp(3),
    "credentialUrl" text,
    "verified" boolean NOT NULL DEFAULT false,
    "roleAgentId" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    CONSTRAINT "certifications_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "certifications_roleAgentId_fkey" FOREIGN KEY ("roleAgentId")
        REFERENCES "role_agents" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "idx_certifications_role_agent" ON "certifications" ("roleAgentId");
CREATE INDEX "idx_certifications_expires" ON "certifications" ("expiresAt");
CREATE INDEX "idx_certifications_verified" ON "certifications" ("verified");

CREATE TABLE "audit_logs" (
    "id" text NOT NULL,
    "action" text NOT NULL,
    "entity" text NOT NULL,
    "entityId" text NOT NULL,
    "userId" text,
    "metadata" jsonb,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "audit_logs_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "idx_audit_action" ON "audit_logs" ("action");
CREATE INDEX "idx_audit_created" ON "audit_logs" ("createdAt");
CREATE INDEX "idx_audit_entity" ON "audit_logs" ("entity");

CREATE TABLE "blockchain_transactions" (
    "id" text NOT NULL,
    "transactionHash" text NOT NULL,
    "network" text NOT NULL,
    "blockNumber" integer,
    "gasUsed" text,
    "gasPrice" text,
    "status" text NOT NULL DEFAULT 'pending',
    "roleAgentId" text,
    "contractAddress" text,
    "tokenId" text,
    "metadata" jsonb,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    CONSTRAINT "blockchain_transactions_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "blockchain_transactions_roleAgentId_fkey" FOREIGN KEY ("roleAgentId")
        REFERENCES "role_agents" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "blockchain_transactions_transactionHash_key" ON "blockchain_transactions" ("transactionHash");
CREATE INDEX "idx_blockchain_tx_hash" ON "blockchain_transactions" ("transactionHash");
CREATE INDEX "idx_blockchain_tx_network" ON "blockchain_transactions" ("network");
CREATE INDEX "idx_blockchain_tx_status" ON "blockchain_transactions" ("status");
CREATE INDEX "idx_blockchain_tx_token" ON "blockchain_transactions" ("tokenId");

CREATE TABLE "loa_policies" (
    "id" text NOT NULL,
    "organizationId" text NOT NULL,
    "artifactType" text NOT NULL,
    "minReviewers" integer NOT NULL,
    "requiredFacets" text[],
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "loa_policies_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "loa_policies_organizationId_fkey" FOREIGN KEY ("organizationId")
        REFERENCES "organizations" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "idx_loa_policies_org" ON "loa_policies" ("organizationId");

CREATE TABLE "approvals" (
    "id" text NOT NULL,
    "organizationId" text NOT NULL,
    "artifactId" text NOT NULL,
    "artifactType" text NOT NULL,
    "reviewerId" text NOT NULL,
    "facet" text NOT NULL,
    "decision" text NOT NULL,
    "comment" text,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "approvals_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "approvals_organizationId_fkey" FOREIGN KEY ("organizationId")
        REFERENCES "organizations" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "idx_approvals_org" ON "approvals" ("organizationId");

CREATE TABLE "mcp_policies" (
    "id" text NOT NULL,
    "organizationId" text,
    "name" text NOT NULL,
    "version" integer NOT NULL DEFAULT 1,
    "status" text NOT NULL,
    "regoModule" text NOT NULL,
    "sha256" text NOT NULL,
    "isDefault" boolean NOT NULL DEFAULT false,
    "scope" jsonb NOT NULL,
    "createdBy" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL,
    CONSTRAINT "mcp_policies_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "mcp_policies_organizationId_fkey" FOREIGN KEY ("organizationId")
        REFERENCES "organizations" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "idx_mcp_policies_org" ON "mcp_policies" ("organizationId");
CREATE INDEX "idx_mcp_policies_status" ON "mcp_policies" ("status");

CREATE TABLE "mcp_policy_tests" (
    "id" text NOT NULL,
    "policyId" text NOT NULL,
    "name" text NOT NULL,
    "input" jsonb NOT NULL,
    "expected" jsonb NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "mcp_policy_tests_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "idx_mcp_policy_tests_policy" ON "mcp_policy_tests" ("policyId");
