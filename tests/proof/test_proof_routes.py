"""Proof over HTTP, as each kind of caller sees it."""

from urllib.parse import quote

import pytest

from given import proof, registry
from given.identity import account, as_agent, as_user, client_as
from hansa.infra.db import Actor
from hansa.infra.keys import AgentKey
from hansa.proof import commands, sd_jwt
from hansa.proof.models import Evidence
from hansa.proof.routes import router

NOBODY = Actor(kind="anonymous")


@pytest.fixture
def house(services):
    key = AgentKey.generate()
    key.save(services.settings.home / "keys" / "house.json")
    return key


@pytest.fixture
def worked(services):
    """An agent with one settled and counted piece of work: its key and its log."""
    key = AgentKey.generate()
    with services.db.transaction() as tx:
        registry.agent(tx, key)
        proof.settled(tx, key.did, services.keys, subject_id="the deal")
        _, log = proof.recorded(tx, key.did, services.keys, subject_id="another deal")
    return key, str(log.id)


def client(services, actor=NOBODY):
    return client_as(services, actor, router)


def test_a_reputation_is_told_with_its_wallet_and_hashes_and_explained_on_request(services, worked):
    key, _ = worked

    short = client(services).get(f"/api/agents/{key.did}/reputation").json()
    long = client(services).get(f"/api/agents/{key.did}/reputation?explain=1").json()

    assert short["reputation"]["score"] == "0.01"
    assert short["reputation"]["explanation"] is None
    assert short["wallet_address"] == key.wallet
    assert len(short["work"]) == 2
    explained = long["reputation"]["explanation"]
    assert explained["success"] == pytest.approx(1)
    assert explained["payers"] == 1
    assert long["reputation"]["policy"] == "devnet"


@pytest.mark.parametrize("spelling", ["plain", "escaped", "did:solana"])
def test_dids_are_written_in_paths_as_they_are(services, worked, spelling):
    key, _ = worked
    did = {"plain": key.did, "escaped": quote(key.did, safe=""), "did:solana": f"did:solana:{key.wallet}"}[spelling]

    answer = client(services).get(f"/api/agents/{did}/reputation")

    assert answer.status_code == (404 if spelling == "did:solana" else 200)


@pytest.mark.parametrize("page", ["reputation", "trust", "trust/events", "work"])
def test_unknown_agents_and_texts_that_are_no_dids_are_refused(services, page):
    unknown = client(services).get(f"/api/agents/{AgentKey.generate().did}/{page}")
    nonsense = client(services).get(f"/api/agents/did:nonsense:1/{page}")

    assert unknown.status_code == 404
    assert unknown.json()["code"] == "agent_unknown"
    assert nonsense.status_code == 422


def test_trust_is_asked_with_one_call_and_answered_with_a_reason(services, worked):
    key, _ = worked

    no = client(services).get(f"/api/agents/{key.did}/trust?min=0.7").json()
    yes = client(services).get(f"/api/agents/{key.did}/trust?min=0.5").json()

    assert (no["trusted"], yes["trusted"]) == (False, True)
    assert "is below 0.700" in no["reason"]
    assert "reaches 0.500" in yes["reason"]
    assert no["trust"]["score"] == pytest.approx(0.5595, abs=1e-3)
    assert "weakest is honesty with 0.500" in no["reason"]
    assert "1 settled work, 0 attested, 0 disputed, the newest of 20" in no["reason"]
    assert no["trust"]["evidence"] == {"work": 1, "attestations": 0, "disputes": 0}
    assert no["trust"]["as_of"] >= no["trust"]["last_updated"]
    assert "literal_score" in no["trust"]


def test_whoever_asks_for_the_neutral_trust_gets_it_also_when_evidence_weighed_nothing(services):
    with services.db.transaction() as tx:
        agent = registry.agent(tx).did
        proof.settled(tx, agent, services.keys, payer=agent)

    answer = client(services).get(f"/api/agents/{agent}/trust?min=0.5").json()

    assert answer["trusted"] is True
    assert answer["trust"]["evidence"]["work"] == 1


