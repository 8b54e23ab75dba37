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
