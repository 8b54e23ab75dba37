"""Work history: hashes in the open, content sealed, published only by the agent and for good."""

import hashlib
import hmac
import json

import pytest

from given import proof, registry
from given.governance import acting_as
from hansa.infra.keys import AgentKey
from hansa.infra.seal import SealBroken
from hansa.proof import commands, errors, queries, records
from hansa.proof.models import DisclosureLevel

SECRET = "a-canary-that-nobody-may-read"


def stored(tx, log):
    """The row as PostgreSQL has it, as text."""
    row = tx.connection.execute("SELECT * FROM proof.work_history_logs WHERE id = %s", [log.id]).fetchone()
    return repr(row)


def test_a_log_shows_hashes_and_hides_the_content(tx, ring, agent):
    told, log = proof.recorded(tx, agent, ring, facts={"secret": SECRET})

    assert log.disclosure_level is DisclosureLevel.PRIVATE_ZK
    assert log.attestation_source is None
    for hidden in (SECRET, told.payer, "10000"):
        assert hidden not in stored(tx, log)
    assert log.task_hash != hashlib.sha256(told.ref.encode()).hexdigest()


def test_the_agent_reads_its_work_and_can_check_the_hashes(tx, ring, key, agent):
    told, log = proof.recorded(tx, agent, ring)

    record = queries.work_entry(tx, ring, log.id, reader=agent).record

    assert record["payer"] == told.payer
    assert record["amount"] == "10000"
    assert log.zkp_hash == hashlib.sha256(records.rfc8785.dumps(record)).hexdigest()
    salt = bytes.fromhex(record["salt"])
    assert log.task_hash == hmac.digest(salt, told.ref.encode(), "sha256").hex()
    assert log.revocable_key_hash == hashlib.sha256(key.public_key).hexdigest()


@pytest.mark.parametrize("reader", ["", "did:web:somebody.example"])
def test_nobody_else_reads_private_work(tx, ring, agent, reader):
    _, log = proof.recorded(tx, agent, ring)

    entries = queries.work_of(tx, ring, agent, reader=reader).items

    assert [entry.log for entry in entries] == [log]
    assert [entry.record for entry in entries] == [None]


def test_pages_of_work_leave_nothing_out(tx, ring, agent):
    logs = [proof.recorded(tx, agent, ring)[1] for _ in range(5)]

    first = queries.work_of(tx, ring, agent, reader=agent, limit=3)
    second = queries.work_of(tx, ring, agent, reader=agent, limit=3, before=first.after)

    assert [entry.log for entry in first.items + second.items] == logs[::-1]
    assert second.after is None


def test_work_is_found_by_the_hash_that_proofs_name(tx, ring, agent):
    _, log = proof.recorded(tx, agent, ring)
    proof.recorded(tx, agent, ring)

    assert queries.work_by_hash(tx, log.zkp_hash) == [log]


def test_the_hash_of_proofs_has_the_index_of_the_registry(tx):
    tx.connection.execute("SET LOCAL enable_seqscan = off")

    plan = tx.connection.execute(
        "EXPLAIN SELECT FROM proof.work_history_logs WHERE ARRAY[zkp_hash] @> ARRAY['ab'::text]"
    ).fetchall()

    assert "idx_work_history_zkp" in repr(plan)


def test_the_agent_publishes_its_work_and_everybody_reads_it(tx, ring, agent):
    told, log = proof.recorded(tx, agent, ring)

    with acting_as(tx, agent):
        published = commands.publish_work(tx, log.id, by=agent)
        commands.publish_work(tx, log.id, by=agent)

    assert published.disclosure_level is DisclosureLevel.PUBLIC
    assert queries.work_entry(tx, ring, log.id, reader="").record["payer"] == told.payer
    events = tx.connection.execute("SELECT payload FROM ops.outbox WHERE name = 'proof.work_published'").fetchall()
    assert events == [({"log": str(log.id), "agent": agent},)]


def test_nobody_else_publishes_an_agents_work(tx, ring, agent):
    _, log = proof.recorded(tx, agent, ring)
    other = registry.agent(tx).did

    with acting_as(tx, other), pytest.raises(errors.WorkOfAnotherAgent):
        commands.publish_work(tx, log.id, by=other)
    with acting_as(tx, other):
        bypassing_the_command = tx.run(commands.outcomes.PUBLISH_LOG, log=log.id)

    assert bypassing_the_command == 0
    assert queries.work_log(tx, log.id).disclosure_level is DisclosureLevel.PRIVATE_ZK


