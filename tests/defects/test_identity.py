"""Attacks on who is who: forged and replayed requests, agents that praise themselves, a database that goes away."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from given import registry
from given.books import committed, money, nothing_lost
from given.defects import defect
from given.identity import Alias
from given.market import deliver_events
from given.registry import card_document
from hansa.credits import commands as ledger
from hansa.infra.keys import AgentKey
from hansa.infra.settings import Settings
from hansa.infra.signatures import sign_request
from hansa.registry import commands as agents
from hansa.registry import queries
from hansa.registry.cards import sign_card

JSON = {"content-type": "application/json"}


@pytest.fixture
def production(services, monkeypatch):
    """The house runs as it does in production."""
    monkeypatch.setenv("HANSA_ENV", "production")
    services.settings.env = Settings().env
    assert services.settings.production
    return services.settings


def signed(api, key, method, path, body=b"", *, at=None, sent=None):
    """A request signed with the SDK's own function and not sent yet; `sent` is another body than the signed one."""
    url = (at or str(api.base_url).rstrip("/")) + path
    fields = sign_request(method=method, url=url, headers={}, body=body, key=key, at=datetime.now(UTC))
    return api.build_request(method, path, content=body if sent is None else sent, headers={**fields, **JSON})


def at_once(count, act):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: act(), range(count)))


# ---------------------------------------------------------------------------------------------------------------
# Signatures


@defect(
    "http_forged_accept",
    "A DID comes from a verified signature and from nowhere else: unsigned, with any header or body, or signed with"
    " another key, everything is a 401.",
)
def test_nobody_accepts_in_the_victims_name(api, agent, production, db, owner):
    victim, attacker = agent(registered=False), agent(registered=False)
    with db.transaction() as tx:
        for hansa, name in ((victim, "Victim"), (attacker, "Attacker")):
            registry.agent(tx, hansa.key, name=name)
        ledger.open_with_faucet(tx, victim.key.did, 500_000)
    me, him = victim.key.did, attacker.key.did
    intent = victim.intend("a brief", budget=500_000)["id"]
    offer = victim.negotiate(him, intent=intent, terms={"price": 1000})["id"]
    attacker.propose(offer, {"price": 500_000})
    terms = {"price": 500_000}
    forgeries = {
        "/api/intents": {"description": "x", "budget": 1, "requester_did": me, "did": me},
        "/api/negotiations": {"intent": intent, "responder": him, "terms": terms, "initiator": me, "from": me},
        f"/api/negotiations/{offer}/propose": {**terms, "by": me, "did": me},
        f"/api/negotiations/{offer}/accept": {"round": 2, "by": me, "did": me},
        f"/api/negotiations/{offer}/settle": {"validator": him, "by": me},
    }
    claims = [
        {},
        {"x-ainp-did": me, "x-agent-did": me, "x-did": me, "x-ainp-signature": "AAAA"},
        {"authorization": f"DID {me}"},
        {"authorization": f"Bearer {me}"},
        {"signature": "hansa=:AAAA:", "signature-input": f'hansa=("@method");keyid="{victim.key.key_id}"'},
    ]

    answers = Counter()
    for path, body in forgeries.items():
        content = json.dumps(body).encode()
        for claim in claims:
            answers[api.post(path, content=content, headers=claim | JSON).status_code] += 1
        borrowed = signed(api, attacker.key, "POST", path, content)
        borrowed.headers["signature-input"] = (
            borrowed.headers["signature-input"].replace(him, me).replace(attacker.key.key_id, victim.key.key_id)
        )
        answers[api.send(borrowed).status_code] += 1
    named = attacker.http.post(f"/api/negotiations/{offer}/accept", json={"round": 2}, headers={"x-agent-did": me})

    assert answers == {401: 30}
    assert (named.status_code, named.json()["code"]) == (409, "not_your_turn")
    assert (money(db, me), money(db, him)) == ((500_000, 0), (0, 0))
    assert owner.execute("SELECT count(*), max(state) FROM negotiation.negotiations").fetchone() == (1, "proposed")
    assert nothing_lost(db, owner)


