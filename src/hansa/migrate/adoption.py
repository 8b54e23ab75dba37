"""Adopts a database that somebody else's migrations made: its catalog must be what the revisions would have made."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from hansa.migrate import ledger
from hansa.migrate.catalog import Difference, Snapshot, differences, snapshot
from hansa.migrate.chain import EventKind
from hansa.migrate.commands import up
from hansa.migrate.conditions import same_condition
from hansa.migrate.errors import BadRequest, UnknownRevision
from hansa.migrate.expectations import expect
from hansa.migrate.graph import with_requirements
from hansa.migrate.ledger import Ledger
from hansa.migrate.options import Options
from hansa.migrate.revisions import load
from hansa.migrate.session import connect, locked
from hansa.migrate.testing import scratch


class NotEmptyLedger(BadRequest):
    """The engine has applied or begun revisions here already, so there is nothing to adopt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What `baseline` found, and whether it adopted the database."""

    adopted: tuple[str, ...]
    """Revisions that are taken as applied now; empty when the catalogs differ."""
    differences: tuple[Difference, ...]
    """What the revisions would have made differently; soft ones do not keep from adopting."""

    @property
    def ok(self) -> bool:
        return not any(not difference.soft for difference in self.differences)


def baseline(
    dsn: str,
    directory: Path,
    *,
    to: str | None = None,
    scratch_dsn: str | None = None,
    ignoring: Sequence[str] = (),
    options: Options | None = None,
) -> Adoption:
    """Take revisions as applied without running them, if they would have made exactly the catalog that is there.

    They run on an empty database made for it on the server of `scratch_dsn` (default: the same server), which is
    dropped afterwards. `to` adopts that revision and what it requires, `ignoring` are patterns over names of objects,
    as in `table public.alembic_version*`. Objects may belong to other roles than they would have. Nothing is recorded
    when something differs.
    Raises NotEmptyLedger, UnknownRevision, and what `up` raises on the empty database.
    """
    revisions = load(directory)
    if to is not None and to not in {revision.id for revision in revisions}:
        raise UnknownRevision(f"there is no revision {to}")
    chosen = revisions if to is None else with_requirements(revisions, to)
    if not chosen:
        raise BadRequest(f"{directory} holds no revision to adopt; make one with `new --from-database`")
    made = _made(scratch_dsn or dsn, directory, chosen[-1].id if to is None else to, ignoring, whole=to is None)
    with locked(dsn, options or Options()) as session:
        ledger.prepare(session)
        _refuse_history(ledger.read(session.connection))
        live = snapshot(session.connection)
        found = _unlike(_without(live, ignoring), made)
        adoption = Adoption(adopted=tuple(revision.id for revision in chosen), differences=found)
        if not adoption.ok:
            return Adoption(adopted=(), differences=found)
        with session.connection.transaction():
            session.guard()
            for revision in chosen:
                ledger.enter(session, revision, duration_ms=0, kind=EventKind.BASELINED)
            expect(session, live)
        return adoption


def _refuse_history(state: Ledger) -> None:
    if state.applied:
        raise NotEmptyLedger("revisions are applied here already; `status` shows them")
    if half_way := sorted({*state.begun, *state.progress}):
        raise NotEmptyLedger(f"{half_way[0]} stopped half-way here; finish it with `up`, or take it back")


def _unlike(live: Snapshot, made: Snapshot) -> tuple[Difference, ...]:
    """The differences, but for conditions that a dump writes flatter than they were made."""
    return tuple(one for one in differences(live, made) if not same_condition(one.before, one.after))


def _made(server: str, directory: Path, to: str, ignoring: Sequence[str], *, whole: bool) -> Snapshot:
    """The catalog that the revisions make on an empty database."""
    with scratch(server, "mig_baseline") as dsn:
        up(dsn, directory, to=None if whole else to)
        with connect(dsn) as connection:
            return _without(snapshot(connection), ignoring)


def _without(catalog: Snapshot, ignoring: Sequence[str]) -> Snapshot:
    names = (name for name in catalog.objects if any(fnmatchcase(name, pattern) for pattern in ignoring))
    return catalog.without(frozenset(names)).without_aspect("owner")
