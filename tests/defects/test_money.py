"""Attacks on the books: money from nothing, money that vanishes, money of somebody else."""

import re
import uuid
from datetime import timedelta

import psycopg
import pytest

from given import deals, market, registry
from given.books import account, committed, house, money, nothing_lost, refusal_of
from given.credits import as_operator, issued
from given.defects import defect
from given.proof import proven
from hansa.client import Refused
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.credits.models import POOL, TREASURY, HoldState, Share, TxType
from hansa.infra.db import SYSTEM, DatabaseUnavailable, Tx
from hansa.infra.keys import AgentKey
from hansa.kernel.money import split
from hansa.market import commands as tasks
from hansa.negotiation import commands
from hansa.negotiation.models import Split, Terms
from hansa.registry import commands as agents

FAUCET = 1_000_000


def settle(deal, keys, *, by, **others):
    return lambda tx: commands.settle(tx, keys, deal, by=by, **others)


# ---------------------------------------------------------------------------------------------------------------
# What a deal pays


@defect(
    "forged_reserved_credits",
    "What is held is a row of its own, named by the deal; free custom terms are words, whatever they claim.",
)
def test_custom_terms_that_claim_a_reservation_move_no_money_of_another_deal(db, owner, services_keys):
    with db.transaction() as tx:
        buyer, honest = deals.pair(tx)
        thief = deals.rich_agent(tx, "Thief", units=0)
        held = deals.accepted(tx, buyer, honest, price=50_000)
        offer = deals.opened(tx, buyer, thief, price=10)
    forged = {"reserved_credits": 50_000, "hold_id": str(held.hold_id), "price": 50_000, "amount": 50_000}

    committed(db, commands.propose, offer.id, by=thief, terms=Terms(price=10, custom=forged))
    committed(db, lambda tx: commands.accept(tx, offer.id, by=buyer, at=tx.at))
    committed(db, settle(offer.id, services_keys, by=buyer))

    assert money(db, thief) == (7, 0)
    assert money(db, buyer) == (FAUCET - 10, 50_000)
    assert committed(db, books.hold_of, held.hold_id).state is HoldState.HELD
    assert nothing_lost(db, owner)


@defect(
    "negative_price",
    "A price is a whole number from 1: refused by command, constraint and ledger; one balance backs one deal.",
)
def test_a_negative_price_frees_no_money(db, owner):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx, units=100)
        first, second, third = (deals.opened(tx, buyer, seller, price=100) for _ in range(3))
    rounds = "INSERT INTO negotiation.rounds (negotiation_id, n, by_did, price) VALUES (%s, 2, %s, -100)"

    committed(db, lambda tx: commands.accept(tx, first.id, by=seller, at=tx.at))
    attacks = {
        refusal_of(db, deals.opened, buyer, seller, price=-100),
        refusal_of(db, deals.opened, buyer, seller, price=0),
        refusal_of(db, commands.propose, second.id, by=seller, terms=Terms(price=-100)),
        refusal_of(db, deals.intent, buyer, budget=-100),
    }
    with pytest.raises(psycopg.errors.CheckViolation, match="price_possible"):
        owner.execute(rounds, [second.id, seller])
    twice = [refusal_of(db, lambda tx: commands.accept(tx, third.id, by=seller, at=tx.at)) for _ in range(2)]

    assert attacks == {(422, "terms_impossible")}
    assert twice == [(402, "insufficient_funds")] * 2
    assert money(db, buyer) == (100, 100)
    assert nothing_lost(db, owner)


@defect(
    "negative_split_mint",
    "Shares are basis points from 0 to 10 000 that sum to 10 000, and a hold is captured as a whole.",
)
def test_shares_beyond_the_whole_mint_nothing(db, owner):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        offer, deal = deals.opened(tx, buyer, seller), deals.accepted(tx, buyer, seller, price=10_000)
    greedy = [
        Split(agent=50_000, broker=-40_000, validator=0, pool=0),
        Split(agent=10_000, broker=0, validator=-10_000, pool=10_000),
        Split(agent=10_000, broker=10_000, validator=10_000, pool=10_000),
        Split(agent=0, broker=0, validator=0, pool=0),
        Split(agent=10_001, broker=0, validator=0, pool=-1),
    ]

    attacks = {
        refusal_of(db, act, *args, **{"terms": Terms(price=10_000, split=shares)} | more)
        for shares in greedy
        for act, args, more in (
            (deals.opened, (buyer, seller), {}),
            (commands.propose, (offer.id,), {"by": seller}),
        )
    }
    straight = [
        refusal_of(db, ledger.capture, deal.hold_id, [Share(account=a, amount=u) for a, u in shares])
        for shares in ([(seller, 50_000), (buyer, -40_000)], [(seller, 50_000)], [(seller, 9999)])
    ]

    assert attacks == {(422, "terms_impossible")}
    assert straight == [(500, "ledger_broken")] * 3
    assert (money(db, buyer), money(db, seller)) == ((FAUCET, 10_000), (0, 0))
    assert nothing_lost(db, owner)


