"""How names move while scripts run: which relation of the live database a name means by the time it is used."""

from hansa.migrate.lint.reader import NotUnderstood, Reader, by_comma
from hansa.migrate.lint.tokens import tokenize, without_comments
from hansa.migrate.locking.lock import quoted, relation
from hansa.migrate.session import Connection
from hansa.migrate.splitter import Statement

_RELATIONS = ("TABLE", "VIEW", "INDEX", "SEQUENCE")


class Names:
    """Follows the statements of pending revisions, renames and search paths; the connection is only read by."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._moved: dict[str, str | None] = {}
        """What a name means by now, where that is not itself; None: what bore it is gone, so this is a new one."""
        self._schemas: dict[str, str] = {}
        """Of names without one, by the search path as it is."""

    def begin_revision(self) -> None:
        """Each revision begins with the settings of the session."""
        self._look_along("RESET search_path")

    def live(self, name: str) -> str | None:
        """The name by which the live database knows it; None for a relation that is only being made."""
        whole = self._whole(name)
        return self._moved.get(whole, whole)

    def follow(self, statement: Statement) -> None:
        """Take in what a statement does to names."""
        reader = Reader(without_comments(tokenize(statement.text)), "")
        try:
            if reader.accept("ALTER"):
                self._alter(reader)
            elif reader.accept("DROP"):
                self._drop(reader)
            elif reader.accept("SET", "SEARCH_PATH") or reader.accept("SET", "SCHEMA"):
                self._look_along(statement.text)
        except NotUnderstood:
            return

    def _look_along(self, setting: str) -> None:
        self._connection.execute(setting.encode())
        self._schemas.clear()

    def _alter(self, reader: Reader) -> None:
        if not _passes_kind(reader):
            return
        reader.accept("ONLY")
        old = self._whole(relation(reader))
        schema, name = _halves(old)
        if reader.accept("RENAME", "TO"):
            new = f"{schema}.{quoted(reader.identifier())}"
        elif reader.accept("SET", "SCHEMA"):
            new = f"{quoted(reader.identifier())}.{name}"
        else:
            return
        self._moved[new], self._moved[old] = self.live(old), None

    def _drop(self, reader: Reader) -> None:
        if _passes_kind(reader):
            for part in by_comma(reader.until("CASCADE", "RESTRICT")):
                self._moved[self._whole(relation(reader.inside(part)))] = None

    def _whole(self, name: str) -> str:
        """With its schema: that of what is there, else the one in which it would be made."""
        if len(tokenize(name)) > 1:
            return name
        if name not in self._schemas:
            self._schemas[name] = self._schema(name)
        return f"{self._schemas[name]}.{name}"

    def _schema(self, name: str) -> str:
        row = self._connection.execute(
            """
            SELECT pg_catalog.quote_ident(coalesce(
              (SELECT n.nspname FROM pg_catalog.pg_class AS c
               JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
               WHERE c.oid = pg_catalog.to_regclass(%s)),
              pg_catalog.current_schema(), 'public'))
            """,
            [name],
        ).fetchone()
        assert row is not None
        return str(row[0])


def _passes_kind(reader: Reader) -> bool:
    """Go on to the name, if it is that of a relation."""
    reader.accept("FOREIGN")
    reader.accept("MATERIALIZED")
    if reader.take().word not in _RELATIONS:
        return False
    reader.accept("CONCURRENTLY")
    reader.accept("IF", "EXISTS")
    return True


def _halves(whole: str) -> tuple[str, str]:
    """Schema and name, either of which may be quoted and hold dots."""
    reader = Reader(tokenize(whole), "")
    schema = quoted(reader.identifier())
    reader.accept_mark(".")
    return schema, quoted(reader.identifier())
