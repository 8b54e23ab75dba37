"""Organizations, members, role agents and thresholds: who may do what, and who sees what."""

import math
from uuid import uuid4

import psycopg
import pytest

from given.governance import a_did, a_role_agent, a_seller, acting_as, an_organization
from given.identity import account, as_agent, client_as
from hansa.governance import commands, queries
from hansa.governance.errors import (
    DomainMalformed,
    DomainTaken,
    FacetMismatch,
    MemberAlready,
    MemberUnclear,
    MemberUnknown,
    OperatorOnly,
    OrganizationUnknown,
    RoleAgentRetired,
    RoleAgentUnknown,
    RoleNotAssigned,
    ThresholdOutOfRange,
)
from hansa.governance.models import MemberRole, NewMember, RoleAgentStatus, level_of, points
from hansa.governance.reactions import keep_standing
from hansa.governance.routes import router
from hansa.infra.db import Query
from hansa.infra.keys import AgentKey
from hansa.kernel.ids import EventId, RoleAgentId
from hansa.proof.events import TrustChanged

TENANT_ROWS = Query(
    dict,
    """
    SELECT jsonb_build_object(
               'organizations', (SELECT count(*) FROM governance.organizations),
               'members', (SELECT count(*) FROM governance.organization_members),
               'role_templates', (SELECT count(*) FROM governance.role_templates WHERE organization_id IS NOT NULL),
               'role_agents', (SELECT count(*) FROM governance.role_agents),
               'acceptances', (SELECT count(*) FROM governance.role_acceptances),
               'thresholds', (SELECT count(*) FROM governance.role_trust_thresholds),
               'audit_logs', (SELECT count(*) FROM governance.audit_logs))
    """,
)
NOTHING = {
    "organizations": 0,
    "members": 0,
    "role_templates": 0,
    "role_agents": 0,
    "acceptances": 0,
    "thresholds": 0,
    "audit_logs": 0,
}


def a_full_organization(tx, *, by):
    """An organization with a row in every table: (organization, role agent, DID in the role)."""
    organization, did = an_organization(tx, by=by), a_did()
    role = a_role_agent(tx, organization, by=by, did=did, role_title="weather desk")
    commands.set_threshold(tx, organization.id, role_title="supplier", min_trust_score=600, by=by)
    return organization, role, did


def trust_changed(did, score):
    return TrustChanged(agent=did, score=score, reliability=score, honesty=score, competence=score, timeliness=score)


# The scale


@pytest.mark.parametrize(
    ("score", "level"),
    [(0, 1), (249.9, 1), (250, 2), (499.9, 2), (500, 3), (749.9, 3), (750, 4), (899.9, 4), (900, 5), (1000, 5)],
)
def test_a_score_gives_the_level_whose_bound_it_has_reached(score, level):
    reached = level_of(score)

    assert reached == level


@pytest.mark.parametrize(("trust", "expected"), [(0.0, 0), (0.57, 570), (0.29, 290), (0.5999, 599), (1.0, 1000)])
def test_trust_in_points_is_rounded_down_and_not_by_binary_dust(trust, expected):
    found = points(trust)

    assert found == expected


# Organizations and members


def test_the_founder_is_the_first_operator(tx):
    founder = a_did()

    with acting_as(tx, founder):
        organization = commands.found_organization(tx, name="Acme", domain="Acme.Example.", by=founder)
        members = queries.members_of(tx, organization.id)

    assert (organization.domain, organization.is_active, organization.onboarding_complete) == (
        "acme.example",
        True,
        False,
    )
    assert [(member.did, member.role, member.added_by) for member in members] == [
        (founder, MemberRole.OPERATOR, founder)
    ]


def test_a_domain_belongs_to_one_organization(tx):
    an_organization(tx, by=a_did(), domain="taken.example")

    with pytest.raises(DomainTaken), tx.savepoint():
        an_organization(tx, by=a_did(), domain="TAKEN.example")

    assert sum(organization.domain == "taken.example" for organization in queries.organizations(tx).items) == 1