@defect("split_renegotiation_ignored", "The shares that are paid are those of the accepted proposal.")
def test_the_shares_that_were_agreed_last_are_paid(db, owner, services_keys):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        broker, validator = (deals.rich_agent(tx, name, units=0) for name in ("Broker", "Validator"))
        offer = deals.opened(tx, buyer, seller, terms=Terms(price=10_000, split=Split()))
    agreed = Split(agent=9000, broker=500, validator=300, pool=200)

    committed(db, commands.propose, offer.id, by=seller, terms=Terms(price=10_000, split=agreed))
    committed(db, lambda tx: commands.accept(tx, offer.id, by=buyer, at=tx.at))
    committed(db, settle(offer.id, services_keys, by=buyer, broker=broker, validator=validator))

    paid = {"seller": seller, "broker": broker, "validator": validator}
    assert {name: money(db, did)[0] for name, did in paid.items()} == {
        "seller": 9000,
        "broker": 500,
        "validator": 300,
    }
    assert house(db, "pool") == 200
    assert nothing_lost(db, owner)


@defect("shares_burned", "Every share is paid: what nobody claims goes to the pool, in the same movement.")
def test_as_much_comes_out_of_a_deal_as_went_in(db, owner, services_keys):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        broker, validator = (deals.rich_agent(tx, name, units=0) for name in ("Broker", "Validator"))
        alone, together = (deals.accepted(tx, buyer, seller, price=100_000).id for _ in range(2))

    committed(db, settle(alone, services_keys, by=buyer))
    first = money(db, seller)[0], house(db, "pool")
    committed(db, settle(together, services_keys, by=buyer, broker=broker, validator=validator))
    second = [money(db, did)[0] for did in (seller, broker, validator)] + [house(db, "pool")]

    assert first == (70_000, 30_000)
    assert second == [140_000, 10_000, 10_000, 40_000]
    assert sum(second) == 200_000 == FAUCET - money(db, buyer)[0]
    assert nothing_lost(db, owner)


@defect(
    "nonatomic_settle",
    "Settling is one transaction: an unknown validator, or a connection that dies before the commit, leaves everything"
    " as it was, and the same settlement can be made again.",
)
def test_a_settlement_that_fails_half_way_has_not_happened(db, owner, services_keys):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        deal = deals.accepted(tx, buyer, seller, price=100_000)
    before = money(db, buyer), money(db, seller)

    unknown = refusal_of(db, settle(deal.id, services_keys, by=buyer, validator=AgentKey.generate().did))
    with pytest.raises(DatabaseUnavailable), db.transaction() as tx:
        commands.settle(tx, services_keys, deal.id, by=buyer)
        owner.execute("SELECT pg_terminate_backend(%s)", [tx.connection.info.backend_pid])
    after = money(db, buyer), money(db, seller)
    left = owner.execute(
        "SELECT (SELECT count(*) FROM negotiation.settlements), (SELECT count(*) FROM proof.trust_events)"
    )

    assert unknown == (404, "party_unknown")
    assert after == before == ((FAUCET, 100_000), (0, 0))
    assert left.fetchone() == (0, 0)
    committed(db, settle(deal.id, services_keys, by=buyer))
    assert (money(db, buyer), money(db, seller)) == ((FAUCET - 100_000, 0), (70_000, 0))
    assert nothing_lost(db, owner)