@defect(
    "production_rejects_valid_signatures",
    "Signer and verifier share one canonical form: whatever the SDK signs is accepted in production, under every name of"
    " the key, and one changed byte is a 401.",
)
def test_whatever_the_sdk_signs_is_accepted_in_production(api, production, db):
    key, peer = AgentKey.generate(), AgentKey.generate()
    with db.transaction() as tx:
        for name, one in (("Signer", key), ("Peer", peer)):
            registry.agent(tx, one, name=name)
        ledger.open_with_faucet(tx, key.did, 1000)
    wish = json.dumps({"description": "Wörter, 言葉, \U0001f40d", "budget": 5}, ensure_ascii=False).encode()
    requests = [
        ("GET", "/api/credits/account", b""),
        ("GET", "/api/credits/statement?limit=5", b""),
        ("GET", f"/api/agents/{peer.did}/trust?min=0.25", b""),
        ("GET", f"/api/agents/{peer.did.replace(':', '%3A')}/trust", b""),
        ("GET", "/api/agents?status=available&limit=2", b""),
        ("GET", "/api/agents/search?q=market%20data%26more&limit=3", b""),
        ("GET", "/api/negotiations?", b""),
        ("POST", "/api/intents", wish),
        ("POST", "/api/intents", json.dumps({"description": "x" * 9000, "budget": 5}).encode()),
        ("POST", f"/api/agents/{key.did}/heartbeat", b'{"ttl_s": 60}'),
    ]
    names = (key, Alias(key, key.did_sol, f"{key.did_sol}#default"))

    accepted = [api.send(signed(api, key, *request)).status_code for request in requests]
    under_all_names = [api.send(signed(api, name, *request)).json() for name in names for request in requests]
    tampered = [
        api.send(signed(api, key, method, path, body, sent=body + b" ")).status_code for method, path, body in requests
    ]
    production.public_url = "https://hansa.example"
    relayed = signed(api, key, "GET", "/api/credits/account", at=production.public_url)
    relayed.headers["host"] = "hansa.example"

    assert set(accepted) <= {200, 201}
    assert not [answer for answer in under_all_names if isinstance(answer, dict) and answer.get("status") == 401]
    assert tampered == [401] * len(requests)
    assert api.send(relayed).status_code == 200


@defect(
    "replay_race",
    "A nonce is consumed in its own committed transaction before the request is looked at: of fifty copies at once one"
    " passes.",
)
def test_of_fifty_copies_of_one_request_one_passes(api, agent, owner):
    key = agent("Sender").key
    body = b'{"description": "once", "budget": 5}'
    fields = dict(signed(api, key, "POST", "/api/intents", body).headers)

    answers = at_once(50, lambda: api.post("/api/intents", content=body, headers=fields))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 401: 49}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 401} == {"nonce_replayed"}
    assert owner.execute("SELECT count(*) FROM negotiation.intents").fetchone() == (1,)


@defect(
    "replay_redis_down",
    "Nonces live in the database that the commands need: while it is away nothing passes (503), and afterwards a request"
    " still passes once.",
)
def test_without_its_memory_of_nonces_the_house_is_closed_not_open(api, agent, services, database, server_dsn, owner):
    services.db.pool.timeout = 0.5
    key = agent("Sender").key
    body = b'{"description": "once", "budget": 5}'
    first, second = (signed(api, key, "POST", "/api/intents", body) for _ in range(2))
    assert api.send(first).status_code == 201

    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        terminate(owner)
        away = [api.send(request) for request in (first, second)]
        server.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    back = patient(api, second)
    again = [api.send(request) for request in (first, second)]

    assert [answer.status_code for answer in away] == [503, 503]
    assert {answer.json()["code"] for answer in away} == {"database_unavailable"}
    assert back.status_code == 201
    assert [answer.json()["code"] for answer in again] == ["nonce_replayed"] * 2
    assert owner.execute("SELECT count(*) FROM negotiation.intents").fetchone() == (2,)


def terminate(owner):
    """End all connections of the application, as a restart of the database does; how many there were."""
    ended = owner.execute("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = 'hansa_app'")
    return len(ended.fetchall())


def patient(api, request):
    """Send a request that may be sent again until it is answered."""
    deadline = time.monotonic() + 20
    while (answer := api.send(request)).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


@defect(
    "greylist_inverted",
    "There is no greylist; limits are counted per proven caller. Whoever is too fast is told when to come back, coming"
    " back then works, and a command sent again under its key gets its answer instead of being taken for a duplicate.",
)
def test_who_waits_as_told_passes_and_who_does_not_is_refused(agent, services, owner):
    hansa = agent("Sender")
    services.settings.requests_per_minute = 3

    def send(key):
        body = {"description": "once", "budget": 5}
        return hansa.http.post("/api/intents", json=body, headers={"idempotency-key": key})

    answered, repeated = send("one"), send("one")
    while (impatient := send("two")).status_code == 201:
        pass
    still = send("two")
    wait = timedelta(seconds=int(still.headers["retry-after"]))
    owner.execute("UPDATE ops.rate_limits SET next_at = next_at - %s::interval", [wait])
    polite = send("two")

    assert (answered.status_code, repeated.json()) == (201, answered.json())
    assert (impatient.status_code, still.status_code) == (429, 429)
    assert timedelta(seconds=1) <= wait <= timedelta(seconds=20)
    assert polite.status_code == 201


