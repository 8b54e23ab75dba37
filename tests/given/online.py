"""Runs online operations in a database of the test's own, and kills them wherever a step ends."""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from hansa.migrate import Options, ledger
from hansa.migrate.catalog import Snapshot, differences, snapshot
from hansa.migrate.digests import TableDigest, table_digests
from hansa.migrate.online import engine
from hansa.migrate.online.operation import Alone, Batches, Operation, Step, Transaction
from hansa.migrate.options import Pace
from hansa.migrate.session import Session, locked

REVISION = "20260101T000000_online"
QUICK = Options(actor="tester", online=Pace(lock_timeout_s=0.05, lock_tries=20, lock_pause_s_max=0.1, rest=0.0))


class Killed(Exception):
    """The run ended here, as after kill -9: what was committed stays."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Everything an operation could change."""

    catalog: Snapshot
    data: dict[str, TableDigest]

    def sentences(self, other: "World") -> list[str]:
        """What is different in the other world."""
        told = [found.sentence for found in differences(self.catalog, other.catalog) if not found.soft]
        tables = self.data.keys() | other.data.keys()
        return told + [f"data of {name}" for name in sorted(tables) if self.data.get(name) != other.data.get(name)]


class Bench:
    """A database with the engine's tables."""

    def __init__(self, dsn: str, connection: psycopg.Connection[Any]) -> None:
        self.dsn = dsn
        self.connection = connection

    @classmethod
    @contextmanager
    def opened(cls, dsn: str) -> Generator["Bench"]:
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
            bench = cls(dsn, connection)
            with bench.session() as session:
                ledger.prepare(session)
            yield bench

    @contextmanager
    def session(self, options: Options = QUICK) -> Generator[Session]:
        with locked(self.dsn, options) as session:
            yield session

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(query.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def one(self, query: str, *values: object) -> Any:
        return self.ask(query, *values)[0][0]

    @staticmethod
    def run_up(session: Session, operation: Operation) -> int:
        return engine.run_up(session, REVISION, [operation])

    @staticmethod
    def committing(connection: psycopg.Connection[Any], *, after_s: float) -> threading.Timer:
        """Commit what another session has open, a little later."""
        timer = threading.Timer(after_s, connection.commit)
        timer.start()
        return timer

    def up(
        self,
        operation: Operation,
        *,
        die_in: str | None = None,
        options: Options = QUICK,
        revision: str = REVISION,
    ) -> int:
        with self.session(options) as session:
            return engine.run_up(session, revision, [_dying(operation, die_in)])

    def down(
        self,
        operation: Operation,
        *,
        die_in: str | None = None,
        options: Options = QUICK,
        revision: str = REVISION,
    ) -> int:
        """Take it back, and forget it as the reverting of its revision does."""
        with self.session(options) as session:
            steps = engine.run_down(session, revision, [_dying(operation, die_in)])
            self.forget(revision)
            return steps

    def forget(self, revision: str = REVISION) -> None:
        for table in ("quarantine", "preimages", "operations"):
            self.ask(f"DELETE FROM mig.{table} WHERE revision = %s", revision)

    def sweep(self) -> None:
        """Remove what tests made: schemas, publications, the engine's memory, and what it made for its operations."""
        self.ask("RESET ALL")
        ours = self.ask("""
            SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace
            WHERE nspname NOT IN ('mig', 'information_schema') AND nspname !~ '^pg_'
            UNION ALL
            SELECT format('DROP PUBLICATION %I', pubname) FROM pg_publication
            UNION ALL
            SELECT format('DROP FUNCTION %s', oid::regprocedure) FROM pg_proc
            WHERE pronamespace = 'mig'::regnamespace AND proname <> 'refuse_change'
        """)
        self.ask("; ".join(statement for (statement,) in ours))
        self.ask("CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC")
        self.ask("TRUNCATE mig.operations, mig.quarantine, mig.preimages, mig.partition_policies")

    def world(self) -> World:
        return World(catalog=snapshot(self.connection), data=dict(table_digests(self.connection)))

    def survives(self, operation: Operation) -> None:
        """Assert that it is the same operation however often it dies.

        For each of its steps, forth and back: die after its work and go on, and die and turn round. Leaves it applied.
        """
        before = self.world()
        self.up(operation)
        after = self.world()
        self.down(operation)
        assert before.sentences(self.world()) == []
        ups, downs = ([step.name for step in steps] for steps in (operation.up(), operation.down()))
        for place in range(max(len(ups), len(downs))):
            forth, back = ups[place % len(ups)], downs[place % len(downs)]
            self._dies(operation, "up", forth)
            self.up(operation)
            assert after.sentences(self.world()) == [], f"up, killed in {forth}, and on"
            self._dies(operation, "down", back)
            self.up(operation)
            assert after.sentences(self.world()) == [], f"down, killed in {back}, and up again"
            self._dies(operation, "down", back)
            self.down(operation)
            assert before.sentences(self.world()) == [], f"down, killed in {back}, and on"
            self._dies(operation, "up", forth)
            self.down(operation)
            assert before.sentences(self.world()) == [], f"up, killed in {forth}, and down again"
        self.up(operation)
        assert after.sentences(self.world()) == []

    def _dies(self, operation: Operation, direction: str, step: str) -> None:
        try:
            (self.up if direction == "up" else self.down)(operation, die_in=step)
        except Killed:
            return
        raise AssertionError(f"{direction} never came to {step}")


@dataclass(frozen=True, repr=False)
class _Dying:
    """The same operation, but that it dies after the work of a step, before anybody noted that it was done."""

    operation: Operation
    step: str

    def __repr__(self) -> str:
        return repr(self.operation)

    @property
    def kind(self) -> str:
        return self.operation.kind

    @property
    def target(self) -> str:
        return self.operation.target

    def up(self) -> Sequence[Step]:
        return tuple(self._steps(self.operation.up()))

    def down(self) -> Sequence[Step]:
        return tuple(self._steps(self.operation.down()))

    def _steps(self, steps: Sequence[Step]) -> Iterator[Step]:
        for step in steps:
            yield _deadly(step) if step.name == self.step else step


def _dying(operation: Operation, step: str | None) -> Operation:
    return operation if step is None else _Dying(operation, step)


def _deadly(step: Step) -> Step:
    work = step.work

    def dies(*arguments: Any) -> Any:
        done = work(*arguments)
        if isinstance(step, Batches) and done.last is not None and arguments[1].after is None:
            return done  # after the first batch is noted, in the second
        raise Killed

    assert isinstance(step, Transaction | Alone | Batches)
    return replace(step, work=dies)