FLOATED_WRONG = [amount for amount in range(1, 100_001) if int(amount * 0.7) != amount * 7 // 10]


@defect(
    "float_money",
    "Amounts are integers from end to end: the expression of the live routine is exact for every amount to 100 000,"
    " beyond 2^53 and to the largest one; 90 000 pays 63 000.",
)
def test_no_unit_is_lost_to_a_float(db, owner, services_keys):
    prices = [90_000, 100_001, 10**15, 10**15 - 1, *FLOATED_WRONG[:5]]
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx, units=3 * 10**15)
        broker, validator = (deals.rich_agent(tx, name, units=0) for name in ("Broker", "Validator"))
        agreed = [deals.accepted(tx, buyer, seller, price=price, budget=10**15) for price in prices]

    paid = [
        committed(db, settle(deal.id, services_keys, by=buyer, broker=broker, validator=validator)).paid
        for deal in agreed
    ]

    assert len(FLOATED_WRONG) == 2336
    assert paid[0].agent_units == 63_000
    assert shares(paid[1]) == (70_000, 10_000, 10_000, 10_001)
    weights = {"agent": 7000, "broker": 1000, "validator": 1000, "pool": 1000}
    assert [shares(one) for one in paid] == [tuple(split(p, weights, remainder_to="pool").values()) for p in prices]
    assert wrongly_shared(owner, "generate_series(1, 100000)") == 0
    assert wrongly_shared(owner, "unnest(ARRAY[9007199254740993, 9007199254740994, 1000000000000000])") == 0
    assert nothing_lost(db, owner)
    assert held_and_captured(db, 2**53 + 1) == 2**53 + 1


def shares(paid):
    return paid.agent_units, paid.broker_units, paid.validator_units, paid.pool_units


def wrongly_shared(owner, amounts):
    """Of how many amounts the settling routine's own expression gives the agent another part than 7 of 10."""
    [source] = owner.execute("SELECT prosrc FROM pg_proc WHERE oid = 'negotiation.settle'::regproc").fetchone()
    expression = re.search(r"v_settlement\.agent_units := ([^;]+);", source)[1].replace("v_terms.price", "price")
    wrong = owner.execute(
        f"SELECT count(*) FILTER (WHERE {expression} <> price * 7 / 10), count(*)"
        f" FROM (SELECT amount::bigint AS price FROM {amounts} AS amount) AS prices,"
        " (VALUES ('{\"agent\": 7000}'::jsonb)) AS agreed (v_split)"
    ).fetchone()
    assert wrong[1] >= 3
    return wrong[0]


def held_and_captured(db, amount):
    """What arrives when an amount that no float can hold is deposited, held and captured."""
    with db.transaction() as tx:
        payer, payee = (registry.agent(tx).did for _ in range(2))
        ledger.open_with_faucet(tx, payer, amount)
        hold = ledger.reserve(
            tx, payer, amount, purpose_kind="test", purpose_id="float", expires_at=tx.at + timedelta(hours=1)
        )
        ledger.capture(tx, hold.id, [Share(account=payee, amount=amount)])
    return money(db, payee)[0]


# ---------------------------------------------------------------------------------------------------------------
# Accounts


@defect(
    "nonatomic_earn",
    "Header, postings and balance are one statement: what fails leaves nothing, even without a transaction around it.",
)
def test_three_earnings_whose_ledger_line_cannot_be_written_leave_nothing(db, owner):
    with db.transaction() as tx:
        did = deals.rich_agent(tx, "Earner", units=0)
        issued(tx, TREASURY, 10_000)
    autocommit = Tx(owner, SYSTEM, owner.execute("SELECT now()").fetchone()[0])
    before = movements(owner)
    owner.execute(
        "CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'disk full'; END$$;"
        "CREATE TRIGGER fail BEFORE INSERT ON credits.postings FOR EACH ROW EXECUTE FUNCTION pg_temp.fail()"
    )

    for number in range(3):
        with pytest.raises(psycopg.errors.RaiseException, match="disk full"):
            ledger.earn(autocommit, did, 1000, key=f"work:{number}", reason="work")
    failed = money(db, did), account(db, did).earned, movements(owner) - before
    owner.execute("DROP TRIGGER fail ON credits.postings")
    ledger.earn(autocommit, did, 1000, key="work:0", reason="work")

    assert failed == ((0, 0), 0, 0)
    assert (money(db, did), account(db, did).earned, movements(owner) - before) == ((1000, 0), 1000, 1)
    assert house(db, "treasury") == 9000
    assert nothing_lost(db, owner)


def movements(owner):
    return owner.execute("SELECT count(*) FROM credits.credit_transactions").fetchone()[0]


