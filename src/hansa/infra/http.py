"""Outgoing HTTP: one client with time limits for all of a process; never used while a transaction is open."""

from __future__ import annotations

import httpx

from hansa.kernel.errors import ServiceUnavailable

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30)


class PeerUnreachable(ServiceUnavailable):
    """Another service did not answer in time; whether it did what was asked is not known."""


def client(*, user_agent: str = "hansa") -> httpx.Client:
    """A client that follows no redirect: who is paid or trusted is decided by the host that was asked."""
    return httpx.Client(timeout=TIMEOUT, limits=LIMITS, follow_redirects=False, headers={"user-agent": user_agent})
