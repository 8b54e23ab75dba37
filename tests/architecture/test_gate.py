"""There is no door to a deal around the hire gate: not through our code, not through psql."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import psycopg
import pytest

from architecture import catalog
from architecture.catalog import Connection
from architecture.source import Name, reached_from, users, uses
from architecture.statements import Statement, Touched
from given import deals
from hansa.governance import commands as governance
from hansa.governance.models import Decision, Outcome
from hansa.infra.db import SYSTEM, Tx, announce, become
from hansa.kernel.dids import Did
from hansa.kernel.ids import DecisionId, IntentId, NegotiationId
from hansa.kernel.money import Credits
from hansa.registry import commands as registry

COMMANDS = "hansa.negotiation.commands.deals"
GATE: Name = (COMMANDS, "hire_gate")
DECIDE: Name = ("hansa.governance.commands.hire", "decide_hire")

OPEN = """
    INSERT INTO negotiation.negotiations (intent_id, initiator_did, responder_did, incentive_split, expires_at, turn_did,
                                          decision_id)
    VALUES (%(intent)s, %(buyer)s, %(seller)s, '{}', clock_timestamp() + interval '1 hour', %(seller)s, %(decision)s)
"""
ACCEPT = "UPDATE negotiation.negotiations SET accept_decision_id = %(decision)s WHERE id = %(negotiation)s"


def test_one_routine_opens_a_negotiation_and_one_seals_it(schema: Connection):
    bodies = {
        routine.name: routine.body
        for routine in catalog.routines(schema)
        if "negotiation.negotiations" in routine.writes
    }

    opening = {name for name, body in bodies.items() if re.search(r"INSERT\s+INTO\s+negotiation\.negotiations", body)}
    sealing = {name for name, body in bodies.items() if re.search(r"\baccepted_at\s*=", body)}

    assert opening == {"negotiation.open"}
    assert sealing == {"negotiation.accept"}


def test_both_routines_want_a_decision(schema: Connection):
    found = catalog.rows(
        schema,
        """
        SELECT p.proname AS name, p.proargnames::text[] AS arguments
          FROM pg_proc AS p
         WHERE p.pronamespace = 'negotiation'::regnamespace
           AND p.proname IN ('open', 'accept')
        """,
    )

    assert {row["name"] for row in found if "p_decision" in row["arguments"]} == {"open", "accept"}


def test_only_two_statements_lead_there(planned: dict[Statement, Touched]):
    calling = {
        statement.name
        for statement, found in planned.items()
        if found.mentions & {"negotiation.open", "negotiation.accept"} or "negotiation.negotiations" in found.writes
    }

    assert calling == {"negotiation.commands.deals.OPEN", "negotiation.commands.deals.ACCEPT"}


@pytest.mark.parametrize(("command", "statement"), [("initiate", "OPEN"), ("accept", "ACCEPT")])
def test_only_a_command_that_asks_the_gate_uses_such_a_statement(command: str, statement: str):
    assert users()[COMMANDS, statement] == {(COMMANDS, command)}
    assert GATE in uses((COMMANDS, command))
    assert DECIDE in reached_from(GATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A buyer and a seller, and what the gate has said about them and about others."""

    buyer: Did
    seller: Did
    intent: IntentId
    negotiation: NegotiationId
    allowed: DecisionId
    denied: DecisionId
    allowed_to_another: DecisionId


@pytest.fixture
def house(_schema_dsn: str) -> Iterator[Tx]:
    """A transaction as the application, on a connection that can be the owner too; all is undone."""
    with psycopg.connect(_schema_dsn) as connection:
        become(connection, "hansa_app")
        yield Tx(connection, SYSTEM, announce(connection, SYSTEM))
        connection.rollback()


@pytest.fixture
def pair(house: Tx) -> Pair:
    buyer, seller = deals.pair(house)
    opened = deals.opened(house, buyer, seller)
    allowed = decided(house, buyer, seller)
    another = decided(house, deals.rich_agent(house, "Another"), seller)
    registry.retire_agent(house, seller, house.at)
    denied = decided(house, buyer, seller)
    assert (allowed.outcome, another.outcome, denied.outcome) == (Outcome.ALLOW, Outcome.ALLOW, Outcome.DENY)
    return Pair(
        buyer=buyer,
        seller=seller,
        intent=opened.intent_id,
        negotiation=opened.id,
        allowed=allowed.id,
        denied=denied.id,
        allowed_to_another=another.id,
    )


def decided(tx: Tx, buyer: Did, seller: Did) -> Decision:
    return governance.decide_hire(tx, buyer=buyer, seller=seller, amount=Credits(1), subject="a test", at=tx.at)


Execute = Callable[..., object]


@pytest.fixture(params=["owner", "application"])
def execute(request: pytest.FixtureRequest, house: Tx, pair: Pair) -> Execute:
    """Runs a statement as the one who owns everything, or as the application that owns nothing."""
    assert pair, "made by the application, whoever comes after it"
    if request.param == "owner":
        house.connection.execute("RESET ROLE")
    return house.connection.execute


def test_a_negotiation_opens_on_an_allowance_for_this_pair(pair: Pair, execute: Execute):
    opened = execute(OPEN, {**asdict(pair), "decision": pair.allowed})
    sealed = execute(ACCEPT, {**asdict(pair), "decision": pair.allowed})

    assert (opened.rowcount, sealed.rowcount) == (1, 1)


@pytest.mark.parametrize("decision", ["denied", "allowed_to_another"])
def test_no_negotiation_opens_on_a_denial_or_on_the_allowance_of_others(pair: Pair, execute: Execute, decision: str):
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as refused:
        execute(OPEN, {**asdict(pair), "decision": getattr(pair, decision)})

    assert refused.value.diag.constraint_name == "opened_through_the_gate"


@pytest.mark.parametrize("decision", ["denied", "allowed_to_another"])
def test_no_deal_is_sealed_on_a_denial_or_on_the_allowance_of_others(pair: Pair, execute: Execute, decision: str):
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as refused:
        execute(ACCEPT, {**asdict(pair), "decision": getattr(pair, decision)})

    assert refused.value.diag.constraint_name == "accepted_through_the_gate"


def test_a_denial_cannot_be_turned_into_an_allowance(pair: Pair, execute: Execute):
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)):
        execute("UPDATE governance.decisions SET outcome = 'ALLOW', reasons = '{}' WHERE id = %s", [pair.denied])
