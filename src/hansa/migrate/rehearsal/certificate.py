"""What a rehearsal found, as a value and in sentences."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from hansa.migrate.rehearsal.clones import CloneKind
from hansa.migrate.rehearsal.forecast import Outage
from hansa.migrate.rehearsal.rounds import Round
from hansa.migrate.rehearsal.traced import StatementTrace
from hansa.migrate.rehearsal.traffic import TrafficSource

OUTAGES_TOLD = 12
"""How many are told one by one; all of them are in the JSON form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneUsed:
    """The copy that was rehearsed on."""

    kind: CloneKind
    made_ms: float
    passed_over: tuple[str, ...]
    """Why the ways before this one could not be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Everything that happened when the pending revisions ran on a copy of a database."""

    at: datetime
    """When the rehearsal began, by the clock of the machine that rehearsed."""
    actor: str
    revisions: tuple[str, ...]
    """In the order in which they would be applied."""
    pending: str
    """sha256 over their ids and checksums, in hexadecimal."""
    catalog_digest: str
    """Of the live database, as it was copied."""
    clone: CloneUsed | None = None
    """None when nothing was pending, so that nothing was copied."""
    rounds: tuple[Round, ...] = ()
    statements: tuple[StatementTrace, ...] = ()
    """Of the first up, in the order in which they ran."""
    outages: tuple[Outage, ...] = ()
    """The longest first."""
    traffic_source: TrafficSource | None = None
    """None when nothing would wait, so that nobody asked how many."""
    traffic_window_s: float = 0.0
    """How long the live database was watched."""

    @property
    def ok(self) -> bool:
        """Up, verify, down, everything as it was, up again; and no probe failed."""
        return all(one.ok for one in self.rounds)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person wants to know, the verdict first."""
        return tuple(self._sentences())

    def to_json(self) -> str:
        return json.dumps(
            {"ok": self.ok, "sentences": self.sentences, **asdict(self)}, default=_written, ensure_ascii=False
        )

    def _sentences(self) -> Iterator[str]:
        if not self.revisions:
            yield "nothing is pending, so there is nothing to rehearse"
            return
        yield self._verdict()
        for one in self.rounds:
            label = f"{', '.join(one.revisions)}: " if len(self.rounds) > 1 else ""
            yield from (f"{label}{sentence}" for sentence in one.sentences)
        yield from (outage.sentence for outage in self.outages[:OUTAGES_TOLD])
        if len(self.outages) > OUTAGES_TOLD:
            longest = self.outages[OUTAGES_TOLD].held_ms
            yield f"{len(self.outages) - OUTAGES_TOLD} more locks are held for no longer than {longest:.1f} ms"
        for statement in self.statements:
            if statement.rewritten:
                yield f"{_place(statement)} rewrites {', '.join(statement.rewritten)}, {_size(statement.wal_bytes)} of log"
        if self.clone is not None:
            yield from (f"not copied by {reason}" for reason in self.clone.passed_over)

    def _verdict(self) -> str:
        count = f"{len(self.revisions)} revision{'' if len(self.revisions) == 1 else 's'}"
        how = f" on a copy ({self.clone.kind}, {self.clone.made_ms:.0f} ms)" if self.clone is not None else ""
        times = [
            (name, sum(getattr(one, field) or 0.0 for one in self.rounds))
            for name, field in (("up", "up_ms"), ("down", "down_ms"), ("up again", "again_ms"))
        ]
        told = ", ".join(f"{name} {took:.0f} ms" for name, took in times if took)
        return f"{'good' if self.ok else 'NOT good'}: {count} rehearsed{how}{f': {told}' if told else ''}"


def _place(statement: StatementTrace) -> str:
    line = f", line {statement.line}" if statement.line else ""
    return f"{statement.revision}/{statement.script}{line}"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MB" if count >= 2**20 else f"{count / 2**10:.0f} kB"


def _written(value: object) -> object:
    assert isinstance(value, datetime), value
    return value.isoformat()