@pytest.mark.parametrize("domain", ["", "localhost", "-a.example", "a..example", "10.0.0.1", "a b.example", "x" * 260])
def test_a_domain_is_a_host_name(tx, domain):
    with pytest.raises(DomainMalformed):
        commands.found_organization(tx, name="Acme", domain=domain, by=a_did())

    assert queries.organizations(tx).items == []


def test_an_operator_adds_members_of_every_kind_and_each_sees_the_others(tx):
    operator, reviewer = a_did(), a_did()
    organization, person = an_organization(tx, by=operator), account(tx)

    with acting_as(tx, operator):
        for member in (
            NewMember(role=MemberRole.ARBITER, user=person.id),
            NewMember(role=MemberRole.REVIEWER, did=reviewer, facet="security"),
            NewMember(role=MemberRole.REVIEWER, did=reviewer, facet="risk"),
        ):
            commands.add_member(tx, organization.id, member, by=operator)
    with acting_as(tx, reviewer):
        seen = queries.members_of(tx, organization.id)
        own = queries.memberships(tx, did=reviewer)

    assert [(member.role, member.facet) for member in seen] == [
        ("operator", None),
        ("arbiter", None),
        ("reviewer", "security"),
        ("reviewer", "risk"),
    ]
    assert [member.facet for member in own] == ["security", "risk"]


@pytest.mark.parametrize(
    ("member", "refusal"),
    [
        (lambda did: NewMember(role=MemberRole.OPERATOR, did=did), MemberAlready),
        (lambda did: NewMember(role=MemberRole.ARBITER), MemberUnclear),
        (lambda did: NewMember(role=MemberRole.ARBITER, did=did, user=uuid4()), MemberUnclear),
        (lambda did: NewMember(role=MemberRole.ARBITER, user=uuid4()), MemberUnknown),
        (lambda did: NewMember(role=MemberRole.REVIEWER, did=did), FacetMismatch),
        (lambda did: NewMember(role=MemberRole.ARBITER, did=did, facet="risk"), FacetMismatch),
    ],
)
def test_an_unfit_member_is_refused_by_name(tx, member, refusal):
    operator = a_did()
    organization = an_organization(tx, by=operator)

    with pytest.raises(refusal), tx.savepoint():
        commands.add_member(tx, organization.id, member(operator), by=operator)

    assert len(queries.members_of(tx, organization.id)) == 1


def test_a_member_who_is_no_operator_changes_nothing(tx):
    operator, moderator = a_did(), a_did()
    organization, role, _ = a_full_organization(tx, by=operator)
    commands.add_member(tx, organization.id, NewMember(role=MemberRole.MODERATOR, did=moderator), by=operator)

    with acting_as(tx, moderator):
        for attempt in (
            lambda: commands.add_member(
                tx, organization.id, NewMember(role=MemberRole.OPERATOR, did=moderator), by=moderator
            ),
            lambda: commands.set_active(tx, organization.id, False, by=moderator),
            lambda: commands.set_threshold(tx, organization.id, role_title="supplier", min_trust_score=0, by=moderator),
            lambda: commands.set_role_agent_status(tx, role.id, RoleAgentStatus.SUSPENDED, by=moderator),
            lambda: a_role_agent(tx, organization, by=moderator, did=moderator),
        ):
            with pytest.raises(OperatorOnly):
                attempt()

    assert queries.organization_of(tx, organization.id).is_active
    assert queries.role_agent_of(tx, role.id).status == "active"
    assert [threshold.min_trust_score for threshold in queries.thresholds(tx, organization.id)] == [600]


# Tenants


