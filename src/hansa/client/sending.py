"""How a request is sent until it is answered, whoever does the waiting: the blocking client or the asynchronous one."""

from __future__ import annotations

import time
from typing import Any

import httpx

from hansa.client.refusals import Refused, Unreachable

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
PAUSE_S_MIN, PAUSE_S_MAX = 0.05, 1.0


class Patience:
    """How often and how long something is tried again: pauses double, and end with the patience."""

    def __init__(self, seconds: float, what: str) -> None:
        self.seconds, self.what = seconds, what
        self.renew()

    def renew(self) -> None:
        """Begin again, after something went well."""
        self.deadline, self.pause_s = time.monotonic() + self.seconds, PAUSE_S_MIN

    def pause_after(self, error: Refused | httpx.TransportError) -> float:
        """Seconds to wait before the next try; as long as the server said, if it did.

        Raises the refusal itself when another try makes no sense or comes too late; Unreachable.
        """
        now = time.monotonic()
        if isinstance(error, Refused):
            if not error.retryable or now + error.retry_after_s > self.deadline:
                raise error
        elif now > self.deadline:
            raise Unreachable(f"{self.what}: {error!r}") from error
        pause_s = max(self.pause_s, error.retry_after_s if isinstance(error, Refused) else 0)
        self.pause_s = min(self.pause_s * 2, PAUSE_S_MAX)
        return pause_s


def answer(response: httpx.Response) -> Any:  # Any: whatever JSON the route answers
    """The JSON of an answer; raises Refused for a problem document."""
    if response.status_code < 400:
        return response.json() if response.content else None
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"code": "not_hansa", "detail": response.text[:200]}
    after = response.headers.get("retry-after", "")
    waits = {"retry_after_s": int(after)} if response.status_code == 429 and after.isdecimal() else {}
    raise Refused({"status": response.status_code, **waits, **problem})
