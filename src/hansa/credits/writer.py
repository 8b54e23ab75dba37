"""The ledger writer: one durable commit carries what many threads want at the same time.

A movement of its own is one transaction, and an account that everybody uses is locked until it is on the disk: a
thousand callers would wait for a thousand commits. Here a caller who finds nobody writing writes at once. Whoever comes
while a batch is on its way waits for its end and goes with the next one; the first of those writes for all.

    hold = writer_of(services.db).reserve(did, amount, purpose_kind="manual", purpose_id=name, expires_at=at)

Everybody gets his own hold or his own refusal, after the commit. When the commit fails, everybody gets
DatabaseUnavailable or TransactionRetry, as if he had been alone; whether a lost commit happened is told by the key of
the operation (a hold's purpose, a hold's end, a deposit's key), which a second call finds taken.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, cast
from uuid import UUID

import psycopg

from hansa.credits import batches, commands
from hansa.credits.errors import FaucetClosed, MovementAlreadyMade
from hansa.credits.models import MINT, Hold, HoldState, Outcome, Share
from hansa.infra.db import Actor, DatabaseUnavailable, Db, TransactionRetry, Tx, in_event_loop
from hansa.kernel.errors import Refusal
from hansa.kernel.ids import HoldId, MovementId
from hansa.kernel.money import Credits

T = TypeVar("T")

WRITER = Actor(kind="system", did="credits.writer")
BATCH_MAX = 256
"""Operations of one commit."""
WAITING_MAX = 2048
"""Operations that wait; whoever comes then waits for room first."""
PATIENCE_S = 10.0
"""How long a caller waits for room, as long as for a connection of the pool."""
GATHERING = 0.5
"""Part of a commit's time for which the next one waits for those who were in the last one, when there were several."""


class WriterClosed(DatabaseUnavailable):
    """This process is going down and takes no more movements; send the request again."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A caller: what he wants, and what became of it."""

    operation: str
    alone: Callable[[Tx], object]
    """The command, for when nobody else wants anything: one operation is quicker without a batch around it."""
    woken: threading.Lock = field(default_factory=threading.Lock)
    """Locked until there is an answer, or the caller is to write."""
    writes: bool = False
    """Whether the caller is to write the next batch."""
    answer: object = None
    """What the command returns; an exception is raised in the caller's thread."""


