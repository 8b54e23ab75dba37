"""Kills processes of a house with SIGKILL, in an order that follows from the seed, at moments that hurt.

To hit a transaction while it is open, its client is stopped (SIGSTOP) as soon as the server shows one, and the server
is asked again: a stopped client can send no COMMIT, so what is open then is open when the kill arrives.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from campaigns.gate import Gate
from campaigns.plan import STEPS
from campaigns.record import Reader
from campaigns.stage import Stage

TARGETS = ("api", "worker", "postmaster", "backend", "chain", "driver", "supervisor", "everything")
CHILD = {"api": "serve", "worker": "worker", "chain": "chain"}
"""Target -> what the supervisor calls it."""
APPLICATION = {"api": "hansa-api", "worker": "hansa-worker"}
"""Target -> what its connections call themselves."""
TRANSACTIONAL = ("api", "worker", "postmaster", "backend", "everything")
SERVERLESS = ("postmaster", "backend", "everything")
"""After these all processes of the server are new."""
CATCH_WITHIN_S, AIM_WITHIN_S, WORK_WITHIN_S = 30.0, 2.0, 2.0
SETTLING_S = 0.01
"""A COMMIT that was on its way when its client was stopped has arrived after so long."""

# Signs of life and used nonces are left out: deals are what the campaign is about.
OPEN_TRANSACTIONS = """
    SELECT pid, application_name, state, backend_xid::text,
           regexp_replace(left(ltrim(query, E' \\n'), 100), '\\s+', ' ', 'g'),
           extract(epoch FROM clock_timestamp() - xact_start)::float8 * 1000
      FROM pg_stat_activity
     WHERE backend_xid IS NOT NULL
       AND application_name = %s
       AND query !~ 'ops[.]heartbeats|identity[.]nonces'
       AND (state = 'idle in transaction' OR (state = 'active' AND xact_start < query_start AND query <> 'COMMIT'))
     ORDER BY xact_start
