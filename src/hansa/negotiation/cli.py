"""Negotiation has no operator commands; agents negotiate over HTTP (`hansa negotiate`, `hansa deal`)."""
