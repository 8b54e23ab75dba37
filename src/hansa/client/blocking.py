"""The client that waits."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any, Self

import httpx

from hansa.client.calls import Calls, given
from hansa.client.haggling import Strategy, agreed, is_turn_of, overtaken
from hansa.client.listening import Listening, LiveEvent
from hansa.client.refusals import Json, Refused
from hansa.client.sending import PAUSE_S_MIN, TIMEOUT, Patience, answer
from hansa.infra.keys import AgentKey
from hansa.infra.signatures import SignedAuth


class Hansa(Calls[Json, Iterator[Json], Generator[LiveEvent]]):
    """A connection to one Hansa as one agent (or as nobody, for what is public)."""

    def __init__(
        self,
        url: str,
        key: AgentKey | None = None,
        *,
        patience_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url, self.key, self.patience_s = url.rstrip("/"), key, patience_s
        auth = SignedAuth(key) if key else None
        self.http = httpx.Client(base_url=self.url, auth=auth, timeout=TIMEOUT, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()

    def call(
        self, method: str, path: str, *, body: object = None, params: Json | None = None, once: str | None = None
    ) -> Any:  # Any: whatever JSON the route answers
        """One request; patient with what is retryable, for `patience_s` seconds at most."""
        headers = {"idempotency-key": once} if once else {}
        patience = Patience(self.patience_s, f"{method} {path}")
        while True:
            try:
                return answer(self.http.request(method, path, json=body, params=params, headers=headers))
            except (Refused, httpx.TransportError) as error:
                pause_s = patience.pause_after(error)
            time.sleep(pause_s)

    def pages(self, path: str, **params: object) -> Iterator[Json]:
        after = None
        while True:
            page = self.call("GET", path, params=given({**params, "after": after}) or None)
            yield from page["items"]
            after = page["after"]
            if after is None:
                return

    def stream(self, path: str, *, after: int | None = None, within_s: float | None = None) -> Generator[LiveEvent]:
        listening, patience = Listening(after=after, within_s=within_s), Patience(self.patience_s, f"GET {path}")
        while listening.goes_on:
            pause_s = PAUSE_S_MIN
            try:
                with self.http.stream("GET", path, **listening.options()) as response:
                    if response.is_error:
                        response.read()
                        answer(response)
                    for line in response.iter_lines():
                        patience.renew()
                        event = listening.read(line)
                        if event:
                            yield event
            except (Refused, httpx.TransportError) as error:
                pause_s = patience.pause_after(error)
            if listening.goes_on:
                time.sleep(pause_s)

    def wait_accepted(self, negotiation: str, *, timeout_s: float = 60.0) -> Json:
        for event in self.watch(negotiation, within_s=timeout_s):
            if event.agrees:
                break
        return agreed(self.negotiation(negotiation))

    def haggle(self, negotiation: str, strategy: Strategy, *, timeout_s: float | None = None) -> Json:
        for event in self.watch(negotiation, within_s=timeout_s):
            if event.agrees:
                break
            detail = self.negotiation(negotiation)
            if is_turn_of(detail, self.did):
                with overtaken():
                    self.make(strategy(detail, self.did), detail)
        return agreed(self.negotiation(negotiation))