def test_rows_of_another_organization_are_invisible(tx):
    operator, other = a_did(), a_did()
    a_full_organization(tx, by=operator)
    a_full_organization(tx, by=other)

    with acting_as(tx, operator):
        own = tx.one(TENANT_ROWS)
    with acting_as(tx, a_did()):
        of_a_stranger = tx.one(TENANT_ROWS)
    with acting_as(tx, "", kind="anonymous"):
        of_nobody = tx.one(TENANT_ROWS)

    assert own == {
        "organizations": 1,
        "members": 1,
        "role_templates": 1,
        "role_agents": 1,
        "acceptances": 1,
        "thresholds": 1,
        "audit_logs": 4,
    }
    assert of_a_stranger == of_nobody == NOTHING


def test_a_stranger_is_told_that_there_is_no_such_organization(tx):
    organization, role, _ = a_full_organization(tx, by=a_did())

    with acting_as(tx, stranger := a_did()):
        with pytest.raises(OrganizationUnknown):
            queries.members_of(tx, organization.id)
        with pytest.raises(OrganizationUnknown):
            commands.set_threshold(tx, organization.id, role_title="supplier", min_trust_score=0, by=stranger)
        with pytest.raises(RoleAgentUnknown):
            commands.set_role_agent_status(tx, role.id, RoleAgentStatus.RETIRED, by=stranger)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO governance.organizations (name, domain) VALUES ('a', 'b.example')",
        """INSERT INTO governance.organization_members (organization_id, did, role, added_by)
           VALUES (%(organization)s, %(did)s, 'operator', %(did)s)""",
        """INSERT INTO governance.role_trust_thresholds (organization_id, role_title, min_trust_score)
           VALUES (%(organization)s, 'supplier', 0)""",
        """INSERT INTO governance.audit_logs (action, entity, entity_id, user_id) VALUES ('a', 'b', 'c', 'did:key:other')""",
        """INSERT INTO governance.role_acceptances (role_agent_id, did) VALUES (%(role)s, %(victim)s)""",
        """INSERT INTO governance.decisions (subject, buyer_did, seller_did, amount, outcome, reasons, policy, decided_at)
           VALUES ('s', %(did)s, %(did)s, 1, 'ALLOW', '{}', '{}', now())""",
    ],
)
def test_row_security_stops_a_stranger_who_writes_past_the_commands(tx, statement):
    operator, stranger = a_did(), a_did()
    organization = an_organization(tx, by=operator)
    role = a_role_agent(tx, organization, by=operator, did=a_did(), accepted=False)
    values = {"organization": organization.id, "did": stranger, "role": role.id, "victim": role.assigned_to_did}

    with acting_as(tx, stranger), pytest.raises(psycopg.errors.InsufficientPrivilege), tx.savepoint():
        tx.connection.execute(statement, values)

    assert len(queries.members_of(tx, organization.id)) == 1


def test_an_agent_sees_its_own_role_and_not_its_colleagues(tx):
    operator, did = a_did(), a_did()
    organization = an_organization(tx, by=operator)
    role = a_role_agent(tx, organization, by=operator, did=did)
    a_role_agent(tx, organization, by=operator, did=a_did())

    with acting_as(tx, did):
        seen = queries.role_agents(tx, organization.id).items

    assert [agent.id for agent in seen] == [role.id]


# Role agents


def test_a_new_role_agent_has_the_standing_that_its_agent_has_earned(tx):
    operator, did = a_did(), a_did()
    organization = an_organization(tx, by=operator)

    with acting_as(tx, operator):
        role = a_role_agent(tx, organization, by=operator, did=did, accepted=False)

    assert (role.status, role.level, role.trust_score, role.is_eligible_for_mint) == ("active", 3, 500, False)
    assert (role.last_trust_check, role.accepted_at) == (tx.at, None)
    assert queries.organization_of(tx, organization.id).onboarding_complete


