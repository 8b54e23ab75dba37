"""Keys of DIDs: which one counts when, how one follows another, and what an end ends."""

from datetime import timedelta
from threading import Thread

import pytest

from given.identity import account, as_agent, consent
from hansa.identity import commands, queries
from hansa.identity.errors import (
    AnotherKeyActive,
    DidWithoutKey,
    KeyEndedBefore,
    KeyEndUnfit,
    KeyForeign,
    KeyNotActive,
    KeyProofWrong,
    WalletTaken,
)
from hansa.identity.events import KeyEnded
from hansa.identity.models import KeyEnd, key_id_of
from hansa.infra.keys import AgentKey, WeakKey
from hansa.kernel.dids import key_id, parse_did

KEY, NEW = AgentKey.generate(), AgentKey.generate()
WEB = parse_did("did:web:agents.example")


def events(tx):
    rows = tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = %s ORDER BY id", [KeyEnded.name])
    return [row[0] for row in rows.fetchall()]


def rotate(tx, key=KEY, new=NEW, **options):
    proof = consent(key.did, new)
    return commands.rotate_key(tx, key.did, new.public_key, replaces=key.key_id, proof=proof, at=tx.at, **options)


def revoke(tx, reason):
    return commands.revoke_key(tx, KEY.did, KEY.key_id, reason=reason, at=tx.at)


def test_a_did_that_nobody_recorded_has_the_key_inside_it(tx):
    assert queries.signing_key(tx, KEY.did, KEY.key_id, at=tx.at) == KEY.public_key
    assert queries.signing_key(tx, KEY.did_sol, key_id(KEY.did_sol), at=tx.at) == KEY.public_key
    assert queries.signing_key(tx, KEY.did, key_id_of(KEY.did, NEW.public_key), at=tx.at) is None
    assert queries.signing_key(tx, WEB, f"{WEB}#key-1", at=tx.at) is None


def test_a_first_key_is_recorded_once_with_its_hash(tx):
    first = commands.remember_key(tx, KEY.did, KEY.public_key, at=tx.at)

    second = commands.remember_key(tx, KEY.did, KEY.public_key, at=tx.at + timedelta(days=1))

    assert first == second
    assert (first.kid, first.valid_from) == (KEY.key_id, None)
    assert len(first.key_hash) == 64
    assert queries.keys_of(tx, KEY.did) == [first]


def test_a_did_is_not_given_a_key_that_is_not_its_own(tx):
    with pytest.raises(KeyForeign):
        commands.remember_key(tx, KEY.did, NEW.public_key, at=tx.at)
    with pytest.raises(WeakKey):
        commands.remember_key(tx, WEB, bytes(32), at=tx.at)


def test_a_did_web_gets_one_active_key_under_the_name_in_its_document(tx):
    commands.remember_key(tx, WEB, KEY.public_key, at=tx.at, kid=f"{WEB}#key-1")

    assert queries.signing_key(tx, WEB, f"{WEB}#key-1", at=tx.at) == KEY.public_key
    with pytest.raises(AnotherKeyActive):
        commands.remember_key(tx, WEB, NEW.public_key, at=tx.at, kid=f"{WEB}#key-2")


def test_a_rotation_puts_the_new_key_in_the_place_of_the_old_one(tx):
    added = rotate(tx)

    old, new = queries.keys_of(tx, KEY.did)
    assert (old.kid, old.reason, old.revoked_at, old.replaced_by) == (KEY.key_id, KeyEnd.ROTATED, tx.at, added.kid)
    assert (new, new.revoked_at) == (added, None)
    assert queries.signing_key(tx, KEY.did, KEY.key_id, at=tx.at) is None
    assert queries.signing_key(tx, KEY.did, added.kid, at=tx.at) == NEW.public_key
    assert [(event["kid"], event["reason"], event["replaced_by"]) for event in events(tx)] == [
        (KEY.key_id, "rotated", added.kid)
    ]


def test_a_rotation_works_for_the_agent_itself_under_row_security(db):
    with db.transaction(as_agent(KEY)) as tx:
        rotate(tx)

    with db.transaction(as_agent(KEY)) as tx:
        assert queries.user_of(tx, KEY.did).wallet_address == NEW.wallet


