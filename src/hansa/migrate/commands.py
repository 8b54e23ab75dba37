"""What changes a database: up, down, seed, verify. Each waits for the migration lock and checks the ledger first."""

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hansa.migrate import ledger
from hansa.migrate.absorbing import absorb
from hansa.migrate.chain import EventKind
from hansa.migrate.errors import (
    BadRequest,
    InterruptedRevision,
    Irreversible,
    NotApplied,
    ProductionSeed,
    StatementFailed,
    UnknownRevision,
)
from hansa.migrate.expectations import expecting, left_open
from hansa.migrate.graph import with_requirements
from hansa.migrate.ledger import Ledger
from hansa.migrate.online.errors import OperationFailed
from hansa.migrate.options import Options
from hansa.migrate.results import Check, Report, Step, Verification
from hansa.migrate.revisions import Revision, load
from hansa.migrate.runner import (
    elapsed_ms,
    finished,
    record_failure,
    run_alone,
    run_script,
    run_together,
    script_of,
    with_retries,
)
from hansa.migrate.session import Session, locked
from hansa.migrate.state import interrupted, pending, refuse_unsound
from hansa.migrate.stepwise import run_stepwise
from hansa.migrate.verification import checks_of

Condition = Callable[[Session, Ledger, Sequence[Revision]], None]
"""Refuses a run by raising: it is given the locked session, the ledger, and what is waiting to be applied."""

ENVIRONMENT_VARIABLE = "HANSA_ENV"
PRODUCTION = "production"


def up(
    dsn: str,
    directory: Path,
    *,
    to: str | None = None,
    conditions: Sequence[Condition] = (),
    options: Options | None = None,
) -> Report:
    """Apply what is pending, each revision in its own transaction with its ledger entry, or online where it says so.

    `to` applies only that revision and what it requires. A failing revision leaves nothing behind, and those before
    it stay applied; an online one goes on with the next call. Raises EditedRevision, MissingRevision, BrokenChain,
    and what the conditions raise, before anything runs.
    """
    revisions = load(directory)
    chosen = with_requirements(revisions, _known(revisions, to).id) if to else revisions
    with _opened(dsn, revisions, options) as (session, state):
        waiting = pending(state, chosen)
        _refuse_half_way(state, waiting, "up")
        for condition in conditions:
            condition(session, state, waiting)
        if not waiting and not left_open(session):
            return Report(steps=())
        with expecting(session):
            return Report(steps=tuple(_run(session, revision, "up", state) for revision in waiting))


def down(
    dsn: str,
    directory: Path,
    *,
    to: str | None = None,
    steps: int | None = None,
    everything: bool = False,
    options: Options | None = None,
) -> Report:
    """Revert the latest revisions, last applied first: all of them or none, unless one is not transactional.

    Give exactly one of `to` (this revision stays), `steps` (how many go) and `everything`.
    Raises Irreversible before anything runs when one of them has no way back, and DataWouldBeLost when tables or
    columns that hold data would go, unless the options say that they may.
    """
    if sum((to is not None, steps is not None, everything)) != 1:
        raise BadRequest("say exactly one of: down to a revision, a number of steps, or everything")
    revisions = load(directory)
    with _opened(dsn, revisions, options) as (session, state):
        by_id = {revision.id: revision for revision in revisions}
        begun = [revision.id for revision in interrupted(state, revisions)]
        chosen = [by_id[name] for name in _latest(state, begun, to=to, steps=steps)]
        for revision in chosen:
            _refuse_irreversible(revision, state)
        _refuse_half_way(state, chosen, "down")
        if not chosen and not left_open(session):
            return Report(steps=())
        with expecting(session):
            if not chosen:
                return Report(steps=())
            if all(revision.transactional and revision.id not in state.begun for revision in chosen):
                with _failure_recorded(session, chosen):
                    return Report(steps=run_together(session, chosen, "down"))
            return Report(steps=tuple(_run(session, revision, "down", state) for revision in chosen))


def seed(
    dsn: str,
    directory: Path,
    *,
    force: bool = False,
    environment_variable: str = ENVIRONMENT_VARIABLE,
    options: Options | None = None,
) -> Report:
    """Run the seed.sql of every applied revision that was not seeded since it was applied.

    Raises ProductionSeed when the environment variable says `production`, unless forced.
    """
    if os.environ.get(environment_variable) == PRODUCTION and not force:
        raise ProductionSeed(f"{environment_variable} is {PRODUCTION}; seeds are for other places (force to override)")
    revisions = load(directory)
    with _opened(dsn, revisions, options) as (session, state):
        candidates = [revision for revision in _applied(state, revisions) if revision.seed is not None]
        seeded = {revision.id for revision in candidates if _is_seeded(state, revision)}
        steps = tuple(_seed(session, revision) for revision in candidates if revision.id not in seeded)
        return Report(steps=steps, skipped=tuple(sorted(seeded)))


