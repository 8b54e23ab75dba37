"""How a run behaves: patience, who is acting, and who hears about it."""

import getpass
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from hansa.migrate.errors import BadRequest

if TYPE_CHECKING:
    from hansa.migrate.observing import Observer


class NoticeKind(StrEnum):
    """What a notice is about."""

    WAITING = "waiting"
    """Nothing moves until somebody else does."""
    WORKING = "working"
    """Which revision and statement is under way."""
    PROGRESS = "progress"
    """How far long work is; the notice counts `done` of `total`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell the person who watches."""

    kind: NoticeKind
    message: str
    done: int = 0
    """Rows dealt with, of long work."""
    total: int | None = None
    """Estimate of all rows of long work; None when it is not known, and for everything else."""
    per_s: float = 0.0
    """Rows a second, of late."""

    @property
    def remaining_s(self) -> float | None:
        """How long the rest will take at this rate; None when nobody can tell."""
        if self.total is None or self.per_s <= 0:
            return None
        return max(0, self.total - self.done) / self.per_s


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
class Pace:
    """How gently an online operation treats the traffic beside it."""

    lock_timeout_s: float = 0.2
    """How long a short transaction waits for a table: everybody else queues behind it meanwhile."""
    lock_tries: int = 200
    """How often it is tried; the pauses grow to `lock_pause_s_max`."""
    lock_pause_s_max: float = 5.0
    batch_s: float = 0.04
    """How long one batch should take; its size adapts."""
    batch_rows_max: int = 20_000
    rest: float = 0.25
    """Pause after a batch, as a share of the time it took."""
    rest_per_waiter: float = 1.0
    """By how much that share grows with each session that waits for a lock."""
    lag_bytes_max: int = 64 * 1024 * 1024
    """Batches wait while a streaming replica is further behind than this."""

    def __post_init__(self) -> None:
        if (
            min(self.lock_timeout_s, self.batch_s, self.lock_pause_s_max) <= 0
            or min(self.rest, self.rest_per_waiter) < 0
        ):
            raise BadRequest("times must be positive, and the rest not negative")
        if min(self.lock_tries, self.batch_rows_max, self.lag_bytes_max) < 1:
            raise BadRequest("tries, rows and bytes must be at least 1")


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
    observer: "Observer | None" = None
    """Watches every statement from the same session, as a rehearsal does."""
    lose_data: bool = False
    """Whether a way down may take tables and columns away that hold data; one that is not transactional always may."""
    online: Pace = field(default_factory=Pace)
    """How gently online operations treat the traffic beside them."""

    def __post_init__(self) -> None:
        if self.tries < 1 or self.lock_timeout_s <= 0 or self.backoff_s < 0:
            raise BadRequest("tries must be at least 1, lock_timeout_s positive and backoff_s not negative")

    def waiting(self, message: str) -> None:
        self.notify(Notice(kind=NoticeKind.WAITING, message=message))

    def working(self, message: str) -> None:
        self.notify(Notice(kind=NoticeKind.WORKING, message=message))

    def progress(self, message: str, *, done: int, total: int | None, per_s: float) -> None:
        self.notify(Notice(kind=NoticeKind.PROGRESS, message=message, done=done, total=total, per_s=per_s))