def test_the_evidence_behind_trust_is_public_but_not_which_deal_it_was(services, worked):
    key, _ = worked
    with services.db.transaction() as tx:
        commands.note_evidence(
            tx,
            Evidence.of_audit(
                ref="attestation:1",
                agent=key.did,
                passed=True,
                score=0.9,
                work="negotiation:the deal",
                occurred_at=tx.at,
            ),
        )
        commands.fold_trust(tx, "attestation:1")
    page, own = f"/api/agents/{key.did}/trust/events", client(services, as_agent(key))

    audit, work = client(services).get(page).json()["items"]
    first = client(services).get(f"{page}?limit=1").json()
    second = client(services).get(f"{page}?limit=1&after={first['after']}").json()

    assert (audit["kind"], audit["honesty"], audit["competence"], audit["weight"]) == ("attestation", 0.95, 0.9, 1)
    assert (audit["reliability"], audit["timeliness"], audit["ref"]) == (None, None, None)
    assert (work["kind"], work["reliability"], work["timeliness"], work["honesty"]) == ("work", 0.95, 1, None)
    assert "the deal" not in client(services).get(page).text
    assert [move["ref"] for move in own.get(page).json()["items"]] == ["attestation:1", "negotiation:the deal"]
    assert [first["items"], second["items"]] == [[audit], [work]]
    assert "1 settled work, 1 attested" in client(services).get(f"/api/agents/{key.did}/trust").json()["reason"]


def test_trust_in_an_agent_without_work_says_that_nothing_is_known(services):
    with services.db.transaction() as tx:
        agent = registry.agent(tx).did

    answer = client(services).get(f"/api/agents/{agent}/trust").json()

    assert answer["trusted"] is False
    assert "nothing is known" in answer["reason"]


def test_work_is_opened_for_the_agent_itself_only_until_it_publishes_it(services, worked):
    key, log = worked
    own, other = client(services, as_agent(key)), client(services, as_agent(AgentKey.generate()))

    assert own.get(f"/api/agents/{key.did}/work").json()["items"][0]["record"]["subject_id"] == "another deal"
    assert other.get(f"/api/agents/{key.did}/work").json()["items"][0]["record"] is None
    assert other.post(f"/api/work/{log}/publish").status_code == 403
    assert client(services).post(f"/api/work/{log}/publish").status_code == 401

    assert own.post(f"/api/work/{log}/publish").json()["disclosure_level"] == "public"

    assert client(services).get(f"/api/work/{log}").json()["record"]["subject_id"] == "another deal"
    assert own.get(f"/api/agents/{key.did}/work?limit=1").json()["items"][0]["log"]["id"] == log


def test_work_is_found_by_its_hash_and_the_best_agents_by_their_score(services, worked):
    key, log = worked
    everybody = client(services)

    zkp_hash = everybody.get(f"/api/work/{log}").json()["log"]["zkp_hash"]

    assert [found["id"] for found in everybody.get(f"/api/work?zkp_hash={zkp_hash}").json()] == [log]
    assert [row["agent"] for row in everybody.get("/api/reputation?score_min=0.01").json()["items"]] == [key.did]
    assert everybody.get("/api/reputation?score_min=0.02").json()["items"] == []


def test_a_disclosure_from_the_question_to_the_verified_answer(services, worked, house):
    key, log = worked
    with services.db.transaction() as tx:
        person = account(tx)
        at = tx.at
    own, asker = client(services, as_agent(key)), client(services, as_user(person))

    credential = own.post(f"/api/work/{log}/credential").json()
    request = asker.post("/api/disclosures", json={"log": log, "audience": "https://buyer.example"}).json()
    waiting = own.get("/api/disclosures?unanswered=true").json()["items"]
    presentation = sd_jwt.present(
        credential["credential"],
        ["amount"],
        holder=key,
        audience=waiting[0]["audience"],
        nonce=waiting[0]["nonce"],
        at=at,
    )
    answered = own.post(f"/api/disclosures/{request['id']}/presentation", json={"presentation": presentation})
    again = own.post(f"/api/disclosures/{request['id']}/presentation", json={"presentation": presentation})
    seen = asker.get(f"/api/disclosures/{request['id']}").json()

    assert credential["issuer"] == house.did
    assert answered.status_code == 200
    assert again.status_code == 409
    assert seen["presentation"]["claims"]["amount"] == "10000"
    assert seen["presentation"]["disclosed"] == ["amount"]
    assert client(services, as_agent(AgentKey.generate())).get(f"/api/disclosures/{request['id']}").status_code == 404
    assert client(services).get(f"/api/disclosures/{request['id']}").status_code == 401


def test_a_house_without_a_key_says_so(services, worked):
    key, log = worked

    answer = client(services, as_agent(key)).post(f"/api/work/{log}/credential")

    assert answer.status_code == 503
    assert answer.json()["code"] == "house_key_missing"


def test_requests_of_nobody_are_refused(services, worked):
    _, log = worked

    answer = client(services).post("/api/disclosures", json={"log": log, "audience": "https://buyer.example"})

    assert answer.status_code == 401
