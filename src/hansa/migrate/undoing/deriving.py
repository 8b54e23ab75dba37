"""Derives down.sql from what up.sql does to a catalog, and proves it by going there and back."""

import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hansa.migrate.catalog import Difference
from hansa.migrate.commands import up
from hansa.migrate.errors import UnknownRevision
from hansa.migrate.locking.relations import Relations
from hansa.migrate.locking.statements import locks_of
from hansa.migrate.revisions import Revision, load
from hansa.migrate.session import Connection, connect
from hansa.migrate.splitter import split
from hansa.migrate.testing import scratch
from hansa.migrate.undoing.creations import Former
from hansa.migrate.undoing.identities import identities
from hansa.migrate.undoing.searching import left_over, way_back
from hansa.migrate.undoing.things import thing

PLACEHOLDER = "SELECT 1;\n"
_CHANGES_ROWS = ("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "COPY", "WITH")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownDraft:
    """A down.sql that nobody wrote."""

    revision: str
    text: str
    statements: tuple[str, ...]
    not_derivable: tuple[str, ...]
    """What no catalog tells, in sentences; they stand in the text as comments."""
    left_over: tuple[Difference, ...]
    """What still differs from the catalog before up.sql when the text has run."""

    @property
    def proved(self) -> bool:
        """Whether the text was seen to restore the catalog. What rows held is not part of it."""
        return not self.left_over


def derived_down(scratch_dsn: str, directory: Path, revision: str) -> DownDraft:
    """The way back of a revision, found on an empty database by what its up.sql changes there.

    Its own down.sql and verify.sql may still be empty. All revisions before it are run first. `scratch_dsn` is of a
    server where databases may be made. Raises UnknownRevision, and what `up` raises.
    """
    with _until(directory, revision) as (before, all_of_it), scratch(scratch_dsn, "mig_undoing") as dsn:
        up(dsn, before)
        chosen = next(each for each in load(all_of_it) if each.id == revision)
        with connect(dsn) as connection:
            former = Former(connection)
            rows = tuple(_row_changes(connection, chosen))
        up(dsn, all_of_it)
        with connect(dsn) as connection:
            lost = tuple(_lost(former, connection))
            statements = way_back(connection, former)
            text = _text(revision, statements, ())
            left = left_over(connection, former, [statement.text for statement in split(text)])
    remarks = (*lost, *rows, *(difference.sentence for difference in left))
    return DownDraft(
        revision=revision,
        text=_text(revision, statements, remarks),
        statements=statements,
        not_derivable=remarks,
        left_over=left,
    )


@contextmanager
def _until(directory: Path, revision: str) -> Generator[tuple[Path, Path]]:
    """Two copies of the folder: with everything before a revision, and with that revision too."""
    if not (directory / revision / "up.sql").is_file():
        raise UnknownRevision(f"there is no revision {revision} with an up.sql")
    with tempfile.TemporaryDirectory(prefix="mig-undoing-") as place:
        whole, before = Path(place) / "whole", Path(place) / "before"
        shutil.copytree(directory, whole)
        (whole / revision / "down.sql").write_text(PLACEHOLDER, encoding="utf-8")
        verify = whole / revision / "verify.sql"
        if verify.is_file() and not split(verify.read_text(encoding="utf-8"), source="verify.sql"):
            verify.unlink()
        order = [each.id for each in load(whole)]
        for later in order[order.index(revision) + 1 :]:
            shutil.rmtree(whole / later)
        shutil.copytree(whole, before)
        shutil.rmtree(before / revision)
        yield before, whole


def _row_changes(connection: Connection, revision: Revision) -> Iterator[str]:
    """Statements that change rows of tables that were there before: a catalog knows nothing of them."""
    relations = Relations(connection)
    for statement in revision.up.statements if revision.up is not None else ():
        if statement.words[:1] and statement.words[0] in _CHANGES_ROWS:
            names = {found.name for lock in locks_of(statement) for found in relations.of(lock)}
            if names:
                yield f"line {statement.line} of up.sql changes rows of {', '.join(sorted(names))}"


def _lost(former: Former, connection: Connection) -> Iterator[str]:
    """What is gone with its rows, and cannot come back with them."""
    present = identities(connection)
    names = {called.whole for called in present.values()}
    for (catalog, number, part), called in former.identities.items():
        what = thing(called.whole)
        if (catalog, number, part) in present or what is None or called.whole not in former.catalog.objects:
            continue
        if what.kind == "table":
            yield f"the rows of {what.name} are gone; it comes back empty"
        elif what.kind == "column" and called.whole in names:
            yield f"{what.of}.{what.name} is a new column under an old name; its values are converted, not the old ones"
        elif what.kind == "column" and (catalog, number, 0) in present:
            yield f"the values of {what.of}.{what.name} are gone; where there are rows, a NOT NULL refuses to come back"


def _text(revision: str, statements: Sequence[str], remarks: Sequence[str]) -> str:
    name = revision.partition("_")[2]
    lines = [f"-- {name}: derived from what up.sql does to the catalog; read it before you rely on it."]
    lines += [f"-- NOT DERIVABLE: {' '.join(remark.split())}" for remark in remarks]
    lines += [f"{statement};" for statement in statements]
    return "\n".join(lines) + "\n"
