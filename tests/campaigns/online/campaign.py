"""Online migrations under kill -9: of the deployer, of the server, of a writing client, at every step.

    PYTHONPATH=tests python -m campaigns.online.campaign --kills 30 --seed 21 --report docs/explanation/online-kills.json

writes the report, and its part of the page about robustness beside it. Exit status 1 when a check fails.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from campaigns.online.accounts import Accounts
from campaigns.online.ground import Ground, end, opened
from campaigns.online.notes import Notes
from campaigns.online.places import Place, Position, Way, ways
from campaigns.online.report import Kill, Result, report, table, write_report
from campaigns.online.striker import CLIENT, ENGINE, SERVER, Aim, Striker
from campaigns.online.world import World, unsoundness

VICTIMS = (ENGINE, SERVER, CLIENT)
WRITERS = 2
KILLS_A_ROUND = 3
MISSES_MAX = 10
"""So many rounds more than planned, then an aim cannot be met."""
RUN_S, RUNS_MAX = 120.0, 12
"""A run takes a few seconds; one that is started so often is not getting anywhere."""
SHARES = (0.1, 0.3, 0.6)
"""Where in the backfill kills are aimed at, besides its beginning."""
STRAYS_UNTIL = "backfill"
"""The step from which on clients must not write what has no place, because the swap would refuse it."""


class CampaignFailed(Exception):
    """A run refused to end, or a client died by itself; the message says why."""


@dataclass
class Campaign:
    """Rounds of the same migration, each in a database of its own, until all kills are dealt."""

    ground: Ground
    seed: int
    kills: Sequence[str]
    """Who is killed on the ways up, in no order."""
    kills_on_the_way_back: Sequence[str]
    """Who is killed on the ways down, one in each round."""
    kills_a_round: int = KILLS_A_ROUND
    thorough: bool = True
    """Whether each round also goes up again at its end, and the run without kills goes down and up again."""
    dealt: list[Kill] = field(default_factory=list[Kill])
    findings: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    rounds: int = 0

    def run(self) -> Result:
        """Deal all kills and compare what is left after each run. Raises CampaignFailed."""
        began = time.monotonic()
        self.up, self.down = ways(self.ground.revisions)
        self.chance = random.Random(f"online {self.seed}")
        self.reference = self.undisturbed()
        aims, back = self.aims(), deque(self.aims_back())
        notes: list[Notes] = []
        while aims or back:
            if self.rounds >= len(self.kills) / self.kills_a_round + MISSES_MAX:
                raise CampaignFailed(f"these kills never found their place: {list(aims)}, {list(back)}")
            hand = [aims.popleft() for _ in range(min(self.kills_a_round, len(aims)))]
            with self.round(hand, back.popleft() if back else None) as one:
                aims.extend(one.missed_up)
                back.extend(one.missed_down)
                notes.append(one.notes())
        return Result(
            seed=self.seed,
            rows=self.ground.rows,
            rounds=self.rounds,
            kills=self.dealt,
            places=[place.name for place in dict.fromkeys(self.up.places)],
            places_back=[place.name for place in dict.fromkeys(self.down.places)],
            findings=self.findings,
            outcomes=sum((one.outcomes for one in notes), start=type(notes[0].outcomes)()),
            reference=self.reference,
            seconds=time.monotonic() - began,
        )

    # --- what is aimed at ---------------------------------------------------------------------------------------------

    def aims(self) -> deque[Aim]:
        """Every place once, in another order each time, then random moments; each victim as often as it is to die."""
        victims = self.chance.sample(self.kills, len(self.kills))
        targets = [(index, 0.0) for index in range(len(self.up.places))]
        targets += [(i, share) for i, _ in targets if self.up.places[i].step == STRAYS_UNTIL for share in SHARES]
        chosen = self.chance.sample(targets, min(len(targets), len(victims)))
        aims = [
            Aim(victim=victim, direction="up", index=index, share=share)
            for victim, (index, share) in zip(victims, chosen, strict=False)
        ]
        aims += [
            Aim(victim=victim, direction="up", delay_s=self.chance.uniform(0.4, 2.5)) for victim in victims[len(aims) :]
        ]
        self.chance.shuffle(aims)
        return deque(aims)

    def aims_back(self) -> list[Aim]:
        indexes = self.chance.sample(range(1, len(self.down.places)), len(self.kills_on_the_way_back))
        return [
            Aim(victim=victim, direction="down", index=index)
            for victim, index in zip(self.kills_on_the_way_back, indexes, strict=True)
        ]

    # --- rounds -------------------------------------------------------------------------------------------------------

    def undisturbed(self) -> Reference:
        """The same without clients and kills: before and after; and that down and up again are as they should be."""
        name = "undisturbed"
        dsn = self.ground.database(name)
        before = World.of(dsn, rows=self.ground.rows)
        opening = Accounts.opening(dsn, rows=self.ground.rows)
        reference = Reference(before=before, up=self.alone("up", dsn), opening=opening)
        if self.thorough:
            back, again = self.alone("down", dsn), self.alone("up", dsn)
            for title, finding in (*reference.down.differences(back), *reference.up.differences(again)):
                self.found(name, "undisturbed", f"{title}: {finding}")
        self.ground.drop(name)
        return reference

    def alone(self, command: str, dsn: str) -> World:
        """What a command leaves that nobody disturbs. Raises CampaignFailed."""
        if self.deploy(command, dsn).wait(RUN_S) != 0:
            raise CampaignFailed(f"{command} without kills failed:\n{self.log.read_text()[-3000:]}")
        return World.of(dsn, rows=self.ground.rows)

    @contextmanager
    def round(self, hand: Sequence[Aim], back: Aim | None) -> Generator[Round]:
        """One round, played and judged; its database and clients are gone afterwards."""
        self.rounds += 1
        name = f"round_{self.rounds}"
        one = Round(campaign=self, name=name, number=self.rounds, dsn=self.ground.database(name))
        try:
            one.play(sorted(hand, key=lambda aim: (-1 if aim.index is None else aim.index, aim.share)), back)
            yield one
        finally:
            one.close()
            self.ground.drop(name)

    def deploy(self, command: str, dsn: str) -> subprocess.Popen[bytes]:
        arguments = ["--all"] if command == "down" else []
        place = ["--dir", str(self.ground.revisions), "--dsn", dsn]
        return self.ground.start("hansa.migrate", command, *arguments, *place, log=self.log)

    @property
    def log(self) -> Path:
        return self.ground.folder / "deployers.log"

    def found(self, where: str, title: str, finding: str) -> None:
        self.findings.setdefault(title, []).append(f"{where}: {finding}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a run without kills leaves."""

    before: World
    up: World
    opening: Mapping[int, str]
    """Status of each row that clients may touch, at the beginning."""

    @property
    def down(self) -> World:
        """What a way back is to leave: the beginning, and the engine's own tables with nothing of it in them."""
        return replace(self.before, helpers=self.up.helpers)


