"""Every bad input gets a named refusal with its status, and nothing is written but nonce, audit and evidence."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from a2a.client.card_resolver import parse_agent_card
from a2a.utils.signing import create_agent_card_signer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.json_format import MessageToDict

from given.registry import card_document
from hansa.client import Refused
from hansa.infra.keys import AgentKey
from hansa.infra.signatures import sign_request
from hansa.kernel.dids import did_key, key_id
from hansa.registry.cards import sign_card


def signed(api, key, method, path, body=b"", *, at=None):
    """Headers of a request signed by hand, so that it can be wrong on purpose."""
    url = str(api.base_url).rstrip("/") + path
    return sign_request(method=method, url=url, headers={}, body=body, key=key, at=at or datetime.now(UTC))


def refusal(response):
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert isinstance(problem["retryable"], bool)
    return response.status_code, problem["code"]


def refused(act):
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.status, caught.value.code


def test_an_unsigned_command_is_refused(api, written):
    before = written()

    answer = api.post("/api/intents", json={"description": "x", "budget": 1})

    assert refusal(answer) == (401, "signature_required")
    assert written() == before


def test_a_wrong_signature_is_refused(api, agent, written):
    body = json.dumps({"description": "x", "budget": 1}).encode()
    headers = signed(api, agent().key, "POST", "/api/intents", body)
    before = written()

    tampered = body.replace(b'"x"', b'"y"')
    wrong_body = api.post("/api/intents", content=tampered, headers=headers)
    wrong_path = api.post(
        "/api/credits/faucet", content=body, headers=signed(api, agent().key, "POST", "/api/intents", body)
    )

    assert refusal(wrong_body) == (401, "digest_mismatch")
    assert refusal(wrong_path) == (401, "signature_wrong")
    assert written()["negotiation.intents"] == before["negotiation.intents"]


def test_a_request_signed_by_another_key_under_ones_name_is_refused(api, agent):
    mine, stranger = agent().key, AgentKey.generate()
    headers = signed(api, stranger, "GET", "/api/credits/account")
    headers = {name: value.replace(stranger.key_id, mine.key_id) for name, value in headers.items()}

    assert refusal(api.get("/api/credits/account", headers=headers)) == (401, "signature_wrong")


def test_a_replayed_request_is_refused(api, agent, written):
    key = agent().key
    body = json.dumps({"description": "x", "budget": 1}).encode()
    headers = signed(api, key, "POST", "/api/intents", body) | {"content-type": "application/json"}
    assert api.post("/api/intents", content=body, headers=headers).status_code == 201
    before = written()

    again = api.post("/api/intents", content=body, headers=headers)

    assert refusal(again) == (401, "nonce_replayed")
    assert written() == before


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_request_signed_at_another_time_is_refused(api, agent, minutes):
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    headers = signed(api, agent().key, "GET", "/api/credits/account", at=at)

    assert refusal(api.get("/api/credits/account", headers=headers)) == (401, "signature_expired")


def test_a_refused_request_has_used_up_its_nonce(api, agent):
    key = agent().key
    headers = signed(api, key, "POST", "/api/intents", b"{not json") | {"content-type": "application/json"}
    assert refusal(api.post("/api/intents", content=b"{not json", headers=headers)) == (422, "request_malformed")

    assert refusal(api.post("/api/intents", content=b"{not json", headers=headers)) == (401, "nonce_replayed")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"description": 1}'])
def test_a_body_of_another_shape_is_refused(api, agent, written, body):
    key = agent().key
    headers = signed(api, key, "POST", "/api/intents", body) | {"content-type": "application/json"}
    before = written()

    answer = api.post("/api/intents", content=body, headers=headers)

    assert refusal(answer) == (422, "request_malformed")
    assert written() == before


def test_a_body_that_is_too_large_is_refused(api):
    assert refusal(api.post("/api/intents", content=b"x" * 2_000_000)) == (413, "request_too_large")


@pytest.mark.parametrize("price", [-1, 0, 0.5, 1e3, "5", 10**15 + 1, 10**30, True, None])
def test_prices_that_are_no_amount_are_refused(agent, written, price):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("x", budget=5)["id"]
    before = written()

    status, code = refused(lambda: buyer.negotiate(seller.key.did, intent=intent, terms={"price": price}))

    assert (status, code) in {(422, "request_malformed"), (422, "terms_impossible"), (422, "number_out_of_range")}
    assert written() == before


@pytest.mark.parametrize(
    "misspelt",
    [
        {"delivery": 5},
        {"split": {"agent": 7000, "brokers": 1000}},
        {"split": {"agent": "7000"}},
        {"split": {"pool": True}},
    ],
)
def test_a_misspelt_term_is_refused_and_not_left_out_in_silence(agent, written, misspelt):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("x", budget=5)["id"]
    before = written()

    terms = {"price": 5, **misspelt}
    answer = refused(lambda: buyer.negotiate(seller.key.did, intent=intent, terms=terms))

    assert answer == (422, "request_malformed")
    assert written() == before


def test_text_that_cannot_be_stored_is_refused(agent):
    assert refused(lambda: agent().intend("nul \0 byte", budget=5)) == (422, "text_unstorable")


def test_unknown_ids_are_named(agent):
    me, nowhere = agent(), uuid.uuid4()

    assert refused(lambda: me.get(f"/api/negotiations/{nowhere}")) == (404, "negotiation_unknown")
    assert refused(lambda: me.accept(str(nowhere))) == (404, "negotiation_unknown")
    assert refused(lambda: me.get(f"/api/intents/{nowhere}")) == (404, "intent_unknown")
    assert refused(lambda: me.get(f"/api/credits/holds/{nowhere}")) == (404, "hold_unknown")
    assert refused(lambda: me.get(f"/api/tasks/{nowhere}")) == (404, "task_unknown")
    assert refused(lambda: me.get(f"/api/agents/{AgentKey.generate().did}")) == (404, "agent_unknown")
    assert refused(lambda: me.get("/api/negotiations/not-an-id")) == (422, "request_malformed")
    assert refused(lambda: me.get("/api/nothing/here")) == (404, "route_unknown")
    assert refused(lambda: me.call("PUT", "/api/intents")) == (405, "method_unknown")


def test_self_hire_is_refused(agent, written):
    me = agent()
    intent = me.intend("x", budget=5)["id"]
    before = written()

    assert refused(lambda: me.negotiate(me.key.did, intent=intent, terms={"price": 5})) == (422, "self_hire")
    assert written() == before


def test_a_hire_below_the_policys_trust_is_denied_and_its_evidence_kept(agent, owner, written):
    buyer, seller = agent("Buyer"), agent("Seller")
    house = buyer.post("/api/organizations", {"name": "Kontor", "domain": "kontor.example"})
    buyer.post(
        f"/api/organizations/{house['id']}/role-agents",
        {"name": "buys", "role_title": "purchasing", "assigned_to_did": buyer.key.did},
    )
    buyer.post(f"/api/organizations/{house['id']}/thresholds", {"role_title": "supplier", "min_trust_score": 600})
    intent = buyer.intend("x", budget=5)["id"]
    before = written()

    with pytest.raises(Refused) as denied:
        buyer.negotiate(seller.key.did, intent=intent, terms={"price": 5})

    assert (denied.value.status, denied.value.code) == (403, "hire_denied")
    assert "trust_below_policy: 500 < 600" in denied.value.problem["reasons"][0]
    [(outcome,)] = owner.execute("SELECT outcome FROM governance.decisions").fetchall()
    assert outcome == "DENY"
    after = written()
    after["ops.idempotency_keys"] -= 1  # a denial is an answer, and answers are kept under their key
    assert after == before


def signed_without_a_look(document, private):
    """A card that the official SDK signs, whatever it says; ours would refuse to sign this one."""
    kid = key_id(did_key(private.public_key().public_bytes_raw()))
    sign = create_agent_card_signer(private, {"kid": kid, "alg": "EdDSA", "jku": None, "typ": "JOSE"})
    return MessageToDict(sign(parse_agent_card(document)))


def test_a_signed_card_with_a_foreign_wallet_is_refused(agent, written):
    private, other = Ed25519PrivateKey.generate(), AgentKey.generate()
    key = AgentKey.from_secret(private.private_bytes_raw() + private.public_key().public_bytes_raw())
    me = agent(registered=False, key=key)
    card = card_document(name="Impostor", params={"wallet": other.wallet})
    honest = signed_without_a_look(card_document(name="Honest", params={"wallet": key.wallet}), private)
    before = written()

    assert refused(lambda: me.register(signed_without_a_look(card, private))) == (403, "card_wallet_foreign")
    assert written() == before
    assert me.register(honest)["created"] is True, "the same card with its own wallet is taken"


def test_a_card_of_another_agent_is_refused(agent, written):
    me, other = agent(registered=False), AgentKey.generate()
    before = written()

    assert refused(lambda: me.register(sign_card(card_document(name="Other"), other))) == (403, "agent_foreign")
    assert written() == before


def test_a_review_without_a_paid_task_is_refused(agent):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("x", budget=5000)["id"]
    deal = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 5000})
    seller.accept(deal["id"])
    task = buyer.post("/api/tasks", {"negotiation": deal["id"], "title": "T", "description": "D"})

    assert refused(lambda: buyer.post(f"/api/tasks/{task['id']}/review", {"rating": 5})) == (409, "task_not_paid")


def test_an_idempotency_key_gives_the_same_answer_and_is_for_one_request(agent, owner):
    me = agent()
    body = {"description": "once", "budget": 5}

    first = me.post("/api/intents", body, once="k1")
    second = me.post("/api/intents", body, once="k1")

    assert first == second
    assert owner.execute("SELECT count(*) FROM negotiation.intents").fetchone()[0] == 1
    assert refused(lambda: me.post("/api/intents", {**body, "budget": 6}, once="k1")) == (409, "idempotency_key_reused")
    assert refused(lambda: me.post("/api/intents", body, once="k" * 201)) == (422, "idempotency_key_malformed")


def test_a_key_of_one_agent_is_not_another_agents_key(agent):
    body = {"description": "once", "budget": 5}

    first, second = (agent().post("/api/intents", body, once="same") for _ in range(2))

    assert first["id"] != second["id"]


def test_insufficient_funds_say_what_is_missing(agent):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("x", budget=10**10)["id"]
    deal = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 2_000_000})

    with pytest.raises(Refused) as caught:
        seller.accept(deal["id"])

    assert (caught.value.status, caught.value.code) == (402, "insufficient_funds")
    assert caught.value.problem["missing"] == 1_000_000


def test_a_stranger_does_not_see_a_deal(agent):
    buyer, seller, stranger = agent("Buyer"), agent("Seller"), agent("Stranger")
    intent = buyer.intend("x", budget=5)["id"]
    deal = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 5})

    assert refused(lambda: stranger.get(f"/api/negotiations/{deal['id']}")) == (403, "not_a_participant")
    assert refused(lambda: stranger.get(f"/api/deals/{deal['id']}")) == (403, "not_a_participant")


def test_every_answer_names_its_trace(api):
    given = "0" * 31 + "1"

    answer = api.get("/healthz", headers={"traceparent": f"00-{given}-{'0' * 15}1-01"})
    refused_answer = api.post("/api/intents", json={})

    assert answer.headers["trace-id"] == given
    assert refused_answer.json()["trace"] == refused_answer.headers["trace-id"]


def test_the_transaction_has_committed_before_the_answer_leaves(agent, owner):
    owner.execute(
        "CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'too late' USING ERRCODE = '40001'; END$$"
    )
    owner.execute(
        "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON negotiation.intents DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION public.fail()"
    )
    me = agent()

    assert refused(lambda: me.intend("x", budget=5)) == (503, "transaction_retry")
