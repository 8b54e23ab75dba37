"""How a run behaves: patience, who is acting, and who hears about it."""

import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from hansa.migrate.errors import BadRequest


class NoticeKind(StrEnum):
    """What a notice is about."""

    WAITING = "waiting"
    """Nothing moves until somebody else does."""
    WORKING = "working"
    """Which revision and statement is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell the person who watches."""

    kind: NoticeKind
    message: str


def _unheard(_notice: Notice) -> None:
    """Where notices go when nobody asked for them."""


def current_actor() -> str:
    """Operating system user and host, as `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a user id without a name
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of one run; the defaults suit a deployment."""

    lock_timeout_s: float = 5.0
    """How long one statement waits for a table. Short, because everybody else queues behind a waiting ALTER."""
    tries: int = 3
    """How often a statement (or its transaction) is tried when it does not get its lock."""
    backoff_s: float = 0.5
    """Pause before the second try; it doubles with each further one."""
    deployer_wait_s: float | None = None
    """How long to wait for another deployer; None waits until it is done."""
    actor: str = field(default_factory=current_actor)
    """Who is recorded in the ledger."""
    notify: Callable[[Notice], None] = _unheard
    """Hears what the run waits for and works on."""

    def __post_init__(self) -> None:
        if self.tries < 1 or self.lock_timeout_s <= 0 or self.backoff_s < 0:
            raise BadRequest("tries must be at least 1, lock_timeout_s positive and backoff_s not negative")

    def waiting(self, message: str) -> None:
        self.notify(Notice(kind=NoticeKind.WAITING, message=message))

    def working(self, message: str) -> None:
        self.notify(Notice(kind=NoticeKind.WORKING, message=message))
