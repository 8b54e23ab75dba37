"""Chooses how to copy the live database, and says why the other ways were not taken."""

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hansa.migrate.catalog import Snapshot, differences, snapshot
from hansa.migrate.options import Options
from hansa.migrate.rehearsal.basebackup import basebackup_clone
from hansa.migrate.rehearsal.copying import copied_clone
from hansa.migrate.rehearsal.errors import CannotClone, NoClone
from hansa.migrate.rehearsal.programs import Binaries
from hansa.migrate.rehearsal.source import Source
from hansa.migrate.rehearsal.template import template_clone
from hansa.migrate.session import connect


class CloneKind(StrEnum):
    """How the live database is copied, the cheapest way first."""

    TEMPLATE = "template"
    """On its own server, while nobody is connected."""
    BASEBACKUP = "basebackup"
    """The whole cluster, file by file, under a second server; works while clients write."""
    COPY = "copy"
    """Table by table into another server; needs no more than the right to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A copy to rehearse on."""

    kind: CloneKind
    dsn: str
    made_ms: float
    passed_over: tuple[str, ...]
    """Why the ways before this one could not be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be copied, and what may be used for it."""

    source: Source
    catalog: Snapshot
    """Of the live database."""
    directory: Path
    """The folder of revisions."""
    pending: tuple[str, ...]
    place: Path
    """A folder for files."""
    workspace_dsn: str | None
    binaries: Binaries | None
    options: Options


@contextmanager
def cloned(wish: Wish, kind: CloneKind | None) -> Generator[Clone]:
    """A copy of the live database that is gone in the end. Raises NoClone, or CannotClone when a kind was asked for."""
    passed_over: list[str] = []
    with ExitStack() as stack:
        for candidate in [kind] if kind is not None else CloneKind:
            wish.options.working(f"copying the database: {candidate}")
            started = time.monotonic()
            try:
                dsn = stack.enter_context(_checked(wish, candidate))
            except CannotClone as refusal:
                if kind is not None:
                    raise CannotClone(f"{kind}: {refusal}") from refusal
                passed_over.append(f"{candidate}: {refusal}")
                continue
            made_ms = round((time.monotonic() - started) * 1000, 3)
            yield Clone(kind=candidate, dsn=dsn, made_ms=made_ms, passed_over=tuple(passed_over))
            return
    raise NoClone(f"the database cannot be copied: {'; '.join(passed_over)}")


@contextmanager
def _checked(wish: Wish, kind: CloneKind) -> Generator[str]:
    """A copy whose catalog is that of the original: what is of the database as such does not come along."""
    with _way(wish, kind) as dsn:
        if kind is not CloneKind.COPY:  # which has its own idea of what a copy is like
            with connect(dsn) as clone:
                found = [one for one in differences(wish.catalog, snapshot(clone)) if not _of_database(one.object)]
            if found:
                raise CannotClone(f"the catalog changed while it was copied: {found[0].sentence}")
        yield dsn


def _way(wish: Wish, kind: CloneKind) -> AbstractContextManager[str]:
    match kind:
        case CloneKind.TEMPLATE:
            return template_clone(wish.source, wish.directory, wish.pending)
        case CloneKind.BASEBACKUP:
            return basebackup_clone(wish.source, wish.place, wish.binaries)
        case CloneKind.COPY:
            return copied_clone(
                wish.source,
                wish.directory,
                wish.place,
                wanted=wish.catalog,
                workspace_dsn=wish.workspace_dsn,
                binaries=wish.binaries,
                options=wish.options,
            )


def _of_database(name: str) -> bool:
    return name.startswith(("database", "grant on database", "subscription"))
