"""`hansa demo`: the main job, for real, in a fresh home: two agents meet, agree, pay and are rated; then all is checked.

Every step goes over HTTP with real signatures, against the processes that `hansa up` starts: PostgreSQL, the local
Solana chain, the API and the worker. The checks at the end read what is stored, so a book that does not balance or an
audit row that somebody edited makes it fail and names the culprit.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from itertools import repeat
from pathlib import Path
from typing import Any

from rich.console import Console

from hansa.chain.client import ChainRpc
from hansa.chain.genesis import USDC_MINT
from hansa.client import Hansa
from hansa.entry.demo_report import Json, Party, Step, console_of, credit, standings, times, usdc, who_got_what
from hansa.examples.buyer import pay_and_get
from hansa.infra.keys import AgentKey
from hansa.kernel.money import TokenUnits
from hansa.proof import sd_jwt
from hansa.registry.cards import sign_card

PATIENCE_S = 20.0
"""How long the demo waits for something that follows by itself."""
FEED_PRICE = TokenUnits(10_000)
"""What one call of the paid market feed costs: $0.01."""
SUPPLIER_TRUST_MIN = 400
"""Trust, on 0..1000, that the buyer's organization asks of whom it hires; a newcomer has 500."""


CHECKS = {
    ("credits", "reconcile"): "books balanced",
    ("audit", "verify"): "audit chain verified",
    ("reputation", "verify"): "scores recomputed from the evidence, equal",
}
"""Operator commands that must succeed, and what it means when they do."""


class DemoFailed(Exception):
    """The demo did not come to its end, or a check at its end failed."""


