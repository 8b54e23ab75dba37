CREATE TRIGGER agents_updated_at BEFORE UPDATE ON registry.agents
    FOR EACH ROW EXECUTE FUNCTION identity.update_updated_at_column();
CREATE TRIGGER agent_pricing_updated_at BEFORE UPDATE ON registry.agent_pricing
    FOR EACH ROW EXECUTE FUNCTION identity.update_updated_at_column();
