"""Clients that write all the time while something happens to their table, and remember exactly what they wrote."""

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, Self

import psycopg


class Writers:
    """Some clients, each with rows of its own, so that what a row must hold at the end is known exactly.

    The statement is text with `{value}`, a number that only grows, and `{row}`; the statement sent next is the one that
    `statement` says at that time.
    """

    def __init__(self, dsn: str, statement: str, *, rows: int, clients: int = 2) -> None:
        self.dsn = dsn
        self.statement = statement
        self.rows = rows
        self.failures: list[str] = []
        self.committed: dict[int, int] = {}
        self.count = 0
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(client, clients), daemon=True) for client in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.write_some_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def write_some_more(self, count: int = 20) -> None:
        """Wait until they have written some more."""
        until = self.count + count
        while self.count < until and not self.failures:
            time.sleep(0.005)

    def lost(self, rows: Iterable[Sequence[Any]]) -> list[str]:
        """Which rows do not hold what was written last."""
        found = dict(rows)
        return [
            f"row {row} holds {found.get(row)}, written was {value}"
            for row, value in self.committed.items()
            if found.get(row) != value
        ]

    def _write(self, client: int, clients: int) -> None:
        own = range(1 + client, self.rows + 1, clients)
        value = 0
        with psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None) as connection:
            while not self._ended.is_set():
                value += 1
                row = own[value * 7919 % len(own)]
                try:
                    connection.execute(self.statement.format(value=value, row=row).encode())
                except psycopg.Error as error:
                    self.failures.append(str(error))
                    return
                self.committed[row] = value
                self.count += 1
                time.sleep(0.002)
