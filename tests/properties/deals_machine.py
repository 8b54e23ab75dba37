"""A machine of sessions that do random things to the same few deals and accounts, all at once.

Every session draws its steps from the seed: which command, about what, in whose name, with what numbers. The moments
are those of the clock, so no two runs are alike. At every meeting all sessions stand still, and what the database
holds is compared with itself (invariants.py) and with what was answered (answers.py).
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg

from hansa.infra.db import Db, Tx, announce
from hansa.infra.seal import LocalKeyRing
from hansa.kernel.errors import Defect, Denied, Refusal, ServiceUnavailable
from properties import deal_steps, group_steps, money_steps
from properties.answers import against_answers
from properties.invariants import against_itself
from properties.world import KINDS, Hand, Note, Step, World, actor_of

assert all((deal_steps, group_steps, money_steps)), "importing them registers their kinds of step"
FOUND_MAX = 30
"""So many findings are shown; one mistake may show in thousands of rows."""


@dataclass
class Result:
    """A run that is over."""

    seed: int
    sessions: int
    seconds: float = 0.0
    checks: int = 0
    met: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Kind of step and its outcome -> how often."""
    findings: list[str] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return self.outcomes.total()

    def by_outcome(self) -> Counter[str]:
        """How often each answer was given: `done`, or the code of a refusal."""
        return sum((Counter({outcome: n}) for (_, outcome), n in self.outcomes.items()), Counter())


class DealsMachine:
    """Run `steps` steps of `sessions` sessions on an empty database of one's own, and say what is wrong afterwards."""

    def __init__(self, db: Db, owner_dsn: str, keys: LocalKeyRing, *, seed: int, sessions: int) -> None:
        self.db, self.owner_dsn, self.seed, self.sessions = db, owner_dsn, seed, sessions
        self.owner = psycopg.connect(owner_dsn, autocommit=True)
        self.world = World(db, self.owner, keys)
        self.hands = [Hand(random.Random(f"{seed}:{number}"), self.world) for number in range(sessions)]
        self.faults: list[str] = []

    def run(self, steps: int, *, meetings: int) -> Result:
        """Go on until `steps` steps were answered; meet so many times to check. Stops at the first finding."""
        began, result = time.monotonic(), Result(self.seed, self.sessions)
        each = -(-steps // (meetings * self.sessions))
        for meeting in range(meetings):
            self.work(meeting, each)
            result.findings = self.faults or self.findings()
            result.checks += 1
            if result.findings:
                break
        result.seconds, result.met = time.monotonic() - began, self.world.met
        result.outcomes = Counter((note.step.kind, note.outcome) for note in self.world.notes)
        return result

    def findings(self) -> list[str]:
        """What is wrong at this moment."""
        found = [*against_itself(self.owner), *against_answers(self.owner, self.world)]
        return found[:FOUND_MAX] + ([f"and {len(found) - FOUND_MAX} more"] if len(found) > FOUND_MAX else [])

    def findings_if(self, statement: str) -> list[str]:
        """What the checks would say if this had been done to the database; it is undone again."""
        with self.owner.transaction(force_rollback=True):
            self.owner.execute("SET LOCAL session_replication_role = replica")
            self.owner.execute(statement)
            return self.findings()

    def work(self, meeting: int, steps: int) -> None:
        """All sessions at once, each its steps."""
        together = threading.Barrier(self.sessions)
        threads = [
            threading.Thread(target=self.session, args=(number, f"{self.seed}.{number}.{meeting}", steps, together))
            for number in range(self.sessions)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def session(self, number: int, name: str, steps: int, together: threading.Barrier) -> None:
        hand = self.hands[number]
        with psycopg.connect(self.owner_dsn, autocommit=True) as owner:
            together.wait()
            for count in range(steps):
                step = draw(hand)
                try:
                    self.take(hand, step, f"{name}.{count}", owner)
                except Exception:  # noqa: BLE001 - whatever it is, it is a finding
                    self.faults.append(f"{step.kind} {step.facts}: {traceback.format_exc()}")
                if self.faults:
                    return

    def take(self, hand: Hand, step: Step, ident: str, owner: psycopg.Connection[Any]) -> None:
        """One step in its transaction; what it gave is noted after the commit."""
        dawdle = hand.luck.choice((0, 0, 0.005, 0.03))
        self.world.enter(step.about)
        try:
            if step.role == "owner":
                with owner.transaction():
                    result = step.act(Tx(owner, actor_of(step, ident), announce(owner, actor_of(step, ident))))
            else:
                with self.db.transaction(actor_of(step, ident)) as tx:
                    result = step.act(tx)
                    time.sleep(dawdle)  # what was locked stays so for a while
            outcome = f"denied: {result.refusal.code()}" if isinstance(result, Denied) else "done"
        except (Defect, ServiceUnavailable):
            raise  # a deadlock is one too: commands lock in an order that gives none
        except Refusal as refusal:
            outcome, result = refusal.code(), None
        finally:
            self.world.leave(step.about)
        self.world.keep(Note(ident, step, outcome, result), KINDS[step.kind].hear)


def draw(hand: Hand) -> Step:
    """The next step, among those for which there is something to do it to."""
    kinds, weights = list(KINDS.values()), [one.weight for one in KINDS.values()]
    while True:
        if (step := hand.luck.choices(kinds, weights)[0].draw(hand)) is not None:
            return step
