"""Governance publishes nothing: its decisions are answers, and what it did is in the audit trail."""
