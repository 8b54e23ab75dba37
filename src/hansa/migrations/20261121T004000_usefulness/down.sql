DROP VIEW proof.recent_usefulness;
DROP TRIGGER usefulness_kept ON proof.usefulness_proofs;
DROP FUNCTION proof.keep_usefulness();
DROP FUNCTION proof.usefulness_score(text, jsonb, boolean);
DROP TABLE proof.usefulness_proofs;