"""
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'hansa-%%' ORDER BY pid"
BORN = "SELECT backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A transaction that had written something and was open when the kill was sent."""

    pid: int
    application: str
    state: str
    xid: str
    query: str
    """Head of its last statement."""
    age_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """A stopped client, with the transactions that it has open."""

    client: int
    open: list[Sighting]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill and what came after."""

    n: int
    at: float
    target: str
    pid: int
    open: list[Sighting]
    """Open transactions that it hit; empty: none was looked for."""
    aborted: int | None
    """How many of them PostgreSQL itself calls aborted; None: the server died too, and may use their numbers again."""
    recovered_s: float


@dataclass
class Killer:
    """Lets deals begin, strikes in the middle of them, and waits until the house stands again before the next ones."""

    stage: Stage
    reader: Reader
    driver: Callable[[], int]
    """Process id of the driver that runs now."""
    playing: Callable[[], bool]
    """Whether there still are deals to disturb."""
    gate: Gate
    seed: int
    kills_max: int
    targets: Sequence[str] = TARGETS
    kills: list[Kill] = field(default_factory=list[Kill])

    def run(self) -> None:
        """Kill as often as planned, then let the rest of the deals go on in peace."""
        chance = random.Random(f"kills {self.seed}")
        for n, (target, inside) in enumerate(schedule(chance, self.targets, self.kills_max), start=1):
            self.gate.open_to(-(-self.gate.size * n // self.kills_max))
            time.sleep(chance.uniform(0, 0.3))
            if not self.playing():
                break
            self.kills.append(self.strike(n, target, inside=inside, chance=chance))
        self.gate.open_to(self.gate.size)

    def busy(self) -> bool:
        """Whether steps are under way; lets another deal begin when there are none."""
        if self.reader.look().open:
            return True
        begun = len(self.reader.answers)
        if begun >= self.gate.released and self.reader.answered == begun * len(STEPS):
            self.gate.open_to(self.gate.released + 1)
        return False

    def strike(self, n: int, target: str, *, inside: bool, chance: random.Random) -> Kill:
        """Kill one process, and wait until its successor works."""
        born = self.stage.rows(BORN)[0][0]
        client = target if target in APPLICATION else chance.choice(["api", "api", "worker"])
        caught = self.catch(client, STEPS[n % len(STEPS)]) if inside else None
        if caught is None:
            self.wait_for_work(target)
        pids = self.pids_of(target, caught, chance)
        at = time.time()
        for pid in pids:
            send(pid, signal.SIGKILL)
        if caught is not None:
            send(caught.client, signal.SIGCONT)
        if target in ("supervisor", "everything"):
            self.stage.wait_for_end()
            self.stage.open()
        self.stage.wait_for(lambda: self.recovered(target, pids[0], born), f"house after the end of {target}")
        recovered_s = time.time() - at
        seen = caught.open if caught else []
        aborted = sum(self.is_aborted(one) for one in seen) if target in APPLICATION else None
        return Kill(n=n, at=at, target=target, pid=pids[0], open=seen, aborted=aborted, recovered_s=recovered_s)

    def pids_of(self, target: str, caught: Caught | None, chance: random.Random) -> list[int]:
        """What is killed, the process that others would start it again first."""
        if target == "driver":
            return [self.driver()]
        if target == "postmaster":
            return [self.stage.postmaster()]
        if target == "backend":
            return [chance.choice(caught.open).pid if caught else chance.choice(self.stage.rows(BACKENDS))[0]]
        if target == "supervisor":
            return [self.stage.running.pid]
        if target == "everything":
            # But for the driver, which has a machine of its own, and what the kernel keeps of files: no power cut.
            return [self.stage.running.pid, self.stage.postmaster(), *self.stage.running.children.values()]
        return [self.stage.pid_of(CHILD[target])]

    def wait_for_work(self, target: str) -> None:
        """A moment at which the target has something to lose: a payment for the chain, any step for the others."""
        deadline = time.monotonic() + WORK_WITHIN_S
        while self.playing() and time.monotonic() < deadline:
            if self.busy() and (target != "chain" or "pay" in self.reader.open.values()):
                return
            time.sleep(0.001)

    def catch(self, target: str, aim: str) -> Caught | None:
        """Stop a client while it has written in a transaction and not committed; None: it did not for a long time.

        With the API a moment is awaited at which the step `aim` is under way, so that every step is hit.
        """
        began = time.monotonic()
        client = self.stage.pid_of(CHILD[target])
        while self.playing() and time.monotonic() - began < CATCH_WITHIN_S:
            busy = self.busy()
            patient = target == "api" and time.monotonic() - began < AIM_WITHIN_S
            if patient and not (busy and aim in self.reader.open.values()):
                continue
            if not self.sightings(target):
                continue
            send(client, signal.SIGSTOP)
            time.sleep(SETTLING_S)
            found = self.sightings(target)
            if found:
                return Caught(client=client, open=found)
            send(client, signal.SIGCONT)
        return None

    def sightings(self, target: str) -> list[Sighting]:
        try:
            rows = self.stage.rows_now(OPEN_TRANSACTIONS, APPLICATION[target])
        except psycopg.OperationalError:
            return []
        return [
            Sighting(pid=pid, application=name, state=state, xid=xid, query=query, age_ms=round(age, 1))
            for pid, name, state, xid, query, age in rows
        ]

    def recovered(self, target: str, pid: int, born: datetime) -> bool:
        """Whether the house stands again, with a successor of what was killed."""
        if target == "driver":
            return self.driver() != pid
        if target in CHILD and self.stage.running.children[CHILD[target]] == pid:
            return False
        if target == "supervisor" and self.stage.running.pid == pid:
            return False
        if target in SERVERLESS:
            # All processes of the server are new after either; the API may have been quick enough to miss the end.
            try:
                if self.stage.rows_now(BORN)[0][0] == born:
                    return False
            except (psycopg.OperationalError, IndexError):
                return False
        return self.stage.serves()

    def is_aborted(self, one: Sighting) -> bool:
        """What PostgreSQL says about a transaction whose client was killed."""
        # In a cluster this young the wide number of a transaction is the short one.
        answer = "SELECT pg_xact_status(%s::text::xid8)"
        end = self.stage.wait_for(
            lambda: (status := self.stage.rows(answer, one.xid)[0][0]) != "in progress" and status,
            "end of a transaction",
        )
        return end == "aborted"


def schedule(chance: random.Random, targets: Sequence[str], kills: int) -> Iterator[tuple[str, bool]]:
    """Targets in rounds, each round once through all of them in another order; whether an open transaction is sought."""
    for n in range(kills):
        if n % len(targets) == 0:
            order = chance.sample(targets, len(targets))
        target = order[n % len(targets)]
        yield target, target in TRANSACTIONAL and (n < len(targets) or chance.random() < 0.75)


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
