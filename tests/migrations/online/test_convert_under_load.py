"""Clients write all the time while a column is converted and taken back: no statement fails and no update is lost."""

import random
import threading
from dataclasses import dataclass, field

import psycopg
import pytest

from given.online import Bench
from hansa.migrate import Options
from hansa.migrate.online.kinds.convert_to_enum import ConvertToEnum
from hansa.migrate.online.values import ValueMap
from hansa.migrate.options import Pace

ROWS, WRITERS = 1200, 3
GENTLE = Options(actor="tester", online=Pace(lock_timeout_s=0.05, lock_pause_s_max=0.1, batch_rows_max=40, rest=0.1))
CONVERSION = ConvertToEnum(
    table="tasks",
    column="status",
    type="task_status",
    map=ValueMap(values={"open": "open", "done": "done", "finished": "done"}, fold=("trim", "lower")),
    in_place_below_rows=0,
)
TASKS = """
    CREATE TYPE task_status AS ENUM ('open', 'done');
    CREATE TABLE tasks (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'open', writes integer NOT NULL DEFAULT 0);
    CREATE INDEX tasks_by_status ON tasks (status);
    INSERT INTO tasks (id, status)
    SELECT n, (ARRAY['open', ' Open', 'FINISHED'])[1 + n % 3] FROM generate_series(1, 1200) AS n;
"""


@dataclass
class Writer:
    """Owns every third row and remembers what it committed last to each."""

    dsn: str
    number: int
    enough: threading.Event
    status: dict[int, str] = field(default_factory=dict)
    writes: dict[int, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def run(self) -> None:
        chance = random.Random(self.number)
        inserted = 0
        with psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None) as connection:
            while not self.enough.is_set():
                row = chance.randrange(ROWS // WRITERS) * WRITERS + 1 + self.number
                try:
                    if chance.random() < 0.1:
                        inserted += 1
                        row = ROWS + inserted * WRITERS + self.number
                        connection.execute("INSERT INTO tasks (id, writes) VALUES (%s, 1)", [row])
                        self.status[row] = "open"
                    elif chance.random() < 0.2:
                        connection.execute("UPDATE tasks SET writes = writes + 1 WHERE id = %s", [row])
                    else:
                        word = chance.choice(["open", "done"])
                        connection.execute(
                            "UPDATE tasks SET status = %s, writes = writes + 1 WHERE id = %s", [word, row]
                        )
                        self.status[row] = word
                    connection.execute("SELECT id FROM tasks WHERE status = 'open' LIMIT 1")
                except psycopg.Error as error:
                    self.failed.append(f"{type(error).__name__}: {error}")
                else:
                    self.writes[row] = self.writes.get(row, 0) + 1


@pytest.fixture
def writers(bench: Bench):
    bench.ask(TASKS)
    enough = threading.Event()
    writers = [Writer(bench.dsn, number, enough) for number in range(WRITERS)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    yield writers, lambda: finish(enough, threads)
    finish(enough, threads)


def finish(enough: threading.Event, threads: list[threading.Thread]) -> None:
    enough.set()
    for thread in threads:
        thread.join()


def original(row: int) -> str:
    return ["open", " Open", "FINISHED"][row % 3]


def test_no_statement_fails_and_no_update_is_lost_on_the_way_up(bench, writers):
    writers, stop = writers

    bench.up(CONVERSION, options=GENTLE)
    stop()

    assert [writer.failed for writer in writers] == [[], [], []]
    last = {row: word for writer in writers for row, word in writer.status.items()}
    writes = {row: count for writer in writers for row, count in writer.writes.items()}
    new = {" Open": "open", "FINISHED": "done"}
    for row, status, kept, count in bench.ask("SELECT id, status::text, status__old, writes FROM tasks"):
        expected = last.get(row, original(row))
        assert (status, count) == (new.get(expected, expected), writes.get(row, 0)), row
        assert kept == expected or (kept == original(row) and new.get(kept, kept) == expected), row
    assert sum(writes.values()) > 100


def test_no_statement_fails_and_no_update_is_lost_on_the_way_down(bench, writers):
    writers, stop = writers
    bench.up(CONVERSION, options=GENTLE)

    bench.down(CONVERSION, options=GENTLE)
    stop()

    assert [writer.failed for writer in writers] == [[], [], []]
    last = {row: word for writer in writers for row, word in writer.status.items()}
    meant = {" Open": "open", "FINISHED": "done"}
    for row, status in bench.ask("SELECT id, status FROM tasks"):
        expected = last.get(row, original(row))
        # A word that was written while it was the label already changed nothing, so the older spelling of it may stay.
        assert status == expected or (status == original(row) and meant.get(status) == expected), row
    assert bench.one("SELECT pg_typeof(status)::text FROM tasks LIMIT 1") == "text"
