"""Compares what clients noted with what the database holds: a migration may change words, and lose or double nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from campaigns.online.migration import TABLE, touchable
from campaigns.online.notes import Notes, Row, Write, label_of

HELD = f"SELECT id, status::text, writes FROM {TABLE} WHERE id > %s OR id = ANY(%s)"
SET_ASIDE = f"""
    SELECT contents[array_position(columns, 'id')]::bigint, contents[array_position(columns, 'status')],
           contents[array_position(columns, 'writes')]::bigint
      FROM mig.quarantine
     WHERE relation = '{TABLE}' AND contents[array_position(columns, 'id')]::bigint > %s
"""
PREIMAGES = "SELECT key[1]::bigint, original, converted FROM mig.preimages WHERE key[1]::bigint > %s OR key[1]::bigint = ANY(%s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Notes of all clients beside what there was at the beginning."""

    notes: Notes
    before: Mapping[int, str]
    """Status of each row that clients may touch."""
    rows: int

    @classmethod
    def opening(cls, dsn: str, *, rows: int) -> Mapping[int, str]:
        """What the rows that clients may touch hold before any of them began."""
        with psycopg.connect(dsn) as connection:
            held = connection.execute(HELD.encode(), [rows, list(touchable(rows))])
            return {number: status for number, status, _ in held}

    def findings(self, dsn: str, *, up: bool) -> Iterator[str]:
        """Everything that is not as noted, in the words of the new type (`up`) or of the old column."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            places = [self.rows, list(touchable(self.rows))]
            held = {row[0]: row[1:] for row in connection.execute(HELD.encode(), places)}
            aside = connection.execute(SET_ASIDE.encode(), [self.rows]).fetchall()
            preimages = connection.execute(PREIMAGES.encode(), places).fetchall()
        yield from self._strays(held, aside, up=up)
        for number in sorted((self.before.keys() | self.notes.rows.keys() | held.keys()) - self.notes.strays().keys()):
            yield from self._row(number, held.get(number), up=up)
        yield from self._pairs(held)
        if not up and preimages:
            yield f"{len(preimages)} old values are still kept"
        for number, original, converted in preimages:
            if original not in self._words(number) or label_of(original) != converted:
                yield f"row {number}: {original!r} is kept for {converted!r}, which nobody wrote"

    def _row(self, number: int, held: tuple[Any, ...] | None, *, up: bool) -> Iterator[str]:
        row = self.notes.rows.get(number, Row())
        allowed = [write for write in row.candidates() if write is not None]
        if held is None:
            if row.certain is not None or number in self.before:
                yield f"row {number} is lost; written was {row.certain}"
            return
        status, sequence = held
        found = next((write for write in allowed if write.sequence == sequence), None)
        if found is None and (row.certain is not None or number not in self.before or sequence != 0):
            yield f"row {number} holds write {sequence}; noted are {allowed}"
            return
        text = self.before[number] if found is None else found.text
        if status not in ([label_of(text)] if up else self._old_words(number, text)):
            yield f"row {number} is {status!r} after {text!r} was written ({found})"

    def _old_words(self, number: int, text: str) -> set[str]:
        """What the old column may say of a row to which `text` was written last.

        A label that was the row's label already changed nothing, so an earlier spelling of it may stay.
        """
        label = label_of(text)
        return {text} if text != label else {word for word in self._words(number) if label_of(word) == label} | {text}

    def _words(self, number: int) -> set[str]:
        row = self.notes.rows.get(number, Row())
        return {write.text for write in row.sent} | ({self.before[number]} if number in self.before else set())

    def _strays(self, held: Mapping[int, Any], aside: list[tuple[Any, ...]], *, up: bool) -> Iterator[str]:
        """Rows without a place in the new type are set aside while it is in force, each once, and in their place before."""
        found = (
            sorted(aside) if up else sorted((number, *held[number]) for number in self.notes.strays() if number in held)
        )
        if not up and aside:
            yield f"{len(aside)} rows are still set aside"
        if len({number for number, *_ in found}) != len(found):
            yield "rows are set aside twice"
        for number, status, sequence in found:
            if (status, sequence) not in [(write.text, write.sequence) for write in self._sent(number)]:
                yield f"row {number} was set aside as {status!r}, write {sequence}; sent were {self._sent(number)}"
        for number, certain in self.notes.strays().items():
            if certain and number not in {entry[0] for entry in found}:
                yield f"row {number}, which has no place, is lost"
            if up and number in held:
                yield f"row {number} is in the table and has no place there"

    def _sent(self, number: int) -> list[Write]:
        return self.notes.rows.get(number, Row()).sent

    def _pairs(self, held: Mapping[int, Any]) -> Iterator[str]:
        """Of a transaction without an answer that wrote two rows, one row may not be there without the other."""
        for writes in self.notes.pairs:
            states = {self._state(write, held) for write in writes} - {None}
            if len(states) > 1:
                yield f"half of a transaction is there: {writes}"

    def _state(self, write: Write, held: Mapping[int, Any]) -> bool | None:
        """Whether a write without an answer is there; None: it may have been overwritten, or set aside."""
        row = self.notes.rows[write.row]
        if row.sent[-1] != write or write.row in self.notes.strays():
            return None
        return write.row in held and held[write.row][1] == write.sequence