@dataclass
class Demo:
    """One run; `tamper` is called with the home before the checks, so that a test can show that they can fail."""

    keep: bool = False
    as_json: bool = False
    tamper: Callable[[Path], None] | None = None
    console: Console = field(default_factory=lambda: console_of(sys.stdout.isatty()))
    steps: list[Step] = field(default_factory=list[Step])
    facts: Json = field(default_factory=dict[str, Any])
    problems: list[str] = field(default_factory=list[str])
    parties: list[Party] = field(default_factory=list[Party])

    def run(self) -> int:
        """Exit status: 0 when everything happened and every check holds."""
        folder = Path(tempfile.mkdtemp(prefix="hansa-demo-"))
        folder.chmod(0o755)  # the account that runs the server for root must reach its data
        home = folder / "home"
        began = time.monotonic()
        try:
            with self.house(home) as running:
                self.play(running)
                if self.tamper:
                    self.tamper(home)
                self.check(home)
                self.report(time.monotonic() - began)
                if self.keep:
                    self.stay(home, running)
        except DemoFailed as failure:
            self.problems.append(str(failure))
            self.say(f"[red]failed[/red] {failure}")
        finally:
            for party in self.parties:
                party.hansa.close()
            destroy(home)
            shutil.rmtree(folder, ignore_errors=True)
        if self.as_json:
            print(json.dumps({"ok": not self.problems, "problems": self.problems, **self.facts}, indent=2))
        return 1 if self.problems else 0

    # --- the stage ---------------------------------------------------------------------------------------------------

    @contextmanager
    def house(self, home: Path) -> Generator[Json]:
        """`hansa up` in a process of its own; stopped at the end, whatever happened."""
        with self.step("open the house: PostgreSQL, schema, local chain, API, worker") as done:
            command = [sys.executable, "-m", "hansa.entry.cli", "--home", str(home), "up", "--port", "0", "-o", "json"]
            log = home.parent / "house.log"
            with log.open("w") as stderr:
                process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=clean_environment(home)
                )
            assert process.stdout is not None, "a pipe was asked for"
            with process.stdout as output:
                line = output.readline()
            if not line:
                process.wait()
                raise DemoFailed(f"the house did not open:\n{log.read_text()[-3000:]}")
            running: Json = json.loads(line)
            done(running["url"], f"chain {running['chain']}")
        try:
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()

    @contextmanager
    def step(self, title: str) -> Generator[Callable[..., None]]:
        """Show a step while it runs, and what came of it."""
        lines: list[str] = []
        began = time.monotonic()
        status = self.console.status(title) if self.console.is_terminal and not self.as_json else None
        if status:
            status.start()
        try:
            yield lambda *words: lines.extend(words)
        finally:
            if status:
                status.stop()
        seconds = time.monotonic() - began
        self.steps.append(Step(title, seconds, lines))
        self.say(f"[green]✓[/green] {len(self.steps):>2}  {title}  [dim]{seconds:.2f} s[/dim]")
        for line in lines:
            self.say(f"        [dim]{line}[/dim]")

    def say(self, line: str) -> None:
        if not self.as_json:
            self.console.print(line, soft_wrap=True)

    # --- the play ----------------------------------------------------------------------------------------------------

    def play(self, running: Json) -> None:
        """The main job from the first card to the last review."""
        buyer = self.party("Kontor", running)
        seller = self.party("Almanac", running)
        with ChainRpc(str(running["chain"])) as chain:
            self.register(buyer, seller)
            self.fund(buyer, seller, chain)
            self.set_policy(buyer)
            self.look_before(buyer, seller)
            deal = self.agree(buyer, seller)
            task = self.begin(buyer, seller, deal)
            data = self.pay_for_data(seller, running, chain)
            settlement = self.finish(buyer, seller, task, data)
            self.rate(buyer, seller, task)
            self.look_after(buyer, seller, settlement)
            self.disclose(seller, buyer, settlement)
            self.timeline(buyer, deal)

    def party(self, name: str, running: Json) -> Party:
        key = AgentKey.generate()
        party = Party(name=name, key=key, hansa=Hansa(str(running["url"]), key))
        self.parties.append(party)
        return party

    def register(self, buyer: Party, seller: Party) -> None:
        with self.step("two agents register with their signed A2A cards") as done:
            for party, card in ((buyer, "market-data.json"), (seller, "knowledge.json")):
                document = {**example_card(card), "name": party.name}
                agent = party.hansa.register(sign_card(document, party.key))["agent"]
                done(f"{party.name}: {agent['did']}", f"{' ' * len(party.name)}  wallet {agent['wallet_address']}")

    def fund(self, buyer: Party, seller: Party, chain: ChainRpc) -> None:
        with self.step("opening credits from the faucet, test USDC on the local chain") as done:
            for party in (buyer, seller):
                opened = party.hansa.faucet()
                chain.faucet(party.key.wallet, usdc=1_000_000, lamports=10_000_000)
                done(f"{party.name}: {credit(opened['balance'])}, {usdc(1_000_000)}")

    def set_policy(self, buyer: Party) -> None:
        with self.step("the buyer's organization says whom it hires") as done:
            house = buyer.hansa.post("/api/organizations", {"name": "Kontor of Luebeck", "domain": "kontor.example"})
            path = f"/api/organizations/{house['id']}"
            role = buyer.hansa.post(
                f"{path}/role-agents",
                {"name": "buyer of research", "role_title": "purchasing", "assigned_to_did": buyer.key.did},
            )
            if role["status"] != "active":
                buyer.hansa.post(f"/api/role-agents/{role['id']}/accept")
            policy = {"role_title": "supplier", "min_trust_score": SUPPLIER_TRUST_MIN}
            buyer.hansa.post(f"{path}/thresholds", policy)
            done(f"suppliers need trust of at least {SUPPLIER_TRUST_MIN} of 1000")

    def look_before(self, buyer: Party, seller: Party) -> None:
        with self.step("the buyer searches and checks trust") as done:
            # An answer is kept for some seconds, so the question is put when the index has heard of everybody.
            self.wait_for(lambda: not buyer.hansa.get("/readyz")["undelivered_events"], "an index that is up to date")
            hits = buyer.hansa.search(skill="knowledge")["hits"]
            hit = next(hit for hit in hits if hit["did"] == seller.key.did)
            answer = buyer.hansa.trust(seller.key.did, least=SUPPLIER_TRUST_MIN / 1000)
            done(f"found {hit['name']} among {len(hits)}, relevance {float(hit['relevance']):.2f}")
            done(f"trusted: {'yes' if answer['trusted'] else 'no'}, {answer['reason']}")
        for party in (buyer, seller):
            party.before = standing(party)

    def agree(self, buyer: Party, seller: Party) -> Json:
        with self.step("they negotiate in rounds, and the seller accepts") as done:
            intent = buyer.hansa.intend("A sourced brief on one day of market prices", budget=100_000)
            offer = {"price": 70_000, "delivery_s": 3600, "quality": "0.90"}
            deal = buyer.hansa.negotiate(seller.key.did, intent=intent["id"], terms=offer)
            done(f"round 1  {buyer.name} offers {credit(70_000)}")
            deal = seller.hansa.propose(deal["id"], {**offer, "price": 100_000, "quality": "0.95"})
            done(f"round 2  {seller.name} asks {credit(100_000)}, convergence {deal['convergence_score']}")
            deal = buyer.hansa.propose(deal["id"], {**offer, "price": 90_000, "quality": "0.95"})
            done(f"round 3  {buyer.name} offers {credit(90_000)}, convergence {deal['convergence_score']}")
            deal = seller.hansa.accept(deal["id"], seen_round=3)
            held = buyer.hansa.account()
            done(f"accepted: {credit(held['reserved'])} held on the buyer's account, deal {deal['id']}")
        return deal

    def begin(self, buyer: Party, seller: Party, deal: Json) -> Json:
        with self.step("the deal becomes a task, and the seller starts") as done:
            task = buyer.hansa.post(
                "/api/tasks",
                {
                    "negotiation": deal["id"],
                    "title": "Market brief",
                    "description": "One page with sources: yesterday's prices and what moved them.",
                    "domain": 6,
                },
            )
            task = seller.hansa.post(f"/api/tasks/{task['id']}/start")
            done(f"task {task['id']}: {task['status']}")
        return task

    def pay_for_data(self, seller: Party, running: Json, chain: ChainRpc) -> Json:
        with self.step("the seller buys market data: HTTP 402, paid in USDC on the chain, within its budget") as done:
            seller.hansa.call("PUT", "/api/autopay/budget", body={"cap": 50_000, "payment_max": 20_000})
            had = chain.token_balance(seller.key.wallet, str(USDC_MINT))
            url = f"{running['url']}/api/market-feed"
            bought = pay_and_get(seller.hansa, seller.key, url, max_price=FEED_PRICE)
            if bought.transaction is None:
                raise DemoFailed("the feed asked for no money")
            txid = bought.transaction["hash"]
            has = chain.token_balance(seller.key.wallet, str(USDC_MINT))
            if had - has != FEED_PRICE:
                raise DemoFailed(f"the feed costs {FEED_PRICE} units and {had - has} left the wallet")
            done(f"402 -> signed -> settled: {usdc(had - has)}, transaction {txid}")
            done(f"{usdc(had)} before, {usdc(has)} after")
        self.facts["txid"] = txid
        return bought.response.json()

    def finish(self, buyer: Party, seller: Party, task: Json, data: Json) -> Json:
        with self.step("the seller delivers; the buyer accepts, which settles the deal") as done:
            brief = f"Brief on {len(data)} fields of market data, {datetime.now(UTC):%Y-%m-%d}"
            seller.hansa.post(f"/api/tasks/{task['id']}/deliver", {"notes": brief})
            accepted = buyer.hansa.post(f"/api/tasks/{task['id']}/accept")
            settlement: Json = accepted["settlement"]
            shares = settlement["paid"]
            for who in ("agent", "broker", "validator", "pool"):
                units = shares[f"{who}_units"]
                done(f"{who:<10}{credit(units)}" + ("" if units else ", nobody claims it: the pool has it"))
        self.facts["settlement"] = settlement
        return settlement

    def rate(self, buyer: Party, seller: Party, task: Json) -> None:
        with self.step("the buyer reviews the paid task") as done:
            draft = {
                "rating": 5,
                "title": "Sources hold",
                "review_text": "Every claim led to a document we could open.",
                "quality_rating": 5,
                "communication_rating": 4,
                "value_rating": 5,
                "response_time_rating": 5,
                "would_hire_again": True,
            }
            review = buyer.hansa.post(f"/api/tasks/{task['id']}/review", draft)
            done(f"{review['rating']} of 5 for {seller.name}")

    def look_after(self, buyer: Party, seller: Party, settlement: Json) -> None:
        with self.step("work record, reputation, trust and rank follow") as done:
            seller.hansa.get(f"/api/agents/{seller.key.did}/reputation", after=settlement["event"])
            self.wait_for(lambda: standing(seller)["rank"] is not None, "the seller on the leaderboard")
            for party in (buyer, seller):
                party.after = standing(party)
            before, after = seller.before, seller.after
            done(f"reputation {before['reputation']:.2f} -> {after['reputation']:.2f}")
            done(f"trust      {before['trust']:.3f} -> {after['trust']:.3f}")
            done(f"rank       {before['rank'] or 'none'} -> {after['rank']}")

    def disclose(self, seller: Party, verifier: Party, settlement: Json) -> None:
        with self.step("the seller shows a third party one claim of its work, and nothing else") as done:
            log = settlement["work_log"]
            credential = seller.hansa.post(f"/api/work/{log}/credential")
            request = verifier.hansa.post("/api/disclosures", {"log": log, "audience": "https://auditor.example"})
            presentation = sd_jwt.present(
                credential["credential"],
                ["outcome"],
                holder=seller.key,
                audience=request["audience"],
                nonce=request["nonce"],
                at=datetime.now(UTC),
            )
            seller.hansa.post(f"/api/disclosures/{request['id']}/presentation", {"presentation": presentation})
            shown = verified_elsewhere(presentation, issuer=credential["issuer"], request=request)
            done(f"checked by another process that knows only the issuer's key: {', '.join(shown['disclosed'])}")

    def timeline(self, buyer: Party, deal: Json) -> None:
        with self.step("one timeline of the deal") as done:
            moments = buyer.hansa.get(f"/api/deals/{deal['id']}")["moments"]
            for moment in moments:
                done(f"{moment['what']:<13}{moment['text']}")

    # --- the checks --------------------------------------------------------------------------------------------------

    def check(self, home: Path) -> None:
        """What is stored must be right; whatever is not becomes a problem with its name."""
        with self.step("the books balance, the audit chain holds, scores recompute, nothing is left behind") as done:
            with ThreadPoolExecutor() as pool:
                results = list(pool.map(operator, repeat(home), [[*check, "-o", "json"] for check in CHECKS]))
            for (check, title), result in zip(CHECKS.items(), results, strict=True):
                if result.returncode == 0:
                    done(title)
                else:
                    self.problems.append(f"{' '.join(check)}: {(result.stdout or result.stderr).strip()}")
            waiting = self.settled_down(home)
            if waiting:
                self.problems.append(f"left behind: {waiting}")
            else:
                done("no event undelivered, no job waiting")
        for problem in self.problems:
            self.say(f"[red]FAILED[/red] {problem}")

    def settled_down(self, home: Path) -> str:
        """What still waits after a while; empty when nothing does."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            state: Json = json.loads(operator(home, ["jobs", "ls", "-o", "json"]).stdout)
            busy = [job for job in state["jobs"] if job["status"] in ("todo", "doing", "failed")]
            if not busy and not state["undelivered_events"]:
                return ""
            if time.monotonic() > deadline:
                return json.dumps(state)
            time.sleep(0.2)

    # --- the end -----------------------------------------------------------------------------------------------------

    def report(self, seconds: float) -> None:
        """Who got what, and how long it took."""
        paid = self.facts["settlement"]["paid"]
        self.facts["seconds"] = round(seconds, 2)
        self.facts["steps"] = [{"title": step.title, "seconds": round(step.seconds, 3)} for step in self.steps]
        if self.as_json:
            return
        self.console.print(who_got_what(paid), standings(self.parties), times(self.steps, seconds))
        if not self.problems:
            self.say("[green]books balanced, audit chain verified[/green]")

    def stay(self, home: Path, running: Json) -> None:
        """Leave the house open until somebody says stop."""
        self.say(f"\nIt stays at {running['url']} until Ctrl-C; home {home}")
        with suppress(KeyboardInterrupt):
            signal.pause()

    def wait_for(self, look: Callable[[], Any], what: str) -> Any:  # Any: whatever the look finds
        """Look until there is something; what follows from an event takes a moment."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        raise DemoFailed(f"{what} did not appear within {PATIENCE_S:.0f} s")


