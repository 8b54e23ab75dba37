-- The improvement plan, statement by statement as it was written. It is here to be looked at, not to be run.
CREATE TYPE "BlockchainTxStatus" AS ENUM ('pending', 'confirmed', 'failed');
CREATE TYPE "BlockchainTxType" AS ENUM ('NFT_MINT', 'TRANSFER', 'OTHER');
CREATE TYPE "RoleAgentStatus" AS ENUM ('active', 'inactive', 'suspended', 'retired');
CREATE TYPE "ArtifactType" AS ENUM ('RoleAgent', 'MCP');
CREATE TYPE "ApprovalFacet" AS ENUM ('security', 'compliance', 'policy', 'risk');
CREATE TYPE "ApprovalDecision" AS ENUM ('approve', 'reject');
CREATE TYPE "PolicyStatus" AS ENUM ('draft', 'active', 'archived');

CREATE TABLE "trust_histories" (
    "id" TEXT NOT NULL,
    "roleAgentId" TEXT NOT NULL,
    "trustScore" DOUBLE PRECISION NOT NULL,
    "computedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "metadata" JSONB,
    CONSTRAINT "trust_histories_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "idx_trust_histories_role_agent" ON "trust_histories"("roleAgentId");
CREATE INDEX "idx_trust_histories_time" ON "trust_histories"("computedAt");

ALTER TABLE "audit_logs" ADD COLUMN "organizationId" TEXT;
ALTER TABLE "audit_logs" ADD COLUMN "roleAgentId" TEXT;
ALTER TABLE "audit_logs" ADD CONSTRAINT "audit_logs_organizationId_fkey"
    FOREIGN KEY ("organizationId") REFERENCES "organizations"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "audit_logs" ADD CONSTRAINT "audit_logs_roleAgentId_fkey"
    FOREIGN KEY ("roleAgentId") REFERENCES "role_agents"("id") ON DELETE SET NULL ON UPDATE CASCADE;

ALTER TABLE "blockchain_transactions" ADD COLUMN "status_new" "BlockchainTxStatus" DEFAULT 'pending';
UPDATE "blockchain_transactions" SET "status_new" =
    CASE
        WHEN "status" = 'pending' THEN 'pending'::"BlockchainTxStatus"
        WHEN "status" = 'confirmed' THEN 'confirmed'::"BlockchainTxStatus"
        WHEN "status" = 'failed' THEN 'failed'::"BlockchainTxStatus"
        ELSE 'pending'::"BlockchainTxStatus"
    END;
ALTER TABLE "blockchain_transactions" DROP COLUMN "status";
ALTER TABLE "blockchain_transactions" RENAME COLUMN "status_new" TO "status";
ALTER TABLE "blockchain_transactions" ADD COLUMN "transactionType" "BlockchainTxType";

ALTER TABLE "certifications" ADD COLUMN "verificationMethod" TEXT;

ALTER TABLE "role_agents" ADD COLUMN "status_new" "RoleAgentStatus" DEFAULT 'active';
UPDATE "role_agents" SET "status_new" =
    CASE
        WHEN "status" = 'active' THEN 'active'::"RoleAgentStatus"
        WHEN "status" = 'inactive' THEN 'inactive'::"RoleAgentStatus"
        WHEN "status" = 'suspended' THEN 'suspended'::"RoleAgentStatus"
        WHEN "status" = 'retired' THEN 'retired'::"RoleAgentStatus"
        ELSE 'active'::"RoleAgentStatus"
    END;
ALTER TABLE "role_agents" DROP COLUMN "status";
ALTER TABLE "role_agents" RENAME COLUMN "status_new" TO "status";
ALTER TABLE "role_agents" ADD COLUMN "assignedToUserId" TEXT;
ALTER TABLE "role_agents" ADD COLUMN "updatedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;
CREATE INDEX "idx_role_agents_assigned_did" ON "role_agents"("assignedToDid");
CREATE INDEX "idx_role_agents_assigned_user" ON "role_agents"("assignedToUserId");

ALTER TABLE "organizations" ADD COLUMN "complianceTags" JSONB;

ALTER TABLE "role_trust_thresholds" ADD COLUMN "minLoALevel" INTEGER;

ALTER TABLE "signals" ADD COLUMN "confidence" DOUBLE PRECISION;
ALTER TABLE "signals" ADD COLUMN "sourceType" TEXT;
ALTER TABLE "signals" ADD COLUMN "updatedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;

ALTER TABLE "loa_policies" ADD COLUMN "artifactType_new" "ArtifactType";
ALTER TABLE "loa_policies" ADD COLUMN "requiredFacets_new" "ApprovalFacet"[];
UPDATE "loa_policies" SET
    "artifactType_new" = "artifactType"::"ArtifactType",
    "requiredFacets_new" = "requiredFacets"::"ApprovalFacet"[];
ALTER TABLE "loa_policies" DROP COLUMN "artifactType";
ALTER TABLE "loa_policies" DROP COLUMN "requiredFacets";
ALTER TABLE "loa_policies" RENAME COLUMN "artifactType_new" TO "artifactType";
ALTER TABLE "loa_policies" RENAME COLUMN "requiredFacets_new" TO "requiredFacets";
ALTER TABLE "loa_policies" ADD COLUMN "updatedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;

ALTER TABLE "approvals" ADD COLUMN "artifactType_new" "ArtifactType";
ALTER TABLE "approvals" ADD COLUMN "facet_new" "ApprovalFacet";
ALTER TABLE "approvals" ADD COLUMN "decision_new" "ApprovalDecision";
UPDATE "approvals" SET
    "artifactType_new" = "artifactType"::"ArtifactType",
    "facet_new" = "facet"::"ApprovalFacet",
    "decision_new" = "decision"::"ApprovalDecision";
ALTER TABLE "approvals" DROP COLUMN "artifactType";
ALTER TABLE "approvals" DROP COLUMN "facet";
ALTER TABLE "approvals" DROP COLUMN "decision";
ALTER TABLE "approvals" RENAME COLUMN "artifactType_new" TO "artifactType";
ALTER TABLE "approvals" RENAME COLUMN "facet_new" TO "facet";
ALTER TABLE "approvals" RENAME COLUMN "decision_new" TO "decision";
ALTER TABLE "approvals" ADD CONSTRAINT "approvals_artifactId_artifactType_reviewerId_facet_key"
    UNIQUE ("artifactId", "artifactType", "reviewerId", "facet");

ALTER TABLE "mcp_policies" ADD COLUMN "status_new" "PolicyStatus" DEFAULT 'draft';
UPDATE "mcp_policies" SET "status_new" =
    CASE
        WHEN "status" = 'draft' THEN 'draft'::"PolicyStatus"
        WHEN "status" = 'active' THEN 'active'::"PolicyStatus"
        WHEN "status" = 'archived' THEN 'archived'::"PolicyStatus"
        ELSE 'draft'::"PolicyStatus"
    END;
ALTER TABLE "mcp_policies" DROP COLUMN "status";
ALTER TABLE "mcp_policies" RENAME COLUMN "status_new" TO "status";
ALTER TABLE "mcp_policies" ADD CONSTRAINT "mcp_policies_organizationId_name_version_key"
    UNIQUE ("organizationId", "name", "version");

ALTER TABLE "mcp_policy_tests" ADD CONSTRAINT "mcp_policy_tests_policyId_fkey"
    FOREIGN KEY ("policyId") REFERENCES "mcp_policies"("id") ON DELETE CASCADE ON UPDATE CASCADE;
