"""JSON-RPC over HTTP: one POST, one answer, one call at a time."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from hansa.chain.chain import Chain
from hansa.chain.errors import Json, RpcError
from hansa.chain.faults import Faults
from hansa.chain.methods import call
from hansa.chain.methods.transactions import accept
from hansa.chain.params import Params, read_params

BODY_BYTES_MAX = 50 * 1024
"""What a cluster's nodes take, too."""
logger = logging.getLogger(__name__)

# ASGI leaves the contents of its messages open.
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Unavailable(Exception):
    """The call shall fail as if the node were down."""


class AnswerLost(Exception):
    """The call was carried out and its answer shall not arrive."""


class RpcServer:
    """The ASGI application. Calls never interleave: between two awaits the chain is used by one of them only."""

    def __init__(self, chain: Chain, faults: Faults | None = None) -> None:
        self._chain = chain
        self._faults = faults

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET" and scope["path"] == "/health":
            await _respond(send, 200, b"ok", content_type=b"text/plain")
        elif scope["method"] != "POST":
            await _respond(send, 405, b"")
        else:
            await self._post(receive, send)

    async def _post(self, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            await _respond(send, 413, b"")
            return
        try:
            answer = await self._answer(body)
        except Unavailable:
            await _respond(send, 503, b"")
        except AnswerLost:
            await _hang_up(send)
        else:
            await _respond(send, 200, json.dumps(answer, separators=(",", ":")).encode())

    async def _answer(self, body: bytes) -> Json:
        """Answer one request, or a batch of them in order."""
        try:
            request: Json = json.loads(body)
        except ValueError:
            return _error(None, RpcError(-32700, "Parse error"))
        if isinstance(request, list) and request:
            return [await self._answer_one(one) for one in request]
        return await self._answer_one(request)

    async def _answer_one(self, request: Json) -> Json:
        match request:
            case {"jsonrpc": "2.0", "method": str(method)}:
                identity = request.get("id")
            case _:
                return _error(None, RpcError(-32600, "Invalid request"))
        try:
            result = await self._call(method, read_params(request.get("params")))
        except RpcError as error:
            return _error(identity, error)
        except (Unavailable, AnswerLost):
            raise
        except Exception:
            logger.exception("%s failed", method)
            return _error(identity, RpcError(-32603, "Internal error"))
        return {"jsonrpc": "2.0", "result": result, "id": identity}

    async def _call(self, method: str, params: Params) -> Json:
        faults = self._faults
        if faults is None:
            return call(self._chain, method, params)
        if method == "hansa_fault":
            return faults.command(self._chain, params)
        if faults.take(f"down:{method}"):
            raise Unavailable
        if delay := faults.take(f"delay:{method}"):
            await asyncio.sleep(delay.ms / 1000)
        answer = self._faulty_send(faults, params) if method == "sendTransaction" else None
        if answer is None:
            answer = call(self._chain, method, params)
        if faults.take(f"lose:{method}"):
            raise AnswerLost
        return answer

    def _faulty_send(self, faults: Faults, params: Params) -> Json:
        """Take in a transaction without running it, when such a fault is armed; None when none is."""
        dropped = faults.take("drop_send")
        held = None if dropped else faults.take("hold_send")
        if dropped is None and held is None:
            return None
        submitted = accept(self._chain, params)
        if held:
            faults.hold(submitted)
        return submitted.signature


async def _read(receive: Receive) -> bytes | None:
    """The body of a request, or None when it is too long."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
        if not message.get("more_body"):
            return body


async def _respond(send: Send, status: int, body: bytes, *, content_type: bytes = b"application/json") -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _hang_up(send: Send) -> None:
    """Promise a body and end without it: the server closes the connection, as one that dies does."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": b""})


def _error(identity: Json, error: RpcError) -> Json:
    content: dict[str, Json] = {"code": error.code, "message": error.message}
    if error.data is not None:
        content["data"] = error.data
    return {"jsonrpc": "2.0", "error": content, "id": identity}
