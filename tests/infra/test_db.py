"""Transactions with an actor, typed statements, refusals with names."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from uuid import UUID

import psycopg
import pytest

from hansa.credits.errors import MovementAlreadyMade
from hansa.infra.db import (
    Actor,
    ConstraintUnnamed,
    DatabaseUnavailable,
    Db,
    DocumentTooDeep,
    NotOneRow,
    NumberOutOfRange,
    Query,
    StatementUnfit,
    TextTooLong,
    TextUnstorable,
    TransactionRetry,
)


def nested(levels):
    """A document of this many levels."""
    document = {}
    for _ in range(levels - 1):
        document = {"a": document}
    return document


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    colour: Colour
    previous: Colour | None
    inner: Inner
    inners: list[Inner]


@pytest.fixture
def statements():
    """Statements of a test are not statements of the product."""
    before = len(Query.known)
    yield Query
    del Query.known[before:]


def test_a_transaction_tells_the_database_who_acts(db, statements):
    who = statements(
        str,
        "SELECT current_user || ' ' || current_setting('hansa.actor') || ' ' || current_setting('hansa.actor_kind')"
        " || ' ' || current_setting('hansa.trace')",
    )

    with db.transaction(Actor(kind="agent", did="did:key:x", trace="t1")) as tx:
        assert tx.one(who) == "hansa_app did:key:x agent t1"
        assert tx.at.tzinfo == UTC
    with db.transaction() as tx:
        assert tx.one(who) == "hansa_app  system "


def test_a_connection_of_a_superuser_takes_the_applications_role(postgres, database, statements):
    role = statements(bool, "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")

    with Db(postgres.dsn(role="postgres", database=database), size=1) as db, db.transaction() as tx:
        assert tx.one(role) is False
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            tx.connection.execute("DELETE FROM ops.outbox")


def test_rows_become_what_their_class_says(tx, statements):
    query = statements(
        Painted,
        """
        SELECT 'red' AS colour, NULL AS previous, jsonb_build_object('n', 1) AS inner,
               jsonb_build_array(jsonb_build_object('n', 2)) AS inners
        """,
    )

    row = tx.one(query)

    assert row == Painted(colour=Colour.RED, previous=None, inner=Inner(n=1), inners=[Inner(n=2)])
    assert row.colour is Colour.RED


def test_a_statement_that_does_not_fit_its_class_is_a_mistake_found_at_once(tx, statements):
    with pytest.raises(StatementUnfit, match="Inner wants"):
        tx.one(statements(Inner, "SELECT 1 AS other"))


def test_one_row_means_one_row(tx, statements):
    two, none = (statements(int, f"SELECT n FROM generate_series(1, {count}) AS n") for count in (2, 0))

    with pytest.raises(NotOneRow):
        tx.one(two)
    with pytest.raises(NotOneRow):
        tx.one(none)
    with pytest.raises(NotOneRow):
        tx.maybe(two)
    assert tx.maybe(none) is None


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        ("SELECT 9223372036854775807::bigint + %(n)s", NumberOutOfRange),
        ("DO $$BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END$$", TransactionRetry),
        (
            "DO $$BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '23514', CONSTRAINT = 'nobody_knows_me'; END$$",
            ConstraintUnnamed,
        ),
    ],
)
def test_errors_of_the_database_get_names(tx, statements, sql, refusal):
    parameters = {"n": 1} if "%(n)s" in sql else {}

    with pytest.raises(refusal), tx.savepoint():
        tx.run(statements(int, sql), **parameters)


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ({"a": float("nan")}, NumberOutOfRange),
        ({"a": "\ud800"}, TextUnstorable),
        ({"\udfff": 1}, TextUnstorable),
        ({"a": "nul \0 byte"}, TextUnstorable),
        (nested(65), DocumentTooDeep),
    ],
)
def test_a_document_that_is_no_json_or_cannot_be_read_again_is_refused_by_name(tx, statements, document, refusal):
    with pytest.raises(refusal):
        tx.one(statements(str, "SELECT %(document)s::jsonb::text"), document=document)


def test_a_document_of_64_levels_is_stored(tx, statements):
    stored = tx.one(statements(dict, "SELECT %(document)s::jsonb"), document=nested(64))

    assert stored == nested(64)


def test_a_text_too_long_for_its_column_is_refused_by_name(tx, statements):
    tx.connection.execute("CREATE TEMPORARY TABLE short (word varchar(3))")

    with pytest.raises(TextTooLong):
        tx.run(statements(int, "INSERT INTO short VALUES (%(word)s)"), word="longer")


def test_a_nul_byte_is_refused_by_name(tx, statements):
    with pytest.raises(TextUnstorable):
        tx.one(statements(str, "SELECT %(text)s::text"), text="a\0b")


def test_a_connection_forgets_a_plan_that_no_longer_fits(db, owner, statements):
    owner.execute("CREATE TABLE public.shape (n int); INSERT INTO public.shape VALUES (1)")
    owner.execute("GRANT SELECT ON public.shape TO hansa_app")
    read = statements(object, "SELECT n FROM public.shape")
    pids = set()
    with Db(db.dsn, size=1) as small:
        for _ in range(7):  # the driver prepares a statement after its fifth use
            with small.transaction() as tx:
                tx.one(read)
                pids.add(tx.connection.info.backend_pid)
        owner.execute("ALTER TABLE public.shape ALTER n TYPE text")

        with pytest.raises(psycopg.errors.FeatureNotSupported), small.transaction() as tx:
            tx.one(read)
        with small.transaction() as tx:
            assert tx.one(read) == "1"
            assert tx.connection.info.backend_pid not in pids


def hang_up(owner):
    """Let the server close every connection of the pool, as a restart does."""
    owner.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def used_at_once(db, count):
    """Bring so many connections into the pool."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(db.transaction())


