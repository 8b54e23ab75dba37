"""A copy table by table into another server: slow, but it needs no more than the right to read.

The schema is made by running the applied revisions again; when that does not give the catalog of the original, or no
revision was ever applied, pg_dump writes it down. Then every row is piped over in PostgreSQL's binary form, from one
snapshot, with triggers and foreign keys silent. Large objects stay behind.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from hansa.migrate import ledger
from hansa.migrate.catalog import Snapshot, differences, snapshot
from hansa.migrate.commands import up
from hansa.migrate.errors import Refusal
from hansa.migrate.options import Options
from hansa.migrate.rehearsal.errors import CannotClone
from hansa.migrate.rehearsal.programs import Binaries, find_binaries
from hansa.migrate.rehearsal.row_copy import NOT_OF_THE_SYSTEM, copy_rows
from hansa.migrate.rehearsal.scratch import create, scratch_dsn, scratch_name
from hansa.migrate.rehearsal.second_server import second_server
from hansa.migrate.rehearsal.source import Source
from hansa.migrate.rehearsal.workplaces import DATA
from hansa.migrate.session import Connection, connect, looking
from hansa.migrate.splitter import split

NAMED_MAX = 5
"""How many differences or tables a refusal names."""
_OF_THE_SERVER = ("database", "grant on ", "default privileges ", "subscription ", "extension ")


@contextmanager
def copied_clone(
    source: Source,
    directory: Path,
    place: Path,
    *,
    wanted: Snapshot,
    workspace_dsn: str | None,
    binaries: Binaries | None,
    options: Options,
) -> Generator[str]:
    """The connection string of a copy in the workspace server, or in an empty one of our own. Raises CannotClone."""
    _refuse_unreadable(source)
    with _workspace(source, place, workspace_dsn, binaries) as server_dsn, scratch_name(server_dsn) as (server, name):
        clone_dsn = scratch_dsn(server_dsn, name)
        try:
            schema = _Schema(
                source=source,
                directory=directory,
                wanted=wanted,
                server=server,
                name=name,
                clone_dsn=clone_dsn,
                binaries=binaries,
                options=options,
            )
            with_ledger = schema.make()
            with looking(source.dsn) as live, connect(clone_dsn) as clone:
                copy_rows(live, clone, with_ledger=with_ledger)
        except psycopg.Error as error:
            raise CannotClone(" ".join(str(error).split())) from error
        yield clone_dsn


@contextmanager
def _workspace(source: Source, place: Path, workspace_dsn: str | None, binaries: Binaries | None) -> Generator[str]:
    """A server where we may do everything: the one we were given, else an empty one that ends with us."""
    if workspace_dsn is not None:
        yield workspace_dsn
        return
    binaries = binaries or find_binaries(source.major)
    binaries.require(source.major)
    (place / DATA).mkdir(mode=0o700)
    binaries.account.give(place / DATA)
    log = place / "initdb.log"
    arguments = [f"--pgdata={place / DATA}", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    made = binaries.account.start([binaries.program("initdb"), *arguments, "--no-sync"], log=log)
    if made.wait() != 0:
        raise CannotClone(f"initdb: {' '.join(log.read_text(errors='replace').splitlines()[-3:])}")
    with second_server(place, binaries, user="postgres", database="postgres", settings={}) as running:
        yield running.dsn(user="postgres", database="postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    """Makes the tables of the original in the database `name` of `server`."""

    source: Source
    directory: Path
    wanted: Snapshot
    server: Connection
    name: str
    clone_dsn: str
    binaries: Binaries | None
    options: Options

    def make(self) -> bool:
        """By the applied revisions, else by pg_dump; returns whether the rows of the ledger have to be copied too.

        Raises CannotClone with both reasons.
        """
        with looking(self.source.dsn) as live:
            applied = tuple(row.id for row in ledger.read(live).applied)
        reasons: list[str] = []
        if applied or not self.wanted.objects:
            try:
                self._create_empty()
                self._replay(applied)
                self._refuse_unlike()
            except Refusal as refusal:
                self.options.working(f"copy: {refusal}")
                reasons.append(f"the applied revisions do not make it: {refusal}")
            else:
                return False
        try:
            self._create_empty()
            self._dump()
            self._refuse_unlike()
        except Refusal as refusal:
            reasons.append(str(refusal))
            raise CannotClone("; ".join(reasons)) from refusal
        return True

    def _create_empty(self) -> None:
        self.server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.name)))
        create(self.server, self.name, sql.SQL("TEMPLATE template0 ENCODING 'UTF8'"))

    def _replay(self, applied: Sequence[str]) -> None:
        """Apply again what is applied, in the order in which it was."""
        for revision in applied:
            self.options.working(f"copy: {revision}")
            up(self.clone_dsn, self.directory, to=revision, options=self.options)

    def _dump(self) -> None:
        binaries = self.binaries or find_binaries(self.source.major)
        script = binaries.run(
            "pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--no-subscriptions", dsn=self.source.dsn
        )
        with looking(self.source.dsn) as live, connect(self.clone_dsn) as clone:
            _make_roles(live, clone)
            for statement in split(script, source="pg_dump"):
                clone.execute(statement.text.encode())

    def _refuse_unlike(self) -> None:
        with connect(self.clone_dsn) as clone:
            made = snapshot(clone)
            if clone.info.server_version // 10000 != self.source.major:
                return  # another version spells the same definitions in another way
        found = [one.sentence for one in differences(_comparable(self.wanted), _comparable(made)) if not one.soft]
        if found:
            raise CannotClone(f"what is made is not the live catalog: {_some(found)}")


def _make_roles(live: Connection, clone: Connection) -> None:
    """Policies name roles, so they must exist; without login they open no door."""
    for (name,) in live.execute("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_'").fetchall():
        if clone.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", [name]).fetchone() is None:
            clone.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


def _comparable(catalog: Snapshot) -> Snapshot:
    """What a copy in another server can have in common with the original: neither owners nor rights."""
    kept = {name: aspects for name, aspects in catalog.objects.items() if not name.startswith(_OF_THE_SERVER)}
    return Snapshot(objects=kept).without_aspect("owner")


def _refuse_unreadable(source: Source) -> None:
    with looking(source.dsn) as live:
        rows = live.execute(f"""
            SELECT format('%I.%I', n.nspname, c.relname)
            FROM pg_catalog.pg_class AS c
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            WHERE {NOT_OF_THE_SYSTEM} AND c.relkind IN ('r', 'S')
              AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                       AND CASE c.relkind
                             WHEN 'S' THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                             ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT')
                           END)
            ORDER BY 1
        """).fetchall()
    if rows:
        raise CannotClone(f"role {source.user} may not read {_some([row[0] for row in rows])}")


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
