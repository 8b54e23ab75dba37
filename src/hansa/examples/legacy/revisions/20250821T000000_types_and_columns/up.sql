CREATE TYPE "BlockchainTxStatus" AS ENUM ('pending', 'confirmed', 'failed');
CREATE TYPE "BlockchainTxType" AS ENUM ('NFT_MINT', 'TRANSFER', 'OTHER');
CREATE TYPE "RoleAgentStatus" AS ENUM ('active', 'inactive', 'suspended', 'retired');
CREATE TYPE "ArtifactType" AS ENUM ('RoleAgent', 'MCP');
CREATE TYPE "ApprovalFacet" AS ENUM ('security', 'compliance', 'policy', 'risk');
CREATE TYPE "ApprovalDecision" AS ENUM ('approve', 'reject');
CREATE TYPE "PolicyStatus" AS ENUM ('draft', 'active', 'archived');

CREATE TABLE "trust_histories" (
    "id" text NOT NULL,
    "roleAgentId" text NOT NULL,
    "trustScore" double precision NOT NULL,
    "computedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "metadata" jsonb,
    CONSTRAINT "trust_histories_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "trust_histories_roleAgentId_fkey" FOREIGN KEY ("roleAgentId")
        REFERENCES "role_agents" ("id") ON DELETE RESTRICT ON UPDATE CASCADE,
    CONSTRAINT "trust_histories_on_the_scale" CHECK ("trustScore" BETWEEN 0 AND 1000)
);
CREATE INDEX "idx_trust_histories_role_agent" ON "trust_histories" ("roleAgentId");
CREATE INDEX "idx_trust_histories_time" ON "trust_histories" ("computedAt");

ALTER TABLE "audit_logs" ADD COLUMN "organizationId" text, ADD COLUMN "roleAgentId" text;
ALTER TABLE "blockchain_transactions" ADD COLUMN "transactionType" "BlockchainTxType";
ALTER TABLE "certifications" ADD COLUMN "verificationMethod" text;
ALTER TABLE "organizations" ADD COLUMN "complianceTags" jsonb;
ALTER TABLE "role_trust_thresholds" ADD COLUMN "minLoALevel" integer;
-- The default is the same for all rows there are, so no table is written anew.
ALTER TABLE "role_agents"
    ADD COLUMN "assignedToUserId" text,
    ADD COLUMN "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "signals"
    ADD COLUMN "confidence" double precision,
    ADD COLUMN "sourceType" text,
    ADD COLUMN "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "loa_policies" ADD COLUMN "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;

-- A default says when a row was made; who keeps the time of its last change is a trigger.
CREATE FUNCTION "keep_updatedAt"() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    NEW."updatedAt" := CURRENT_TIMESTAMP;
    RETURN NEW;
END
$$;
CREATE TRIGGER "role_agents_updatedAt" BEFORE UPDATE ON "role_agents"
    FOR EACH ROW EXECUTE FUNCTION "keep_updatedAt"();
CREATE TRIGGER "signals_updatedAt" BEFORE UPDATE ON "signals"
    FOR EACH ROW EXECUTE FUNCTION "keep_updatedAt"();
CREATE TRIGGER "loa_policies_updatedAt" BEFORE UPDATE ON "loa_policies"
    FOR EACH ROW EXECUTE FUNCTION "keep_updatedAt"();

-- The plan's index exists under another name; a second one like it would only cost.
ALTER INDEX "idx_role_agents_assigned" RENAME TO "idx_role_agents_assigned_did";