def test_role_agents_of_one_title_share_a_template_and_the_house_offers_two(tx):
    operator = a_did()
    organization = an_organization(tx, by=operator)
    templates = Query(int, "SELECT count(*) FROM governance.role_templates WHERE organization_id = %(organization)s")

    for title in ("Weather Desk", "weather desk", "supplier", "Buyer"):
        a_role_agent(tx, organization, by=operator, did=a_did(), role_title=title)

    assert tx.one(templates, organization=organization.id) == 1
    titles = [agent.role_title for agent in queries.role_agents(tx, organization.id).items]
    assert titles == ["Weather Desk", "Weather Desk", "supplier", "buyer"]


def test_only_the_assigned_agent_accepts_a_role_and_once(tx):
    operator, did = a_did(), a_did()
    role = a_role_agent(tx, an_organization(tx, by=operator), by=operator, did=did, accepted=False)

    with acting_as(tx, operator), pytest.raises(RoleNotAssigned), tx.savepoint():
        commands.accept_role(tx, role.id, by=operator)
    with acting_as(tx, did):
        first = commands.accept_role(tx, role.id, by=did)
        second = commands.accept_role(tx, role.id, by=did)

    assert first.accepted_at is not None
    assert first == second
    assert [row.by for row in queries.audit_rows(tx, action="role_agent.accepted").items] == [did]


def test_a_suspended_role_agent_can_be_activated_again_and_a_retired_one_not(tx):
    operator = a_did()
    role = a_role_agent(tx, an_organization(tx, by=operator), by=operator, did=a_did())

    with acting_as(tx, operator):
        seen = [
            commands.set_role_agent_status(tx, role.id, status, by=operator).status
            for status in (RoleAgentStatus.SUSPENDED, RoleAgentStatus.ACTIVE, RoleAgentStatus.RETIRED)
        ]
        with pytest.raises(RoleAgentRetired), tx.savepoint():
            commands.set_role_agent_status(tx, role.id, RoleAgentStatus.ACTIVE, by=operator)

    assert seen == ["suspended", "active", "retired"]
    assert queries.role_agent_of(tx, role.id).status == "retired"


def test_new_trust_in_an_agent_changes_the_standing_of_all_its_roles(tx):
    operator, did = a_did(), a_did()
    organization = an_organization(tx, by=operator)
    roles = [a_role_agent(tx, organization, by=operator, did=did, role_title=title) for title in ("a", "b")]
    bystander = a_role_agent(tx, organization, by=operator, did=a_did())

    keep_standing(tx, trust_changed(did, 0.91), EventId(1))

    standing = [queries.role_agent_of(tx, role.id) for role in roles]
    assert [(role.trust_score, role.level, role.is_eligible_for_mint) for role in standing] == [(910, 5, True)] * 2
    assert queries.role_agent_of(tx, bystander.id).level == 3


# Thresholds


@pytest.mark.parametrize("score", [-0.001, 1000.001, math.inf, -math.inf, math.nan])
def test_a_threshold_outside_of_the_scale_is_refused(tx, score):
    operator = a_did()
    organization = an_organization(tx, by=operator)

    with pytest.raises(ThresholdOutOfRange), tx.savepoint():
        commands.set_threshold(tx, organization.id, role_title="supplier", min_trust_score=score, by=operator)

    assert queries.thresholds(tx, organization.id) == []


def test_a_threshold_set_again_replaces_the_one_before(tx):
    operator = a_did()
    organization = an_organization(tx, by=operator)

    with acting_as(tx, operator):
        for score in (0, 1000):
            commands.set_threshold(tx, organization.id, role_title="supplier", min_trust_score=score, by=operator)
        thresholds = queries.thresholds(tx, organization.id)

    assert [(threshold.role_title, threshold.min_trust_score) for threshold in thresholds] == [("supplier", 1000)]


# Over HTTP