def test_a_rotation_needs_the_consent_of_the_new_key_for_this_did(tx):
    for_another_did = consent(NEW.did, NEW)

    with pytest.raises(KeyProofWrong):
        commands.rotate_key(tx, KEY.did, NEW.public_key, replaces=KEY.key_id, proof=for_another_did, at=tx.at)

    assert queries.signing_key(tx, KEY.did, KEY.key_id, at=tx.at) == KEY.public_key


def test_a_key_that_was_rotated_away_never_comes_back(tx):
    added = rotate(tx)

    with pytest.raises(KeyEndedBefore):
        commands.rotate_key(tx, KEY.did, KEY.public_key, replaces=added.kid, proof=consent(KEY.did, KEY), at=tx.at)
    commands.remember_key(tx, KEY.did, KEY.public_key, at=tx.at)
    assert queries.signing_key(tx, KEY.did, KEY.key_id, at=tx.at) is None


def test_a_rotation_to_the_wallet_of_another_account_is_refused(tx):
    account(tx, NEW)

    with pytest.raises(WalletTaken):
        rotate(tx)


def test_a_revocation_and_a_rotation_each_have_their_reasons(tx):
    with pytest.raises(KeyEndUnfit):
        revoke(tx, KeyEnd.ROTATED)
    with pytest.raises(KeyEndUnfit):
        rotate(tx, reason=KeyEnd.RETIRED)


def test_what_was_signed_before_a_revocation_still_counts(tx):
    revoke(tx, KeyEnd.RETIRED)

    a_minute_before, a_minute_later = tx.at - timedelta(minutes=1), tx.at + timedelta(minutes=1)
    assert queries.signing_key(tx, KEY.did, KEY.key_id, at=a_minute_before) == KEY.public_key
    assert queries.signing_key(tx, KEY.did, KEY.key_id, at=tx.at) is None
    assert queries.signing_key(tx, KEY.did, KEY.key_id, at=a_minute_later) is None


def test_nothing_that_a_compromised_key_ever_signed_counts(tx):
    revoke(tx, KeyEnd.COMPROMISED)

    a_year_before = tx.at - timedelta(days=365)
    assert queries.signing_key(tx, KEY.did, KEY.key_id, at=a_year_before) is None


def test_a_key_that_ended_under_one_of_its_names_has_ended_under_all(tx):
    commands.remember_key(tx, KEY.did_sol, KEY.public_key, at=tx.at)

    revoke(tx, KeyEnd.RETIRED)

    pkh = parse_did(f"did:pkh:solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{KEY.wallet}")
    assert queries.signing_key(tx, KEY.did_sol, key_id(KEY.did_sol), at=tx.at) is None
    assert queries.signing_key(tx, pkh, key_id(pkh), at=tx.at) is None


def test_a_key_ends_once(tx):
    revoke(tx, KeyEnd.RETIRED)

    with pytest.raises(KeyNotActive):
        revoke(tx, KeyEnd.COMPROMISED)
    with pytest.raises(KeyNotActive):
        rotate(tx)

    assert len(events(tx)) == 1


def test_of_two_rotations_that_race_the_second_finds_its_key_ended_and_leaves_the_new_one_alone(db):
    rival, refusals = AgentKey.generate(), []

    def second():
        try:
            with db.transaction(as_agent(KEY)) as tx:
                rotate(tx, new=rival)
        except KeyNotActive as refused:
            refusals.append(refused)

    with db.transaction(as_agent(KEY)) as tx:
        first = rotate(tx)
        racer = Thread(target=second)
        racer.start()
        racer.join(timeout=0.3)
        assert racer.is_alive(), "the second must wait for the first to commit"
    racer.join(timeout=10)

    assert len(refusals) == 1
    with db.transaction() as tx:
        assert [key.kid for key in queries.keys_of(tx, KEY.did) if key.revoked_at is None] == [first.kid]


def test_nobody_stands_behind_a_did_web_whose_key_is_unknown(tx):
    with pytest.raises(DidWithoutKey):
        commands.ensure_user(tx, WEB, at=tx.at)
