"""Views and routines that are kept as files and frozen into a revision when their text has changed.

`repeatable/*.sql` beside the revisions holds the text as it should be, each a CREATE OR REPLACE. A revision takes the
text that is new, and its way back the text that was frozen last, so that history stays as it was applied. What CREATE
OR REPLACE cannot do (a parameter's name, a return type, a column less) is done by DROP and CREATE, along with the
repeatables that depend on it; a scratch server shows where that is needed.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import errors as pg
from psycopg import sql

from hansa.migrate.catalog.reading import reading
from hansa.migrate.commands import up
from hansa.migrate.drafts import write_revision
from hansa.migrate.errors import Refusal
from hansa.migrate.lint.reader import NotUnderstood, Reader
from hansa.migrate.lint.tokens import tokenize, without_comments
from hansa.migrate.locking.lock import relation
from hansa.migrate.revisions import REPEATABLE, load, normalised
from hansa.migrate.runner import describe
from hansa.migrate.session import Connection, connect
from hansa.migrate.splitter import split
from hansa.migrate.testing import scratch
from hansa.migrate.undoing.creations import Former
from hansa.migrate.undoing.searching import drop_the_new, left_over

_PART = re.compile(
    r"^-- repeatable: (?P<file>\S+) (?P<digest>[0-9a-f]{64})\n(?P<text>.*?)^-- repeatable end$",
    re.MULTILINE | re.DOTALL,
)
_HINT = re.compile(r"Use (?P<drop>DROP (?:FUNCTION|PROCEDURE|AGGREGATE|ROUTINE) .+) first\.")
# What CREATE OR REPLACE cannot change of a routine, and of a view.
_NEEDS_DROP = (pg.InvalidFunctionDefinition, pg.InvalidTableDefinition)
_MODIFIERS = ("OR", "REPLACE", "TEMP", "TEMPORARY", "RECURSIVE")
_DEPENDENTS = """
  WITH RECURSIVE dependent AS (
    SELECT %(catalog)s::regclass::oid AS catalog, %(number)s::oid AS number, 0 AS distance
    UNION
    SELECT CASE WHEN w.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass::oid END, coalesce(w.ev_class, d.objid),
           distance + 1
    FROM dependent AS o
    JOIN pg_depend AS d ON d.refclassid = o.catalog AND d.refobjid = o.number AND d.deptype = 'n'
    LEFT JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    WHERE w.ev_class IS DISTINCT FROM o.number
  )
  SELECT i.type, i.identity
  FROM dependent AS o
  CROSS JOIN LATERAL pg_identify_object(o.catalog, o.number, 0) AS i
  GROUP BY i.type, i.identity
  ORDER BY max(o.distance) DESC, i.identity
