"""Drives the deals of a plan through a house that keeps falling over: `python -m campaigns.driver --url ... --seed 7`.

It knows only what a client knows: URLs, keys, and its own record. Every step goes out under an Idempotency-Key that
follows from deal and step, until it is answered; nothing else is done about outages. It may be killed itself: started
again, it reads its record and goes on.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from x402.http.utils import decode_payment_response_header

from campaigns.gate import Gate
from campaigns.plan import FEED, FEED_PRICE, STEPS, Deal, Plan
from campaigns.record import Json, Reader, Writer
from hansa.chain.client import ChainUnreachable
from hansa.client import TIMEOUT, Hansa, Refused, Unreachable
from hansa.examples.buyer import NotDelivered, pay_and_get
from hansa.infra.web import REPLAYED

PATIENCE_S = 240.0
"""How long a step is sent again before the driver gives up; no outage of a campaign is nearly as long."""


class NoAnswer(Exception):
    """The seller of data could not answer just now."""


class Watching(httpx.BaseTransport):
    """Notes what happens on the wire besides plain answers, then lets it pass."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self.inner, self.note = httpx.HTTPTransport(), note

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self.inner.handle_request(request)
        except httpx.TransportError as error:
            self.note(type(error).__name__)
            raise
        if response.headers.get(REPLAYED) == "true":
            self.note("replayed")
        if response.status_code >= 500:
            self.note(str(response.status_code))
        return response

    def close(self) -> None:
        self.inner.close()