@defect(
    "deposit_no_account",
    "A deposit moves the money or is refused by name: one to somebody unknown is a 404 and writes nothing, one of the"
    " house opens the account with its first posting.",
)
def test_a_deposit_either_arrives_or_is_refused(db, owner):
    rich = committed(db, deals.rich_agent, "Rich")
    nobody, newcomer = AgentKey.generate().did, AgentKey.generate().did
    before = movements(owner)

    def minted(tx):
        with as_operator(tx) as operator:
            ledger.mint(operator, nobody, 5000, key="invoice:1", reason="top-up")

    refused = [refusal_of(db, minted), refusal_of(db, ledger.transfer, rich, nobody, 5000, key="invoice:2")]
    written = movements(owner) - before
    committed(db, issued, newcomer, 5000)

    assert refused == [(404, "account_unknown")] * 2
    assert written == 0
    assert (money(db, nobody), money(db, newcomer), money(db, rich)) == ((0, 0), (5000, 0), (FAUCET, 0))
    lines = owner.execute("SELECT account, amount FROM credits.postings WHERE account <> %s ORDER BY amount", [rich])
    assert lines.fetchall()[-1] == (newcomer, 5000)
    assert nothing_lost(db, owner)


@defect(
    "initial_balance_unledgered",
    "Opening credits are a posting from the mint, once per key; a balance without postings is found by name.",
)
def test_opening_credits_stand_in_the_ledger(api, agent, db, owner):
    opened = [agent(name) for name in ("First", "Second", "Third")]
    for again in opened:
        assert again.faucet()["balance"] == FAUCET

    assert house(db, "mint") == -3 * FAUCET
    assert [hansa.get("/api/credits/statement")["items"][0]["amount"] for hansa in opened] == [FAUCET] * 3
    assert nothing_lost(db, owner)

    owner.execute("UPDATE credits.credit_accounts SET balance = balance + 1 WHERE account = %s", [opened[0].key.did])
    [found] = committed(db, books.reconcile)
    assert (found.kind, found.subject) == ("account", opened[0].key.did)


@defect(
    "release_foreign",
    "A hold is released by its id and once; whoever is no party of a deal releases nothing, and no deal another's hold.",
)
def test_giving_up_one_deal_releases_its_own_hold_only(db, owner, services_keys):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        stranger = deals.rich_agent(tx, "Stranger")
        kept = deals.accepted(tx, buyer, seller, price=60_000)
        task_of_kept = market.a_task(tx, deal=kept)
        given_up = deals.accepted(tx, buyer, stranger, price=40_000)
        task = market.a_task(tx, deal=given_up)

    foreign = refusal_of(db, tasks.cancel, task_of_kept.id, by=stranger)
    committed(db, tasks.cancel, task.id, by=stranger)
    by_hand = [refusal_of(db, ledger.release_own, kept.hold_id, by=party) for party in (buyer, seller, stranger)]
    again = [
        refusal_of(db, tasks.cancel, task.id, by=buyer),
        refusal_of(db, ledger.release, given_up.hold_id),
        refusal_of(db, ledger.capture, given_up.hold_id, [Share(account=stranger, amount=40_000)]),
    ]

    assert foreign[0] == 403
    assert by_hand == [(403, "hold_not_manual"), (403, "hold_foreign"), (403, "hold_foreign")]
    assert again == [(409, "task_ended"), (409, "hold_ended"), (409, "hold_ended")]
    assert committed(db, books.hold_of, kept.hold_id).state is HoldState.HELD
    assert money(db, buyer) == (FAUCET, 60_000)
    assert money(db, stranger) == (FAUCET, 0)
    assert nothing_lost(db, owner)


@defect(
    "reserve_not_idempotent",
    "A hold is unique per purpose, and a request sent again under its Idempotency-Key gets its first answer.",
)
def test_an_accept_sent_again_holds_the_money_once(agent, db, owner):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("work", budget=90_000)["id"]
    offer = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 90_000})["id"]
    path = f"/api/negotiations/{offer}/accept"

    answers = [seller.post(path, once="the same") for _ in range(3)]
    with pytest.raises(Refused) as anew:
        seller.post(path, once="another")
    hold = {"purpose_kind": "negotiation", "purpose_id": offer}
    straight = refusal_of(db, lambda tx: ledger.reserve(tx, buyer.key.did, 90_000, **hold, expires_at=tx.at))

    assert answers[0] == answers[1] == answers[2]
    assert (anew.value.status, anew.value.code) == (409, "negotiation_closed")
    assert straight == (409, "hold_already_made")
    assert money(db, buyer.key.did) == (FAUCET, 90_000)
    assert owner.execute("SELECT count(*) FROM credits.holds").fetchone() == (1,)
    assert nothing_lost(db, owner)


