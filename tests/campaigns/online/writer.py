"""A client that writes transfers all the time and notes what it did, one line for each transaction.

    python -m campaigns.online.writer --dsn ... --record writes-0.jsonl --number 0 --writers 2 --rows 30000 ...

It speaks the language of old clients until that is refused once, then that of the new type. Whoever starts it again
after a kill gives it the same record; it first makes sure that nothing of its predecessor is still under way.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from campaigns.online.migration import LABELS, SPELLINGS, STRAY, TABLE, touchable
from campaigns.online.notes import ACKNOWLEDGED, LOST, REFUSED, Notes, Write
from campaigns.record import Writer

INVALID_TEXT = "22P02"
RECONNECT_S = 0.02
CONNECTION_GONE = ("08", "57")
"""Classes of SQLSTATE that say: the server is going down, or not there yet."""


@dataclass
class Client:
    """One client, with rows of its own."""

    dsn: str
    number: int
    writers: int
    rows: int
    strays: Path
    """While this file exists, it also inserts what the new type has no place for."""
    record: Writer
    notes: Notes
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(f"writer {self.number} {self.notes.last}")
        self.old_words = not self.notes.old_words_refused
        self.sequence = self.notes.last
        self.inserted = self.notes.inserted

    def run(self) -> None:
        """Write until killed, or until whoever started us is gone."""
        parent = os.getppid()
        while os.getppid() == parent:
            try:
                with self.connect() as connection:
                    while os.getppid() == parent:
                        self.write_some(connection)
            except psycopg.OperationalError:
                time.sleep(RECONNECT_S)

    def connect(self) -> psycopg.Connection:
        name = f"writer {self.number}"
        connection = psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None, application_name=name)
        # What a killed predecessor had sent may still be waiting for a lock; afterwards nobody could tell who was last.
        others = """
            SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
            WHERE application_name = %s AND datname = current_database() AND pid <> pg_backend_pid()
        """
        connection.execute(others, [name])
        return connection

    def write_some(self, connection: psycopg.Connection) -> None:
        """One transaction of one or two writes, noted before it is sent and after it was answered."""
        writes = [self.chosen() for _ in range(self.chance.choice([1, 1, 2]))]
        self.record.write("begin", tx=writes[0].sequence, writes=[write.noted() for write in writes])
        how, why = self.outcome(connection, writes)
        self.record.write("end", tx=writes[0].sequence, how=how, why=why)
        if how == LOST:
            raise psycopg.OperationalError(why)
        self.old_words = self.old_words and how != REFUSED
        time.sleep(0.002)

    def outcome(self, connection: psycopg.Connection, writes: list[Write]) -> tuple[str, str]:
        """What became of a transaction, as far as a client can know, and the error if there was one."""
        try:
            if len(writes) == 1:
                self.send(connection, writes[0])
            else:
                with connection.transaction():
                    for write in writes:
                        self.send(connection, write)
                        time.sleep(self.chance.uniform(0.001, 0.004))
        except psycopg.Error as error:
            if connection.broken or (error.sqlstate or "08")[:2] in CONNECTION_GONE:
                return LOST, str(error)
            expected = error.sqlstate == INVALID_TEXT and any(not write.plain for write in writes)
            return (REFUSED if expected else "failed"), f"{error.sqlstate} {error}"
        return ACKNOWLEDGED, ""

    def send(self, connection: psycopg.Connection, write: Write) -> None:
        """As text, without parameters: what clients that prepare nothing send."""
        if not write.insert:
            done = connection.execute(
                f"UPDATE {TABLE} SET status = '{write.word}', writes = {write.sequence} WHERE id = {write.row}".encode()
            )
        elif write.word is None:
            done = connection.execute(
                f"INSERT INTO {TABLE} (id, writes) VALUES ({write.row}, {write.sequence})".encode()
            )
        else:
            done = connection.execute(
                f"INSERT INTO {TABLE} (id, status, writes) "
                f"VALUES ({write.row}, '{write.word}', {write.sequence})".encode()
            )
        if done.rowcount != 1:
            raise psycopg.DataError(f"{done.rowcount} rows written, not 1")

    def chosen(self) -> Write:
        self.sequence += 1
        if self.chance.random() < 0.1:
            self.inserted += 1
            row = self.rows + self.inserted * self.writers + self.number + 1
            word = STRAY if self.strays.exists() and self.chance.random() < 0.3 else self.word()
            return Write(row, self.sequence, self.chance.choice([word, None]) if word != STRAY else word, insert=True)
        row = self.chance.choice(touchable(self.rows)[self.number :: self.writers])
        return Write(row, self.sequence, self.word(), insert=False)

    def word(self) -> str:
        return self.chance.choice([*LABELS, *SPELLINGS] if self.old_words else LABELS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m campaigns.online.writer")
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--strays", type=Path, required=True)
    for name in ("--number", "--writers", "--rows"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    notes = Notes.read(options.record)
    Client(
        dsn=options.dsn,
        number=options.number,
        writers=options.writers,
        rows=options.rows,
        strays=options.strays,
        record=Writer(options.record),
        notes=notes,
    ).run()


if __name__ == "__main__":
    main()
