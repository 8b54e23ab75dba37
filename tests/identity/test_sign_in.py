"""Signing in with a wallet: who gets in, for how long, and who does not."""

from datetime import timedelta

import pytest

from given.identity import SITE, challenge, consent, sign_in, signature
from hansa.identity import commands, queries
from hansa.identity.errors import SessionEnded, WalletRevoked
from hansa.identity.models import KeyEnd, Role
from hansa.infra.keys import AgentKey
from hansa.infra.siws import SignInElsewhere, SignInExpired, SignInReplayed, SignInWrong
from hansa.kernel.dids import InvalidDid

KEY, OTHER = AgentKey.generate(), AgentKey.generate()


def test_a_wallet_signs_its_owner_in_and_an_account_begins(tx):
    message = challenge(tx, KEY).message

    opened = commands.finish_sign_in(tx, message, signature(message, KEY), domain=SITE, at=tx.at)

    assert (opened.user.wallet_address, opened.user.solana_did) == (KEY.wallet, KEY.did_sol)
    assert (opened.user.role, opened.user.is_verified, opened.user.last_active) == (Role.END_USER, False, tx.at)
    assert opened.expires_at == tx.at + timedelta(hours=24)
    assert queries.session_user(tx, opened.token) == opened.user


def test_signing_in_again_leads_to_the_same_account(tx):
    first = sign_in(tx, KEY)

    second = sign_in(tx, KEY)

    assert second.user.id == first.user.id
    assert second.token != first.token


def test_a_signed_message_lets_in_once(tx):
    message = challenge(tx, KEY).message
    commands.finish_sign_in(tx, message, signature(message, KEY), domain=SITE, at=tx.at)

    with pytest.raises(SignInReplayed):
        commands.finish_sign_in(tx, message, signature(message, KEY), domain=SITE, at=tx.at)


def test_a_nonce_handed_to_one_wallet_serves_no_other(tx):
    message = challenge(tx, KEY).message
    stolen = message.replace(KEY.wallet, OTHER.wallet)

    with pytest.raises(SignInReplayed):
        commands.finish_sign_in(tx, stolen, signature(stolen, OTHER), domain=SITE, at=tx.at)

    assert commands.finish_sign_in(tx, message, signature(message, KEY), domain=SITE, at=tx.at).token


def test_a_message_signed_by_another_wallet_is_refused(tx):
    message = challenge(tx, KEY).message

    with pytest.raises(SignInWrong):
        commands.finish_sign_in(tx, message, signature(message, OTHER), domain=SITE, at=tx.at)


def test_a_message_is_refused_after_five_minutes(tx):
    message = challenge(tx, KEY).message

    with pytest.raises(SignInExpired):
        commands.finish_sign_in(
            tx, message, signature(message, KEY), domain=SITE, at=tx.at + timedelta(minutes=5, seconds=1)
        )


def test_the_database_refuses_an_expired_challenge_whatever_the_caller_says_the_time_is(tx):
    an_hour_ago = tx.at - timedelta(hours=1)
    message = challenge(tx, KEY, at=an_hour_ago).message

    with pytest.raises(SignInReplayed):
        commands.finish_sign_in(tx, message, signature(message, KEY), domain=SITE, at=an_hour_ago)


def test_a_message_for_another_site_is_refused(tx):
    message = challenge(tx, KEY).message

    with pytest.raises(SignInElsewhere):
        commands.finish_sign_in(tx, message, signature(message, KEY), domain="hansa.example", at=tx.at)


def test_no_message_is_written_for_something_that_is_no_wallet(tx):
    with pytest.raises(InvalidDid):
        commands.start_sign_in(tx, "not-a-wallet", domain=SITE, uri=f"http://{SITE}", at=tx.at)


def test_the_wallet_of_a_revoked_key_signs_nobody_in(tx):
    commands.revoke_key(tx, KEY.did, KEY.key_id, reason=KeyEnd.COMPROMISED, at=tx.at)

    with pytest.raises(WalletRevoked):
        sign_in(tx, KEY)


def test_after_a_rotation_the_new_wallet_signs_in_to_the_old_account(tx):
    before = sign_in(tx, KEY).user
    commands.rotate_key(tx, KEY.did, OTHER.public_key, replaces=KEY.key_id, proof=consent(KEY.did, OTHER), at=tx.at)

    after = sign_in(tx, OTHER).user

    assert after.id == before.id
    assert (after.solana_did, after.wallet_address) == (KEY.did_sol, OTHER.wallet)


def test_signing_out_ends_that_session_only(tx):
    left, kept = sign_in(tx, KEY), sign_in(tx, KEY)

    assert commands.end_session(tx, left.token)

    with pytest.raises(SessionEnded):
        queries.session_user(tx, left.token)
    assert queries.session_user(tx, kept.token).id == kept.user.id
    assert not commands.end_session(tx, left.token)


def test_the_token_of_a_session_is_nowhere_in_the_database(tx):
    opened = sign_in(tx, KEY)

    rows = tx.connection.execute("SELECT sessions::text FROM identity.sessions").fetchall()

    assert len(rows) == 1
    assert opened.token not in rows[0][0]
    assert opened.token.encode().hex() not in rows[0][0]


def test_an_unknown_token_is_no_session(tx):
    with pytest.raises(SessionEnded):
        queries.session_user(tx, "no-such-token")


def test_a_session_whose_time_is_over_counts_no_more_and_is_swept(db, owner):
    with db.transaction() as tx:
        opened = sign_in(tx, KEY)
    owner.execute(
        "UPDATE identity.sessions SET created_at = created_at - interval '25 hours', "
        "expires_at = expires_at - interval '25 hours'"
    )

    with db.transaction() as tx, pytest.raises(SessionEnded):
        queries.session_user(tx, opened.token)
    with db.transaction() as tx:
        assert commands.sweep(tx) == 1
    assert owner.execute("SELECT count(*) FROM identity.sessions").fetchone() == (0,)
