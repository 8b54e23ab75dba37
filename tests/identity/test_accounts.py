"""Accounts: one for each wallet, seen by its owner and by the house only."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from given.identity import account, as_agent, as_user, client_as, consent, sign_in, signature
from hansa.identity import commands, queries
from hansa.identity.commands import ProfileChange
from hansa.identity.errors import AvatarUnfit, BioTooLong, SessionEnded, UsernameTaken, UsernameUnfit, UserUnknown
from hansa.identity.models import KeyEnd, Role
from hansa.identity.routes import router
from hansa.infra.db import Actor
from hansa.infra.keys import AgentKey
from hansa.kernel import base58

KEY, OTHER = AgentKey.generate(), AgentKey.generate()
ANONYMOUS = Actor(kind="anonymous")


def users_seen(db, actor):
    with db.transaction(actor) as tx:
        rows = tx.connection.execute("SELECT wallet_address FROM identity.users ORDER BY created_at").fetchall()
    return [row[0] for row in rows]


def sessions_seen(db, actor):
    with db.transaction(actor) as tx:
        return tx.connection.execute("SELECT count(*) FROM identity.sessions").fetchone()[0]


def test_all_names_of_a_key_lead_to_one_account(tx):
    by_key = commands.ensure_user(tx, KEY.did, at=tx.at)

    by_sol = commands.ensure_user(tx, KEY.did_sol, at=tx.at)

    assert by_sol.id == by_key.id
    assert (by_key.solana_did, by_key.wallet_address, by_key.role) == (KEY.did_sol, KEY.wallet, Role.END_USER)
    assert queries.user_of(tx, KEY.did) == by_key
    assert not by_key.is_verified


def test_an_account_begins_once_however_many_ask_for_it_together(db):
    def ask(_):
        with db.transaction(as_agent(KEY)) as tx:
            return commands.ensure_user(tx, KEY.did, at=tx.at).id

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(16)))

    assert len(found) == 1


def test_looking_for_an_account_leaves_the_caller_who_they_are(db):
    with db.transaction(as_agent(KEY)) as tx:
        account(tx, KEY)
        account(tx, OTHER)
        kind = tx.connection.execute("SELECT current_setting('hansa.actor_kind')").fetchone()
        seen = tx.connection.execute("SELECT wallet_address FROM identity.users").fetchall()

    assert kind == ("agent",)
    assert seen == [(KEY.wallet,)]


def test_everybody_sees_their_own_account_and_the_house_sees_all(db):
    with db.transaction() as tx:
        mine, theirs = account(tx, KEY), account(tx, OTHER)

    assert users_seen(db, Actor(kind="system")) == [KEY.wallet, OTHER.wallet]
    assert users_seen(db, Actor(kind="operator")) == [KEY.wallet, OTHER.wallet]
    assert users_seen(db, as_user(mine)) == [KEY.wallet]
    assert users_seen(db, as_user(theirs)) == [OTHER.wallet]
    assert users_seen(db, as_agent(KEY)) == [KEY.wallet]
    assert users_seen(db, as_agent(AgentKey.generate())) == []
    assert users_seen(db, ANONYMOUS) == []


def test_everybody_sees_their_own_sessions_only(db):
    with db.transaction() as tx:
        mine, theirs = sign_in(tx, KEY), sign_in(tx, OTHER)
        sign_in(tx, OTHER)

    assert sessions_seen(db, Actor(kind="system")) == 3
    assert sessions_seen(db, as_user(mine.user)) == 1
    assert sessions_seen(db, as_user(theirs.user)) == 2
    assert sessions_seen(db, as_agent(KEY)) == 0
    assert sessions_seen(db, ANONYMOUS) == 0


def test_a_person_can_neither_end_the_session_nor_change_the_account_of_another(db):
    with db.transaction() as tx:
        mine, theirs = sign_in(tx, KEY), sign_in(tx, OTHER)

    with db.transaction(as_user(mine.user)) as tx:
        assert not commands.end_session(tx, theirs.token)
        with pytest.raises(UserUnknown):
            commands.change_profile(tx, theirs.user.id, ProfileChange(bio="defaced"))

    with db.transaction() as tx:
        assert queries.session_user(tx, theirs.token).bio is None


@pytest.mark.parametrize("actor", [ANONYMOUS, as_agent(KEY), Actor(kind="user")], ids=lambda actor: actor.kind)
def test_only_the_house_makes_accounts(db, actor):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction(actor) as tx:
        tx.connection.execute(
            "INSERT INTO identity.users (solana_did, wallet_address) VALUES (%s, %s)", [KEY.did_sol, KEY.wallet]
        )


def test_a_person_changes_what_they_say_about_themselves_and_the_rest_stays(tx):
    user = account(tx, KEY)
    commands.change_profile(tx, user.id, ProfileChange(username="ada", role=Role.MARKETPLACE))

    changed = commands.change_profile(tx, user.id, ProfileChange(bio="Counts.", avatar_url="https://ada.example/a.png"))

    assert (changed.username, changed.role, changed.bio) == ("ada", Role.MARKETPLACE, "Counts.")
    assert changed.avatar_url == "https://ada.example/a.png"
    assert changed.updated_at > user.updated_at


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (ProfileChange(username="a b"), UsernameUnfit),
        (ProfileChange(avatar_url="javascript:alert(1)"), AvatarUnfit),
        (ProfileChange(bio="x" * 2001), BioTooLong),
    ],
)
def test_a_profile_that_cannot_be_shown_is_refused_by_name(tx, change, refusal):
    user = account(tx, KEY)

    with pytest.raises(refusal):
        commands.change_profile(tx, user.id, change)


def test_a_user_name_belongs_to_one_account(tx):
    commands.change_profile(tx, account(tx, KEY).id, ProfileChange(username="ada"))
    other = account(tx, OTHER)

    with pytest.raises(UsernameTaken):
        commands.change_profile(tx, other.id, ProfileChange(username="ada"))


def test_a_developer_registers_agents_and_a_marketplace_stays_one(tx):
    user, market = account(tx, KEY), account(tx, OTHER)
    commands.change_profile(tx, market.id, ProfileChange(role=Role.MARKETPLACE))

    commands.become_developer(tx, user.id)
    commands.become_developer(tx, market.id)

    assert queries.user_by_id(tx, user.id).role is Role.DEVELOPER
    assert queries.user_by_id(tx, market.id).role is Role.MARKETPLACE


def test_a_stranger_signs_in_over_http_reads_their_account_and_signs_out(services):
    stranger = client_as(services, ANONYMOUS, router)

    message = stranger.post("/api/sign-in/challenge", json={"address": KEY.wallet}).json()["message"]
    opened = stranger.post("/api/sign-in", json={"message": message, "signature": signature(message, KEY)})

    assert opened.status_code == 200
    with services.db.transaction() as tx:
        user = queries.session_user(tx, opened.json()["token"])
    person = client_as(services, as_user(user), router)
    assert person.get("/api/me").json()["wallet_address"] == KEY.wallet
    assert person.patch("/api/me", json={"username": "ada"}).json()["username"] == "ada"
    assert person.post("/api/sign-out").status_code == 401
    bearer = {"authorization": f"Bearer {opened.json()['token']}"}
    assert person.post("/api/sign-out", headers=bearer).status_code == 204
    with services.db.transaction() as tx, pytest.raises(SessionEnded):
        queries.session_user(tx, opened.json()["token"])
    assert stranger.get("/api/me").status_code == 401


def test_a_replayed_sign_in_is_answered_with_its_name(services):
    stranger = client_as(services, ANONYMOUS, router)
    message = stranger.post("/api/sign-in/challenge", json={"address": KEY.wallet}).json()["message"]
    signed = {"message": message, "signature": signature(message, KEY)}
    stranger.post("/api/sign-in", json=signed)

    again = stranger.post("/api/sign-in", json=signed)

    assert (again.status_code, again.json()["code"]) == (401, "sign_in_replayed")


def test_an_agent_rotates_and_revokes_its_key_over_http(services):
    agent = client_as(services, as_agent(KEY), router)
    rotation = {"key_id": KEY.key_id, "new_key": OTHER.did, "proof": base58.encode(consent(KEY.did, OTHER))}

    rotated = agent.post("/api/keys/rotate", json=rotation)
    revocation = {"key_id": rotated.json()["kid"], "reason": KeyEnd.RETIRED}
    revoked = agent.post("/api/keys/revoke", json=revocation)

    assert (rotated.status_code, revoked.status_code) == (200, 200)
    assert revoked.json()["kid"] == rotated.json()["kid"]
    recorded = agent.get(f"/api/keys/{KEY.did}").json()
    assert [key["reason"] for key in recorded] == ["rotated", "retired"]
    assert agent.post("/api/keys/revoke", json=revocation).json()["code"] == "key_not_active"
    assert client_as(services, ANONYMOUS, router).post("/api/keys/revoke", json=revocation).status_code == 401


def test_an_operator_says_who_is_known_and_takes_it_back(tx):
    account(tx, KEY)

    known = commands.verify_account(tx, KEY.did)
    forgotten = commands.verify_account(tx, KEY.did, verified=False)

    assert (known.is_verified, forgotten.is_verified) == (True, False)
    assert forgotten.id == known.id


def test_nobody_verifies_the_account_of_another(db):
    with db.transaction() as tx:
        account(tx, KEY)

    with db.transaction(as_agent(OTHER)) as tx, pytest.raises(UserUnknown):
        commands.verify_account(tx, KEY.did)