@defect("negative_amounts", "An amount is a whole number above zero, or it is a 422, in every movement there is.")
def test_no_movement_takes_a_negative_amount(db, owner):
    with db.transaction() as tx:
        did, other = deals.rich_agent(tx, "Agent", units=1000), deals.rich_agent(tx, "Other")
        issued(tx, TREASURY, 1000)
        issued(tx, POOL, 1000)
    note = {"key": "k", "reason": "r"}
    hour = timedelta(hours=1)

    attacks = {
        (move, amount): refusal_of(db, act, amount)
        for amount in (-100, 0, -(2**63) + 1)
        for move, act in {
            "deposit": lambda tx, amount: ledger.deposit(tx, did, amount, **note),
            "earn": lambda tx, amount: ledger.earn(tx, did, amount, **note),
            "spend": lambda tx, amount: ledger.spend(tx, did, amount, **note),
            "transfer": lambda tx, amount: ledger.transfer(tx, did, other, amount),
            "set aside": lambda tx, amount: ledger.set_aside(tx, did, amount, purpose="p", lasts=hour, at=tx.at),
            "reserve": lambda tx, amount: ledger.reserve(
                tx, did, amount, purpose_kind="test", purpose_id="1", expires_at=tx.at + hour
            ),
            "reward": lambda tx, amount: ledger.reward(
                tx, did, {TxType.POU_COMPUTE: amount, TxType.POU_MEMORY: 1}, **note
            ),
        }.items()
        if (move, amount) != ("reward", 0)  # a part of nothing is left out
    }

    assert set(attacks.values()) == {(422, "amount_not_positive")}
    assert len(attacks) == 20
    assert (money(db, did), money(db, other)) == ((1000, 0), (FAUCET, 0))
    assert (house(db, "treasury"), house(db, "pool")) == (1000, 1000)
    assert nothing_lost(db, owner)


@defect(
    "spend_ignores_reserved",
    "What is held can neither be promised nor spent again: a 402 that says how much is available and how much is missing.",
)
def test_held_money_is_not_spent_a_second_time(agent, db, owner):
    buyer, seller = agent("Buyer"), agent("Seller")
    offers = []
    for price in (900_000, 200_000):
        intent = buyer.intend("work", budget=price)["id"]
        offers.append(buyer.negotiate(seller.key.did, intent=intent, terms={"price": price})["id"])
    seller.accept(offers[0])

    problems = []
    for spend in (
        lambda: seller.accept(offers[1]),
        lambda: buyer.post("/api/credits/transfers", {"to": seller.key.did, "amount": 200_000}),
        lambda: buyer.post("/api/credits/holds", {"purpose": "savings", "amount": 200_000}),
        lambda: buyer.post("/api/stakes", {"amount": 200_000}),
    ):
        with pytest.raises(Refused) as refused:
            spend()
        problems.append(refused.value.problem)

    assert [(one["status"], one["code"]) for one in problems] == [(402, "insufficient_funds")] * 4
    facts = [[one[name] for name in ("available", "needed", "missing")] for one in problems]
    assert facts == [[100_000, 200_000, 100_000]] * 4
    assert (money(db, buyer.key.did), money(db, seller.key.did)) == ((FAUCET, 900_000), (FAUCET, 0))
    assert nothing_lost(db, owner)


# ---------------------------------------------------------------------------------------------------------------
# Money from nothing, and to nowhere


@defect(
    "free_mint_credits_method",
    "No payment names its own method here. Called with everything that the published OpenAPI lets a caller say, no"
    " route issues money but the faucet, and that one in development only.",
)
def test_no_route_makes_money_from_nothing(api, agent, services, db, owner):
    rich, seller = agent("Rich"), agent("Seller")
    intent = rich.intend("work", budget=FAUCET)["id"]
    offer = rich.negotiate(seller.key.did, intent=intent, terms={"price": 5})["id"]
    thief = agent(registered=False)
    committed(db, registry.agent, thief.key, name="Thief")
    known = {"intent": intent, "negotiation": offer, "responder": seller.key.did}
    before = issues(owner)

    services.settings.env = "production"
    answers = walk(api, thief, known)
    gained = [money(db, one.key.did) for one in (thief, rich, seller)]
    in_production = issues(owner) - before
    services.settings.env = "development"
    walk(api, thief, known)

    assert len(answers) >= 60
    assert answers["POST /api/credits/faucet"] == 403
    assert 500 not in answers.values()
    assert sum(status < 300 for status in answers.values()) >= 20
    assert gained == [(0, 0), (FAUCET, 0), (FAUCET, 0)]
    assert in_production == set()
    assert issues(owner) - before == {f"faucet:{thief.key.wallet}"}
    assert nothing_lost(db, owner)