class LedgerWriter:
    """Ledger movements of many threads, each a transaction of its own to its caller. Safe to share."""

    def __init__(self, db: Db, *, batch_max: int = BATCH_MAX, waiting_max: int = WAITING_MAX) -> None:
        self.db, self.batch_max, self.waiting_max = db, batch_max, waiting_max
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        """Room in the queue, or nobody left in it."""
        self._queue: deque[Waiting] = deque()
        self._busy = False
        """Whether somebody writes, or was told to."""
        self._closed = False
        self._expected = 1
        """How many callers there seem to be: those of the last batch and those who came meanwhile."""
        self._gathered = threading.Event()
        self._ended = 0.0
        self._took = 0.0

    def deposit(self, account: str, amount: Credits, *, key: str, reason: str, source: str = MINT) -> MovementId:
        """As `commands.deposit`."""

        def alone(tx: Tx) -> MovementId:
            return commands.deposit(tx, account, amount, key=key, reason=reason, source=source)

        operation = batches.depositing(account, amount, key=key, reason=reason, source=source)
        return self._done(operation, alone, movement_of)

    def reserve(
        self,
        account: str,
        amount: Credits,
        *,
        purpose_kind: str,
        purpose_id: str,
        expires_at: datetime,
        intent: UUID | None = None,
    ) -> Hold:
        """As `commands.reserve`."""

        def alone(tx: Tx) -> Hold:
            return commands.reserve(
                tx,
                account,
                amount,
                purpose_kind=purpose_kind,
                purpose_id=purpose_id,
                expires_at=expires_at,
                intent=intent,
            )

        def made(outcome: Outcome) -> Hold:
            assert outcome.hold is not None, "a reservation makes a hold"
            return Hold(
                id=outcome.hold,
                account=account,
                amount=amount,
                purpose_kind=purpose_kind,
                purpose_id=purpose_id,
                state=HoldState.HELD,
                created_at=outcome.at,
                expires_at=expires_at,
                ended_at=None,
            )

        operation = batches.reserving(
            account, amount, purpose_kind=purpose_kind, purpose_id=purpose_id, expires_at=expires_at, intent=intent
        )
        return self._done(operation, alone, made)

    def release(self, hold: HoldId) -> MovementId:
        """As `commands.release`."""
        return self._done(batches.releasing(hold), lambda tx: commands.release(tx, hold), movement_of)

    def capture(self, hold: HoldId, shares: Sequence[Share], *, intent: UUID | None = None) -> MovementId:
        """As `commands.capture`."""

        def alone(tx: Tx) -> MovementId:
            return commands.capture(tx, hold, shares, intent=intent)

        return self._done(batches.capturing(hold, shares, intent=intent), alone, movement_of)

    def close(self) -> None:
        """Take nothing more, and return when everything that was taken has its answer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._busy and not self._queue)

    def _done(self, operation: str, alone: Callable[[Tx], T], made: Callable[[Outcome], T]) -> T:
        """What an operation made: what its command `alone` returns, or `made` of its outcome. Raises its refusal."""
        assert not in_event_loop(), "a movement would block the event loop: hand over with to_thread"
        caller = Waiting(operation, alone)
        caller.woken.acquire()
        if not self._queued(caller):
            self._wait(caller)
        if caller.writes:
            self._write_next()
        if isinstance(caller.answer, Exception):
            raise caller.answer
        if not isinstance(caller.answer, Outcome):
            return cast("T", caller.answer)  # what `alone` returned
        refusal = batches.refusal_of(caller.answer)
        if refusal is not None:
            raise refusal
        return made(caller.answer)

    def _queued(self, caller: Waiting) -> bool:
        """Join the queue; True when nobody writes, so that the caller does."""
        with self._changed:
            if self._closed or len(self._queue) >= self.waiting_max:
                self._wait_for_room()
            self._queue.append(caller)
            if len(self._queue) >= self._expected:
                self._gathered.set()
            caller.writes = not self._busy
            self._busy = True
            return caller.writes

    def _wait_for_room(self) -> None:
        """Raises WriterClosed, and DatabaseUnavailable when the queue stays full."""
        room = self._changed.wait_for(lambda: self._closed or len(self._queue) < self.waiting_max, PATIENCE_S)
        if self._closed:
            raise WriterClosed
        if not room:
            raise DatabaseUnavailable("too many movements are waiting to be written")

    def _wait(self, caller: Waiting) -> None:
        try:
            caller.woken.acquire()
        except BaseException:  # a caller who is interrupted must not take the others' turn with him
            with self._changed:
                if caller in self._queue and not caller.writes:
                    self._queue.remove(caller)
            if caller.writes:
                caller.woken.acquire(blocking=False)
                self._write_next()
            raise

    def _write_next(self) -> None:
        """Write the batch at the head of the queue, hand on to the next writer, then wake everybody who was in it."""
        self._gather()
        with self._changed:
            batch = [self._queue.popleft() for _ in range(min(self.batch_max, len(self._queue)))]
            self._changed.notify_all()
        began = time.monotonic()
        try:
            self._write(batch)
        finally:
            with self._changed:
                self._ended = time.monotonic()
                self._took = self._ended - began
                self._expected = min(len(batch) + len(self._queue), self.batch_max)
                self._gathered.clear()
                self._hand_on()
            for caller in batch:
                # Only an interrupt of this thread leaves somebody without an answer.
                caller.answer = caller.answer or DatabaseUnavailable()
                caller.woken.release()

    def _gather(self) -> None:
        """Give those who were in the last batch a moment to come back: they are just reading their answers.

        Without it one comes back first, commits alone, and all the others wait for two commits. Who is alone now and was
        alone in the last batch waits for nobody.
        """
        left = self._ended + self._took * GATHERING - time.monotonic()
        if self._expected > 1 and left > 0 and len(self._queue) < self._expected:
            self._gathered.wait(left)

    def _hand_on(self) -> None:
        """Tell the first in the queue to write, if there is one."""
        if self._queue:
            self._queue[0].writes = True
            self._queue[0].woken.release()
        else:
            self._busy = False
            self._changed.notify_all()

    def _write(self, batch: Sequence[Waiting]) -> None:
        """One transaction for all. A fault that the server found in one of them is his: each gets a transaction of his own."""
        try:
            answers = [self._alone(batch[0])] if len(batch) == 1 else self._together(batch)
            for caller, answer in zip(batch, answers, strict=True):
                caller.answer = answer
        except (DatabaseUnavailable, TransactionRetry) as error:
            for caller in batch:
                caller.answer = again(error)
        except Exception as error:  # noqa: BLE001 - the callers raise it, each in his thread
            apart = len(batch) > 1 and was_rolled_back(error)
            for caller in batch:
                caller.answer = error
                if apart:
                    self._write([caller])

    def _alone(self, caller: Waiting) -> object:
        with self.db.transaction(WRITER) as tx:
            return caller.alone(tx)

    def _together(self, batch: Sequence[Waiting]) -> list[Outcome]:
        return batches.commit(self.db, WRITER, [caller.operation for caller in batch])


def was_rolled_back(error: Exception) -> bool:
    """Whether the server refused: then nothing was done. After any other fault nobody can tell, so nothing is repeated."""
    fault = error.__cause__ if isinstance(error, Refusal) else error
    return isinstance(fault, psycopg.Error) and fault.sqlstate is not None


def again(error: Refusal) -> Refusal:
    """The same refusal for another thread: an exception that several raise would mix their tracebacks."""
    fresh = type(error)(error.detail, **error.facts)
    fresh.__cause__ = error.__cause__
    return fresh


def movement_of(outcome: Outcome) -> MovementId:
    assert outcome.movement is not None, "what was not refused has a movement"
    return outcome.movement


def open_with_faucet(ledger: LedgerWriter, account: str, amount: Credits) -> None:
    """As `commands.open_with_faucet`, with whatever else is written at the same time. Raises FaucetClosed."""
    if amount <= 0:
        raise FaucetClosed
    with suppress(MovementAlreadyMade):
        ledger.deposit(
            account,
            amount,
            key=f"faucet:{commands.holder_of(account)}",
            reason="opening credits of the development faucet",
        )


def writer_of(db: Db) -> LedgerWriter:
    """The writer of this process for a pool of connections: one for everybody, since only together do they save."""
    return db.own(LedgerWriter)
