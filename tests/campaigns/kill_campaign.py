"""The kill campaign: deals go on while everything under them is killed, and afterwards every cent is accounted for.

    PYTHONPATH=tests python -m campaigns.kill_campaign --deals 200 --seed 7 --report docs/explanation/robustness.json

writes the report, and its table into the page beside it. Exit status 1 when a check fails.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import httpx

from campaigns.gate import Gate
from campaigns.killer import TARGETS, Killer
from campaigns.plan import FEED, FEED_PRICE, OPENING_CREDITS, OPENING_USDC, Plan
from campaigns.record import Reader
from campaigns.report import Result, report, table, write_report
from campaigns.stage import Stage, StageFailed, background, opened
from campaigns.verdict import Opening, Verdict
from hansa.chain.client import ChainRpc
from hansa.chain.genesis import USDC_MINT
from hansa.client import Hansa
from hansa.registry.cards import sign_card


@dataclass
class Campaign:
    """One run: a house, a driver, a killer, a verdict."""

    stage: Stage
    plan: Plan
    kills: int
    targets: Sequence[str] = TARGETS
    threads: int = 4
    driver_starts: int = 0
    driver: subprocess.Popen[str] | None = None
    over: threading.Event = field(default_factory=threading.Event)
    failure: str = ""
    opening: Opening | None = None

    def run(self) -> Result:
        """Play all deals under fire and look at what is left. Raises StageFailed."""
        began = time.monotonic()
        self.opening = self.open()
        reader = Reader(self.record)
        driving = background(self.keep_driving)
        killer = Killer(
            stage=self.stage,
            reader=reader,
            driver=self.driver_pid,
            playing=lambda: not self.over.is_set(),
            gate=Gate(path=self.stage.folder / "gate", size=self.plan.size),
            seed=self.plan.seed,
            kills_max=self.kills,
            targets=self.targets,
        )
        try:
            killer.run()
            driving.join()
        finally:
            self.stop_driving()
        if self.failure:
            raise StageFailed(f"the driver gave up: {self.failure}\n{self.stage.log[-5000:]}")
        self.stage.wait_for(self.stage.serves, "house at the end")
        return Result(
            plan=self.plan,
            reader=reader.look(),
            kills=killer.kills,
            checks=self.verdict(reader).checks(),
            driver_starts=self.driver_starts,
            seconds=time.monotonic() - began,
        )

    def verdict(self, reader: Reader) -> Verdict:
        assert self.opening is not None, "the campaign has begun"
        return Verdict(stage=self.stage, plan=self.plan, reader=reader, opening=self.opening)

    @property
    def record(self) -> Path:
        return self.stage.folder / "record.jsonl"

    def open(self) -> Opening:
        """Agents with signed cards, opening credits, test USDC and budgets, before the first kill."""
        document = json.loads((resources.files("hansa.examples") / "cards" / "knowledge.json").read_text())
        chain_url = (self.stage.home / "chain.url").read_text().strip()
        gifts: dict[str, str] = {}
        with ChainRpc(chain_url) as chain:
            for name, key in self.plan.agents.items():
                with Hansa(self.stage.url, key) as hansa:
                    hansa.register(sign_card({**document, "name": f"Campaign {name}"}, key))
                    hansa.faucet()
                    if name in self.plan.sellers:
                        gifts[name] = chain.faucet(key.wallet, usdc=OPENING_USDC, lamports=10_000_000).signature
                        budget = {"cap": OPENING_USDC, "payment_max": FEED_PRICE}
                        hansa.call("PUT", "/api/autopay/budget", body=budget)
            wallet = feed_wallet(self.stage.url)
            return Opening(
                chain_gifts=gifts, feed_wallet=wallet, feed_balance=chain.token_balance(wallet, str(USDC_MINT))
            )

    # --- the driver --------------------------------------------------------------------------------------------------

    def keep_driving(self) -> None:
        """Start the driver again until it has brought every deal to its end."""
        try:
            while not self.over.is_set():
                self.driver_starts += 1
                self.driver = self.stage.start("campaigns.driver", *self.driver_arguments())
                status = self.driver.wait()
                if status == 0:
                    return
                if status != -signal.SIGKILL:
                    self.failure = (self.stage.folder / "driver.log").read_text()[-3000:]
                    return
        finally:
            self.over.set()

    def driver_arguments(self) -> list[str]:
        plan = ["--seed", str(self.plan.seed), "--deals", str(self.plan.size), "--threads", str(self.threads)]
        place = ["--url", self.stage.url, "--record", str(self.record)]
        place += ["--gate", str(self.stage.folder / "gate")]
        return [*place, *plan]

    def driver_pid(self) -> int:
        return self.stage.wait_for(lambda: self.driver and self.driver.pid, "driver")

    def stop_driving(self) -> None:
        self.over.set()
        if self.driver is not None and self.driver.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.driver.pid, signal.SIGTERM)
            self.driver.wait(20)


def feed_wallet(url: str) -> str:
    """Who is paid for the market feed, as its own terms say."""
    asked = httpx.get(f"{url}{FEED}")
    terms = json.loads(base64.b64decode(asked.headers["payment-required"]))
    return terms["accepts"][0]["payTo"]


@contextmanager
def campaign(
    *, seed: int, deals: int, kills: int, targets: Sequence[str] = TARGETS, threads: int = 4
) -> Generator[Campaign]:
    """A campaign on a house of its own, which is gone afterwards."""
    plan = Plan(seed=seed, size=deals)
    settings = {
        "HANSA_BROKER_DID": plan.agents["broker"].did,
        "HANSA_FAUCET_CREDITS": str(OPENING_CREDITS),
        "HANSA_REQUESTS_PER_MINUTE": "0",  # deals follow each other as quickly as they can
    }
    with opened(settings) as stage:
        yield Campaign(stage=stage, plan=plan, kills=kills, targets=targets, threads=threads)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m campaigns.kill_campaign", description="Deals under fire.")
    parser.add_argument("--deals", type=int, default=200)
    parser.add_argument("--kills", type=int, default=64)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--report", type=Path, help="JSON file; the page of the same name beside it gets the table")
    options = parser.parse_args()
    with campaign(seed=options.seed, deals=options.deals, kills=options.kills, threads=options.threads) as one:
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
