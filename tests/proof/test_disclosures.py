"""Credentials over work, shown claim by claim to the one who asked: once, in time, to nobody else."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from given import proof, registry
from given.governance import acting_as
from given.identity import account, consent
from hansa.identity import commands as identity
from hansa.infra.keys import AgentKey
from hansa.proof import commands, errors, queries, sd_jwt, sd_jwt_errors

AUDIENCE = "https://verifier.example"
SOON = timedelta(minutes=10)


@pytest.fixture
def house():
    return AgentKey.generate()


@pytest.fixture
def asker():
    return AgentKey.generate().did


@pytest.fixture
def work(tx, ring, agent):
    """The log of settled work, and what was told about it."""
    told, log = proof.recorded(tx, agent, ring)
    return log.id, told


def credential(tx, ring, log, key, house, **details):
    return commands.issue_work_credential(tx, ring, log, by=key.did, house=house, at=tx.at, **details).credential


def asked(tx, log, asker, **changes):
    with acting_as(tx, asker):
        return commands.ask_disclosure(tx, log, **({"audience": AUDIENCE, "lifetime": SOON, "by": asker} | changes))


def shown(tx, credential, request, key, names=("amount", "asset"), **changes):
    facts = {"holder": key, "audience": request.audience, "nonce": request.nonce, "at": tx.at} | changes
    return sd_jwt.present(credential, names, **facts)


def answer(tx, ring, request, presentation, key, house):
    with acting_as(tx, key.did):
        return commands.answer_disclosure(tx, ring, request.id, presentation, by=key.did, house=house.did, at=tx.at)


def test_the_asker_gets_the_claims_that_the_agent_chose_and_no_other(tx, ring, key, house, asker, work):
    log, told = work
    request = asked(tx, log, asker)

    presentation = shown(tx, credential(tx, ring, log, key, house), request, key)
    answer(tx, ring, request, presentation, key, house)

    with acting_as(tx, asker):
        seen = commands.open_disclosure(tx, ring, request.id)
    assert seen.presentation.disclosed == ["amount", "asset"]
    assert seen.presentation.claims["amount"] == "10000"
    assert seen.presentation.claims["log"] == str(log)
    assert not {"counterparty", "outcome", "settled_at", "subject_id"} & seen.presentation.claims.keys()
    assert told.payer not in json.dumps(seen.presentation.claims)
    assert seen.request.used_at is not None


def test_a_third_party_verifies_the_presentation_in_a_process_of_its_own(tx, ring, key, house, asker, work):
    log, _ = work
    request = asked(tx, log, asker)
    presentation = shown(tx, credential(tx, ring, log, key, house), request, key, names=("outcome",))

    command = [sys.executable, "-m", "hansa.proof.sd_jwt", "verify", "--issuer-key", house.did]
    command += ["--audience", AUDIENCE, "--nonce", request.nonce, "--at", tx.at.isoformat()]
    done = subprocess.run(command, input=presentation, capture_output=True, text=True, check=False, timeout=60)

    verdict = json.loads(done.stdout)
    assert done.returncode == 0
    assert verdict["valid"] is True
    assert verdict["claims"]["outcome"] == "1"
    assert verdict["issuer"] == house.did


def test_a_request_takes_one_presentation(tx, ring, key, house, asker, work):
    log, _ = work
    request = asked(tx, log, asker)
    mine = credential(tx, ring, log, key, house)
    answer(tx, ring, request, shown(tx, mine, request, key), key, house)

    with pytest.raises(errors.DisclosureUsed):
        answer(tx, ring, request, shown(tx, mine, request, key, names=("outcome",)), key, house)


def test_two_sessions_cannot_both_answer_one_request(db, ring, house):
    from concurrent.futures import ThreadPoolExecutor

    from hansa.infra.db import Actor

    key = AgentKey.generate()
    with db.transaction() as tx:
        registry.agent(tx, key)
        _, log = proof.recorded(tx, key.did, ring)
        request = commands.ask_disclosure(tx, log.id, audience=AUDIENCE, lifetime=SOON, by=proof.a_payer())
        presentation = shown(tx, credential(tx, ring, log.id, key, house), request, key)

    def present(_):
        try:
            with db.transaction(Actor(kind="agent", did=key.did)) as tx:
                commands.answer_disclosure(tx, ring, request.id, presentation, by=key.did, house=house.did, at=tx.at)
        except errors.DisclosureUsed:
            return "used"
        return "verified"

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(present, range(2)))

    assert outcomes == ["used", "verified"]


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"audience": "https://elsewhere.example"}, sd_jwt_errors.AudienceForeign),
        ({"nonce": "of another request"}, sd_jwt_errors.NonceForeign),
    ],
)
def test_a_presentation_for_somebody_else_is_refused_and_the_request_stays_open(
    tx, ring, key, house, asker, work, changed, refusal
):
    log, _ = work
    request = asked(tx, log, asker)
    mine = credential(tx, ring, log, key, house)

    with pytest.raises(refusal), tx.savepoint():
        answer(tx, ring, request, shown(tx, mine, request, key, **changed), key, house)

    assert answer(tx, ring, request, shown(tx, mine, request, key), key, house).presentation is not None


def test_a_credential_of_another_house_is_refused(tx, ring, key, house, asker, work):
    log, _ = work
    request = asked(tx, log, asker)
    forged = credential(tx, ring, log, key, AgentKey.generate())

    with pytest.raises(sd_jwt_errors.IssuerUnknown):
        answer(tx, ring, request, shown(tx, forged, request, key), key, house)


def test_a_credential_about_other_work_does_not_answer(tx, ring, key, house, asker, agent, work):
    log, _ = work
    _, better = proof.recorded(tx, agent, ring)
    request = asked(tx, log, asker)
    other = credential(tx, ring, better.id, key, house)

    with pytest.raises(errors.PresentationOfOtherWork):
        answer(tx, ring, request, shown(tx, other, request, key), key, house)


def test_an_expired_request_is_gone(tx, ring, key, house, asker, work):
    log, _ = work
    request = asked(tx, log, asker, lifetime=timedelta(microseconds=1))
    presentation = shown(tx, credential(tx, ring, log, key, house), request, key)

    with pytest.raises(errors.DisclosureExpired):
        answer(tx, ring, request, presentation, key, house)


def test_only_the_agent_that_did_the_work_gets_its_credential(tx, ring, house, work):
    log, _ = work

    with pytest.raises(errors.WorkOfAnotherAgent):
        credential(tx, ring, log, AgentKey.generate(), house)


def test_only_the_agent_that_did_the_work_answers(tx, ring, key, house, asker, work):
    log, _ = work
    request = asked(tx, log, asker)
    presentation = shown(tx, credential(tx, ring, log, key, house), request, key)
    stranger = AgentKey.generate()

    with pytest.raises(errors.DisclosureUnknown):
        answer(tx, ring, request, presentation, stranger, house)
    with acting_as(tx, asker), pytest.raises(errors.WorkOfAnotherAgent):
        commands.answer_disclosure(tx, ring, request.id, presentation, by=asker, house=house.did, at=tx.at)


def test_strangers_see_neither_the_request_nor_the_claims(tx, ring, key, house, asker, work):
    log, _ = work
    request = asked(tx, log, asker)
    answer(tx, ring, request, shown(tx, credential(tx, ring, log, key, house), request, key), key, house)

    with acting_as(tx, AgentKey.generate().did):
        with pytest.raises(errors.DisclosureUnknown):
            commands.open_disclosure(tx, ring, request.id)
        assert queries.sealed_presentation(tx, request.id) is None
        assert queries.disclosure_requests(tx, unanswered=False).items == []


def test_both_parties_find_the_request_in_their_lists(tx, key, asker, work):
    log, _ = work
    request = asked(tx, log, asker)

    for party in (asker, key.did):
        with acting_as(tx, party):
            assert queries.disclosure_requests(tx, unanswered=True).items == [request]


def test_a_person_asks_without_being_an_agent(tx, ring, key, house, work):
    log, _ = work
    person = account(tx)
    request = commands.ask_disclosure(tx, log, audience=AUDIENCE, lifetime=SOON, by=None, user=person.id)

    answer(tx, ring, request, shown(tx, credential(tx, ring, log, key, house), request, key), key, house)

    tx.connection.execute("SELECT set_config('hansa.actor_kind', 'user', true), set_config('hansa.actor', '', true)")
    tx.connection.execute("SELECT set_config('hansa.user', %s, true)", [str(person.id)])
    assert commands.open_disclosure(tx, ring, request.id).presentation.disclosed == ["amount", "asset"]


def test_shown_claims_are_sealed_in_the_database(tx, ring, key, house, asker, work):
    log, told = work
    request = asked(tx, log, asker)
    mine = credential(tx, ring, log, key, house)

    answer(tx, ring, request, shown(tx, mine, request, key, names=("counterparty",)), key, house)

    row = tx.connection.execute("SELECT * FROM proof.credential_presentations").fetchone()
    assert told.payer not in repr(row)
    assert "counterparty" in repr(row)


def test_after_a_rotation_the_credential_is_bound_to_the_new_key(tx, ring, key, house, asker, agent, work):
    log, _ = work
    fresh = AgentKey.generate()
    identity.rotate_key(tx, agent, fresh.public_key, replaces=key.key_id, proof=consent(agent, fresh), at=tx.at)
    request = asked(tx, log, asker)

    mine = credential(tx, ring, log, key, house)

    with pytest.raises(sd_jwt_errors.HolderKeyForeign):
        shown(tx, mine, request, key)
    assert answer(tx, ring, request, shown(tx, mine, request, fresh), key, house).presentation is not None


def test_no_credential_is_bound_to_a_key_that_is_not_the_agents(tx, ring, key, house, work):
    log, _ = work

    with pytest.raises(errors.HolderKeyUnknown):
        credential(tx, ring, log, key, house, key_id=f"{key.did}#another")


@pytest.mark.parametrize("audience", ["", "x" * 501])
def test_an_audience_that_names_nobody_is_refused(tx, asker, work, audience):
    log, _ = work

    with pytest.raises(errors.AudienceMalformed):
        asked(tx, log, asker, audience=audience)
