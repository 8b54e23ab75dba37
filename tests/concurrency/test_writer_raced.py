"""Writers of several processes, and single commands beside them, on the same few accounts."""

import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime

import pytest

from hansa.credits import commands, queries
from hansa.credits.models import POOL, Share
from hansa.credits.writer import LedgerWriter
from hansa.infra.db import Db
from hansa.kernel.errors import Refusal

PEOPLE = [f"did:key:{name}" for name in ("alice", "bob", "carol")]
FAR = datetime(2100, 1, 1, tzinfo=UTC)
OPENING = 10_000


class Commands:
    """The commands with the writer's signatures, each in a transaction of its own."""

    def __init__(self, db):
        self.db = db

    def __getattr__(self, name):
        def call(*arguments, **details):
            with self.db.transaction() as tx:
                return getattr(commands, name)(tx, *arguments, **details)

        return call


@pytest.fixture
def second_db(postgres, database):
    with Db(postgres.dsn(role="hansa_app", database=database), size=10) as db:
        yield db


def opened(db):
    with db.transaction() as tx:
        for person in PEOPLE:
            commands.deposit(tx, person, OPENING, key=f"faucet:{person}", reason="for the test")


def crowd(count, work):
    """Run `work(number)` in so many threads; all that it returned or raised."""
    results = [None] * count

    def run(number):
        try:
            results[number] = work(number)
        except BaseException as error:  # noqa: BLE001 - adding it up fails then, and shows it
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return results


def test_two_writers_and_the_commands_never_stand_in_each_others_way(db, second_db):
    """No deadlock and no other failure: what is refused is refused for what it is, and no unit is lost."""
    opened(db)
    ways = [LedgerWriter(db), LedgerWriter(second_db), Commands(db)]
    shared = [
        ways[0].reserve(PEOPLE[0], 5, purpose_kind="shared", purpose_id=str(n), expires_at=FAR) for n in range(40)
    ]

    def work(number):
        chance, ledger, told, mine = random.Random(number), ways[number % 3], Counter(), []
        for step in range(25):
            try:
                told[act(chance, ledger, f"{number}-{step}", mine, shared)] += 1
            except Refusal as refusal:
                told[type(refusal).__name__] += 1
        return told

    told = sum(crowd(24, work), Counter())

    assert set(told) <= {"reserve", "end", "shared", "deposit", "InsufficientFunds", "HoldEnded", "HoldAlreadyMade"}
    assert min(told["reserve"], told["end"], told["HoldEnded"], told["HoldAlreadyMade"]) > 0
    with db.transaction() as tx:
        assert queries.reconcile(tx) == []
        owned = sum(queries.account_of(tx, person).balance for person in PEOPLE)
        assert told["shared"] == sum(queries.hold_of(tx, held.id).ended_at is not None for held in shared) > 20
        house = {account.account: account.balance for account in queries.system_balances(tx)}
    assert owned + house[POOL] == -house["system:mint"] == 3 * OPENING + told["deposit"]


def act(chance, ledger, name, mine, shared):
    """One random movement; holds of `shared` are ended by whoever is first."""
    what = chance.choice(["reserve", "reserve", "end", "shared", "contested", "deposit"])
    if what == "deposit":
        ledger.deposit(chance.choice(PEOPLE), 1, key=f"faucet:{name}", reason="more")
    elif what == "shared":
        end(chance, ledger, chance.choice(shared))
    elif what == "end" and mine:
        end(chance, ledger, mine.pop())
    else:
        purpose = str(chance.randrange(200)) if what == "contested" else name
        held = ledger.reserve(
            chance.choice(PEOPLE), chance.randint(1, 900), purpose_kind="raced", purpose_id=purpose, expires_at=FAR
        )
        mine.append(held)
        what = "reserve"
    return what


def end(chance, ledger, held):
    if chance.random() < 0.5:
        ledger.release(held.id)
    else:
        ledger.capture(held.id, [Share(account=chance.choice(PEOPLE), amount=held.amount)])


def test_one_purpose_is_held_for_once_whoever_asks(db, second_db):
    opened(db)
    ways = [LedgerWriter(db), LedgerWriter(second_db), Commands(db)]

    def work(number):
        told = Counter()
        for purpose in range(20):
            try:
                ways[number % 3].reserve(
                    PEOPLE[number % 2], 1, purpose_kind="once", purpose_id=str(purpose), expires_at=FAR
                )
                told["held"] += 1
            except Refusal as refusal:
                told[type(refusal).__name__] += 1
        return told

    told = sum(crowd(12, work), Counter())

    assert told == {"held": 20, "HoldAlreadyMade": 220}
    with db.transaction() as tx:
        assert queries.reconcile(tx) == []
        assert queries.live_holds(tx) == 20


PROGRAM = """
import sys, threading
from datetime import UTC, datetime
from hansa.credits.writer import LedgerWriter
from hansa.infra.db import Db

db = Db(sys.argv[1], size=4)
db.open()
ledger = LedgerWriter(db)

def work(number):
    for step in range(100_000):
        made = ledger.reserve("did:key:alice", 1, purpose_kind="killed", purpose_id=f"{number}-{step}",
                              expires_at=datetime(2100, 1, 1, tzinfo=UTC))
        sys.stdout.write(f"{made.id}\\n")
        sys.stdout.flush()

for number in range(16):
    threading.Thread(target=work, args=(number,)).start()
"""


def test_a_process_that_is_killed_in_the_middle_leaves_whole_batches_and_nothing_that_was_told_is_lost(
    db, postgres, database
):
    opened(db)
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, postgres.dsn(role="hansa_app", database=database)],
        stdout=subprocess.PIPE,
        text=True,
    )
    told = [program.stdout.readline().strip() for _ in range(200)]
    program.send_signal(signal.SIGKILL)
    told += [line.strip() for line in program.stdout if line.endswith("\n")]
    program.stdout.close()
    program.wait(20)

    with db.transaction() as tx:
        kept = {str(row[0]) for row in tx.connection.execute("SELECT id FROM credits.holds")}
        assert queries.reconcile(tx) == []
        assert queries.account_of(tx, PEOPLE[0]).reserved == len(kept)
    assert set(told) <= kept
    assert len(kept) - len(set(told)) <= 2 * 16, "at most what was on its way when the process died"
