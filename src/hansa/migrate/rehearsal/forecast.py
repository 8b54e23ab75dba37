"""What the live database's users would notice: how long each table keeps them waiting, and how many of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from hansa.migrate.rehearsal.lock_modes import Blocks, LockMode
from hansa.migrate.rehearsal.traced import Blocking
from hansa.migrate.rehearsal.traffic import Rate, Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A table that keeps its users waiting. Getting the lock may add up to the lock timeout for each try."""

    table: str
    mode: LockMode
    blocks: Blocks
    held_ms: float
    """How long, as measured on the copy; who comes first waits that long."""
    times: int
    """How often, when batches take it again and again."""
    rows: int
    """How many rows, when only changes of the same rows wait; else 0."""
    revision: str
    script: str
    line: int
    statements_per_s: float
    """Of those that would have to wait, as measured on the live database."""
    waiting: int
    """How many would arrive, and wait, meanwhile."""

    @property
    def sentence(self) -> str:
        return f"{self._what} for {_ms(self.held_ms)}{self._again}; {self._who}"

    @property
    def _what(self) -> str:
        if self.blocks is Blocks.SAME_ROWS:
            return (
                f"{self.rows:,} changed row{'' if self.rows == 1 else 's'} of {self.table} block other changes to them"
            )
        return f"{self.mode} on {self.table} blocks {self.blocks}"

    @property
    def _again(self) -> str:
        return f" at most, {self.times} times" if self.times > 1 else ""

    @property
    def _who(self) -> str:
        if not self.statements_per_s:
            return "nobody used it while we looked"
        rate = f"{self.statements_per_s:.1f}".removesuffix(".0")
        limit = "up to" if self.blocks is Blocks.SAME_ROWS else "about"
        return f"at {rate} statements/s {f'{limit} {self.waiting:,}' if self.waiting else 'hardly one'} would wait"


def forecast(blockings: Iterable[Blocking], traffic: Traffic) -> tuple[Outage, ...]:
    """Each stretch of blocking with who would wait for it, the longest first."""
    return tuple(
        _outage(one, traffic.rate(one.table)) for one in sorted(blockings, key=lambda blocking: -blocking.held_ms)
    )


def _outage(blocking: Blocking, rate: Rate) -> Outage:
    per_s = rate.writes_per_s + (rate.reads_per_s if blocking.blocks is Blocks.ALL else 0.0)
    return Outage(
        table=blocking.table,
        mode=blocking.mode,
        blocks=blocking.blocks,
        held_ms=blocking.held_ms,
        times=blocking.times,
        rows=blocking.rows,
        revision=blocking.revision,
        script=blocking.script,
        line=blocking.line,
        statements_per_s=round(per_s, 3),
        waiting=round(per_s * blocking.held_ms / 1000),
    )


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