def test_connections_that_died_in_the_pool_are_noticed_and_nobody_hears_of_it(db, owner, statements):
    one = statements(int, "SELECT 1")
    with Db(db.dsn, size=4) as small:
        used_at_once(small, 4)
        hang_up(owner)
        with small.transaction() as tx:
            assert tx.one(one) == 1

        used_at_once(small, 4)
        hang_up(owner)
        assert small.at_once(one) == [1]


def test_a_statement_at_once_is_committed_for_an_actor_when_it_returns(db, owner, statements):
    owner.execute("CREATE TABLE public.said (who text, what text)")
    owner.execute("GRANT INSERT, SELECT ON public.said TO hansa_app")
    say = statements(str, "INSERT INTO public.said VALUES (current_setting('hansa.actor'), %(what)s) RETURNING what")

    said = db.at_once(say, Actor(kind="agent", did="did:key:o'neil"), what="it's; COMMIT; 100%")

    assert said == ["it's; COMMIT; 100%"]
    assert owner.execute("SELECT * FROM public.said").fetchall() == [("did:key:o'neil", "it's; COMMIT; 100%")]


def test_a_statement_at_once_that_is_refused_leaves_nothing_and_a_usable_connection(db, owner, statements):
    owner.execute(
        "CREATE TABLE public.paired (n int, CONSTRAINT one_movement_per_key UNIQUE (n) DEFERRABLE INITIALLY DEFERRED)"
    )
    owner.execute("GRANT INSERT, SELECT ON public.paired TO hansa_app")
    add = statements(int, "INSERT INTO public.paired VALUES (%(n)s) RETURNING n")
    divide = statements(int, "SELECT 1 / %(n)s")
    with Db(db.dsn, size=1) as small:
        small.at_once(add, n=1)

        with pytest.raises(MovementAlreadyMade):
            small.at_once(add, n=1)
        with pytest.raises(psycopg.errors.DivisionByZero):
            small.at_once(divide, n=0)

        assert small.at_once(add, n=2) == [2]
    assert owner.execute("SELECT n FROM public.paired ORDER BY n").fetchall() == [(1,), (2,)]


def test_what_belongs_to_a_pool_is_made_once_and_closed_before_it(db):
    class Belonging:
        def __init__(self, pool):
            self.pool, self.closed = pool, []

        def close(self):
            self.closed.append(self.pool.pool.closed)

    with Db(db.dsn, size=1) as small:
        first, second = small.own(Belonging), small.own(Belonging)

    assert first is second
    assert first.closed == [False]


def test_an_absent_database_is_a_refusal_that_may_be_retried(tmp_path):
    db = Db(f"postgresql:///hansa?host={tmp_path}", size=1)
    db.pool.timeout = 0.2
    db.pool.open()
    try:
        with pytest.raises(DatabaseUnavailable) as refused, db.transaction():
            pass
    finally:
        db.close()

    assert (refused.value.status, refused.value.retryable) == (503, True)


def test_a_transaction_in_an_event_loop_is_a_mistake(db):
    async def wrong():
        with db.transaction():
            pass

    with pytest.raises(AssertionError, match="to_thread"):
        asyncio.run(wrong())


def test_lists_and_dicts_travel(tx, statements):
    query = statements(UUID, "SELECT (%(doc)s::jsonb ->> 'id')::uuid WHERE 'b' = ANY (%(list)s)")
    given = UUID(int=7)

    assert tx.one(query, doc={"id": str(given)}, list=["a", "b"]) == given
