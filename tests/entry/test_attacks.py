"""What a hostile caller tries over HTTP, and what it gets."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from entry.test_refusals import refusal, refused, signed
from given.identity import Alias
from given.registry import card_document
from hansa.client import Hansa, Refused
from hansa.identity.models import rotation_statement
from hansa.infra import outbox
from hansa.infra.keys import AgentKey
from hansa.infra.signatures import sign_request
from hansa.kernel import base58
from hansa.registry.cards import sign_card


def accepted(buyer, seller, *, price=90_000, **terms):
    intent = buyer.intend("work", budget=price)["id"]
    deal = buyer.negotiate(seller.key.did, intent=intent, terms={"price": price, **terms})
    return seller.accept(deal["id"])


def rotated(agent):
    """The new key in the place of an agent's own, under the agent's name."""
    old, new = agent.key, AgentKey.generate()
    proof = base58.encode(new.sign(rotation_statement(old.did, new.public_key)))
    changed = agent.post("/api/keys/rotate", {"key_id": old.key_id, "new_key": new.did, "proof": proof})
    return Alias(new, old.did, changed["kid"])


def delivered(services):
    """Deliver all events, as the worker does; how many are left because their reactions fail."""
    while outbox.dispatch(services.db):
        pass
    with services.db.transaction() as tx:
        return outbox.undelivered(tx)


def sign_in(api, key):
    challenge = api.post("/api/sign-in/challenge", json={"address": key.wallet}).json()
    signature = base58.encode(key.sign(challenge["message"].encode()))
    opened = api.post("/api/sign-in", json={"message": challenge["message"], "signature": signature}).json()
    return {"authorization": f"Bearer {opened['token']}"}


# ---------------------------------------------------------------------------------------------------------------
# Identity


def test_a_request_that_was_signed_for_another_server_is_refused(api, agent, services):
    services.settings.public_url = "https://hansa.example"
    key = agent(registered=False).key
    stolen = sign_request(
        method="GET",
        url="https://elsewhere.example/api/credits/account",
        headers={},
        body=b"",
        key=key,
        at=datetime.now(UTC),
    )
    meant = sign_request(
        method="GET",
        url="https://hansa.example/api/credits/account",
        headers={},
        body=b"",
        key=key,
        at=datetime.now(UTC),
    )

    relayed = api.get("/api/credits/account", headers={**stolen, "host": "elsewhere.example"})
    direct = api.get("/api/credits/account", headers={**meant, "host": "hansa.example"})

    assert refusal(relayed) == (401, "signature_elsewhere")
    assert direct.status_code == 200


def test_two_names_of_one_key_are_not_two_agents(agent):
    me = agent("Myself")
    other = Alias(me.key, me.key.did_sol, f"{me.key.did_sol}#default")
    card = card_document(name="Also myself", params={"did": me.key.did_sol, "wallet": me.key.wallet})

    with Hansa(me.url, other, patience_s=0) as alias:
        assert refused(lambda: alias.register(sign_card(card, me.key))) == (409, "agent_wallet_taken")


def test_two_agents_of_one_account_cannot_hire_each_other(agent, owner):
    renewed = rotated(agent("First name"))
    first, second = agent(key=renewed, registered=False), agent("Second name", key=renewed.key)
    intent = first.intend("wash", budget=5000)["id"]

    status, code = refused(lambda: first.negotiate(second.key.did, intent=intent, terms={"price": 5000}))

    assert (status, code) == (403, "hire_denied")
    with pytest.raises(Exception, match="agents of one account"):
        owner.execute(
            "SELECT negotiation.open(%s, %s, %s, uuidv7(), 1, '1 hour', NULL)",
            (intent, first.key.did, second.key.did),
        )


def test_a_stolen_keys_session_ends_with_the_key(api, agent):
    me = agent()
    thief = sign_in(api, me.key)
    assert api.get("/api/me", headers=thief).status_code == 200

    rotated(me)

    assert refusal(api.get("/api/me", headers=thief)) == (401, "session_ended")


def test_signing_in_does_not_make_a_payer_known(api, agent, owner):
    me = agent()

    sign_in(api, me.key)

    assert owner.execute("SELECT bool_or(is_verified) FROM identity.users").fetchone() == (False,)


def test_a_rotated_agent_signs_its_next_card_with_the_new_key_and_no_more_with_the_old_one(agent):
    first = agent("Before")
    old, renewed = first.key, rotated(first)
    with Hansa(first.url, renewed, patience_s=0) as after:
        card = card_document(name="After", params={"did": old.did, "wallet": renewed.wallet})
        changed = after.register(sign_card(card, renewed))["agent"]
        stale = card_document(name="Stale", params={"did": old.did, "wallet": old.wallet})

        assert (changed["did"], changed["name"], changed["version"]) == (old.did, "After", 2)
        assert changed["wallet_address"] == renewed.wallet
        assert refused(lambda: after.register(sign_card(stale, old))) == (403, "card_key_ended")


def test_a_revoked_key_signs_under_none_of_its_names(api, agent):
    me = agent()
    me.post("/api/keys/revoke", {"key_id": me.key.key_id, "reason": "compromised"})

    for name in (me.key, Alias(me.key, me.key.did_sol, f"{me.key.did_sol}#default")):
        with Hansa(me.url, name, patience_s=0) as thief:
            assert refused(thief.account) == (401, "key_unknown")


def test_no_agent_gets_a_name_that_looks_like_anothers(agent, written):
    agent("Acme Research")
    before, stranger = written(), agent(registered=False)
    alike = ["ACME RESEARCH", "\uff21cme Research"]
    hidden = ["Acme\u200b Research", "Acme  Research", "Acme\u00a0Research", "\u202eAcme Research", "Acme\nResearch"]

    def take(name):
        stranger.register(sign_card(card_document(name=name), stranger.key))

    assert {refused(lambda name=name: take(name)) for name in alike} == {(409, "agent_name_taken")}
    assert {refused(lambda name=name: take(name)) for name in hidden} == {(422, "agent_name_unfit")}
    assert written() == before


def test_an_agent_is_neither_kept_alive_nor_retired_by_another(agent):
    me, stranger = agent("Me"), agent("Stranger")
    mine = f"/api/agents/{me.key.did}"

    assert refused(lambda: stranger.post(f"{mine}/heartbeat", {"ttl_s": 60})) == (403, "agent_foreign")
    assert refused(lambda: stranger.call("DELETE", mine)) == (403, "agent_foreign")


def test_strangers_do_not_share_idempotency_keys(api):
    def ask(text):
        return api.post("/api/agents/query", json={"text": text}, headers={"idempotency-key": "1"})

    assert [ask("one").status_code, ask("two").status_code] == [200, 200]


# ---------------------------------------------------------------------------------------------------------------
# Money


def test_the_faucet_runs_once_for_all_names_of_a_key(agent):
    me = agent()
    other = Alias(me.key, me.key.did_sol, f"{me.key.did_sol}#default")

    with Hansa(me.url, other, patience_s=0) as alias:
        assert alias.faucet()["balance"] == 0
    assert me.faucet()["balance"] == 1_000_000


def test_a_party_does_not_validate_its_own_deal(agent, written):
    buyer, seller = agent("Buyer"), agent("Seller")
    settle = f"/api/negotiations/{accepted(buyer, seller)['id']}/settle"
    before = written()

    answers = [refused(lambda who=who: buyer.post(settle, {"validator": who.key.did})) for who in (buyer, seller)]

    assert answers == [(422, "validator_not_independent")] * 2
    assert written() == before


def test_nobody_is_paid_as_validator_who_is_no_agent(agent, written):
    buyer, seller = agent("Buyer"), agent("Seller")
    settle = f"/api/negotiations/{accepted(buyer, seller)['id']}/settle"
    strangers = ["system:mint", "nobody", "did:key:z6Mk", "", "did:web:nobody.example"]
    before = written()

    answers = [refused(lambda who=who: buyer.post(settle, {"validator": who})) for who in strangers]

    assert answers == [(422, "invalid_did")] * 4 + [(404, "party_unknown")]
    assert written() == before


def test_a_round_that_does_not_exist_is_not_accepted(agent):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("x", budget=5000)["id"]
    deal = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 5000})["id"]

    answers = {refused(lambda seen=seen: seller.accept(deal, seen_round=seen)) for seen in (0, -1, 2)}

    assert answers == {(409, "proposal_changed")}


def test_an_intent_is_served_by_deals_of_its_own_requester(agent, written):
    buyer, seller, stranger = agent("Buyer"), agent("Seller"), agent("Stranger")
    intent = buyer.intend("mine", budget=5000)["id"]
    before = written()

    status, code = refused(lambda: stranger.negotiate(seller.key.did, intent=intent, terms={"price": 5000}))

    assert (status, code) == (403, "intent_foreign")
    assert written() == before


# ---------------------------------------------------------------------------------------------------------------
# At the same moment


def together(*acts):
    """Run acts at the same time; each one's answer or refusal."""

    def outcome(act):
        try:
            return act()
        except Refused as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(outcome, acts))


