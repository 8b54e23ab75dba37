"""The hire gate: what speaks against a hire, in which order, and what is kept of each answer."""

from datetime import timedelta

import pytest

from given.governance import a_did, a_role_agent, a_seller, acting_as, an_organization
from hansa.governance import commands, queries
from hansa.governance.errors import DecisionUnknown
from hansa.governance.models import Outcome, RoleAgentStatus
from hansa.infra.db import Query
from hansa.kernel.dids import did_public_key, did_sol
from hansa.kernel.money import Credits
from hansa.registry import commands as registry

DECISIONS_OF_OTHERS = Query(int, "SELECT count(*) FROM governance.decisions")


def hire(tx, buyer, seller, *, at=None, by=None):
    """The gate's answer, asked in a transaction of the buyer, or of whoever acts."""
    with acting_as(tx, by or buyer):
        return commands.decide_hire(
            tx, buyer=buyer, seller=seller, amount=Credits(5_000), subject="negotiation:1", at=at or tx.at
        )


def codes(decision):
    return [reason.partition(":")[0] for reason in decision.reasons]


def a_bound_buyer(tx, *, min_trust_score=None):
    """A buyer in the service of an organization that somebody else runs: (buyer, organization, operator, role)."""
    operator, buyer = a_did(), a_did()
    organization = an_organization(tx, by=operator)
    role = a_role_agent(tx, organization, by=operator, did=buyer, role_title="buyer")
    if min_trust_score is not None:
        demand(tx, organization, min_trust_score, by=operator)
    return buyer, organization, operator, role


def demand(tx, organization, min_trust_score, *, by, role_title="supplier"):
    commands.set_threshold(tx, organization.id, role_title=role_title, min_trust_score=min_trust_score, by=by)


def test_a_registered_seller_may_be_hired_by_a_buyer_without_rules(tx):
    buyer, seller = a_did(), a_seller(tx)

    decision = hire(tx, buyer, seller)

    assert (decision.outcome, decision.reasons) == (Outcome.ALLOW, [])
    assert (decision.buyer_did, decision.seller_did, decision.amount) == (buyer, seller, 5_000)
    assert decision.policy["seller_trust_points"] == 500
    assert decision.policy["min_trust_score"] is None


def test_a_seller_that_nobody_registered_cannot_be_hired(tx):
    buyer, stranger = a_did(), a_did()

    decision = hire(tx, buyer, stranger)

    assert decision.outcome is Outcome.DENY
    assert decision.reasons == [f"seller_unknown: {stranger} is not registered"]


def test_a_retired_seller_cannot_be_hired(tx):
    seller = a_seller(tx)
    registry.retire_agent(tx, seller, tx.at)

    decision = hire(tx, a_did(), seller)

    assert codes(decision) == ["seller_retired"]


def test_a_seller_whose_registration_has_run_out_cannot_be_hired(tx):
    seller = a_seller(tx)

    before = hire(tx, a_did(), seller, at=tx.at + timedelta(hours=23))
    after = hire(tx, a_did(), seller, at=tx.at + timedelta(hours=24))

    assert before.outcome is Outcome.ALLOW
    assert codes(after) == ["seller_expired"]


@pytest.mark.parametrize("spelling", [lambda did: did, lambda did: did_sol(did_public_key(did))])
def test_nobody_hires_itself_under_any_name_of_its_key(tx, spelling):
    seller = a_seller(tx)

    decision = hire(tx, spelling(seller), seller)

    assert codes(decision) == ["buyer_is_seller"]


@pytest.mark.parametrize(
    ("min_trust_score", "reasons"),
    [(500, []), (500.5, ["trust_below_policy: 500 < 500.5"]), (600, ["trust_below_policy: 500 < 600"])],
)
def test_the_threshold_of_the_buyers_organization_is_met_or_named(tx, min_trust_score, reasons):
    buyer, organization, *_ = a_bound_buyer(tx, min_trust_score=min_trust_score)
    seller = a_seller(tx)

    decision = hire(tx, buyer, seller)

    assert decision.reasons == reasons
    assert decision.policy["organization_id"] == organization.id


