"""Each round may have a time of its own; states change only as drawn, whoever changes them."""

from datetime import timedelta

import psycopg
import pytest

from given import deals
from hansa.credits import commands as ledger
from hansa.negotiation import commands, queries
from hansa.negotiation.errors import NegotiationExpired, RoundExpired, RoundTimeImpossible
from hansa.negotiation.models import NegotiationState, Terms


@pytest.fixture
def buyer_and_seller(tx):
    return deals.pair(tx)


def make_late(tx, negotiation):
    """Let the time of a round be over."""
    tx.connection.execute(
        "UPDATE negotiation.negotiations SET round_due_at = clock_timestamp() - interval '1 ms' WHERE id = %s",
        [negotiation.id],
    )


def test_without_a_time_for_rounds_only_that_of_the_negotiation_counts(tx, buyer_and_seller):
    opened = deals.opened(tx, *buyer_and_seller)

    assert (opened.round_s, opened.round_due_at) == (None, None)


def test_every_round_has_its_own_deadline(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, round_s=60)

    answer = commands.propose(tx, opened.id, by=seller, terms=Terms(price=1))

    first, second = queries.rounds_of(tx, opened.id)
    assert opened.round_due_at == first.proposed_at + timedelta(seconds=60)
    assert answer.round_due_at == second.proposed_at + timedelta(seconds=60)
    assert answer.round_due_at > opened.round_due_at


@pytest.mark.parametrize("seconds", [4, 0, -1, 86_401])
def test_a_round_lasts_five_seconds_to_a_day(tx, buyer_and_seller, seconds):
    with pytest.raises(RoundTimeImpossible):
        deals.opened(tx, *buyer_and_seller, round_s=seconds)


@pytest.mark.parametrize("seconds", [5, 86_400])
def test_the_bounds_of_a_rounds_time_are_within(tx, buyer_and_seller, seconds):
    assert deals.opened(tx, *buyer_and_seller, round_s=seconds).round_s == seconds


