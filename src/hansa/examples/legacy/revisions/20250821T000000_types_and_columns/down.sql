ALTER INDEX "idx_role_agents_assigned_did" RENAME TO "idx_role_agents_assigned";

DROP TRIGGER "loa_policies_updatedAt" ON "loa_policies";
DROP TRIGGER "signals_updatedAt" ON "signals";
DROP TRIGGER "role_agents_updatedAt" ON "role_agents";
DROP FUNCTION "keep_updatedAt"();

ALTER TABLE "loa_policies" DROP COLUMN "updatedAt";
ALTER TABLE "signals" DROP COLUMN "confidence", DROP COLUMN "sourceType", DROP COLUMN "updatedAt";
ALTER TABLE "role_agents" DROP COLUMN "assignedToUserId", DROP COLUMN "updatedAt";
ALTER TABLE "role_trust_thresholds" DROP COLUMN "minLoALevel";
ALTER TABLE "organizations" DROP COLUMN "complianceTags";
ALTER TABLE "certifications" DROP COLUMN "verificationMethod";
ALTER TABLE "blockchain_transactions" DROP COLUMN "transactionType";
ALTER TABLE "audit_logs" DROP COLUMN "organizationId", DROP COLUMN "roleAgentId";

DROP TABLE "trust_histories";

DROP TYPE "PolicyStatus";
DROP TYPE "ApprovalDecision";
DROP TYPE "ApprovalFacet";
DROP TYPE "ArtifactType";
DROP TYPE "RoleAgentStatus";
DROP TYPE "BlockchainTxType";
DROP TYPE "BlockchainTxStatus";
