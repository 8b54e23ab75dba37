"""What only looks: status and plan. Neither takes the lock nor writes anything, so both work on a read replica."""

from collections.abc import Sequence
from pathlib import Path

from hansa.migrate import ledger
from hansa.migrate.errors import UnknownRevision
from hansa.migrate.graph import with_requirements
from hansa.migrate.ledger import Ledger
from hansa.migrate.locking.planned import on_existing
from hansa.migrate.results import Plan, PlannedStep, Problem, RevisionStatus, State, Status
from hansa.migrate.revisions import Revision, load
from hansa.migrate.runner import finished, script_of
from hansa.migrate.session import looking
from hansa.migrate.state import edited_files, faults, pending, refuse_unsound, replaced_by


def status(dsn: str, directory: Path) -> Status:
    """Where the database stands against the folder, with everything that `up` would refuse."""
    revisions = load(directory)
    with looking(dsn) as connection:
        state = ledger.read(connection)
    return Status(
        revisions=(*(_row(state, revision) for revision in revisions), *_missing(state, revisions)),
        events=len(state.events),
        problems=tuple(Problem(code=fault.code, message=str(fault)) for fault in faults(state, revisions)),
    )


def plan(dsn: str, directory: Path, *, to: str | None = None) -> Plan:
    """What `up` would run, in which order. Raises what `up` would raise before running anything."""
    revisions = load(directory)
    if to is not None and to not in {revision.id for revision in revisions}:
        raise UnknownRevision(f"there is no revision {to}")
    with looking(dsn) as connection:
        state = ledger.read(connection)
        refuse_unsound(state, revisions)
        waiting = pending(state, with_requirements(revisions, to) if to is not None else revisions)
        locks = on_existing(connection, waiting, state)
    return Plan(steps=tuple(_planned(state, revision, locks[revision.id]) for revision in waiting))


def _planned(state: Ledger, revision: Revision, locks: tuple[str, ...]) -> PlannedStep:
    script = script_of(revision, "up")
    done = finished(script, state.progress.get(revision.id), revision.id)
    return PlannedStep(
        revision=revision.id,
        description=revision.description,
        requires=revision.requires,
        transactional=revision.transactional,
        irreversible=revision.irreversible is not None,
        statements=len(script.statements) - done,
        operations=tuple(f"{operation.kind} {operation.target}" for operation in revision.operations),
        resumes_after=done,
        locks=locks,
    )


def _row(state: Ledger, revision: Revision) -> RevisionStatus:
    applied = next((row for row in state.applied if row.id == revision.id), None)
    progress = state.progress.get(revision.id)
    if applied is not None and applied.checksum != revision.checksum:
        kind, detail = State.EDITED, ", ".join(edited_files(applied, revision))
    elif revision.id in (state.begun if applied is None else state.leaving):
        kind, detail = State.INTERRUPTED, "its online operations are under way or stopped half-way"
    elif progress is not None:
        kind, detail = State.INTERRUPTED, f"{progress.direction}.sql stopped after statement {progress.statements_done}"
    elif replaced := replaced_by(revision, state):
        kind, detail = State.APPLIED, f"as {len(replaced)} revisions that it replaces; the next `up` says so"
    else:
        kind, detail = (State.PENDING, "") if applied is None else (State.APPLIED, "")
    return _status(revision.id, kind, applied, detail)


def _missing(state: Ledger, revisions: Sequence[Revision]) -> tuple[RevisionStatus, ...]:
    known = {name for revision in revisions for name in (revision.id, *revision.replaces)}
    return tuple(_status(row.id, State.MISSING, row, "") for row in state.applied if row.id not in known)


def _status(name: str, kind: State, applied: ledger.Applied | None, detail: str) -> RevisionStatus:
    return RevisionStatus(
        revision=name,
        state=kind,
        applied_at=applied.applied_at if applied else None,
        applied_by=applied.applied_by if applied else None,
        duration_ms=applied.duration_ms if applied else None,
        detail=detail,
    )