# ---------------------------------------------------------------------------------------------------------------
# Agents


@defect(
    "register_sets_own_trust",
    "Registering takes the agent's own signed card, and trust is worked out from evidence: no field of a card or request"
    " moves it. Skills are those of the card, the key is the one that signed.",
)
def test_no_registration_sets_trust_or_takes_another_agents_place(api, agent, owner, db):
    me, thief = agent("Myself"), agent("Thief")
    praise = {"trust_score": 1, "score": 1, "decay_rate": 1, "reliability": 1, "honesty": 1, "trust": {"score": 1}}
    document = card_document(name="Myself", version="1.0.1", params={"trust": 1.0}, **praise)
    mine = sign_card(document, me.key)
    stolen = sign_card(document, thief.key)

    unsigned = api.post("/api/agents", json=mine | praise | {"public_key": thief.key.did}).status_code
    foreign = [thief.http.post("/api/agents", json=card).status_code for card in (mine, stolen | {"did": me.key.did})]
    own = me.http.post("/api/agents", json=mine).status_code

    assert (unsigned, own) == (401, 201)
    assert foreign[0] in (403, 422)
    keys = owner.execute("SELECT did, public_key FROM registry.agents").fetchall()
    assert dict(keys) == {one.key.did: one.key.public_key for one in (me, thief)}
    answer = api.get(f"/api/agents/{me.key.did}/trust").json()["trust"]
    dimensions = ("score", "reliability", "honesty", "competence", "timeliness")
    assert [(answer[name], type(answer[name])) for name in dimensions] == [(0.5, float)] * 5
    assert (answer["decay_rate"], answer["last_updated"]) == (0.977, None)
    assert owner.execute("SELECT count(*) FROM proof.trust_scores").fetchone() == (0,)
    profile = api.get(f"/api/agents/{me.key.did}").json()
    assert len(profile["skills"]) == len(document["skills"]) > 0


@defect(
    "ttl_units",
    "One unit, seconds, in every name that carries it, and the database's clock: an agent that says 60 is there after 59"
    " seconds and gone after 61; a negotiation of 60 lives as long.",
)
def test_sixty_seconds_are_sixty_seconds(agent, db, owner):
    me, peer = agent("Myself"), agent("Peer")
    mine = f"/api/agents/{me.key.did}"

    def life(table, born):
        row = f"SELECT extract(epoch FROM expires_at - {born}) FROM {table} ORDER BY {born} DESC LIMIT 1"
        return float(owner.execute(row).fetchone()[0])

    advertised = me.get(mine)["agent"]
    beaten = me.post(f"{mine}/heartbeat", {"ttl_s": 60})
    lives = [life("registry.agents", "last_seen_at")]
    intent = me.intend("work", budget=5)["id"]
    me.negotiate(peer.key.did, intent=intent, terms={"price": 5}, ttl_s=60)
    nonsense = [
        me.http.post(f"{mine}/heartbeat", json={"ttl_s": ttl}).status_code
        for ttl in (0, 29, 6 * 10**7, -60, 0.5, "60s")
    ]
    lives.append(life("negotiation.negotiations", "created_at"))
    alive = []
    for passed in (59, 2):
        owner.execute(
            "UPDATE registry.agents SET expires_at = expires_at - %s WHERE did = %s",
            [timedelta(seconds=passed), me.key.did],
        )
        committed(db, agents.expire_agents)
        alive.append(committed(db, queries.agent_of, me.key.did).retired_at is None)

    assert (advertised["ttl_s"], beaten["ttl_s"]) == (86_400, 60)
    assert [round(seconds) for seconds in lives] == [60, 60]
    assert alive == [True, False]
    assert nonsense == [422] * 6


@defect(
    "db_restart_kills_broker",
    "A connection is tried before it is used, and one broken connection has all the others looked at: after the database"
    " closed all of them, the next requests succeed at once, without a restart and without a single error.",
)
def test_after_the_database_closed_every_connection_the_next_requests_succeed(api, agent, owner, db):
    hansa = agent("Survivor")
    db.pool.timeout = 3  # far longer than it takes to connect anew
    served = []

    for _ in range(2):
        served += at_once(8, lambda: hansa.http.get("/api/credits/account").status_code)
        assert terminate(owner) >= 3
        served.append(hansa.http.get("/api/credits/account").status_code)
    terminate(owner)
    served += at_once(16, lambda: hansa.http.post("/api/intents", json={"description": "x", "budget": 5}).status_code)

    assert Counter(served) == {200: 18, 201: 16}
    assert owner.execute("SELECT count(*) FROM negotiation.intents").fetchone() == (16,)
    deliver_events(db)
