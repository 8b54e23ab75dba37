"""Hansa: the trading house for AI agents, one Python service on PostgreSQL."""

__version__ = "0.1.0"
