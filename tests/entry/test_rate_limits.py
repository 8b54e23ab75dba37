"""Limits per proven caller: they hold across processes, and nobody uses up what another may ask."""

import threading
from dataclasses import replace

import httpx
import pytest

from given.identity import Alias
from hansa.client import Refused
from hansa.infra import limits
from hansa.infra.db import Db
from hansa.infra.keys import AgentKey
from hansa.infra.limits import RateLimited
from hansa.infra.signatures import SignedAuth

PER_MINUTE = 5


@pytest.fixture
def services(services):
    """Agents may ask five times a minute here."""
    return replace(services, settings=services.settings.model_copy(update={"requests_per_minute": PER_MINUTE}))


def ask(hansa):
    return hansa.http.get("/api/credits/account")


def test_whoever_asks_too_often_is_told_how_long_to_wait(agent):
    hansa = agent(registered=False)

    answers = [ask(hansa) for _ in range(PER_MINUTE + 2)]

    assert [answer.status_code for answer in answers] == [200] * PER_MINUTE + [429] * 2
    problem = answers[-1].json()
    assert (problem["code"], problem["retryable"], problem["per_minute"]) == ("rate_limited", True, PER_MINUTE)
    assert 1 <= int(answers[-1].headers["retry-after"]) == problem["retry_after_s"] <= 60 // PER_MINUTE


def test_one_agent_does_not_use_up_what_another_may_ask(agent):
    busy, calm = agent(registered=False), agent(registered=False)

    for _ in range(PER_MINUTE + 1):
        last = ask(busy)

    assert last.status_code == 429
    assert ask(calm).status_code == 200


def test_all_names_of_one_key_are_one_caller(api):
    key = AgentKey.generate()
    names = [key, Alias(key, key.did_sol, f"{key.did_sol}#default")]

    answers = [
        httpx.get(f"{api.base_url}/api/credits/account", auth=SignedAuth(names[number % 2]))
        for number in range(PER_MINUTE + 1)
    ]

    assert [answer.status_code for answer in answers] == [200] * PER_MINUTE + [429]


def test_a_forged_signature_costs_its_victim_nothing(agent, api):
    victim = agent(registered=False)

    for _ in range(PER_MINUTE + 3):
        signed = victim.http.build_request("GET", "/api/credits/account")
        flow = SignedAuth(victim.key).sync_auth_flow(signed)
        request = next(flow)
        request.headers["signature"] = request.headers["signature"][:-6] + "AAAA=:"
        assert api.send(request).status_code == 401

    assert ask(victim).status_code == 200


def test_a_replayed_request_costs_its_victim_nothing(agent, api):
    victim = agent(registered=False)
    request = next(SignedAuth(victim.key).sync_auth_flow(victim.http.build_request("GET", "/api/credits/account")))

    answers = [api.send(request).status_code for _ in range(PER_MINUTE + 3)]

    assert answers == [200] + [401] * (PER_MINUTE + 2)
    assert ask(victim).status_code == 200


def test_a_refused_command_leaves_no_trace(agent, written):
    hansa = agent()
    while ask(hansa).status_code == 200:
        pass
    before = written()

    with pytest.raises(Refused) as refused:
        hansa.intend("a brief", budget=1000)

    assert refused.value.code == "rate_limited"
    assert written() == before


def test_a_limit_holds_for_all_processes_together(db, database, postgres):
    admitted, barrier = [], threading.Barrier(8)
    pools = [Db(postgres.dsn(role="hansa_app", database=database), size=4) for _ in range(2)]

    def process(pool):
        barrier.wait()
        for _ in range(10):
            try:
                with pool.transaction() as tx:
                    limits.admit(tx, "one", per_minute=20)
                    admitted.append(1)
            except RateLimited:
                pass

    for pool in pools:
        pool.open()
    threads = [threading.Thread(target=process, args=(pools[number % 2],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pool in pools:
        pool.close()

    # A slow machine may see a token or two come back meanwhile: one every three seconds.
    assert 20 <= len(admitted) <= 24


def test_after_the_wait_one_more_is_admitted_and_idle_callers_are_forgotten(db, owner):
    with db.transaction() as tx:
        for _ in range(3):
            limits.admit(tx, "one", per_minute=3)
    with pytest.raises(RateLimited) as refused, db.transaction() as tx:
        limits.admit(tx, "one", per_minute=3)
    owner.execute("UPDATE ops.rate_limits SET next_at = next_at - interval '20 seconds'")

    with db.transaction() as tx:
        limits.admit(tx, "one", per_minute=3)
        kept = limits.forget_idle(tx)
    owner.execute("UPDATE ops.rate_limits SET next_at = next_at - interval '5 minutes'")
    with db.transaction() as tx:
        gone = limits.forget_idle(tx)

    assert 19 <= refused.value.facts["retry_after_s"] <= 20
    assert (kept, gone) == (0, 1)


def test_without_a_limit_nothing_is_counted(db, owner):
    with db.transaction() as tx:
        for _ in range(50):
            limits.admit(tx, "one", per_minute=0)

    assert owner.execute("SELECT count(*) FROM ops.rate_limits").fetchone() == (0,)