def test_the_threshold_holds_also_when_the_seller_is_the_one_who_acts(tx):
    buyer, *_ = a_bound_buyer(tx, min_trust_score=600)
    seller = a_seller(tx)

    decision = hire(tx, buyer, seller, by=seller)

    assert decision.reasons == ["trust_below_policy: 500 < 600"]


def test_the_founder_of_an_organization_is_bound_by_its_threshold(tx):
    founder = a_did()
    demand(tx, an_organization(tx, by=founder), 600, by=founder)

    decision = hire(tx, founder, a_seller(tx))

    assert codes(decision) == ["trust_below_policy"]


def test_the_strictest_of_the_organizations_that_bind_a_buyer_decides(tx):
    buyer, _, operator, _ = a_bound_buyer(tx, min_trust_score=100)
    strict = an_organization(tx, by=operator)
    a_role_agent(tx, strict, by=operator, did=buyer, role_title="buyer")
    demand(tx, strict, 900, by=operator)

    decision = hire(tx, buyer, a_seller(tx))

    assert decision.reasons == ["trust_below_policy: 500 < 900"]
    assert decision.policy["organization_id"] == strict.id


def test_thresholds_of_other_roles_and_inactive_ones_bind_nobody(tx):
    buyer, organization, operator, _ = a_bound_buyer(tx)
    demand(tx, organization, 900, by=operator, role_title="auditor")
    commands.set_threshold(
        tx, organization.id, role_title="Supplier", min_trust_score=900, is_active=False, by=operator
    )

    decision = hire(tx, buyer, a_seller(tx))

    assert decision.outcome is Outcome.ALLOW


def test_a_role_that_was_never_accepted_binds_nobody(tx):
    operator, victim, seller = a_did(), a_did(), a_seller(tx)
    hostile = an_organization(tx, by=operator)
    for did in (victim, seller):
        role = a_role_agent(tx, hostile, by=operator, did=did, accepted=False)
        commands.set_role_agent_status(tx, role.id, RoleAgentStatus.SUSPENDED, by=operator)
    demand(tx, hostile, 1000, by=operator)

    decision = hire(tx, victim, seller)

    assert decision.outcome is Outcome.ALLOW


@pytest.mark.parametrize("status", [RoleAgentStatus.SUSPENDED, RoleAgentStatus.INACTIVE])
def test_a_buyer_whose_role_is_not_active_hires_nobody_until_it_is(tx, status):
    buyer, _, operator, role = a_bound_buyer(tx)
    seller = a_seller(tx)

    commands.set_role_agent_status(tx, role.id, status, by=operator)
    stopped = hire(tx, buyer, seller)
    commands.set_role_agent_status(tx, role.id, RoleAgentStatus.ACTIVE, by=operator)
    back = hire(tx, buyer, seller)

    assert stopped.reasons == [f"buyer_role_not_active: {status}"]
    assert back.outcome is Outcome.ALLOW


def test_a_retired_buyer_has_left_the_rules_of_its_organization(tx):
    buyer, _, operator, role = a_bound_buyer(tx, min_trust_score=1000)

    commands.set_role_agent_status(tx, role.id, RoleAgentStatus.RETIRED, by=operator)

    assert hire(tx, buyer, a_seller(tx)).outcome is Outcome.ALLOW


@pytest.mark.parametrize("status", [RoleAgentStatus.SUSPENDED, RoleAgentStatus.RETIRED])
def test_a_seller_whose_accepted_role_is_not_active_is_hired_by_nobody(tx, status):
    operator, seller = a_did(), a_seller(tx)
    role = a_role_agent(tx, an_organization(tx, by=operator), by=operator, did=seller)

    commands.set_role_agent_status(tx, role.id, status, by=operator)

    assert hire(tx, a_did(), seller).reasons == [f"seller_role_not_active: {status}"]