@dataclass
class Round:
    """One database: up under fire, compared; down, compared; up again, compared."""

    campaign: Campaign
    name: str
    number: int
    dsn: str
    clients: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])
    missed_up: list[Aim] = field(default_factory=list[Aim])
    missed_down: list[Aim] = field(default_factory=list[Aim])

    def play(self, hand: Sequence[Aim], back: Aim | None) -> None:
        self.strays.touch()
        self.clients = [self.client(number) for number in range(WRITERS)]
        self.wait_for_writes()
        self.missed_up = self.migrate("up", self.campaign.up, hand)
        self.wait_for_writes()  # with the new type alone
        for client in self.clients:
            end(client)
        self.judge("up")
        self.missed_down = self.migrate("down", self.campaign.down, [back] if back else [])
        self.judge("down")
        if self.campaign.thorough:
            self.migrate("up", self.campaign.up, [])
            self.judge("up again")

    def close(self) -> None:
        for client in self.clients:
            end(client)

    # --- clients ------------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        return self.campaign.ground.folder

    @property
    def strays(self) -> Path:
        return self.folder / f"{self.name}.strays"

    def record(self, number: int) -> Path:
        return self.folder / f"{self.name}.writer-{number}.jsonl"

    def notes(self) -> Notes:
        return Notes.read(*(self.record(number) for number in range(WRITERS)))

    def client(self, number: int) -> subprocess.Popen[bytes]:
        facts = {"number": number, "writers": WRITERS, "rows": self.campaign.ground.rows}
        files = {"dsn": self.dsn, "record": self.record(number), "strays": self.strays}
        arguments = [text for name, value in {**facts, **files}.items() for text in (f"--{name}", str(value))]
        return self.campaign.ground.start(
            "campaigns.online.writer", *arguments, log=self.folder / f"{self.name}.writers.log"
        )

    def wait_for_writes(self, transactions: int = 40) -> None:
        """Until the clients have carried out some more. Raises CampaignFailed."""
        wanted = self.notes().outcomes["acknowledged"] + transactions
        deadline = time.monotonic() + RUN_S
        while (notes := self.notes()).outcomes["acknowledged"] < wanted:
            dead = [client.args for client in self.clients if client.poll() is not None]
            if dead or notes.failures or time.monotonic() > deadline:
                log = (self.folder / f"{self.name}.writers.log").read_text()[-3000:]
                raise CampaignFailed(f"clients do not write: {dead} {notes.failures[:3]}\n{log}")
            time.sleep(0.05)

    # --- the deployer -------------------------------------------------------------------------------------------------

    def migrate(self, command: str, way: Way, hand: Sequence[Aim]) -> list[Aim]:
        """Run it, again after each kill, until it ends well; returns the aims that it was past before they were met."""
        left, missed = deque(hand), list[Aim]()
        for _ in range(RUNS_MAX):
            before = self.campaign.log.stat().st_size if self.campaign.log.exists() else 0
            deployer = self.campaign.deploy(command, self.dsn)
            victim = self.under_fire(way, deployer, left, missed)
            status = deployer.wait(RUN_S)
            if victim == SERVER:
                self.campaign.ground.start_server()
            self.hear(status, self.campaign.log.read_bytes()[before:].decode(errors="replace"), victim)
            if status == 0 and not left:
                return missed
        raise CampaignFailed(f"{command} was started {RUNS_MAX} times:\n{self.campaign.log.read_text()[-3000:]}")

    def under_fire(
        self, way: Way, deployer: subprocess.Popen[bytes], left: deque[Aim], missed: list[Aim]
    ) -> str | None:
        """Kill what is to be killed during one run; returns what ended it, None when nothing did."""
        with self.striker(way, deployer) as striker:
            while left:
                aim = left.popleft()
                number = self.number % WRITERS
                struck = striker.run(aim, self.clients[number] if aim.victim == CLIENT else deployer)
                if struck is None:
                    missed.append(replace(aim, patient=False))
                    continue
                kill = Kill.of(struck, self.number, way.places[struck.index])
                self.campaign.dealt.append(kill)
                if aim.victim != CLIENT:
                    return aim.victim
                self.clients[number] = self.client(number)
            if self.strays.exists():
                striker.watch(lambda: not self.strays.exists())
        return None

    @contextmanager
    def striker(self, way: Way, deployer: subprocess.Popen[bytes]) -> Generator[Striker]:
        with psycopg.connect(self.dsn, autocommit=True) as watched:
            yield Striker(
                ground=self.campaign.ground,
                way=way,
                database=self.name,
                deployer=deployer,
                watched=watched,
                seen=self.close_the_gate,
            )

    def close_the_gate(self, place: Place | None, position: Position) -> None:
        """From the backfill on, clients write only what has a place."""
        ahead = [one.step for one in self.campaign.up.places[position.index :]]
        if place is None or STRAYS_UNTIL not in ahead or place.step == STRAYS_UNTIL:
            self.strays.unlink(missing_ok=True)

    def hear(self, status: int, said: str, victim: str | None) -> None:
        """A deployer that lives on ends well, or with a refusal that has a name; it never just breaks."""
        where = f"round {self.number}"
        if "Traceback" in said:
            self.campaign.found(where, "deployer", said[-1500:])
        if status != {None: 0, ENGINE: -signal.SIGKILL, SERVER: 1}[victim]:
            self.campaign.found(where, "deployer", f"ended with {status}: {said[-600:]}")

    # --- the verdict --------------------------------------------------------------------------------------------------

    def judge(self, when: str) -> None:
        for title, finding in self.verdict(when):
            self.campaign.found(f"round {self.number}, {when}", title, finding)

    def verdict(self, when: str) -> Iterator[tuple[str, str]]:
        """Everything that is not as after a run without kills, but for what clients wrote as they noted it."""
        reference = self.campaign.reference
        world = World.of(self.dsn, rows=self.campaign.ground.rows)
        up = when != "down"
        wanted = reference.up if up else reference.down
        yield from wanted.differences(world)
        yield from (("helpers", finding) for finding in wanted.leftovers(world))
        notes = self.notes()
        accounts = Accounts(notes=notes, before=reference.opening, rows=self.campaign.ground.rows)
        yield from (("accounts", finding) for finding in accounts.findings(self.dsn, up=up))
        yield from (("clients", finding) for finding in notes.failures)
        revisions = self.campaign.ground.revisions
        yield from unsoundness(self.dsn, revisions, pending=0 if up else 2)