def unspoiled(owner):
    return owner.execute("SELECT * FROM credits.discrepancies").fetchall() == []


def test_one_idempotency_key_sent_many_times_at_once_happens_once(agent, owner):
    me = agent()
    body = {"description": "once", "budget": 5}

    answers = together(*[lambda: me.post("/api/intents", body, once="same") for _ in range(12)])

    assert len({answer["id"] for answer in answers}) == 1
    assert owner.execute("SELECT count(*) FROM negotiation.intents").fetchone() == (1,)


def test_of_accepting_and_rejecting_at_once_one_happens(agent, owner):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("x", budget=5000)["id"]
    deal = buyer.negotiate(seller.key.did, intent=intent, terms={"price": 5000})["id"]

    answers = together(
        *[lambda: seller.accept(deal)] * 3, *[lambda: buyer.post(f"/api/negotiations/{deal}/reject", {})] * 3
    )

    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert {answer for answer in answers if isinstance(answer, str)} == {"negotiation_closed"}
    state = buyer.get(f"/api/negotiations/{deal}")["negotiation"]["state"]
    assert buyer.account()["reserved"] == (5000 if state == "accepted" else 0)
    assert unspoiled(owner)


def test_a_delivery_accepted_many_times_at_once_is_paid_once(agent, owner):
    buyer, seller = agent("Buyer"), agent("Seller")
    deal = accepted(buyer, seller)
    task = buyer.post("/api/tasks", {"negotiation": deal["id"], "title": "T", "description": "D"})["id"]
    seller.post(f"/api/tasks/{task}/start")
    seller.post(f"/api/tasks/{task}/deliver", {"notes": "done"})

    answers = together(
        *[lambda: buyer.post(f"/api/tasks/{task}/accept")] * 4,
        *[lambda: buyer.post(f"/api/negotiations/{deal['id']}/settle")] * 2,
        *[lambda: seller.post(f"/api/tasks/{task}/cancel")] * 2,
    )

    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert seller.account()["balance"] == 1_063_000
    assert buyer.account()["balance"] == 910_000
    assert unspoiled(owner)