def test_an_operator_runs_its_organization_over_http(services):
    key, agent = AgentKey.generate(), AgentKey.generate()
    operator, runner = client_as(services, as_agent(key), router), client_as(services, as_agent(agent), router)

    organization = operator.post("/api/organizations", json={"name": "Acme", "domain": "acme.example"}).json()
    home = f"/api/organizations/{organization['id']}"
    role = operator.post(
        f"{home}/role-agents", json={"name": "Runner", "role_title": "supplier", "assigned_to_did": agent.did}
    )
    accepted = runner.post(f"/api/role-agents/{role.json()['id']}/accept")
    foreign = runner.patch(f"/api/role-agents/{role.json()['id']}", json={"status": "active"})
    suspended = operator.patch(f"/api/role-agents/{role.json()['id']}", json={"status": "suspended"})
    threshold = operator.post(f"{home}/thresholds", json={"role_title": "supplier", "min_trust_score": 600})
    too_high = operator.post(f"{home}/thresholds", json={"role_title": "supplier", "min_trust_score": 1001})
    member = operator.post(f"{home}/members", json={"role": "compliance_officer", "did": agent.did})
    closed = operator.patch(home, json={"is_active": False})
    trail = operator.get(f"{home}/audit").json()["items"]

    assert (role.status_code, accepted.status_code, foreign.status_code) == (201, 200, 403)
    assert suspended.json()["status"] == "suspended"
    assert threshold.json()["min_trust_score"] == 600
    assert (too_high.status_code, too_high.json()["code"]) == (422, "threshold_out_of_range")
    assert [row["role"] for row in member.json()] == ["operator", "compliance_officer"]
    assert closed.json()["is_active"] is False
    assert [row["action"] for row in trail] == [
        "organization.closed",
        "member.added",
        "threshold.set",
        "role_agent.suspended",
        "role_agent.accepted",
        "role_agent.named",
        "organization.founded",
    ]
    assert runner.get(f"{home}/members").status_code == 200
    assert [found["status"] for found in operator.get(f"{home}/role-agents").json()["items"]] == ["suspended"]
    assert operator.get(f"{home}/thresholds").json()[0]["role_title"] == "supplier"
    assert [found["id"] for found in operator.get("/api/organizations").json()["items"]] == [organization["id"]]
    assert client_as(services, as_agent(AgentKey.generate()), router).get(home).status_code == 404


def test_an_auditor_has_the_trail_verified_over_http_and_a_stranger_reads_its_head(services):
    key = AgentKey.generate()
    operator, stranger = (client_as(services, as_agent(who), router) for who in (key, AgentKey.generate()))
    operator.post("/api/organizations", json={"name": "Acme", "domain": "acme.example"})

    before = stranger.get("/api/audit/head").json()
    refused = stranger.post("/api/audit/verify")
    report = operator.post("/api/audit/verify").json()
    after = stranger.get("/api/audit/head").json()
    again = operator.post("/api/audit/verify", json={"anchor": after["head"]}).json()

    assert (before["sealed"], before["unsealed"]) == (0, 1)
    assert (refused.status_code, refused.json()["code"]) == (403, "auditor_only")
    assert (report["sealed"], report["unsealed"], report["broken"]) == (1, [], [])
    assert (after["sealed"], after["head"]) == (1, report["head"])
    assert again["broken"] == []


def test_a_pair_reads_its_decision_over_http(services):
    key = AgentKey.generate()
    with services.db.transaction() as tx:
        decision = commands.decide_hire(tx, buyer=key.did, seller=a_seller(tx), amount=5, subject="test", at=tx.at)

    own = client_as(services, as_agent(key), router).get(f"/api/decisions/{decision.id}")
    foreign = client_as(services, as_agent(AgentKey.generate()), router).get(f"/api/decisions/{decision.id}")

    assert (own.status_code, own.json()["outcome"]) == (200, "ALLOW")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "decision_unknown")


def test_an_unknown_role_agent_is_named_as_such(tx):
    nowhere = RoleAgentId("nowhere")

    with pytest.raises(RoleAgentUnknown):
        commands.accept_role(tx, nowhere, by=a_did())

    assert queries.audit_rows(tx, action="role_agent.accepted").items == []