def test_an_organization_stops_its_own_buyers_from_hiring_a_seller_that_accepted_nothing(tx):
    buyer, organization, operator, _ = a_bound_buyer(tx)
    seller = a_seller(tx)
    role = a_role_agent(tx, organization, by=operator, did=seller, accepted=False)

    commands.set_role_agent_status(tx, role.id, RoleAgentStatus.SUSPENDED, by=operator)

    assert codes(hire(tx, buyer, seller)) == ["seller_role_not_active"]
    assert hire(tx, a_did(), seller).outcome is Outcome.ALLOW


def test_a_seller_that_was_given_another_role_after_one_was_retired_may_be_hired(tx):
    operator, seller = a_did(), a_seller(tx)
    organization = an_organization(tx, by=operator)
    old = a_role_agent(tx, organization, by=operator, did=seller)
    commands.set_role_agent_status(tx, old.id, RoleAgentStatus.RETIRED, by=operator)

    a_role_agent(tx, organization, by=operator, did=seller)

    assert hire(tx, a_did(), seller).outcome is Outcome.ALLOW


def test_a_closed_organization_hires_nobody(tx):
    buyer, organization, operator, _ = a_bound_buyer(tx)

    commands.set_active(tx, organization.id, False, by=operator)

    assert hire(tx, buyer, a_seller(tx)).reasons == [f"organization_closed: {organization.id} hires nobody"]


def test_all_that_speaks_against_a_hire_is_told_in_the_order_of_the_gates(tx):
    buyer, organization, operator, role = a_bound_buyer(tx, min_trust_score=900)
    commands.set_role_agent_status(tx, role.id, RoleAgentStatus.SUSPENDED, by=operator)
    commands.set_active(tx, organization.id, False, by=operator)

    decision = hire(tx, buyer, buyer)

    assert codes(decision) == [
        "seller_unknown",
        "buyer_is_seller",
        "organization_closed",
        "seller_role_not_active",
        "buyer_role_not_active",
        "trust_below_policy",
    ]


def test_both_answers_leave_a_decision_and_an_audit_row(tx):
    buyer, organization, *_ = a_bound_buyer(tx, min_trust_score=500)
    seller, stranger = a_seller(tx), a_did()

    allowed, denied = hire(tx, buyer, seller), hire(tx, buyer, stranger)

    rows = {row.entity_id: row for row in queries.audit_rows(tx, entity="decision").items}
    assert queries.decision_of(tx, allowed.id) == allowed
    assert rows[str(allowed.id)].action == "hire.allowed"
    assert rows[str(denied.id)].action == "hire.denied"
    assert rows[str(denied.id)].by == buyer
    assert rows[str(denied.id)].metadata["organization_id"] == organization.id
    assert rows[str(denied.id)].metadata["facts"]["reasons"] == denied.reasons


def test_a_decision_is_shown_to_its_pair_and_to_the_organization_and_to_nobody_else(tx):
    buyer, _, operator, _ = a_bound_buyer(tx, min_trust_score=500)
    seller = a_seller(tx)
    decision = hire(tx, buyer, seller)

    for reader in (buyer, seller, operator):
        with acting_as(tx, reader):
            assert queries.decision_of(tx, decision.id) == decision

    with acting_as(tx, a_did()):
        assert tx.one(DECISIONS_OF_OTHERS) == 0
        with pytest.raises(DecisionUnknown):
            queries.decision_of(tx, decision.id)


def test_a_denial_is_answered_with_its_reasons_and_the_id_of_its_decision(tx):
    stranger = a_did()
    decision = hire(tx, a_did(), stranger)

    problem = commands.hire_refusal(decision).problem()

    assert (problem["status"], problem["code"]) == (403, "hire_denied")
    assert problem["reasons"] == [f"seller_unknown: {stranger} is not registered"]
    assert problem["decision"] == str(decision.id)