def standing(party: Party) -> Json:
    """What the house thinks of an agent: credits, reputation, trust, overall rank."""
    did = party.key.did
    boards = party.hansa.get(f"/api/leaderboard/agents/{did}")
    overall = [board for board in boards if board["domain_id"] is None and board["period"] == "all_time"]
    return {
        "balance": party.hansa.account()["balance"],
        "reputation": float(party.hansa.get(f"/api/agents/{did}/reputation")["reputation"]["score"]),
        "trust": float(party.hansa.trust(did)["trust"]["score"]),
        "rank": overall[0]["rank"] if overall else None,
    }


def example_card(name: str) -> Json:
    return json.loads((resources.files("hansa.examples") / "cards" / name).read_text())


def operator(home: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """An operator's command on the home of the demo."""
    command = [sys.executable, "-m", "hansa.entry.cli", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment(home))


def verified_elsewhere(presentation: str, *, issuer: str, request: Json) -> Json:
    """A third party with nothing but the issuer's public key. Raises DemoFailed when it is not convinced."""
    command = [sys.executable, "-m", "hansa.proof.sd_jwt", "verify", f"--issuer-key={issuer}"]
    command += [f"--audience={request['audience']}", f"--nonce={request['nonce']}"]  # a nonce may begin with a dash
    result = subprocess.run(command, input=presentation, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DemoFailed(f"the third party refuses the disclosure: {result.stdout or result.stderr}")
    return json.loads(result.stdout)


def clean_environment(home: Path) -> dict[str, str]:
    """The demo uses its own home and its own database, whatever is set around it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HANSA_") and "DATABASE_URL" not in name
    }
    return {**kept, "HANSA_HOME": str(home)}


def destroy(home: Path) -> None:
    """Remove the embedded server's data too, which may lie elsewhere when root runs the demo."""
    from hansa.infra.embedded import EmbeddedPostgres, EmbeddedRefused

    with suppress(EmbeddedRefused, OSError):
        EmbeddedPostgres(home).destroy()