def test_nothing_is_done_after_a_rounds_time(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    opened = deals.opened(tx, buyer, seller, round_s=60)
    make_late(tx, opened)

    for act in (
        lambda: commands.propose(tx, opened.id, by=seller, terms=Terms(price=1)),
        lambda: commands.accept(tx, opened.id, by=seller, at=tx.at),
        lambda: commands.reject(tx, opened.id, by=buyer),
    ):
        with pytest.raises(RoundExpired) as refused, tx.savepoint():
            act()
        assert refused.value.facts["round"] == 1
    assert queries.negotiation_of(tx, opened.id).state is NegotiationState.INITIATED


def test_the_end_of_the_negotiation_is_named_before_that_of_its_round(tx, buyer_and_seller):
    opened = deals.opened(tx, *buyer_and_seller, round_s=60, ttl=deals.past())
    make_late(tx, opened)

    with pytest.raises(NegotiationExpired):
        commands.accept(tx, opened.id, by=buyer_and_seller[1], at=tx.at)


def test_expiry_ends_what_nobody_answered_in_its_round(tx, buyer_and_seller):
    buyer, seller = buyer_and_seller
    silent, over, running, timeless = (
        deals.opened(tx, buyer, seller, **options)
        for options in ({"round_s": 60}, {"ttl": deals.past()}, {"round_s": 60}, {})
    )
    make_late(tx, silent)

    assert [commands.expire_stale(tx, limit=1) for _ in range(3)] == [1, 1, 0]

    states = [queries.negotiation_of(tx, one.id).state for one in (silent, over, running, timeless)]
    assert states == [NegotiationState.EXPIRED] * 2 + [NegotiationState.INITIATED] * 2
    assert len(rounds_document(tx, silent)) == 1


def rounds_document(tx, negotiation):
    return tx.connection.execute(
        "SELECT rounds FROM negotiation.negotiations WHERE id = %s", [negotiation.id]
    ).fetchone()[0]


def test_what_is_due_is_found_through_its_index(owner):
    owner.execute("SET enable_seqscan = off")
    owner.execute("SET enable_bitmapscan = off")

    plan = owner.execute(
        "EXPLAIN SELECT id FROM negotiation.negotiations WHERE state NOT IN ('accepted', 'rejected', 'expired') "
        "AND least(expires_at, round_due_at) <= now() ORDER BY least(expires_at, round_due_at) LIMIT 100"
    ).fetchall()

    text = "\n".join(line for (line,) in plan)
    assert "Index Scan using negotiations_due" in text
    assert "Index Cond: (LEAST(expires_at, round_due_at) <= now())" in text
    assert "Sort" not in text


STATES = [state.value for state in NegotiationState]
DRAWN = {
    ("initiated", "proposed"),
    ("proposed", "counter_proposed"),
    *((state, end) for state in STATES[:3] for end in ("accepted", "rejected", "expired")),
}


@pytest.mark.parametrize("before", STATES)
def test_a_state_becomes_only_what_is_drawn_from_it_even_for_the_owner(db, owner, before):
    with db.transaction() as tx:
        negotiation = in_state(tx, NegotiationState(before))

    refused = {after: refusal(owner, negotiation, after) for after in STATES if after != before}

    # An acceptance wants more than a state: without its hold the next rule refuses it.
    drawn = {after: "accepted_means_held" if after == "accepted" else None for start, after in DRAWN if start == before}
    assert refused == {after: drawn.get(after, "states_only_as_drawn") for after in refused}


def in_state(tx, state):
    buyer, seller = deals.pair(tx)
    opened = deals.opened(tx, buyer, seller, **({"ttl": deals.past()} if state is NegotiationState.EXPIRED else {}))
    if state in {NegotiationState.PROPOSED, NegotiationState.COUNTER_PROPOSED}:
        commands.propose(tx, opened.id, by=seller, terms=Terms(price=1))
    if state is NegotiationState.COUNTER_PROPOSED:
        commands.propose(tx, opened.id, by=buyer, terms=Terms(price=1))
    if state is NegotiationState.ACCEPTED:
        commands.accept(tx, opened.id, by=seller, at=tx.at)
    if state is NegotiationState.REJECTED:
        commands.reject(tx, opened.id, by=seller)
    if state is NegotiationState.EXPIRED:
        commands.expire_stale(tx)
    found = queries.negotiation_of(tx, opened.id)
    assert found.state is state
    return found


def refusal(connection, negotiation, state):
    """What refuses a bare UPDATE to a state: the name of a rule, or None. It is undone either way."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("UPDATE negotiation.negotiations SET state = %s WHERE id = %s", [state, negotiation.id])
    except psycopg.errors.CheckViolation as refused:
        return refused.diag.constraint_name
    return None


def test_an_accepted_deal_expires_when_its_money_has_gone_back(tx, buyer_and_seller):
    deal = deals.accepted(tx, *buyer_and_seller)
    ledger.release(tx, deal.hold_id)

    tx.connection.execute("UPDATE negotiation.negotiations SET state = 'expired' WHERE id = %s", [deal.id])

    assert queries.negotiation_of(tx, deal.id).state is NegotiationState.EXPIRED


@pytest.mark.parametrize(
    "change",
    [
        "final_proposal = '{\"price\": 1}'",
        "incentive_split = '{\"agent\": 10000}'",
        "hold_id = NULL, state = 'accepted'",
        "accepted_at = accepted_at + interval '1 day'",
    ],
)
def test_what_was_sealed_stays_as_it_was(tx, buyer_and_seller, change):
    deal = deals.accepted(tx, *buyer_and_seller)

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        tx.connection.execute(f"UPDATE negotiation.negotiations SET {change} WHERE id = %s", [deal.id])

    assert refused.value.diag.constraint_name == "proposals_are_append_only"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE negotiation.negotiations SET initiator_did = responder_did",
        "UPDATE negotiation.negotiations SET responder_did = initiator_did",
        "UPDATE negotiation.negotiations SET created_at = now()",
        "UPDATE negotiation.negotiations SET expires_at = now()",
        "UPDATE negotiation.negotiations SET max_rounds = 20",
        "UPDATE negotiation.negotiations SET round_s = NULL",
        "UPDATE negotiation.negotiations SET decision_id = NULL",
        "UPDATE negotiation.intents SET budget = 1000000000000000",
        "UPDATE negotiation.intents SET requester_did = 'did:web:thief.example'",
        "INSERT INTO negotiation.negotiations (state) VALUES ('accepted')",
    ],
)
def test_the_application_changes_only_what_its_routines_change(tx, buyer_and_seller, statement):
    deals.opened(tx, *buyer_and_seller)

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        tx.connection.execute(statement)
