"""The client that is awaited, and lets others work meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Any, Self

import httpx

from hansa.client.calls import Calls, given
from hansa.client.haggling import Strategy, agreed, is_turn_of, overtaken
from hansa.client.listening import Listening, LiveEvent
from hansa.client.refusals import Json, Refused
from hansa.client.sending import PAUSE_S_MIN, TIMEOUT, Patience, answer
from hansa.infra.keys import AgentKey
from hansa.infra.signatures import SignedAuth


class AsyncHansa(Calls[Awaitable[Json], AsyncIterator[Json], AsyncGenerator[LiveEvent]]):
    """A connection to one Hansa as one agent (or as nobody), for programs that do several things at once."""

    def __init__(
        self,
        url: str,
        key: AgentKey | None = None,
        *,
        patience_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url, self.key, self.patience_s = url.rstrip("/"), key, patience_s
        auth = SignedAuth(key) if key else None
        self.http = httpx.AsyncClient(base_url=self.url, auth=auth, timeout=TIMEOUT, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.http.aclose()

    async def call(
        self, method: str, path: str, *, body: object = None, params: Json | None = None, once: str | None = None
    ) -> Any:  # Any: whatever JSON the route answers
        """One request; patient with what is retryable, for `patience_s` seconds at most."""
        headers = {"idempotency-key": once} if once else {}
        patience = Patience(self.patience_s, f"{method} {path}")
        while True:
            try:
                return answer(await self.http.request(method, path, json=body, params=params, headers=headers))
            except (Refused, httpx.TransportError) as error:
                pause_s = patience.pause_after(error)
            await asyncio.sleep(pause_s)

    async def pages(self, path: str, **params: object) -> AsyncIterator[Json]:
        after = None
        while True:
            page = await self.call("GET", path, params=given({**params, "after": after}) or None)
            for item in page["items"]:
                yield item
            after = page["after"]
            if after is None:
                return

    async def stream(
        self, path: str, *, after: int | None = None, within_s: float | None = None
    ) -> AsyncGenerator[LiveEvent]:
        listening, patience = Listening(after=after, within_s=within_s), Patience(self.patience_s, f"GET {path}")
        while listening.goes_on:
            pause_s = PAUSE_S_MIN
            try:
                async with self.http.stream("GET", path, **listening.options()) as response:
                    if response.is_error:
                        await response.aread()
                        answer(response)
                    async for line in response.aiter_lines():
                        patience.renew()
                        event = listening.read(line)
                        if event:
                            yield event
            except (Refused, httpx.TransportError) as error:
                pause_s = patience.pause_after(error)
            if listening.goes_on:
                await asyncio.sleep(pause_s)

    async def wait_accepted(self, negotiation: str, *, timeout_s: float = 60.0) -> Json:
        async with aclosing(self.watch(negotiation, within_s=timeout_s)) as events:
            async for event in events:
                if event.agrees:
                    break
        return agreed(await self.negotiation(negotiation))

    async def haggle(self, negotiation: str, strategy: Strategy, *, timeout_s: float | None = None) -> Json:
        async with aclosing(self.watch(negotiation, within_s=timeout_s)) as events:
            async for event in events:
                if event.agrees:
                    break
                detail = await self.negotiation(negotiation)
                if is_turn_of(detail, self.did):
                    with overtaken():
                        await self.make(strategy(detail, self.did), detail)
        return agreed(await self.negotiation(negotiation))
