"""`hansa credits`: what an operator does on the database, and what an agent does over HTTP."""

import csv
import json
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from given import registry
from given.credits import issued
from given.identity import as_agent, client_as
from hansa.client import Hansa, Refused
from hansa.credits import jobs, queries
from hansa.credits.cli import app
from hansa.credits.routes import router
from hansa.infra.keys import AgentKey
from hansa.kernel.money import units_of


@pytest.fixture
def key(services):
    """An agent with 1000 credits."""
    key = AgentKey.generate()
    with services.db.transaction() as tx:
        registry.agent(tx, key)
        issued(tx, key.did, 1_000_000)
    return key


@pytest.fixture
def other(services):
    with services.db.transaction() as tx:
        return registry.agent(tx).did


@pytest.fixture
def hansa(services, key):
    """Run a command as `hansa credits ...` does: services open on demand, HTTP as the user's agent."""

    def client(*, signed=True):
        api = Hansa("http://127.0.0.1:8420", patience_s=0)
        api.http = client_as(services, as_agent(key), router)
        return api

    console = SimpleNamespace(services=lambda: nullcontext(services), client=client)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words], obj=console)


def printed(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("text", "units"),
    [("12.345", 12_345), ("12345u", 12_345), ("7", 7000), ("0.001", 1), ("1000000000000", 10**15), ("1.5", 1500)],
)
def test_amounts_are_credits_or_units(text, units):
    assert units_of(text, 3) == units


@pytest.mark.parametrize(
    "text", ["", "1.2345", "-1", "+1", "1e3", "1.", ".5", "1,5", "12.5u", "u", "1 ", "1\n", "\u0661", "9" * 30]
)
def test_whatever_else_looks_like_an_amount_is_none(text):
    with pytest.raises(ValueError, match="an amount is"):
        units_of(text, 3)


def test_an_operator_deposits_once_and_the_holder_sees_why(hansa, services, key):
    first = hansa("deposit", key.did, "12.345", "--reason", "invoice 7", "--key", "7")
    again = hansa("deposit", key.did, "12.345", "--reason", "invoice 7", "--key", "7")

    assert (first.exit_code, first.output) == (0, f"issued 12.345 CREDIT to {key.did}\n")
    assert type(again.exception).__name__ == "MovementAlreadyMade"
    with services.db.transaction() as tx:
        line = queries.statement(tx, key.did).items[0]
    assert (line.amount, line.balance_after) == (12_345, 1_012_345)
    assert line.reason.startswith("issued by operator:")
    assert line.reason.endswith(": invoice 7")


def test_an_operator_fills_the_treasury(hansa):
    made = printed(hansa("deposit", "system:treasury", "500u", "--reason", "budget", "--key", "1", "-o", "json"))

    assert (made["account"], made["amount"]) == ("system:treasury", 500)
    assert printed(hansa("reconcile", "-o", "json"))["system"]["system:treasury"] == 500


@pytest.mark.parametrize(
    "words",
    [
        ("deposit", "did:nonsense:1", "1", "--reason", "r", "--key", "k"),
        ("deposit", "system:mint", "1", "--reason", "r", "--key", "k"),
        ("deposit", "system:pool", "0", "--reason", "r", "--key", "k"),
        ("deposit", "system:pool", "1.2345", "--reason", "r", "--key", "k"),
        ("deposit", "system:pool", "1", "--reason", " ", "--key", "k"),
        ("deposit", "system:pool", "1", "--reason", "r"),
        ("transfer", "somebody", "1"),
        ("transfer", "did:web:a.example", "much"),
        ("transfer", "did:web:a.example", "0"),
        ("statement", "--month", "2026-13"),
        ("statement", "--type", "gift"),
        ("statement", "--intent", "mine"),
        ("statement", "--limit", "0"),
        ("holds", "--state", "lost"),
        ("limits", "set"),
        ("limits", "set", "--day", "-1"),
        ("limits", "set", "--account", "me", "--day", "1"),
        ("reconcile", "-o", "xml"),
    ],
)
def test_wrong_input_is_wrong_usage(hansa, words):
    assert hansa(*words).exit_code == 2


def test_an_agent_gives_credits_to_another_and_sees_what_is_left(hansa, key, other):
    made = hansa("transfer", other, "2.5", "--reason", "thanks")
    account = printed(hansa("account", "-o", "json"))

    assert made.output.startswith(f"2.500 CREDIT to {other}, movement ")
    assert (account["balance"], account["spent"], account["limits"]["used"]) == (997_500, 2500, 2500)
    lines = dict(line.split(maxsplit=1) for line in hansa("account").output.splitlines())
    assert lines["balance"] == "997.500 CREDIT"
    assert lines["account"] == key.did


