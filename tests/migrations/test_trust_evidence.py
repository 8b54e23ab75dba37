"""Trust from before evidence had kinds and weights: nothing of it moves, and what is said since is not thrown away."""

import psycopg
import pytest

from hansa import migrate
from hansa.migrate import testing
from hansa.migrations import DIRECTORY

BEFORE, AFTER = "20261121T005300_governance_in_use", "20261121T010500_trust_evidence"
AGENT = "did:web:worker.example"

# An agent with two pieces of counted work and one that nobody counted yet, as the release before wrote them.
OLD_EVIDENCE = f"""
SET hansa.actor_kind = 'system';
WITH person AS (
    INSERT INTO identity.users (solana_did, wallet_address)
    VALUES ('did:sol:{"z" * 40}', '{"z" * 40}')
    RETURNING id
)
INSERT INTO registry.agents (did, agent_id, name, tagline, description, avatar_url, wallet_address, public_key,
                             content_hash, ttl_s, expires_at, creator_user_id)
SELECT '{AGENT}', 'worker', 'Worker', '', '', '', '{"y" * 40}', decode(repeat('00', 32), 'hex'), '', 60, now(), id
  FROM person;
INSERT INTO proof.work_history_logs (id, agent_did, subject_kind, subject_id, task_hash, zkp_hash, encrypted_data)
SELECT uuidv7(), '{AGENT}', 'negotiation', number::text, repeat('a', 64), repeat('b', 64),
       '\\x48534531'::bytea || decode(repeat('00', 63), 'hex')
  FROM generate_series(1, 3) AS number;
INSERT INTO proof.reputation_events (ref, log_id, agent_did, payer_did, payer_verified, payer_related, outcome, fee, asset,
                                     update_trigger, settled_at)
SELECT 'negotiation:' || subject_id, id, agent_did, 'did:web:payer.example', true, false, 1, 10, 'CREDIT',
       'x402_settlement', now() - interval '1 day'
  FROM proof.work_history_logs;
INSERT INTO proof.trust_events (ref, agent_did, outcome, occurred_at)
SELECT ref, agent_did, outcome, settled_at FROM proof.reputation_events;
SELECT proof.fold_trust('negotiation:1'), proof.fold_trust('negotiation:2');
"""
VECTOR = "SELECT reliability, honesty, competence, timeliness, score, last_updated FROM proof.trust_scores"
DIFFERENCES = "SELECT kind, finding FROM proof.differences WHERE kind = 'trust'"


@pytest.fixture
def old(server_dsn):
    """A database of the release before, with trust in it."""
    with testing.scratch(server_dsn, "trust") as dsn, psycopg.connect(dsn, autocommit=True) as look:
        migrate.up(dsn, DIRECTORY, to=BEFORE)
        look.execute(OLD_EVIDENCE)
        yield dsn, look


def test_trust_of_before_stays_what_it_was_and_comes_back_the_same(old):
    dsn, look = old
    before = look.execute(VECTOR).fetchall()

    migrate.up(dsn, DIRECTORY, to=AFTER)

    assert look.execute(VECTOR).fetchall() == before
    assert look.execute("SELECT work_count FROM proof.trust_scores").fetchall() == [(2,)]
    assert look.execute("SELECT kind::text, weight FROM proof.trust_events WHERE fold_position > 0").fetchall() == [
        ("work", 1.0),
        ("work", 1.0),
    ]
    assert look.execute(DIFFERENCES).fetchall() == []

    migrate.down(dsn, DIRECTORY, steps=1)

    assert look.execute(VECTOR).fetchall() == before
    assert look.execute(DIFFERENCES).fetchall() == []


def test_work_of_before_that_is_counted_after_weighs_what_it_cost(old):
    dsn, look = old
    migrate.up(dsn, DIRECTORY, to=AFTER)

    look.execute("SELECT proof.fold_trust('negotiation:3')")

    weight = look.execute("SELECT weight FROM proof.trust_events WHERE ref = 'negotiation:3'").fetchone()
    assert weight == (0.01 / 4,)
    assert look.execute(DIFFERENCES).fetchall() == []


def test_evidence_that_the_older_shape_cannot_keep_stops_the_way_back(old):
    dsn, look = old
    migrate.up(dsn, DIRECTORY, to=AFTER)
    look.execute(
        f"INSERT INTO proof.trust_events (ref, agent_did, kind, honesty, occurred_at) "
        f"VALUES ('attestation:1', '{AGENT}', 'attestation', 0.95, now())"
    )

    with pytest.raises(Exception, match="says what the older shape cannot keep"):
        migrate.down(dsn, DIRECTORY, steps=1)

    kept = look.execute("SELECT honesty FROM proof.trust_events WHERE kind = 'attestation'").fetchall()
    assert kept == [(0.95,)]
    checks = [check for check in migrate.verify(dsn, DIRECTORY).checks if check.revision == AFTER]
    assert len(checks) == 13
    assert all(check.ok for check in checks)