def test_a_deal_settled_while_a_task_is_made_of_it_ends_in_one_of_both(agent, owner):
    buyer, seller = agent("Buyer"), agent("Seller")
    deal = accepted(buyer, seller)["id"]

    together(
        lambda: buyer.post("/api/tasks", {"negotiation": deal, "title": "T", "description": "D"}),
        lambda: buyer.settle(deal),
        lambda: buyer.settle(deal),
    )

    settled, tasks = owner.execute(
        "SELECT (SELECT count(*) FROM negotiation.settlements), (SELECT count(*) FROM market.tasks)"
    ).fetchone()
    assert settled + tasks == 1
    assert unspoiled(owner)


def test_two_deals_for_money_that_pays_one_are_not_both_accepted(agent, owner):
    buyer, sellers = agent("Buyer"), [agent(f"Seller {n}") for n in range(4)]
    intent = buyer.intend("x", budget=10**7)["id"]
    deals = [buyer.negotiate(seller.key.did, intent=intent, terms={"price": 600_000})["id"] for seller in sellers]

    answers = together(*[lambda s=s, d=d: s.accept(d) for s, d in zip(sellers, deals, strict=True)])

    assert sorted(map(str, (type(answer) for answer in answers))).count("<class 'dict'>") == 1
    assert [answer for answer in answers if isinstance(answer, str)] == ["insufficient_funds"] * 3
    assert buyer.account()["reserved"] == 600_000
    assert unspoiled(owner)


# ---------------------------------------------------------------------------------------------------------------
# Odd input


def nested(levels):
    document = {"end": True}
    for _ in range(levels):
        document = {"a": document}
    return document


UNREADABLE = [
    ({"half": "\ud800"}, "text_unstorable"),
    ({"\udfff": 1}, "text_unstorable"),
    ({"a": float("nan")}, "number_out_of_range"),
    ({"a": float("-inf")}, "number_out_of_range"),
    (nested(200), "document_too_deep"),
    (nested(900), "document_too_deep"),
]