def test_published_work_cannot_be_made_private_again(db, owner, ring):
    with db.transaction() as tx:
        agent = registry.agent(tx).did
        _, log = proof.recorded(tx, agent, ring)
    owner.execute("UPDATE proof.work_history_logs SET disclosure_level = 'public'")

    with pytest.raises(Exception, match="cannot be made private") as refused:
        owner.execute("UPDATE proof.work_history_logs SET disclosure_level = 'private_zk'")

    assert refused.value.diag.constraint_name == "published_work_stays_public"
    with db.transaction() as tx:
        assert queries.work_log(tx, log.id).disclosure_level is DisclosureLevel.PUBLIC


def test_sealed_content_opens_in_its_own_row_only(db, owner, ring):
    with db.transaction() as tx:
        agent = registry.agent(tx).did
        _, mine = proof.recorded(tx, agent, ring)
        _, other = proof.recorded(tx, agent, ring)

    owner.execute(
        """
        UPDATE proof.work_history_logs AS target
           SET encrypted_data = source.encrypted_data
          FROM proof.work_history_logs AS source
         WHERE target.id = %s AND source.id = %s
        """,
        [mine.id, other.id],
    )

    with db.transaction() as tx:
        with pytest.raises(SealBroken):
            queries.work_entry(tx, ring, mine.id, reader=agent)
        assert queries.work_entry(tx, ring, other.id, reader=agent).record is not None


def test_a_record_that_is_not_the_one_its_log_names_does_not_open(db, owner, ring):
    with db.transaction() as tx:
        agent = registry.agent(tx).did
        _, log = proof.recorded(tx, agent, ring)
    forged = records.seal_record(ring, json.dumps({"amount": "1"}).encode(), log=log.id, agent=agent)
    owner.execute("UPDATE proof.work_history_logs SET encrypted_data = %s", [forged])

    with db.transaction() as tx, pytest.raises(SealBroken, match="not the one"):
        queries.work_entry(tx, ring, log.id, reader=agent)


@pytest.mark.parametrize(
    ("content", "constraint"),
    [
        (b'{"payer": "somebody", "amount": 5000, "and": "enough text to be as long as a sealed value"}', "sealed"),
        (b"", "sealed"),
        (b"HSE1 too short", "sealed"),
        (None, "chk_private_zk_encrypted"),
    ],
    ids=["plain text", "nothing", "too short", "no value at all"],
)
def test_postgresql_refuses_private_work_that_is_not_sealed(db, owner, ring, content, constraint):
    with db.transaction() as tx:
        proof.recorded(tx, registry.agent(tx).did, ring)

    with pytest.raises(Exception, match="violates check constraint") as refused:
        owner.execute("UPDATE proof.work_history_logs SET encrypted_data = %s", [content])

    assert constraint in refused.value.diag.constraint_name


def test_a_settlement_that_rolls_back_leaves_no_work(db, ring):
    with db.transaction() as tx:
        agent = registry.agent(tx).did

    def settle_and_fail():
        with db.transaction() as tx:
            proof.recorded(tx, agent, ring)
            raise RuntimeError("the payment failed")

    with pytest.raises(RuntimeError):
        settle_and_fail()

    with db.transaction() as tx:
        assert queries.work_of(tx, ring, agent, reader=agent).items == []
        assert queries.pending(tx) == 0


def test_an_agent_sees_its_own_evidence_and_nobody_elses(tx, ring, agent):
    told, _ = proof.recorded(tx, agent, ring)
    commands.fold_reputation(tx, told.ref, at=tx.at)
    seen = "SELECT count(*) FROM proof.reputation_events"

    def count(did, kind="agent"):
        with acting_as(tx, did, kind):
            return tx.connection.execute(seen).fetchone()[0]

    assert count(agent) == 1
    assert count(told.payer) == 1
    assert count(AgentKey.generate().did) == 0
    assert count("", "anonymous") == 0


def test_whoever_settles_may_add_evidence_without_seeing_it(tx, ring, agent):
    with acting_as(tx, "", "anonymous"):
        told, log = proof.recorded(tx, agent, ring)

    assert queries.work_log(tx, log.id) == log
    assert commands.fold_reputation(tx, told.ref, at=tx.at).score > 0