@dataclass
class Driver:
    """All threads of one driver process."""

    url: str
    plan: Plan
    record: Path
    gate: Gate
    threads: int
    done: dict[int, dict[str, Json]] = field(init=False)
    writer: Writer = field(init=False)
    failures: list[BaseException] = field(default_factory=list[BaseException])

    def __post_init__(self) -> None:
        self.done = Reader(self.record).look().answers
        self.writer = Writer(self.record)

    def run(self) -> int:
        """Exit status 0 when every deal has reached its end."""
        waiting: queue.SimpleQueue[Deal] = queue.SimpleQueue()
        for deal in self.plan.deals:
            if len(self.done.get(deal.n, {})) < len(STEPS):
                waiting.put(deal)
        threads = [threading.Thread(target=self.work, args=(waiting,), daemon=True) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in self.failures:
            print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        return 1 if self.failures else 0

    def work(self, waiting: queue.SimpleQueue[Deal]) -> None:
        parties = {name: self.party(name) for name in self.plan.agents}
        shopper = httpx.Client(transport=Watching(self.note), timeout=TIMEOUT)
        while not self.failures:
            try:
                deal = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self.wait_for_release(deal)
                Play(driver=self, deal=deal, parties=parties, shopper=shopper).run()
            except Exception as failure:  # noqa: BLE001 - whatever it is, the campaign must hear of it
                self.failures.append(failure)

    def wait_for_release(self, deal: Deal) -> None:
        while deal.n >= self.gate.released and not self.failures:
            time.sleep(0.005)

    def party(self, name: str) -> Hansa:
        return Hansa(self.url, self.plan.agents[name], patience_s=PATIENCE_S, transport=Watching(self.note))

    def note(self, thing: str) -> None:
        """Count something that happened besides plain answers."""
        self.writer.write("wire", thing=thing)


@dataclass
class Play:
    """One deal, from the first step that has no answer yet."""

    driver: Driver
    deal: Deal
    parties: dict[str, Hansa]
    shopper: httpx.Client
    """Talks to the seller of data, who knows nobody's name."""

    def run(self) -> None:
        self.answers = self.driver.done.setdefault(self.deal.n, {})
        for step in STEPS:
            if step not in self.answers:
                self.driver.writer.write("begin", deal=self.deal.n, step=step)
                answer = self.until_answered(step, getattr(self, step))
                self.driver.writer.write("answer", deal=self.deal.n, step=step, answer=answer)
                self.answers[step] = answer

    def until_answered(self, step: str, send: Callable[[], Json]) -> Json:
        """A refusal is none of the answers that a campaign expects: it is written down, and the step sent again."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return send()
            except (Refused, Unreachable) as refusal:
                self.driver.writer.write("refused", deal=self.deal.n, step=step, why=str(refusal)[:500])
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    @property
    def buyer(self) -> Hansa:
        return self.parties[self.deal.buyer]

    @property
    def seller(self) -> Hansa:
        return self.parties[self.deal.seller]

    def post(self, party: Hansa, step: str, path: str, body: object = None) -> Json:
        return party.post(path, body, once=self.deal.key(step))

    def terms(self, price: int) -> Json:
        split = dict(zip(("agent", "broker", "validator", "pool"), self.deal.split, strict=True))
        return {"price": price, "delivery_s": 86_400, "quality": "0.90", "split": split}

    # --- the steps, in their order; each answers what later steps and the checks need -------------------------------

    def intent(self) -> Json:
        body = {"description": f"Brief number {self.deal.n}", "budget": self.deal.price}
        return {"id": self.post(self.buyer, "intent", "/api/intents", body)["id"]}

    def negotiate(self) -> Json:
        body = {
            "intent": self.answers["intent"]["id"],
            "responder": self.driver.plan.agents[self.deal.seller].did,
            "terms": self.terms(self.deal.opening_price),
        }
        return {"id": self.post(self.buyer, "negotiate", "/api/negotiations", body)["id"]}

    def propose(self) -> Json:
        path = f"/api/negotiations/{self.answers['negotiate']['id']}/propose"
        return {"round": self.post(self.seller, "propose", path, self.terms(self.deal.price))["round"]}

    def accept(self) -> Json:
        path = f"/api/negotiations/{self.answers['negotiate']['id']}/accept"
        body = {"round": self.answers["propose"]["round"]}
        return {"hold": self.post(self.buyer, "accept", path, body)["hold_id"]}

    def create(self) -> Json:
        body = {
            "negotiation": self.answers["negotiate"]["id"],
            "title": f"Brief {self.deal.n}",
            "description": "One page on yesterday's prices.",
            "domain": 6,
        }
        return {"id": self.post(self.buyer, "create", "/api/tasks", body)["id"]}

    def start(self) -> Json:
        return {"status": self.post(self.seller, "start", self.task_path("start"))["status"]}

    def pay(self) -> Json:
        """One paid call. A purchase has one payment, however often it is tried; only a dead one is followed by another."""
        deadline, number = time.monotonic() + PATIENCE_S, 1
        while True:
            try:
                return {"txid": self.paid_call(self.deal.key(f"pay-{number}")), "purchases": number}
            except NotDelivered as pending:
                self.driver.note(type(pending).__name__)
                number += pending.transaction["status"] == "FAILED"
            except (httpx.TransportError, ChainUnreachable, NoAnswer) as outage:
                self.driver.note(type(outage).__name__)
            if time.monotonic() > deadline:
                raise TimeoutError(f"the data of deal {self.deal.n} could not be bought")
            time.sleep(0.1)

    def paid_call(self, purchase: str) -> str:
        """The id of the transaction that paid for it. Raises what the buyer raises, and NoAnswer."""
        url, key = f"{self.driver.url}{FEED}", self.driver.plan.agents[self.deal.seller]
        bought = pay_and_get(self.seller, key, url, max_price=FEED_PRICE, purchase=purchase, http=self.shopper)
        if bought.response.status_code != 200:
            raise NoAnswer(bought.response.status_code)
        return decode_payment_response_header(bought.response.headers["payment-response"]).transaction

    def deliver(self) -> Json:
        body = {"notes": f"Brief number {self.deal.n}, with data of transaction {self.answers['pay']['txid']}"}
        return {"status": self.post(self.seller, "deliver", self.task_path("deliver"), body)["status"]}

    def settle(self) -> Json:
        body = {"validator": self.driver.plan.agents["validator"].did if self.deal.validated else None}
        accepted = self.post(self.buyer, "settle", self.task_path("accept"), body)
        return {"paid": accepted["settlement"]["paid"], "work_log": accepted["settlement"]["work_log"]}

    def review(self) -> Json:
        body = {"rating": self.deal.rating, "title": "As agreed"}
        return {"id": self.post(self.buyer, "review", self.task_path("review"), body)["id"]}

    def task_path(self, verb: str) -> str:
        return f"/api/tasks/{self.answers['create']['id']}/{verb}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m campaigns.driver")
    parser.add_argument("--url", required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--gate", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--deals", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    plan = Plan(seed=options.seed, size=options.deals)
    driver = Driver(
        url=options.url,
        plan=plan,
        record=options.record,
        gate=Gate(path=options.gate, size=plan.size),
        threads=options.threads,
    )
    return driver.run()


if __name__ == "__main__":
    sys.exit(main())