def test_a_transfer_under_a_key_happens_once(hansa, other):
    first, again = (printed(hansa("transfer", other, "1", "--once", "rent", "-o", "json")) for _ in range(2))

    assert first == again
    assert printed(hansa("account", "-o", "json"))["balance"] == 999_000


def test_a_refusal_of_the_house_is_not_swallowed(hansa):
    refused = hansa("transfer", AgentKey.generate().did, "1")

    assert isinstance(refused.exception, Refused)
    assert refused.exception.code == "account_unknown"


def test_a_statement_is_printed_filtered_and_summed_up(hansa, other):
    hansa("transfer", other, "2.5", "--reason", "thanks")
    month = f"{datetime.now(UTC):%Y-%m}"

    text = hansa("statement", "--month", month).output
    document = printed(hansa("statement", "--type", "spend", "--month", month, "-o", "json"))

    assert "-2.500 CREDIT" in text
    assert "thanks" in text
    assert [line.split() for line in text.splitlines() if line.startswith(("opening", "closing"))] == [
        ["opening", "0.000", "CREDIT"],
        ["closing", "997.500", "CREDIT"],
    ]
    assert [line["amount"] for line in document["items"]] == [-2500]
    assert document["summary"]["closing"] == 997_500
    assert "there is more" in hansa("statement", "--limit", "1").output


def test_a_statement_becomes_a_file_when_it_is_whole(hansa, other, tmp_path):
    hansa("transfer", other, "2.5")
    file = tmp_path / "november.csv"

    written = hansa("statement", "--csv", file)
    shown = hansa("statement", "--type", "deposit", "--csv", "-")

    assert written.output == f"the statement is in {file}\n"
    with file.open(newline="") as lines:
        assert [row["amount_credits"] for row in csv.DictReader(lines)] == ["-2.500", "1000.000"]
    assert [row["amount_credits"] for row in csv.DictReader(shown.output.splitlines())] == ["1000.000"]
    assert list(tmp_path.glob("*.part")) == []


def test_holds_are_shown_with_their_purpose(hansa, services, key):
    client_as(services, as_agent(key), router).post("/api/credits/holds", json={"amount": 1500, "purpose": "rent"})

    text = hansa("holds", "--state", "held").output

    assert "1.500 CREDIT" in text
    assert "manual rent" in text
    assert printed(hansa("holds", "--state", "released", "-o", "json"))["items"] == []


def test_limits_are_shown_set_and_cleared(hansa, key, other):
    hansa("limits", "set", "--transfer", "5", "--day", "8000u")
    own = hansa("limits", "set", "--account", key.did, "--transfer", "6")
    shown = printed(hansa("limits", "show", "-o", "json"))

    assert own.output == f"{key.did}: one payment 6.000 CREDIT, one day as the house\n"
    assert shown["house"] == {"transfer_max": 5000, "day_max": 8000}
    assert [(one["account"], one["transfer_max"], one["day_max"]) for one in shown["accounts"]] == [
        (key.did, 6000, None)
    ]
    assert shown["accounts"][0]["changed_by"].startswith("operator:")
    assert hansa("transfer", other, "6").exit_code == 0
    assert hansa("transfer", other, "2.001").exception.code == "daily_limit_reached"
    assert "as the house again" in hansa("limits", "clear", key.did).output
    assert "every account" in hansa("limits", "show").output
    assert printed(hansa("limits", "show", "-o", "json"))["accounts"] == []


def test_the_history_of_reconciliations_ends_with_one_when_the_latest_found_something(hansa, services, owner, key):
    none = hansa("reconciliations")
    jobs.reconcile(services)
    right = hansa("reconciliations")
    owner.execute("SET session_replication_role = replica")
    owner.execute("UPDATE credits.credit_accounts SET balance = balance + 1 WHERE account = %s", [key.did])
    jobs.reconcile(services)
    wrong = hansa("reconciliations")

    assert (none.exit_code, right.exit_code, wrong.exit_code) == (0, 0, 1)
    assert "not been compared yet" in none.output
    assert right.output.splitlines()[1].endswith("balanced")
    assert "WRONG: 1 discrepancies" in wrong.output
    assert hansa("reconcile").exit_code == 1
    assert len(json.loads(hansa("reconciliations", "-n", "1", "-o", "json").stdout)) == 1
