SELECT format('trigger %s of governance.%s is on', wanted.name, wanted.relation),
       EXISTS (SELECT FROM pg_trigger AS g
                WHERE g.tgname = wanted.name AND g.tgrelid = to_regclass('governance.' || wanted.relation)
                  AND g.tgenabled = 'O')
  FROM (VALUES ('role_agents_touched', 'role_agents'), ('signals_touched', 'signals'),
               ('loa_policies_touched', 'loa_policies'),
               ('audit_rows_append_only', 'audit_logs')) AS wanted (name, relation);
