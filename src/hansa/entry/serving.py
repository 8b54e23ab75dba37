"""The server behind the API: uvicorn, told that open streams do not end by themselves."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI

from hansa.entry.hub import Hub


class Server(uvicorn.Server):
    """Lets streams end before it waits for what is being answered, which it would do until its patience ends.

    The lifespan of the application is too late for that: it ends after the last answer.
    """

    def __init__(self, app: FastAPI, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.hub: Hub = app.state.hub
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=10,
                ws="none",
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.hub.stop()
        await super().shutdown(sockets)