def issues(owner):
    """Keys of all movements that took money out of the mint."""
    rows = owner.execute(
        "SELECT movement.key FROM credits.postings AS posting"
        " JOIN credits.credit_transactions AS movement ON movement.id = posting.transaction_id"
        " WHERE posting.account = 'system:mint'"
    )
    return {key for (key,) in rows.fetchall()}


GREED = {"method": "credits", "amount": 123_456_789, "balance": 123_456_789, "credits": 123_456_789, "status": "paid"}
LAST = ("DELETE", "rotate", "revoke")
"""What could end the caller."""


def walk(api, caller, known):
    """Call every route of the published OpenAPI with a body that its schema allows, and more; the status of each."""
    document = api.get("/openapi.json").json()
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    operations.sort(key=lambda one: any(word in f"{one[0]} {one[1]}" for word in LAST))
    statuses = {}
    for method, path, operation in operations:
        url = re.sub(r"\{(\w+)\}", lambda found: known.get(found[1]) or reference(found[1], caller), path)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        body = {"json": example(content["schema"], document, caller, known)} if content else {}
        with caller.http.stream(method, url, **body) as answer:  # a stream of events would never be read to its end
            statuses[f"{method} {path}"] = answer.status_code
    return statuses


def reference(name, caller):
    return caller.key.did if name in {"did", "ref"} else str(uuid.uuid4())


def example(schema, document, caller, known):
    """A value that a JSON schema describes: as much of every number as it lets through, one's own name everywhere."""
    if "$ref" in schema:
        return example(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, caller, known)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], document, caller, known)
    match schema.get("type"):
        case _ if "enum" in schema:
            return schema["enum"][0]
        case "integer" | "number":
            return min(123_456_789, schema.get("maximum", 123_456_789))
        case "boolean":
            return True
        case "array":
            return [example(schema["items"], document, caller, known)] if "items" in schema else []
        case "string":
            return str(uuid.uuid4()) if schema.get("format") == "uuid" else caller.key.did
        case _:
            named = schema.get("properties", {})
            return GREED | {
                name: known.get(name) or example(inner, document, caller, known) for name, inner in named.items()
            }


@defect(
    "expired_agent_loses_money",
    "An agent whose time ran out is retired, never deleted: account, holds, ledger and proofs stay, its deal can be"
    " settled, and no foreign key cascades.",
)
def test_an_agent_that_falls_silent_keeps_its_money_and_its_proofs(db, owner, services_keys):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        earned, open_deal = (deals.accepted(tx, buyer, seller, price=100_000) for _ in range(2))
        commands.settle(tx, services_keys, earned.id, by=buyer)
        proven(tx, seller)
    kept = possessions(owner)
    owner.execute("UPDATE registry.agents SET expires_at = clock_timestamp() - interval '1 second'")

    retired = committed(db, agents.expire_agents)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        owner.execute("DELETE FROM registry.agents WHERE did = %s", [seller])
    after = possessions(owner)
    committed(db, settle(open_deal.id, services_keys, by=buyer))

    assert retired == 2
    assert after == kept
    assert min(kept) > 0
    assert money(db, seller) == (140_000, 0)
    assert money(db, buyer) == (FAUCET - 200_000, 0)
    assert owner.execute(CASCADES).fetchall() == []
    assert nothing_lost(db, owner)


CASCADES = """
    SELECT conrelid::regclass::text || ' ' || conname
      FROM pg_constraint
     WHERE contype = 'f'
       AND confdeltype IN ('c', 'n', 'd')
       AND connamespace::regnamespace::text IN ('credits', 'negotiation', 'payments', 'proof')
"""


def possessions(owner):
    """How many accounts, postings, holds, work logs and proofs there are, and the sum of what agents own."""
    return owner.execute(
        "SELECT (SELECT count(*) FROM credits.credit_accounts), (SELECT count(*) FROM credits.postings),"
        " (SELECT count(*) FROM credits.holds), (SELECT count(*) FROM proof.work_history_logs),"
        " (SELECT count(*) FROM proof.usefulness_proofs),"
        " (SELECT sum(balance) FROM credits.credit_accounts WHERE kind = 'agent')"
    ).fetchone()
