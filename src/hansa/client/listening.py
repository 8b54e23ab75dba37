"""Reading a stream of live events (SSE), and going on where it broke off."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httpx

from hansa.client.refusals import Json

SILENCE_S_MAX = 45.0
"""A stream says something every 15 seconds; one that is silent for so long is dead."""
STREAM_TIMEOUT = httpx.Timeout(SILENCE_S_MAX, connect=5.0)
STREAM_S_MAX = 600.0
"""How long the server lets one stream go on; then it is opened again."""
SEEN_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEvent:
    """Something that happened, as the event stream tells it."""

    id: int
    """Where to go on: `after=event.id`."""
    name: str
    """For example `negotiation.proposal_made`."""
    data: Json
    """When (`at`), and everything that the event says."""

    @property
    def agrees(self) -> bool:
        """Whether a deal was made."""
        return self.name == "negotiation.deal_accepted"


@dataclass(slots=True, kw_only=True)
class Listening:
    """How far one listener has come, line by line and over as many connections as it takes."""

    after: int | None
    within_s: float | None
    """For how long in all; None: until nothing more can happen."""
    ended: bool = False
    """Whether the server said that nothing more can happen."""
    began: float = field(default_factory=time.monotonic)
    fields: dict[str, str] = field(default_factory=dict[str, str])
    """Of the event whose lines are being read."""
    seen: deque[int] = field(default_factory=lambda: deque[int](maxlen=SEEN_MAX))
    """A stream over many negotiations may repeat events after it broke off."""

    @property
    def goes_on(self) -> bool:
        return not self.ended and self.left_s > 0

    @property
    def left_s(self) -> float:
        """Seconds that are left, as far as one stream can go."""
        left = STREAM_S_MAX if self.within_s is None else self.began + self.within_s - time.monotonic()
        return max(0.0, min(left, STREAM_S_MAX))

    def options(self) -> dict[str, Any]:  # Any: keyword arguments of httpx
        """How the next connection asks for what is still to come."""
        self.fields = {}  # half an event that the connection before left behind
        headers = {"accept": "text/event-stream"}
        if self.after is not None:
            headers["last-event-id"] = str(self.after)
        return {"params": {"within_s": f"{self.left_s:.3f}"}, "headers": headers, "timeout": STREAM_TIMEOUT}

    def read(self, line: str) -> LiveEvent | None:
        """Take in one line; gives the event that it completes, unless it came before."""
        if line:
            name, _, value = line.partition(":")
            self.fields[name] = value.removeprefix(" ")
            return None
        fields, self.fields = self.fields, {}
        if fields.get("event") == "end":
            self.ended = True
        if "id" not in fields or int(fields["id"]) in self.seen:
            return None
        event = LiveEvent(id=int(fields["id"]), name=fields["event"], data=json.loads(fields["data"]))
        self.after = event.id
        self.seen.append(event.id)
        return event