@contextmanager
def campaign(
    *,
    seed: int,
    rows: int,
    kills: Sequence[str],
    kills_on_the_way_back: Sequence[str] = (),
    kills_a_round: int = KILLS_A_ROUND,
    thorough: bool = True,
) -> Generator[Campaign]:
    """A campaign on a server of its own, which is gone afterwards."""
    with opened(rows=rows, seed=seed) as ground:
        yield Campaign(
            ground=ground,
            seed=seed,
            kills=kills,
            kills_on_the_way_back=kills_on_the_way_back,
            kills_a_round=kills_a_round,
            thorough=thorough,
        )


def whole(kills: int) -> dict[str, Sequence[str]]:
    """So many kills on the ways up, each victim as often as the others, and one kill on each way back."""
    each = [VICTIMS[n % len(VICTIMS)] for n in range(kills)]
    return {
        "kills": each,
        "kills_on_the_way_back": [(ENGINE, SERVER)[n % 2] for n in range(-(-kills // KILLS_A_ROUND))],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m campaigns.online.campaign", description="Migrations under fire.")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--report", type=Path, help="JSON file; robustness.md beside it gets the tables")
    options = parser.parse_args()
    with campaign(seed=options.seed, rows=options.rows, **whole(options.kills)) as one:
        result = one.run()
    if options.report:
        write_report(result, options.report)
    else:
        print(table(report(result)))
    for problem in result.problems:
        print(f"WRONG {problem}", file=sys.stderr)
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
