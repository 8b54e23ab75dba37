"""The database as the commands see it: a transaction with an actor, and typed statements.

    SETTLE = Query(Settlement, "SELECT ... FROM negotiation.settle(%(negotiation)s)")

    with db.transaction(actor) as tx:
        settlement = tx.one(SETTLE, negotiation=negotiation)

PostgreSQL refuses and Python gives the refusal its name: an error that carries a constraint's name leaves here as
the `Refusal` that speaks for that constraint (kernel/errors.py).
"""

from __future__ import annotations

import asyncio
import inspect
import json
import select
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from enum import Enum, StrEnum
from types import NoneType, UnionType
from typing import (
    Any,
    ClassVar,
    Generic,
    LiteralString,
    Protocol,
    Self,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.adapt import AdaptersMap
from psycopg.rows import BaseRowFactory, scalar_row
from psycopg.types.json import Jsonb, JsonbDumper
from psycopg.types.string import StrDumper
from psycopg_pool import ConnectionPool, PoolTimeout

from hansa.kernel.errors import REFUSALS, Defect, Invalid, Refusal, ServiceUnavailable

Row = TypeVar("Row")
Owned = TypeVar("Owned", bound="Closable")
Item = TypeVar("Item")
JsonObject = dict[str, Any]
"""A JSON document as it travels; whoever needs its inside parses it into a class."""

JSON_LEVELS_MAX = 64
"""Levels of a JSON document that is stored. What was stored must be readable again, and an answer has few to add."""
PATIENCE_S = 10.0
"""How long a transaction waits for a connection, and the pool for one attempt to connect: then it starts afresh."""
STALE_PLAN_STATES = {"0A000", "42804"}
"""A column's type changed under a prepared statement: only a new connection forgets the old plan."""


class Closable(Protocol):
    """What belongs to a pool of connections and has work to finish before the pool closes."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is behind a transaction: it is set in PostgreSQL, for policies and for the audit trail."""

    kind: str = "system"
    """agent, user, operator, system or anonymous."""
    did: str = ""
    """DID of the agent or user, proven by a signature; empty when nobody has proven to be anybody."""
    user: UUID | None = None
    """The person's account, for kind `user`."""
    trace: str = ""
    """Trace id of the request or job, so that rows, logs and answers can be brought together."""


SYSTEM = Actor()


class Query(Generic[Row]):
    """A statement and the type of its rows: a frozen dataclass, or one scalar type for a single column.

    All constants are known to `Query.known`, so that tests can prepare each against the live schema.
    """

    known: ClassVar[list[Query[Any]]] = []  # Any: the list holds queries of every row type

    def __init__(self, row: Callable[..., Row], text: LiteralString) -> None:  # a NewType is no class, but callable
        self.row = row
        self.text: LiteralString = text
        self.module = calling_module()
        self.factory = row_factory(row)
        Query.known.append(self)


class StatementUnfit(TypeError):
    """A statement's columns do not fit its row class: a mistake in the code, found by the first run."""


class NotOneRow(Defect):
    """A statement that must give exactly one row gave none or several."""


class DatabaseUnavailable(ServiceUnavailable):
    """The database does not answer just now; the same request may be sent again."""


class TransactionRetry(ServiceUnavailable):
    """Two transactions stood in each other's way and this one was rolled back; send the request again."""


class ConstraintUnnamed(Defect):
    """A constraint refused this request and has no name for callers yet; nothing was written."""


class TextUnstorable(Invalid):
    """A text contains the character NUL or is no valid UTF-8, which PostgreSQL cannot store."""


class NumberOutOfRange(Invalid):
    """A number is larger than its column can hold."""


class TextTooLong(Invalid):
    """A text is longer than its column can hold."""


class DocumentTooDeep(Invalid):
    """A JSON document is nested in more than 64 levels."""


STATES: dict[str, type[Refusal]] = {
    "40001": TransactionRetry,
    "40P01": TransactionRetry,
    "22021": TextUnstorable,
    "22P05": TextUnstorable,
    "22001": TextTooLong,
    "54000": TextTooLong,  # no column is too short for it, but an index is
    "22003": NumberOutOfRange,
}
"""SQLSTATE -> what it means to a caller, for errors that carry no constraint's name."""


class Tx:
    """An open transaction. Commands take it first; whoever opened it commits."""

    def __init__(self, connection: psycopg.Connection[Any], actor: Actor, at: datetime) -> None:  # Any: rows vary
        self.connection = connection
        self.actor = actor
        self.at = at
        """Start of the transaction by the database's clock."""

    def one(self, query: Query[Row], **params: object) -> Row:
        """The single row of a statement; raises NotOneRow when there is none or more than one."""
        rows = self.all(query, **params)
        if len(rows) != 1:
            raise NotOneRow(f"{query.module}: expected one row, found {len(rows)}")
        return rows[0]

    def maybe(self, query: Query[Row], **params: object) -> Row | None:
        """The single row of a statement, or None when there is none."""
        rows = self.all(query, **params)
        if len(rows) > 1:
            raise NotOneRow(f"{query.module}: expected at most one row, found {len(rows)}")
        return rows[0] if rows else None

    def all(self, query: Query[Row], **params: object) -> list[Row]:
        """All rows of a statement."""
        with named_refusals(), self.connection.cursor(row_factory=query.factory) as cursor:
            return cursor.execute(query.text, params or None).fetchall()

    def run(self, query: Query[Any], **params: object) -> int:  # Any: the rows, if any, are not looked at
        """Run a statement for its effect; the number of rows it touched."""
        with named_refusals(), self.connection.cursor() as cursor:
            return cursor.execute(query.text, params or None).rowcount

    def many(self, query: Query[Any], rows: Sequence[Mapping[str, object]]) -> None:  # Any: as in `run`
        """Run a statement once for each set of parameters, in one round trip."""
        with named_refusals(), self.connection.cursor() as cursor:
            cursor.executemany(query.text, rows)

    @contextmanager
    def savepoint(self) -> Generator[None]:
        """Undo what happens inside when it is refused, and keep the transaction alive."""
        with self.connection.transaction():
            yield


class Db:
    """A pool of connections under the application's role.

    `role` is taken on every new connection when the DSN logs in as somebody else: the application never works as
    owner or superuser, whatever the operator's DSN says.
    """

    def __init__(self, dsn: str, *, role: str = "hansa_app", size: int = 16, name: str = "hansa") -> None:
        self.dsn, self.role = dsn, role
        self.pool = ConnectionPool(
            dsn,
            min_size=1,
            max_size=size,
            open=False,
            timeout=PATIENCE_S,
            # The pool waits twice as long before each attempt: without a limit it would stay away after an outage for
            # as long again.
            reconnect_timeout=PATIENCE_S,
            name=name,
            configure=self._configure,
            kwargs={"application_name": name, "autocommit": True, "connect_timeout": 5},
        )
        self._belongings: dict[Callable[[Db], Any], Any] = {}  # Any: each kind its own class
        self._making = threading.Lock()

    def open(self) -> None:
        """Open the pool and wait for the first connection. Raises DatabaseUnavailable."""
        try:
            self.pool.open(wait=True, timeout=15)
        except PoolTimeout as error:
            raise DatabaseUnavailable from error

    def close(self) -> None:
        """Let everything that belongs to the pool finish its work, then close the connections."""
        for belonging in self._belongings.values():
            belonging.close()
        self.pool.close()

    def own(self, kind: Callable[[Db], Owned]) -> Owned:
        """The one thing of a kind that works with this pool; made on first use, closed before the pool is."""
        with self._making:
            if kind not in self._belongings:
                self._belongings[kind] = kind(self)
            return self._belongings[kind]

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _configure(self, connection: psycopg.Connection[Any]) -> None:  # Any: rows are not looked at here
        become(connection, self.role)

    @contextmanager
    def transaction(self, actor: Actor = SYSTEM) -> Generator[Tx]:
        """Open a transaction for an actor; it commits when the block ends and rolls back when the block raises.

        Deferred constraints speak at the commit, so their refusals leave here too.
        Raises DatabaseUnavailable (retryable) when no connection can be had or it broke on the way.
        """
        assert not in_event_loop(), "a transaction would block the event loop: hand over with to_thread"
        try:
            with self._begun(actor) as (connection, at):
                try:
                    with named_refusals():
                        yield Tx(connection, actor, at)
                        connection.commit()
                except psycopg.Error as error:
                    if error.sqlstate in STALE_PLAN_STATES:
                        connection.close()
                    raise
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise DatabaseUnavailable from error

    def at_once(self, query: Query[Row], actor: Actor = SYSTEM, **params: object) -> list[Row]:
        """The rows of one statement in a transaction of its own, committed before it returns: one round trip instead of three.

        For statements that are a whole command; otherwise as `transaction`.
        """
        assert not in_event_loop(), "a transaction would block the event loop: hand over with to_thread"
        try:
            with named_refusals():
                return self._at_once(query, actor, params)
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise DatabaseUnavailable from error

    def _at_once(self, query: Query[Row], actor: Actor, params: Mapping[str, object]) -> list[Row]:
        for _ in range(self.pool.max_size + 1):  # all of them may have died, and then there is a new one
            with self.pool.connection() as connection:
                if hung_up(connection):
                    connection.close()
                    continue
                statement = psycopg.ClientCursor(connection).mogrify(query.text, params or None)
                text = f"BEGIN;{announcement(connection, actor)};{statement};COMMIT"
                with connection.cursor() as cursor:
                    cursor.execute(text.encode(), prepare=False)
                    for _before in ("BEGIN", "the announcement"):
                        cursor.nextset()
                    made = query.factory(cursor)
                    return [made(row) for row in cursor.fetchall()]
        raise DatabaseUnavailable

    @contextmanager
    def _begun(self, actor: Actor) -> Generator[tuple[psycopg.Connection[Any], datetime]]:  # Any: rows vary
        """A connection with a transaction begun on it; it goes back to the pool rolled back unless it has committed.

        A connection that died in the pool is found out by the BEGIN, which costs nothing when it lives: nothing was
        done yet, so the next one is taken. (The pool's own check is a round trip before every transaction.)
        """
        for _ in range(self.pool.max_size + 1):  # all of them may have died, and then there is a new one
            with self.pool.connection() as connection:
                try:
                    at = begin(connection, actor)
                except psycopg.OperationalError:
                    if not connection.closed:
                        raise
                    continue
                yield connection, at
                return
        raise DatabaseUnavailable


def become(connection: psycopg.Connection[Any], role: str) -> None:  # Any: rows are not looked at here
    """Take the application's role on a connection, with the search path that the job queue's own SQL needs.

    A connection that logs in as the role has both already: the path is a setting of the role.
    """
    register_adapters(connection.adapters)
    if connection.info.user != role:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        connection.execute("SET search_path = jobs")


ANNOUNCE = """
    SELECT now(),
           set_config('hansa.actor', {}, true),
           set_config('hansa.actor_kind', {}, true),
           set_config('hansa.user', {}, true),
           set_config('hansa.trace', {}, true)
"""


def announce(connection: psycopg.Connection[Any], actor: Actor) -> datetime:  # Any: rows are not looked at here
    """Tell PostgreSQL who acts in this transaction; returns its start by the database's clock."""
    return last_row(connection, announcement(connection, actor))[0]


def begin(connection: psycopg.Connection[Any], actor: Actor) -> datetime:  # Any: rows are not looked at here
    """Begin a transaction and announce its actor, in one round trip."""
    return last_row(connection, "BEGIN;" + announcement(connection, actor))[0]


def announcement(connection: psycopg.Connection[Any], actor: Actor) -> str:  # Any: rows are not looked at here
    """Written out with its values, since only such a text may stand behind another one in one message."""
    values = (actor.did, actor.kind, str(actor.user or ""), actor.trace)
    return ANNOUNCE.format(*(sql.quote(value, connection) for value in values))


def last_row(connection: psycopg.Connection[Any], text: str) -> tuple[Any, ...]:  # Any: the columns of a statement
    """The one row of the last statement of a text."""
    with connection.cursor() as cursor:
        cursor.execute(text.encode(), prepare=False)
        while cursor.nextset():
            pass
        row = cursor.fetchone()
    assert row is not None, "a SELECT without FROM gives one row"
    return row


def hung_up(connection: psycopg.Connection[Any]) -> bool:  # Any: rows are not looked at here
    """Whether the server has something to say to an idle connection, which can only be its goodbye. No round trip."""
    return bool(select.select([connection.fileno()], [], [], 0)[0])


def calling_module() -> str:
    """The module that defines a constant, so that a failing statement can be found."""
    here = inspect.currentframe()
    definition = here and here.f_back and here.f_back.f_back
    return str(definition.f_globals["__name__"]) if definition else "?"


def in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def named_refusals() -> Generator[None]:
    """Let a database error leave as the refusal that its constraint or SQLSTATE stands for."""
    try:
        yield
    except psycopg.Error as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from error


def refusal_of(error: psycopg.Error) -> Refusal | None:
    """The refusal that a database error stands for; None when it is no refusal but a fault."""
    constraint, state = error.diag.constraint_name, error.sqlstate or ""
    if constraint:
        kind = REFUSALS.get(constraint)
        if kind is None:
            return ConstraintUnnamed(constraint=constraint)
        raised = error.diag.source_function == "exec_stmt_raise"
        return kind(error.diag.message_primary if raised else None, **(raised_facts(error) if raised else {}))
    if state == "" and isinstance(error, psycopg.DataError):
        return TextUnstorable()
    kind = STATES.get(state)
    return kind() if kind else None


def raised_facts(error: psycopg.Error) -> dict[str, object]:
    """The facts that a routine attached to its RAISE as a JSON document in DETAIL."""
    return json.loads(error.diag.message_detail) if error.diag.message_detail else {}


class StrEnumDumper(StrDumper):
    """Closed sets travel as their value; psycopg alone would send the member's name."""

    def dump(self, obj: str) -> bytes:
        return cast("StrEnum", obj).value.encode()


class StrictJsonDumper(JsonbDumper):
    """Python writes NaN and half surrogate pairs into JSON; neither is JSON, and PostgreSQL would only say so late."""

    def dump(self, obj: object) -> bytes:
        document = obj.obj if isinstance(obj, Jsonb) else obj
        if deeper_than(JSON_LEVELS_MAX, document):
            raise DocumentTooDeep
        try:
            return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError as strange:
            raise TextUnstorable from strange
        except ValueError as strange:
            raise NumberOutOfRange("NaN and infinity are no numbers of JSON") from strange


def deeper_than(levels: int, document: object) -> bool:
    """Whether a JSON document has more levels than this."""
    if isinstance(document, dict):
        inside = cast("dict[str, object]", document).values()
    elif isinstance(document, list):
        inside = cast("list[object]", document)
    else:
        return False
    return levels == 0 or any(deeper_than(levels - 1, child) for child in inside)


def register_adapters(adapters: AdaptersMap) -> None:
    adapters.register_dumper(dict, StrictJsonDumper)
    adapters.register_dumper(StrEnum, StrEnumDumper)


def row_factory(row: Callable[..., Row]) -> BaseRowFactory[Row]:
    """A psycopg row factory for a dataclass, whose fields must be the columns, or for one scalar column."""
    if not (isinstance(row, type) and is_dataclass(row)):
        return cast("BaseRowFactory[Row]", scalar_row)
    converters, build = field_converters(row), cast("Callable[..., Row]", row)
    plans: dict[tuple[bytes | None, ...], Callable[[Sequence[Any]], Row]] = {}  # Any: values of every column type

    def factory(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:  # Any: as above
        result = cursor.pgresult
        if result is None or not result.nfields:
            return lambda values: build(*values)
        # The driver's own description of the columns takes longer than reading a row.
        names = tuple(result.fname(place) for place in range(result.nfields))
        if names not in plans:
            plans[names] = plan(row, build, converters, [(name or b"").decode() for name in names])
        return plans[names]

    return cast("BaseRowFactory[Row]", factory)


def plan(
    row: type,
    build: Callable[..., Row],
    converters: Mapping[str, Callable[[Any], object] | None],  # Any: a column's value, here and below
    columns: Sequence[str],
) -> Callable[[Sequence[Any]], Row]:
    """How rows with these columns become instances of a class. Raises StatementUnfit."""
    if set(columns) != set(converters):
        raise StatementUnfit(f"{row.__name__} wants {sorted(converters)}, the statement gives {sorted(columns)}")
    changed = [(place, convert) for place, name in enumerate(columns) if (convert := converters[name])]

    def made(values: Sequence[Any]) -> Row:
        read = list(values)
        for place, convert in changed:
            if read[place] is not None:
                read[place] = convert(read[place])
        return build(**dict(zip(columns, read, strict=True)))

    return made


def field_converters(row: type) -> dict[str, Callable[[Any], object] | None]:  # Any: a column's value
    """For each field of a row class, what turns the driver's value into the field's type (None: it fits already)."""
    hints = get_type_hints(row)
    return {name.name: converter(hints[name.name]) for name in fields(row)}


def converter(hint: Any) -> Callable[[Any], object] | None:  # Any: a type annotation, and a column's value
    """Closed sets come as text, nested values as JSON; everything else the driver reads by itself."""
    if get_origin(hint) in {UnionType, Union}:
        inner = [part for part in get_args(hint) if part is not NoneType]
        return converter(inner[0]) if len(inner) == 1 else None
    if get_origin(hint) in (list, tuple, Sequence):
        return sequence_converter(converter(get_args(hint)[0]), tuple if get_origin(hint) is tuple else list)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if isinstance(hint, type) and is_dataclass(hint):
        return nested(hint)
    return None


def sequence_converter(
    each: Callable[[Any], object] | None,
    container: Callable[[Iterable[object]], object],  # Any: an element's value
) -> Callable[[Any], object] | None:
    if each is None:
        return None
    return lambda values: container(each(value) for value in values)


def nested(row: type) -> Callable[[Any], object]:  # Any: a JSON object's value
    """Read a JSON object into a dataclass, as it comes from `jsonb_build_object`."""
    from pydantic import TypeAdapter

    adapter = cast("TypeAdapter[object]", TypeAdapter(row))
    return adapter.validate_python


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """One page of a list, by key: ask again with `after` to go on; None means that this was the last."""

    items: list[Row] = field(default_factory=list[Row])
    after: str | None = None

    @staticmethod
    def of(rows: list[Item], *, limit: int, after: Callable[[Item], object]) -> Page[Item]:
        """A page of the rows that were found: when they are as many as asked for, others may come `after` the last.

        >>> Page.of(["a", "b"], limit=2, after=len), Page.of(["a"], limit=2, after=len)
        (Page(items=['a', 'b'], after='1'), Page(items=['a'], after=None))
        """
        return Page(items=rows, after=str(after(rows[-1])) if rows and len(rows) >= limit else None)
