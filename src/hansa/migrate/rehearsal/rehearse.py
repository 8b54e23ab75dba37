"""The rehearsal itself: copy the database, run what is pending up and down and up on the copy, and certify it."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hansa.migrate.catalog import snapshot
from hansa.migrate.errors import InterruptedRevision
from hansa.migrate.options import Options
from hansa.migrate.queries import plan, status
from hansa.migrate.rehearsal.certificate import Certificate, CloneUsed
from hansa.migrate.rehearsal.clones import Clone, CloneKind, Wish, cloned
from hansa.migrate.rehearsal.forecast import forecast
from hansa.migrate.rehearsal.probes import Probes, load_probes
from hansa.migrate.rehearsal.probing import try_probes
from hansa.migrate.rehearsal.programs import Binaries
from hansa.migrate.rehearsal.recorded import pending_digest, prepare_record, record
from hansa.migrate.rehearsal.rounds import Round, Stage
from hansa.migrate.rehearsal.scratch import sweep_databases
from hansa.migrate.rehearsal.source import inspect
from hansa.migrate.rehearsal.trace import Tracer
from hansa.migrate.rehearsal.traced import Trace
from hansa.migrate.rehearsal.traffic import TrafficMeter
from hansa.migrate.rehearsal.workplaces import sweep, workplace
from hansa.migrate.results import State
from hansa.migrate.revisions import Revision, load
from hansa.migrate.session import looking


def rehearse(
    dsn: str,
    directory: Path,
    *,
    to: str | None = None,
    clone: CloneKind | None = None,
    workspace_dsn: str | None = None,
    probes: Path | Probes | None = None,
    staircase: bool = False,
    binaries: Binaries | None = None,
    keep_record: bool = True,
    options: Options | None = None,
) -> Certificate:
    """Run what is pending on a copy of the database: up, verify, down, all as it was, up again.

    Nothing of the live database changes but for the certificate in its ledger (not with `keep_record=False`, for a
    role that only reads). `to` rehearses only that revision and what it requires; `staircase` takes each revision
    up, down and up on its own; `workspace_dsn` is a server for a copy table by table. What goes wrong on the copy is
    in the certificate; what stands in the way of rehearsing at all is raised: NoClone, CannotClone, BadProbes,
    CannotRecord, InterruptedRevision, and what `plan` raises.
    """
    options = options or Options()
    at = datetime.now(UTC)
    watched = load_probes(probes) if isinstance(probes, Path) else probes
    for left in sweep():
        options.working(f"removed {left}, which a killed rehearsal left")
    with workplace() as place:
        # What is certified is what ran, also when somebody edits the folder meanwhile.
        load(directory)
        revisions = place / "revisions"
        shutil.copytree(directory, revisions)
        pending = _pending(dsn, revisions, to)
        if keep_record and pending:
            prepare_record(dsn, options)
        source = inspect(dsn)
        if source.may_create:
            sweep_databases(dsn)
        with looking(dsn) as live:
            catalog = snapshot(live)
        wish = Wish(
            source=source,
            catalog=catalog,
            directory=revisions,
            pending=tuple(revision.id for revision in pending),
            place=place,
            workspace_dsn=workspace_dsn,
            binaries=binaries,
            options=options,
        )
        certificate = _rehearsed(wish, pending, clone, watched, staircase=staircase, at=at)
    if keep_record and pending:
        record(dsn, certificate, pending, options)
    return certificate


def _pending(dsn: str, directory: Path, to: str | None) -> tuple[Revision, ...]:
    """What `up` would run. Raises InterruptedRevision when something stopped half-way, which nothing can restore."""
    steps = plan(dsn, directory, to=to).steps
    for row in status(dsn, directory).revisions:
        if row.state is State.INTERRUPTED:
            raise InterruptedRevision(f"{row.revision}: {row.detail}; finish it first")
    by_id = {revision.id: revision for revision in load(directory)}
    return tuple(by_id[step.revision] for step in steps)


def _rehearsed(
    wish: Wish,
    pending: Sequence[Revision],
    kind: CloneKind | None,
    probes: Probes | None,
    *,
    staircase: bool,
    at: datetime,
) -> Certificate:
    certificate = Certificate(
        at=at,
        actor=wish.options.actor,
        revisions=wish.pending,
        pending=pending_digest(pending),
        catalog_digest=wish.catalog.digest,
    )
    if not pending:
        return certificate
    traffic = TrafficMeter(wish.source.dsn)
    with cloned(wish, kind) as clone:
        rounds, trace = _run(clone, wish, pending, probes, staircase=staircase)
    certificate = replace(
        certificate,
        clone=CloneUsed(kind=clone.kind, made_ms=clone.made_ms, passed_over=clone.passed_over),
        rounds=rounds,
        statements=trace.statements,
    )
    if not trace.blockings:
        return certificate
    # A copy table by table reads each of them once, and that is not the application.
    own_reads = 1 if clone.kind is CloneKind.COPY else 0
    measured = traffic.read(patient=wish.source.others > 0, own_reads=own_reads)
    return replace(
        certificate,
        outages=forecast(trace.blockings, measured),
        traffic_source=measured.source,
        traffic_window_s=measured.window_s,
    )


def _run(
    clone: Clone, wish: Wish, pending: Sequence[Revision], probes: Probes | None, *, staircase: bool
) -> tuple[tuple[Round, ...], Trace]:
    if probes is not None:
        try_probes(clone.dsn, probes)
    tracer = Tracer(clone.dsn)
    try:
        stage = Stage(
            dsn=clone.dsn,
            directory=wish.directory,
            options=wish.options,
            observer=tracer,
            clock=tracer.now,
            probes=probes,
        )
        rounds: list[Round] = []
        for names, irreversible in _parts(pending, staircase=staircase):
            rounds.append(stage.round(names, irreversible=irreversible))
            if rounds[-1].failure is not None:
                break
    finally:
        trace = tracer.finish()
    return tuple(rounds), trace


def _parts(pending: Sequence[Revision], *, staircase: bool) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Which revisions go through together, and why they cannot come back where they cannot.

    What lies before an irreversible revision cannot be reached by a way back.
    """
    if staircase:
        for revision in pending:
            yield (revision.id,), revision.irreversible
        return
    stuck = max((n for n, revision in enumerate(pending, start=1) if revision.irreversible is not None), default=0)
    names = tuple(revision.id for revision in pending)
    if stuck:
        yield names[:stuck], f"{names[stuck - 1]}: {pending[stuck - 1].irreversible}"
    if names[stuck:]:
        yield names[stuck:], None
