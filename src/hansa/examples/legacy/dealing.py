"""Spreads spellings over the rows of a table so that how many of each there are is known before the first one is made.

Row n gets the spelling of place (n x step + shift) mod rows. Step and rows have no common divisor, so every place is
taken once: the counts are exact, and equal spellings do not lie side by side.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from psycopg import sql

from hansa.examples.legacy.spelling import Spellings


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """Which row of a table gets which spelling."""

    spellings: tuple[str | None, ...]
    ends: tuple[int, ...]
    """Of each spelling, the first place that is not its own any more."""
    step: int
    shift: int

    @property
    def rows(self) -> int:
        return self.ends[-1]

    @property
    def counts(self) -> Mapping[str | None, int]:
        """How many rows get each spelling."""
        starts = (0, *self.ends)
        return {spelling: end - start for spelling, start, end in zip(self.spellings, starts, self.ends, strict=False)}

    def first(self, rows: int) -> Counter[str | None]:
        """How many of the first rows get each spelling."""
        places = ((n * self.step + self.shift) % self.rows for n in range(rows))
        return Counter(self.spellings[bisect_right(self.ends, place)] for place in places)

    @property
    def expression(self) -> sql.Composed:
        """The same in SQL, of type text, over a row number `n` that counts from 0."""
        return sql.SQL("({spellings})[width_bucket((n::bigint * {step} + {shift}) % {rows}, {ends}) + 1]").format(
            spellings=sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(map(sql.Literal, self.spellings))),
            step=sql.Literal(self.step),
            shift=sql.Literal(self.shift),
            rows=sql.Literal(self.rows),
            ends=sql.SQL("ARRAY[{}]::bigint[]").format(sql.SQL(", ").join(map(sql.Literal, self.ends[:-1]))),
        )


def deal(spellings: Spellings, rows: int, random: Random) -> Deal:
    """Give each spelling its share of the rows and at least one; the most frequent one takes what rounding leaves."""
    counts = {spelling: max(1, rows * share // 1000) for spelling, share in spellings.items()}
    most = max(spellings, key=lambda spelling: spellings[spelling])
    counts[most] += rows - sum(counts.values())
    step = next(candidate for candidate in iter(lambda: random.randrange(1, rows), 0) if math.gcd(candidate, rows) == 1)
    return Deal(
        spellings=tuple(counts), ends=tuple(accumulate(counts.values())), step=step, shift=random.randrange(rows)
    )
