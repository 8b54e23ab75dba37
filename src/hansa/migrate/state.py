"""Compares the folder with the ledger: what is pending, and what must not go on."""

from collections.abc import Generator, Sequence

from hansa.migrate.chain import first_break
from hansa.migrate.errors import BrokenChain, EditedRevision, MissingRevision, PartlyReplaced, Refusal
from hansa.migrate.ledger import Applied, Ledger
from hansa.migrate.revisions import Revision


def refuse_unsound(ledger: Ledger, revisions: Sequence[Revision]) -> None:
    """Raise the first fault, before anything runs: BrokenChain, PartlyReplaced, EditedRevision or MissingRevision."""
    for fault in faults(ledger, revisions):
        raise fault


def faults(ledger: Ledger, revisions: Sequence[Revision]) -> Generator[Refusal]:
    """Everything that stands in the way of running revisions here."""
    broken = first_break(ledger.events, {row.id: row.checksum for row in ledger.applied})
    if broken is not None:
        yield BrokenChain(f"the event log is broken at link {broken.n}: {broken.reason}")
    known = {revision.id: revision for revision in revisions}
    replaced = {name for revision in revisions for name in revision.replaces}
    yield from _partly_replaced(ledger, revisions)
    for row in ledger.applied:
        if row.id in replaced:
            continue
        if row.id not in known:
            yield MissingRevision(f"{row.id} is applied, but its folder is gone; bring it back")
        elif row.checksum != known[row.id].checksum:
            files = ", ".join(edited_files(row, known[row.id]))
            yield EditedRevision(f"{row.id} is applied, but {files} changed since; restore it and write a new revision")
    half_way = (ledger.begun | ledger.progress.keys()) - {row.id for row in ledger.applied}
    for name in sorted(half_way - known.keys()):
        yield MissingRevision(
            f"{name} stopped half-way, and its folder is gone; bring it back to finish it or take it back"
        )


def edited_files(row: Applied, revision: Revision) -> tuple[str, ...]:
    """Names of files that were changed, added or removed since the revision was applied."""
    names = sorted(row.files.keys() | revision.files.keys())
    return tuple(name for name in names if row.files.get(name) != revision.files.get(name))


def pending(ledger: Ledger, revisions: Sequence[Revision]) -> tuple[Revision, ...]:
    """What is not applied, in the order of the folder; what replaces applied revisions counts as applied."""
    applied = {row.id for row in ledger.applied}
    return tuple(revision for revision in revisions if revision.id not in applied and not replaced_by(revision, ledger))


def replaced_by(revision: Revision, ledger: Ledger) -> tuple[Applied, ...]:
    """The applied revisions that this one replaces, in their order; empty once it has taken their place."""
    return tuple(row for row in ledger.applied if row.id in revision.replaces)


def _partly_replaced(ledger: Ledger, revisions: Sequence[Revision]) -> Generator[Refusal]:
    for revision in revisions:
        there = [row.id for row in replaced_by(revision, ledger)]
        missing = [name for name in revision.replaces if name not in there]
        if there and missing:
            yield PartlyReplaced(
                f"{revision.id} replaces {missing[0]}, which is not applied here, and {there[0]}, which is; "
                "bring back the folders it replaces, apply them, and go on from there"
            )


def interrupted(ledger: Ledger, revisions: Sequence[Revision]) -> tuple[Revision, ...]:
    """Revisions whose online operations began and that are not applied, in the order of the folder."""
    applied = {row.id for row in ledger.applied}
    return tuple(revision for revision in revisions if revision.id in ledger.begun - applied)
