"""Structured log lines: one JSON object each (or a readable line on a terminal), with trace id and actor."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

HIDDEN = ("password", "secret", "token", "authorization", "private_key")


def hide_secrets(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Replace values whose name says that they are secret, wherever a line was written."""
    for name in event:
        if any(word in name.lower() for word in HIDDEN):
            event[name] = "[hidden]"
    return event


def configure(*, json_lines: bool | None = None, level: str = "INFO") -> None:
    """Send all log lines of the process to stderr; as JSON unless somebody watches on a terminal."""
    as_json = not sys.stderr.isatty() if json_lines is None else json_lines
    shared: list[Any] = [  # Any: structlog's processors share no common type
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "procrastinate", "psycopg.pool", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    return structlog.stdlib.get_logger(name)