def post(api, key, path, body):
    """Send a body as it is, signed."""
    headers = signed(api, key, "POST", path, body) | {"content-type": "application/json"}
    return api.post(path, content=body, headers=headers)


def test_a_document_that_could_not_be_read_again_is_refused(api, agent, written):
    key = agent().key
    before = written()

    bodies = [json.dumps({"description": "x", "budget": 1, "terms": terms}).encode() for terms, _ in UNREADABLE]
    answers = [refusal(post(api, key, "/api/intents", body)) for body in bodies]

    assert answers == [(422, code) for _, code in UNREADABLE]
    assert written() == before


def test_a_counterparty_cannot_make_ones_list_of_deals_unreadable(agent):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("x", budget=5)["id"]

    refused(lambda: buyer.negotiate(seller.key.did, intent=intent, terms={"price": 5, "custom": nested(300)}))

    assert seller.get("/api/negotiations")["items"] == []


def test_a_malformed_body_is_a_refusal_everywhere(api, agent):
    key = agent().key
    paths = ["/api/intents", "/api/negotiations", "/api/agents", "/api/agents/query"]
    bodies = [b'{"\\ud800": "\\ud800"}', b'"\\ud800"', b"[" * 100_000, b"9" * 5000, b"NaN"]

    answers = {(path, body[:9]): refusal(post(api, key, path, body))[0] for path in paths for body in bodies}

    assert set(answers.values()) == {422}


def test_a_responder_that_is_no_did_is_refused(agent):
    buyer = agent("Buyer")
    intent = buyer.intend("x", budget=5)["id"]
    strangers = ["nobody", "", "did", "did:", ":::", "did:key:z6Mk", "x" * 100_000]

    answers = [refused(lambda who=who: buyer.negotiate(who, intent=intent, terms={"price": 5})) for who in strangers]

    assert answers == [(422, "invalid_did")] * len(strangers)


def test_an_impossible_number_of_rounds_is_refused(agent):
    buyer, seller = agent("Buyer"), agent("Seller")
    intent = buyer.intend("x", budget=5)["id"]

    def open_with(rounds):
        buyer.negotiate(seller.key.did, intent=intent, terms={"price": 5}, max_rounds=rounds)

    answers = {refused(lambda rounds=rounds: open_with(rounds)) for rounds in (0, -1, 21, 2**31, 2**63, 10**40)}

    assert answers == {(422, "round_limit_impossible"), (422, "number_out_of_range")}


def test_a_user_name_that_is_far_too_long_is_refused(agent):
    assert refused(lambda: agent().call("PATCH", "/api/me", body={"username": "x" * 20_000})) == (422, "text_too_long")


def test_a_card_cannot_set_the_trust_in_its_agent(api, agent):
    praise = {"trust_score": 1, "score": 1, "decay_rate": 1, "reliability": 1, "honesty": 1}
    key = AgentKey.generate()
    boaster = agent(registered=False, key=key)

    for version in ("1.0.0", "1.0.1"):  # a registration and its update
        card = card_document(name="Boaster", version=version, params={"trust": 1.0}, trust=praise, **praise)
        boaster.post("/api/agents", sign_card(card, key))

    answer = api.get(f"/api/agents/{key.did}/trust").json()
    dimensions = ("score", "reliability", "honesty", "competence", "timeliness")
    assert [answer["trust"][name] for name in dimensions] == [0.5] * 5
    assert answer["trust"]["decay_rate"] == 0.977
    assert answer["trust"]["evidence"] == {"work": 0, "attestations": 0, "disputes": 0}


def test_an_agents_name_is_text_on_the_page_and_no_markup(api, agent, services):
    evil = '<script>alert("x")</script>'
    buyer, seller = agent("Buyer"), agent(evil)
    buyer.settle(accepted(buyer, seller, price=5000)["id"])
    delivered(services)

    page = api.get("/")

    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert evil not in page.text
    assert "&lt;script&gt;" in page.text


def test_a_card_full_of_words_does_not_stop_the_index(agent, services):
    words = iter(f"w{n:06x}" for n in range(10**6))
    skills = [
        {"id": f"s{n}", "name": f"Skill {n}", "description": " ".join(next(words) for _ in range(1000)), "tags": ["t"]}
        for n in range(100)
    ]
    me = agent(registered=False)

    me.register(sign_card(card_document(name="Dictionary", skills=skills), me.key))

    assert delivered(services) == 0
    assert me.search("Dictionary")["hits"][0]["did"] == me.key.did