"""


class NotRepeatable(Refusal):
    """A repeatable is not one CREATE OR REPLACE after the other, or is not what is frozen under its name."""


class RepeatableFails(Refusal):
    """The server refuses the text of a repeatable."""


class DependentNotRepeatable(Refusal):
    """Something depends on what has to be dropped, and no repeatable makes it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What `freeze` did."""

    folder: Path | None
    """The new revision; None when nothing has changed."""
    files: tuple[str, ...]
    """The repeatables in it, also those that are only made again because they depend on others."""


def freeze(directory: Path, name: str, *, at: datetime, scratch_dsn: str, description: str = "") -> Frozen:
    """Make a revision of the repeatables whose text is not the one that was frozen last.

    All revisions are run on an empty database on the server of `scratch_dsn`, to see what works. A file that was
    deleted changes nothing: drop what it made by a revision. Raises NotRepeatable, RepeatableFails,
    DependentNotRepeatable, what `new` raises, and what `up` raises.
    """
    wanted, before = _texts(directory), _frozen(directory)
    changed = sorted(file for file, text in wanted.items() if before.get(file) != text)
    if not changed:
        return Frozen(folder=None, files=())
    with scratch(scratch_dsn, "mig_repeatable") as dsn:
        up(dsn, directory)
        with connect(dsn) as connection, connection.transaction(force_rollback=True):
            former = Former(connection)
            forward = _Freezing(connection, {**before, **wanted})
            forward.make(changed)
            back = _Freezing(connection, before)
            back.make(sorted(file for file in forward.files if file in before))
            drops = drop_the_new(connection, former)
            _refuse_difference(connection, former)
    scripts = {
        "up.sql": f"-- {name}: repeatables as they are from here on.\n{''.join(forward.blocks)}",
        "down.sql": f"-- {name}: repeatables as they were before.\n{''.join(back.blocks)}"
        + "".join(f"{drop};\n" for drop in drops),
    }
    described = description or f"repeatables: {', '.join(changed)}"
    folder = write_revision(directory, name, scripts, at=at, description=described)
    return Frozen(folder=folder, files=tuple(sorted(forward.files)))


class _Freezing:
    """Runs the texts of repeatables in the current transaction, and keeps the script that does the same."""

    def __init__(self, connection: Connection, texts: Mapping[str, str]) -> None:
        self.blocks: list[str] = []
        self.files: set[str] = set()
        self._connection = connection
        self._texts = texts
        self._makers = {name: file for file, text in texts.items() for name in _made(file, text)}

    def make(self, files: Sequence[str]) -> None:
        """Run these files, each when it works, with whatever has to be dropped and made again for them."""
        waiting = list(files)
        while waiting:
            problems = {file: problem for file in waiting if (problem := self._run(file)) is not None}
            waiting = self._give_way(waiting, problems) if len(problems) == len(waiting) else list(problems)

    def _run(self, file: str) -> psycopg.Error | None:
        text = self._texts[file]
        try:
            with self._connection.transaction():
                for statement in split(text, source=file):
                    self._connection.execute(statement.text.encode())
        except psycopg.Error as error:
            return error
        self.files.add(file)
        digest = hashlib.sha256(text.encode()).hexdigest()
        end = "" if text.rstrip().endswith(";") else ";\n"
        self.blocks.append(f"\n-- repeatable: {file} {digest}\n{text}-- repeatable end\n{end}")
        return None

    def _give_way(self, waiting: list[str], problems: Mapping[str, psycopg.Error]) -> list[str]:
        """Drop what cannot be replaced, and what depends on it; everything that has to be made now."""
        for file, error in problems.items():
            if isinstance(error, _NEEDS_DROP):
                again = self._drop_for(file, error)
                return [*waiting, *(other for other in again if other not in waiting)]
        file, error = next(iter(problems.items()))
        raise RepeatableFails(f"{REPEATABLE}/{file}: {describe(error)}") from error

    def _drop_for(self, file: str, error: psycopg.Error) -> list[str]:
        again: list[str] = []
        for kind, identity in self._in_the_way(file, error):
            name = identity.partition("(")[0]
            if name not in self._makers:
                raise DependentNotRepeatable(
                    f"{REPEATABLE}/{file} cannot replace what is there, and {kind} {identity} depends on it, which is "
                    "no repeatable; write the revision by hand"
                )
            drop = f"DROP {kind.upper()} {identity}"
            self._connection.execute(drop.encode())
            self.blocks.append(f"\n{drop};\n")
            again.append(self._makers[name])
        return again

    def _in_the_way(self, file: str, error: psycopg.Error) -> list[tuple[str, str]]:
        """Kind and name of what has to be dropped, dependents first."""
        hint = _HINT.search(error.diag.message_hint or "")
        if hint is not None:
            catalog, function, name = "pg_proc", "to_regprocedure", hint["drop"].split(" ", 2)[2]
        else:
            catalog, function, name = "pg_class", "to_regclass", self._refused_view(file)
        row = self._connection.execute(
            sql.SQL("SELECT {}(%s)::oid::bigint").format(sql.Identifier("pg_catalog", function)), [name]
        ).fetchone()
        if row is None or row[0] is None:
            raise RepeatableFails(f"{REPEATABLE}/{file}: {describe(error)}") from error
        with reading(self._connection) as cursor:
            cursor.execute(_DEPENDENTS, {"catalog": f"pg_catalog.{catalog}", "number": row[0]})
            return [(kind, identity) for kind, identity in cursor.fetchall()]

    def _refused_view(self, file: str) -> str:
        """The first view of a file that cannot be replaced."""
        for statement in split(self._texts[file], source=file):
            try:
                with self._connection.transaction():
                    self._connection.execute(statement.text.encode())
            except pg.InvalidTableDefinition:
                return _name(statement.text) or ""
            except psycopg.Error:
                continue
        return ""


def _refuse_difference(connection: Connection, former: Former) -> None:
    found = left_over(connection, former, ())
    if found:
        raise NotRepeatable(
            f"the texts frozen last do not lead back to what the revisions made: {found[0].sentence}; "
            "something else changed it since, and it would be lost"
        )


def _texts(directory: Path) -> dict[str, str]:
    """Text by the name of the file."""
    folder = directory / REPEATABLE
    found = {path.name: normalised(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))}
    for file, text in found.items():
        if not split(text, source=f"{REPEATABLE}/{file}"):
            raise NotRepeatable(f"{REPEATABLE}/{file} holds no statement")
        if " " in file:
            raise NotRepeatable(f"{REPEATABLE}/{file}: name it without spaces")
    return found


def _frozen(directory: Path) -> dict[str, str]:
    """The texts that were frozen last."""
    found: dict[str, str] = {}
    for revision in load(directory):
        path = directory / revision.id / "up.sql"
        for part in _PART.finditer(normalised(path.read_text(encoding="utf-8"))) if path.is_file() else ():
            if hashlib.sha256(part["text"].encode()).hexdigest() != part["digest"]:
                raise NotRepeatable(f"{revision.id}/up.sql: the text of {part['file']} is not the one of its digest")
            found[part["file"]] = part["text"]
    return found


def _made(file: str, text: str) -> Iterator[str]:
    """Qualified names of the views and routines that a repeatable makes."""
    for statement in split(text, source=file):
        name = _name(statement.text)
        if name is not None:
            yield name if "." in name else f"public.{name}"


def _name(statement: str) -> str | None:
    reader = Reader(without_comments(tokenize(statement)), "")
    try:
        reader.expect("CREATE")
        while reader.next.word in _MODIFIERS:
            reader.take()
        if reader.take().word not in ("VIEW", "FUNCTION", "PROCEDURE"):
            return None
        return relation(reader)
    except NotUnderstood:
        return None
