"""Nonces of signed requests: each counts once, also when two requests arrive together."""

from datetime import timedelta
from threading import Thread

import pytest

from hansa.identity import commands
from hansa.identity.errors import NonceReplayed
from hansa.infra.keys import AgentKey

KEY, OTHER = AgentKey.generate(), AgentKey.generate()
NONCE = "sixteen-characters"


def test_a_nonce_is_used_once_by_each_signer(tx):
    until = tx.at + timedelta(minutes=5)
    commands.consume_nonce(tx, KEY.did, NONCE, expires_at=until)
    commands.consume_nonce(tx, OTHER.did, NONCE, expires_at=until)

    with pytest.raises(NonceReplayed) as refused:
        commands.consume_nonce(tx, KEY.did, NONCE, expires_at=until)

    assert refused.value.status == 401


def test_of_two_requests_that_race_with_one_nonce_the_second_waits_and_is_refused(db):
    outcomes = []

    def second():
        try:
            with db.transaction() as tx:
                commands.consume_nonce(tx, KEY.did, NONCE, expires_at=tx.at + timedelta(minutes=5))
        except NonceReplayed as refused:
            outcomes.append(refused)

    with db.transaction() as tx:
        commands.consume_nonce(tx, KEY.did, NONCE, expires_at=tx.at + timedelta(minutes=5))
        racer = Thread(target=second)
        racer.start()
        racer.join(timeout=0.3)
        assert racer.is_alive(), "the second must wait for the first to commit"
    racer.join(timeout=10)

    assert [type(outcome) for outcome in outcomes] == [NonceReplayed]


def test_a_nonce_is_forgotten_when_its_signature_has_expired_and_not_before(db, owner):
    with db.transaction() as tx:
        commands.consume_nonce(tx, KEY.did, "expired-nonce-0001", expires_at=tx.at - timedelta(seconds=1))
        commands.consume_nonce(tx, KEY.did, NONCE, expires_at=tx.at + timedelta(minutes=5))

    with db.transaction() as tx:
        swept = commands.sweep(tx)

    assert swept == 1
    assert owner.execute("SELECT nonce FROM identity.nonces").fetchall() == [(NONCE,)]