def verify(dsn: str, directory: Path, *, only: str | None = None, options: Options | None = None) -> Verification:
    """Run the verify.sql of every applied revision, or of `only` one, and undo whatever it did.

    The first success after an application is recorded, and every failure.
    Raises EmptyVerify, MalformedVerify when a script states no facts.
    """
    revisions = load(directory)
    wanted = {_known(revisions, only).id} if only is not None else {revision.id for revision in revisions}
    with _opened(dsn, revisions, options) as (session, state):
        chosen = tuple(revision for revision in _applied(state, revisions) if revision.id in wanted)
        if only is not None and not chosen:
            raise NotApplied(f"{only} is not applied, so there is nothing to verify")
        checks = {revision.id: checks_of(session, revision) for revision in chosen if revision.verify is not None}
        for revision in chosen:
            if revision.id in checks:
                _record_verification(session, state, revision, checks[revision.id])
        unverified = tuple(revision.id for revision in chosen if revision.verify is None)
        return Verification(checks=tuple(check for found in checks.values() for check in found), unverified=unverified)


@contextmanager
def _opened(dsn: str, revisions: Sequence[Revision], options: Options | None) -> Generator[tuple[Session, Ledger]]:
    """A session under the lock, and the ledger as it is now, found sound."""
    with locked(dsn, options or Options()) as session:
        ledger.prepare(session)
        state = ledger.read(session.connection)
        refuse_unsound(state, revisions)
        yield session, absorb(session, state, revisions)


def _run(session: Session, revision: Revision, direction: str, state: Ledger) -> Step:
    with _failure_recorded(session, [revision]):
        if revision.operations or revision.id in state.begun:
            return run_stepwise(session, revision, direction)
        if revision.transactional:
            return run_together(session, [revision], direction)[0]
        return run_alone(session, revision, direction, state.progress.get(revision.id))


@contextmanager
def _failure_recorded(session: Session, revisions: Sequence[Revision]) -> Generator[None]:
    try:
        yield
    except (StatementFailed, OperationFailed) as failure:
        record_failure(session, next(revision for revision in revisions if revision.id == failure.revision), failure)
        raise


def _known(revisions: Sequence[Revision], name: str) -> Revision:
    for revision in revisions:
        if revision.id == name:
            return revision
    raise UnknownRevision(f"there is no revision {name}")


def _latest(state: Ledger, begun: Sequence[str], *, to: str | None, steps: int | None) -> tuple[str, ...]:
    """What goes, last applied first. Every revision was applied after those it requires, so dependents come first.

    What began online and stopped half-way goes before everything else: it is the latest that happened.
    """
    order = [*reversed(begun), *(row.id for row in reversed(state.applied))]
    if to is not None:
        if to not in order or to in begun:
            raise NotApplied(f"{to} is not applied, so nothing can be reverted down to it")
        return tuple(order[: order.index(to)])
    if steps is None:
        return tuple(order)
    if steps < 1:
        raise BadRequest("the number of steps must be at least 1")
    if steps > len(order):
        raise NotApplied(f"{steps} revisions to revert, but {len(order)} applied")
    return tuple(order[:steps])


def _refuse_irreversible(revision: Revision, state: Ledger) -> None:
    if revision.irreversible is not None:
        raise Irreversible(f"{revision.id} cannot be reverted: {revision.irreversible}")
    if revision.operations and revision.id not in state.begun:
        raise Irreversible(
            f"{revision.id} counts as applied without having run here, so its operations know no way back; "
            "undo it by hand, then say `resolve --rolled-back`"
        )


def _refuse_half_way(state: Ledger, chosen: Sequence[Revision], direction: str) -> None:
    """Refuse to build on what stopped half-way in the other direction, or to resume what was edited since."""
    for before in state.progress.values():
        if before.direction != direction:
            raise InterruptedRevision(
                f"{before.revision} stopped after statement {before.statements_done} of its {before.direction}.sql; "
                f"finish that first with `{before.direction}`, or undo it by hand and say `resolve --rolled-back`"
            )
    for name in sorted(state.leaving if direction == "up" else ()):
        raise InterruptedRevision(f"{name} stopped on its way back; finish that first with `down`")
    for revision in chosen:
        finished(script_of(revision, direction), state.progress.get(revision.id), revision.id)


def _applied(state: Ledger, revisions: Sequence[Revision]) -> tuple[Revision, ...]:
    by_id = {revision.id: revision for revision in revisions}
    return tuple(by_id[row.id] for row in state.applied)


def _is_seeded(state: Ledger, revision: Revision) -> bool:
    last = state.last_event(revision.id, EventKind.APPLIED, EventKind.BASELINED, EventKind.SEEDED)
    return last is not None and last.kind is EventKind.SEEDED


def _seed(session: Session, revision: Revision) -> Step:
    script = revision.seed
    assert script is not None

    def attempt() -> None:
        with session.connection.transaction():
            run_script(session, revision, script)
            ledger.record(session, EventKind.SEEDED, revision.id, revision.checksum)

    started = time.monotonic()
    with _failure_recorded(session, [revision]):
        with_retries(session, attempt)
    duration_ms = elapsed_ms(started)
    session.settle()
    return Step(revision=revision.id, statements=len(script.statements), resumed_after=0, duration_ms=duration_ms)


def _record_verification(session: Session, state: Ledger, revision: Revision, checks: Sequence[Check]) -> None:
    failed = [check.name for check in checks if not check.ok]
    last = state.last_event(revision.id, EventKind.APPLIED, EventKind.VERIFIED, EventKind.FAILED)
    with session.connection.transaction():
        session.guard()
        if failed:
            detail = "verify: " + ", ".join(failed)
            ledger.record(session, EventKind.FAILED, revision.id, revision.checksum, detail=detail)
        elif last is None or last.kind is not EventKind.VERIFIED:
            ledger.record(session, EventKind.VERIFIED, revision.id, revision.checksum)
