"""Credits over HTTP, as an agent, as another agent, and as nobody."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from given import registry
from given.credits import as_operator, issued
from given.identity import as_agent, client_as
from hansa.credits import commands, queries
from hansa.credits.models import Filters, TxType
from hansa.credits.routes import router, statements
from hansa.infra.db import Actor
from hansa.infra.keys import AgentKey

STATEMENT = "/api/credits/statement"


@pytest.fixture
def key(services):
    """An agent with 1000 credits."""
    key = AgentKey.generate()
    with services.db.transaction() as tx:
        registry.agent(tx, key)
        issued(tx, key.did, 1_000_000)
    return key


@pytest.fixture
def me(services, key):
    return client_as(services, as_agent(key), router)


@pytest.fixture
def other(services):
    with services.db.transaction() as tx:
        return registry.agent(tx).did


def give(client, to, amount, **more):
    headers = {"idempotency-key": more.pop("once")} if "once" in more else {}
    return client.post("/api/credits/transfers", json={"to": to, "amount": amount, **more}, headers=headers)


def test_a_transfer_is_made_once_per_idempotency_key(me, other, key):
    first = give(me, other, 2500, reason="thanks", once="a")
    again = give(me, other, 2500, reason="thanks", once="a")

    assert first.status_code == 200
    assert first.json()["sender"] == key.did
    assert (first.json()["receiver"], first.json()["amount"]) == (other, 2500)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert me.get("/api/credits/account").json()["balance"] == 997_500


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"to": "self", "amount": 1}, 422, "paid_to_oneself"),
        ({"to": "system:treasury", "amount": 1}, 422, "transfer_to_the_house"),
        ({"to": "stranger", "amount": 1}, 404, "account_unknown"),
        ({"to": "did:nonsense:1", "amount": 1}, 422, "invalid_did"),
        ({"to": "other", "amount": 1_000_001}, 402, "insufficient_funds"),
        ({"to": "other", "amount": 600_000}, 403, "transfer_above_limit"),
        ({"to": "other", "amount": 0}, 422, None),
        ({"to": "other", "amount": 2**63}, 422, None),
        ({"to": "other", "amount": 1.5}, 422, None),
        ({"to": "other", "amount": 1, "reason": "x" * 201}, 422, None),
        ({"to": "other", "amount": 1, "form": "system:mint"}, 422, None),
    ],
)
def test_a_transfer_that_cannot_be_is_refused_by_name(services, me, key, other, body, status, code):
    with services.db.transaction() as tx, as_operator(tx) as operator:
        commands.set_limits(operator, transfer_max=500_000)
    names = {"self": key.did, "other": other, "stranger": AgentKey.generate().did}

    answer = me.post("/api/credits/transfers", json=body | {"to": names.get(body["to"], body["to"])})

    assert answer.status_code == status
    assert code is None or answer.json()["code"] == code
    assert me.get("/api/credits/account").json()["balance"] == 1_000_000


def test_missing_funds_and_a_reached_limit_say_how_much(services, me, other):
    with services.db.transaction() as tx, as_operator(tx) as operator:
        commands.set_limits(operator, day_max=400_000)
    give(me, other, 300_000)

    poor, limited = give(me, other, 700_001).json(), give(me, other, 100_001).json()

    assert (poor["available"], poor["needed"], poor["missing"]) == (700_000, 700_001, 1)
    assert (limited["limit"], limited["used"], limited["amount"]) == (400_000, 300_000, 100_001)
    allowance = me.get("/api/credits/limits").json()
    assert (allowance["day_max"], allowance["used"], allowance["left"]) == (400_000, 300_000, 100_000)


def test_an_agent_sets_money_aside_and_takes_it_back(me, key):
    made = me.post("/api/credits/holds", json={"amount": 400_000, "purpose": "rent", "lasts_s": 60}).json()
    account = me.get("/api/credits/account").json()
    ended = me.post(f"/api/credits/holds/{made['id']}/release").json()

    assert (made["purpose_kind"], made["purpose_id"], made["state"]) == ("manual", f"{key.did}#rent", "held")
    lasts = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert timedelta(seconds=58) < lasts < timedelta(seconds=61)
    assert account["reserved"] == 400_000
    assert ended["state"] == "released"
    assert me.get("/api/credits/account").json()["reserved"] == 0
    again = me.post(f"/api/credits/holds/{made['id']}/release")
    assert (again.status_code, again.json()["code"]) == (409, "hold_ended")
    twice = me.post("/api/credits/holds", json={"amount": 1, "purpose": "rent"})
    assert (twice.status_code, twice.json()["code"]) == (409, "hold_already_made")


def test_two_agents_may_use_the_same_name_for_a_purpose(services, me, other):
    with services.db.transaction() as tx:
        issued(tx, other, 10)
    another = client_as(services, Actor(kind="agent", did=other), router)

    answers = [client.post("/api/credits/holds", json={"amount": 5, "purpose": "rent"}) for client in (me, another)]

    assert [answer.status_code for answer in answers] == [200, 200]


def test_holds_of_deals_and_of_others_are_not_released_by_hand(services, me, key, other):
    with services.db.transaction() as tx:
        deal = commands.reserve(
            tx, key.did, 10, purpose_kind="negotiation", purpose_id="1", expires_at=tx.at + timedelta(days=1)
        )
        issued(tx, other, 10)
        foreign = commands.set_aside(tx, other, 10, purpose="rent", lasts=timedelta(1), at=tx.at)

    of_a_deal = me.post(f"/api/credits/holds/{deal.id}/release")
    of_another = me.post(f"/api/credits/holds/{foreign.id}/release")
    of_nobody = me.post("/api/credits/holds/0197b1d2-0000-7000-8000-000000000000/release")

    assert (of_a_deal.status_code, of_a_deal.json()["code"]) == (403, "hold_not_manual")
    assert (of_another.status_code, of_another.json()["code"]) == (403, "hold_foreign")
    assert (of_nobody.status_code, of_nobody.json()["code"]) == (404, "hold_unknown")
    assert me.get(f"/api/credits/holds/{deal.id}").json()["state"] == "held"
    assert me.get(f"/api/credits/holds/{foreign.id}").status_code == 403


def test_own_holds_are_listed_by_state_and_in_pages(me):
    made = [me.post("/api/credits/holds", json={"amount": 1, "purpose": f"p{n}"}).json()["id"] for n in range(3)]
    me.post(f"/api/credits/holds/{made[0]}/release")

    first = me.get("/api/credits/holds?limit=2").json()
    rest = me.get(f"/api/credits/holds?limit=2&after={first['after']}").json()
    held = me.get("/api/credits/holds?state=held").json()

    assert [one["id"] for one in first["items"] + rest["items"]] == made[::-1]
    assert [one["id"] for one in held["items"]] == made[:0:-1]
    assert me.get("/api/credits/holds?state=lost").status_code == 422


@pytest.mark.parametrize(
    "order", [{"purpose": "a b"}, {"purpose": ""}, {"purpose": "a", "lasts_s": 0}, {"purpose": "a", "amount": 0}]
)
def test_a_hold_that_says_nothing_sensible_is_refused(me, order):
    assert me.post("/api/credits/holds", json={"amount": 1, **order}).status_code == 422


def test_a_statement_is_filtered_and_carries_balances(me, other):
    for amount in (100, 200):
        give(me, other, amount)

    spent = me.get(f"{STATEMENT}?tx_type=spend").json()["items"]
    none = me.get(f"{STATEMENT}?until=2020-01-01T00:00:00Z").json()["items"]

    assert [(line["amount"], line["balance_after"]) for line in spent] == [(-200, 999_700), (-100, 999_900)]
    assert none == []
    assert me.get(f"{STATEMENT}?since=2020-01-01T00:00:00").status_code == 422
    assert me.get(f"{STATEMENT}?tx_type=gift").status_code == 422


def test_a_month_in_totals(me, other):
    give(me, other, 100)
    now = datetime.now(UTC)

    found = me.get(f"{STATEMENT}/summary?month={now:%Y-%m}").json()
    later = me.get(f"{STATEMENT}/summary?month={now.year + 1}-01").json()

    assert (found["opening"], found["came"], found["went"], found["closing"]) == (0, 1_000_000, 100, 999_900)
    assert [one["tx_type"] for one in found["by_type"]] == ["deposit", "spend"]
    assert (later["opening"], later["closing"], later["by_type"]) == (999_900, 999_900, [])
    for wrong in ("2026-13", "2026", "november", "2026-11-01"):
        assert me.get(f"{STATEMENT}/summary?month={wrong}").status_code == 422


def rows(answer):
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize("lines_per_page", [1, 2, 1000])
@pytest.mark.parametrize("filters", [{}, {"tx_type": "reserve"}])
def test_a_file_holds_every_line_with_its_balance_whatever_the_size_of_the_pieces(
    services, me, key, other, monkeypatch, lines_per_page, filters
):
    monkeypatch.setattr(statements, "LINES_PER_PAGE", lines_per_page)
    for number in range(3):
        give(me, other, 100 + number)
        me.post("/api/credits/holds", json={"amount": 7, "purpose": f"p{number}"})

    answer = me.get(STATEMENT, params={"format": "csv", **filters})

    with services.db.transaction() as tx:
        tx_type = TxType(filters["tx_type"]) if filters else None
        lines = queries.statement(tx, key.did, filters=Filters(tx_type=tx_type), limit=500).items
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert len(lines) == (6 if filters else 10)
    assert [(row["movement"], row["line"]) for row in rows(answer)] == [(str(x.movement), str(x.line)) for x in lines]
    assert [row["balance_after_credits"] for row in rows(answer)] == [f"{x.balance_after / 1000:.3f}" for x in lines]
    assert [row["amount_credits"] for row in rows(answer)] == [f"{x.amount / 1000:.3f}" for x in lines]


def test_csv_is_also_given_by_its_media_type_and_is_never_a_formula(services, me, key):
    with services.db.transaction() as tx, as_operator(tx) as operator:
        commands.deposit(operator, key.did, 5, key="k", reason='=HYPERLINK("http://x")')

    answer = me.get(STATEMENT, headers={"accept": "text/csv"})

    assert rows(answer)[0]["reason"] == '\'=HYPERLINK("http://x")'
    assert rows(answer)[0]["amount_credits"] == "0.005"
    assert me.get(f"{STATEMENT}?format=json", headers={"accept": "text/csv"}).json()["items"]


def test_an_empty_account_gives_a_file_with_its_header(services):
    nobody = client_as(services, as_agent(AgentKey.generate()), router)

    assert nobody.get(f"{STATEMENT}?format=csv").text == ",".join(statements.COLUMNS) + "\r\n"


@pytest.mark.parametrize("path", ["account", "limits", "holds", "statement", "statement?format=csv"])
def test_nobody_reads_without_a_signature(services, path):
    assert client_as(services, Actor(kind="anonymous"), router).get(f"/api/credits/{path}").status_code == 401
