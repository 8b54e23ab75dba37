"""Up, verify, down, up again on a copy, and what is not as it was."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from hansa.migrate.catalog import Snapshot, differences, snapshot
from hansa.migrate.commands import down, up, verify
from hansa.migrate.digests import TableDigest, changed_tables, table_digests
from hansa.migrate.errors import Refusal
from hansa.migrate.observing import Observer
from hansa.migrate.options import Options
from hansa.migrate.rehearsal.errors import BadProbes
from hansa.migrate.rehearsal.probes import Probes
from hansa.migrate.rehearsal.probing import ProbeReport, probing
from hansa.migrate.session import connect


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A database at one instant."""

    catalog: Snapshot
    data: Mapping[str, TableDigest]
    """By table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """Something that is not as it was."""

    object: str
    """As in `index public.orders_by_day` or `table public.orders`."""
    sentence: str
    soft: bool
    """Whether it is only worth knowing, and no fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Some revisions, once through."""

    revisions: tuple[str, ...]
    irreversible: str | None = None
    """Why there is no way back, so that they were only applied and verified; None when they were reverted."""
    up_ms: float | None = None
    """None, as the next two: it did not come to that."""
    down_ms: float | None = None
    again_ms: float | None = None
    failed_checks: tuple[str, ...] = ()
    """What verify.sql said is not so."""
    unverified: tuple[str, ...] = ()
    """Revisions without a verify.sql."""
    after_down: tuple[Deviation, ...] = ()
    """Against the state before the first up."""
    after_second_up: tuple[Deviation, ...] = ()
    """Against the state after the first up."""
    probes: tuple[ProbeReport, ...] = ()
    """What the application's statements felt; of an up of its own where there is a way back."""
    failure: str | None = None
    """What ended it early."""

    @property
    def ok(self) -> bool:
        hard = [one for one in (*self.after_down, *self.after_second_up) if not one.soft]
        return self.failure is None and not self.failed_checks and not hard and all(one.ok for one in self.probes)

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.failure is not None:
            yield f"failed: {self.failure}"
        if self.irreversible is not None:
            yield f"was only applied, because there is no way back: {self.irreversible}"
        for check in self.failed_checks:
            yield f"verify failed: {check}"
        for when, found in (("after down", self.after_down), ("after the second up", self.after_second_up)):
            for one in found:
                yield f"{when}{' (no fault)' if one.soft else ''}: {one.sentence}"
        for probe in self.probes:
            yield probe.sentence


@dataclass(slots=True, kw_only=True)
class Stage:
    """A copy, and how revisions are run on it."""

    dsn: str
    directory: Path
    options: Options
    observer: Observer
    """Watches the first time that each revision goes up."""
    clock: Callable[[], float]
    """Seconds; it stands still while the observer looks."""
    probes: Probes | None
    seen: set[str] = field(default_factory=set[str])

    def round(self, revisions: Sequence[str], *, irreversible: str | None = None) -> Round:
        """These pending revisions up, verified, down and up again; what cannot go down is only applied.

        Probes need an up of their own, after everything was compared: what they write would look like a loss.
        """
        done = Round(revisions=tuple(revisions), irreversible=irreversible)
        try:
            for step in self._onwards(done) if irreversible else self._there_and_back(done):
                done = step
        except BadProbes:
            raise
        except Refusal as refusal:
            return replace(done, failure=str(refusal))
        except psycopg.Error as error:
            return replace(done, failure=f"PostgreSQL: {' '.join(str(error).split())}")
        return done

    def _onwards(self, done: Round) -> Iterator[Round]:
        """The round as it is after each step."""
        up_ms, reports = self._up_under_probes(done.revisions)
        done = replace(done, up_ms=up_ms, probes=reports)
        yield done
        yield self._verified(done)

    def _there_and_back(self, done: Round) -> Iterator[Round]:
        before = self._state()
        done = replace(done, up_ms=self._up(done.revisions))
        yield done
        done = self._verified(done)
        yield done
        first = self._state()
        done = replace(done, down_ms=self._down(len(done.revisions)))
        yield done
        restored = self._state()
        done = replace(done, after_down=deviations(before, restored))
        yield done
        done = replace(done, again_ms=self._up(done.revisions))
        yield done
        # From equal beginnings, other values in as many rows only come from clocks, chance or sequences.
        equal = not any(not one.soft for one in done.after_down)
        done = replace(done, after_second_up=deviations(first, self._state(), values_soft=equal))
        yield done
        if self.probes is not None:
            self._down(len(done.revisions))
            yield replace(done, probes=self._up_under_probes(done.revisions)[1])

    def _up(self, revisions: Sequence[str]) -> float:
        """One by one, because `up` to a revision applies what it requires and no more."""
        started = self.clock()
        for name in revisions:
            observer = self.observer if name not in self.seen else None
            self.seen.add(name)
            up(self.dsn, self.directory, to=name, options=replace(self.options, observer=observer))
        return _ms(self.clock() - started)

    def _up_under_probes(self, revisions: Sequence[str]) -> tuple[float, tuple[ProbeReport, ...]]:
        if self.probes is None:
            return self._up(revisions), ()
        with probing(self.dsn, self.probes) as traffic:
            traffic.migrating()
            took_ms = self._up(revisions)
        return took_ms, traffic.report()

    def _down(self, count: int) -> float:
        self.options.working(f"down: {count} revision{'' if count == 1 else 's'}")
        started = self.clock()
        down(self.dsn, self.directory, steps=count, options=replace(self.options, lose_data=True))  # it is a copy
        return _ms(self.clock() - started)

    def _verified(self, done: Round) -> Round:
        failed, unverified = self._verify(done.revisions)
        return replace(done, failed_checks=failed, unverified=unverified)

    def _verify(self, revisions: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        failed: list[str] = []
        unverified: list[str] = []
        for name in revisions:
            found = verify(self.dsn, self.directory, only=name, options=self.options)
            failed += [f"{name}: {check.name}{f' ({check.detail})' if check.detail else ''}" for check in found.failed]
            unverified += found.unverified
        return tuple(failed), tuple(unverified)

    def _state(self) -> State:
        self.options.working("reading catalog and data of the copy")
        with connect(self.dsn) as connection:
            return State(catalog=snapshot(connection), data=table_digests(connection))


def deviations(before: State, after: State, *, values_soft: bool = False) -> tuple[Deviation, ...]:
    """What is not as it was: objects by their name, data by table; with `values_soft` other values are no fault."""
    of_catalog = (
        Deviation(object=one.object, sentence=one.sentence, soft=one.soft)
        for one in differences(before.catalog, after.catalog)
    )
    of_data = (
        _data_deviation(table, before.data[table].rows, after.data[table].rows, values_soft=values_soft)
        for table in changed_tables(before.data, after.data)
        if table in before.data and table in after.data  # else the catalog says it
    )
    return (*of_catalog, *of_data)


def _data_deviation(table: str, had: int, has: int, *, values_soft: bool) -> Deviation:
    soft = values_soft and had == has
    if had != has:
        sentence = f"table {table} has {has:,} rows, where it had {had:,}"
    else:
        sentence = f"table {table} has other values in its {has:,} row{'' if has == 1 else 's'}"
    return Deviation(
        object=f"table {table}",
        sentence=f"{sentence}, as a clock, chance or a sequence gives them" if soft else sentence,
        soft=soft,
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
