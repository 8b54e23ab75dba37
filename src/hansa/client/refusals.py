"""What can come of a request besides its answer."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
"""A JSON object of the API; /openapi.json says what is in it."""


class Refused(Exception):
    """Hansa understood the request and did not grant it."""

    def __init__(self, problem: Json) -> None:
        self.problem = problem
        self.code = str(problem.get("code", "unknown"))
        self.status = int(problem.get("status", 0))
        self.retryable = bool(problem.get("retryable", False))
        self.retry_after_s = float(problem.get("retry_after_s", 0))
        """Seconds after which the same request may succeed; 0: nobody said."""
        super().__init__(f"{self.status} {self.code}: {problem.get('detail', '')}")


class Unreachable(Exception):
    """Hansa did not answer; whether a command happened is not known until the same request is answered."""


class NotAgreed(Exception):
    """A negotiation ended without a deal, or was not accepted in time."""

    def __init__(self, negotiation: Json) -> None:
        self.negotiation = negotiation
        """As it stands: rejected, expired, or still open."""
        super().__init__(f"the negotiation is {negotiation['state']}, not accepted")
