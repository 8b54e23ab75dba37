"""What clients noted of their writes, and what the database may therefore hold: exactly, but for answers never heard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from campaigns.online.migration import LABELS, STRAY, WORDS
from campaigns.record import Json

ACKNOWLEDGED, REFUSED, LOST = "acknowledged", "refused", "lost"
DEFAULT = "pending"


@dataclass(frozen=True, slots=True)
class Write:
    """One row, written once."""

    row: int
    sequence: int
    """Grows with each write of a client, and is stored with it."""
    word: str | None
    """The status as it was sent; None: left to the default."""
    insert: bool = False

    @property
    def plain(self) -> bool:
        """Whether the new type knows the word as well."""
        return self.word is None or self.word in LABELS

    @property
    def text(self) -> str:
        """What the old column holds of it."""
        return DEFAULT if self.word is None else self.word

    def noted(self) -> list[object]:
        return [self.row, self.sequence, self.word, self.insert]


@dataclass
class Row:
    """All that one client sent for one row."""

    certain: Write | None = None
    """The last write that was acknowledged."""
    since: list[Write] = field(default_factory=list[Write])
    """Sent after it and never answered, each in or out."""
    sent: list[Write] = field(default_factory=list[Write])
    """All of them, but those that were refused."""

    def candidates(self) -> list[Write | None]:
        """What it may hold; None: nothing of a client."""
        return [self.certain, *self.since]


@dataclass
class Notes:
    """A record, read."""

    rows: dict[int, Row] = field(default_factory=dict[int, Row])
    last: int = 0
    """The highest sequence number."""
    inserted: int = 0
    """How many rows were to be new."""
    old_words_refused: bool = False
    failures: list[str] = field(default_factory=list[str])
    """Statements that should have worked."""
    outcomes: Counter[str] = field(default_factory=Counter[str])
    """How many transactions ended how; `lost` are those whose answer was never heard."""
    pairs: list[Sequence[Write]] = field(default_factory=list[Sequence[Write]])
    """Transactions of several writes without an answer: they are in or out together."""

    @classmethod
    def read(cls, *paths: Path) -> Notes:
        """The notes of some clients, who share no row."""
        notes = cls()
        for path in paths:
            notes._take(_lines(path))
        return notes

    def strays(self) -> dict[int, bool]:
        """Rows that were inserted with a word that has no place: whether they must be there, or may."""
        return {
            number: row.certain is not None
            for number, row in self.rows.items()
            if row.sent and row.sent[0].word == STRAY
        }

    def _take(self, lines: Iterable[Json]) -> None:
        under_way: Sequence[Write] = ()
        for line in lines:
            # A killed client leaves one transaction without an end.
            self._end(under_way, *((line["how"], line["why"]) if line["what"] == "end" else (LOST, "")))
            under_way = [Write(*entry) for entry in line["writes"]] if line["what"] == "begin" else ()
            self.last = max([self.last, *(write.sequence for write in under_way)])
            self.inserted += sum(write.insert for write in under_way)
        self._end(under_way, LOST, "")

    def _end(self, writes: Sequence[Write], how: str, why: str) -> None:
        if not writes:
            return
        self.outcomes[how] += 1
        if how == REFUSED:
            self.old_words_refused = True
            return
        if how not in (ACKNOWLEDGED, LOST):
            self.failures.append(f"{writes}: {why}")
            return
        if how == LOST and len({write.row for write in writes}) > 1:
            self.pairs.append(writes)
        for write in writes:
            row = self.rows.setdefault(write.row, Row())
            row.sent.append(write)
            if how == ACKNOWLEDGED:
                row.certain, row.since = write, []
            else:
                row.since.append(write)


def _lines(path: Path) -> list[Json]:
    found: list[Json] = []
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def label_of(word: str) -> str | None:
    """What a word becomes; None when it has no place."""
    return WORDS.new(word)
