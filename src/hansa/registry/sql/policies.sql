GRANT USAGE ON SCHEMA registry TO hansa_app;
GRANT SELECT, INSERT, UPDATE ON registry.agents TO hansa_app;
GRANT SELECT, INSERT ON registry.agent_cards TO hansa_app;
GRANT SELECT, INSERT, UPDATE (verified_metrics) ON registry.agent_capabilities TO hansa_app;
GRANT SELECT, INSERT ON registry.skills TO hansa_app;
GRANT SELECT ON registry.domains TO hansa_app;
GRANT SELECT, INSERT, DELETE ON registry.agent_skills, registry.agent_domains TO hansa_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON registry.agent_pricing TO hansa_app;
