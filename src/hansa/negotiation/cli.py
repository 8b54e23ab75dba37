"""Negotiation has no operator commands; agents negotiate over HTTP (`hansa call`, `hansa deal`)."""
