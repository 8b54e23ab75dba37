"""The audit trail: one chain over everything that was recorded, and whoever touches it is named."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import psycopg
import pytest
from typer.testing import CliRunner

from given.governance import a_did, acting_as, an_organization
from hansa.governance import commands, jobs, queries
from hansa.governance.cli import app
from hansa.governance.errors import GovernanceBroken, VerificationRunning
from hansa.infra.db import Actor, Query, refusal_of

CHAIN = Query(int, "SELECT n FROM governance.audit_seals ORDER BY n")


def record(tx, number=0, **about):
    return commands.record(
        tx, action="test.done", entity="test", entity_id=str(number), facts={"number": number}, **about
    )


def a_sealed_trail(db, rows):
    """Committed and sealed rows; their ids in the order of the chain."""
    with db.transaction() as tx:
        recorded = [record(tx, number) for number in range(rows)]
        assert commands.seal(tx) == rows
    return recorded


def verified(db, **how):
    with db.transaction() as tx:
        return queries.verify_audit(tx, **how)


def findings(report):
    return [(found.n, found.audit_id, found.finding) for found in report.broken]


def behind_the_triggers(owner, statement, *values):
    """What a superuser can do who switches off triggers and foreign keys."""
    owner.execute("SET session_replication_role = replica")
    owner.execute(statement, values)
    owner.execute("SET session_replication_role = origin")


@contextmanager
def command_line(services):
    class Opened:
        @contextmanager
        def services(self):
            yield services

    yield lambda *arguments: CliRunner().invoke(app, list(arguments), obj=Opened())


# Recording and sealing


def test_a_recorded_row_waits_for_its_seal_and_then_has_it(db):
    with db.transaction() as tx:
        audit = record(tx)

    before = verified(db)
    with db.transaction() as tx:
        sealed = commands.seal(tx)
    after = verified(db)

    assert (before.sealed, before.unsealed, before.broken) == (0, [audit], [])
    assert sealed == 1
    assert (after.sealed, after.unsealed, after.broken) == (1, [], [])
    assert after.head != before.head == "00" * 32


def test_a_row_says_who_acted_and_whom_it_concerned(tx):
    did = a_did()
    organization = an_organization(tx, by=did)

    with acting_as(tx, did):
        audit = record(tx, organization=organization.id)
        row = queries.audit_rows(tx, organization=organization.id, action="test.done").items[0]

    assert (row.id, row.by, row.n) == (audit, did, None)
    assert row.metadata["organization_id"] == organization.id
    assert row.metadata["role_agent_id"] is None
    assert row.metadata["actor_kind"] == "agent"
    assert row.metadata["facts"] == {"number": 0}


def test_the_chain_is_as_long_as_the_trail_and_has_no_gap(db):
    recorded = a_sealed_trail(db, 5)

    with db.transaction() as tx:
        chain = tx.all(CHAIN)
        rows = queries.audit_rows(tx).items

    assert chain == [1, 2, 3, 4, 5]
    assert [row.id for row in sorted(rows, key=lambda row: row.n)] == recorded


def test_a_row_that_commits_late_is_sealed_late_and_the_trail_is_whole(db):
    with db.transaction() as slow:
        late = record(slow, 1)
        early = a_sealed_trail(db, 1)[0]
    with db.transaction() as tx:
        commands.seal(tx)

    with db.transaction() as tx:
        places = {row.id: row.n for row in queries.audit_rows(tx).items}

    assert late < early
    assert places == {early: 1, late: 2}
    assert findings(verified(db)) == []


def test_sealers_at_work_at_once_make_one_chain(db):
    with db.transaction() as tx:
        for number in range(120):
            record(tx, number)
    ready = Barrier(4)

    def seal_some():
        ready.wait()
        sealed = 0
        for _ in range(10):
            with db.transaction() as tx:
                sealed += commands.seal(tx, limit=7)
        return sealed

    with ThreadPoolExecutor(4) as sealers:
        shares = [future.result() for future in [sealers.submit(seal_some) for _ in range(4)]]
    with db.transaction() as tx:
        chain = tx.all(CHAIN)

    assert sum(shares) == 120
    assert chain == list(range(1, 121))
    assert findings(verified(db)) == []


def test_the_tick_seals_more_than_one_batch(services):
    with services.db.transaction() as tx:
        for number in range(commands.SEAL_BATCH + 1):
            record(tx, number)

    sealed = jobs.seal_audit(services)

    assert sealed == commands.SEAL_BATCH + 1
    assert jobs.seal_audit(services) == 0


def test_the_time_zone_of_a_session_does_not_change_a_link(db):
    a_sealed_trail(db, 3)

    with db.transaction() as tx:
        tx.connection.execute("SET LOCAL timezone = 'Asia/Kathmandu'")
        tx.connection.execute("SET LOCAL datestyle = 'German'")
        broken = tx.all(queries.AUDIT_BREAKS, limit=10)

    assert broken == []


# Changes


@pytest.mark.parametrize("table", ["audit_logs", "audit_seals"])
@pytest.mark.parametrize(
    "change", ["UPDATE governance.{} SET {} = {}", "DELETE FROM governance.{}", "TRUNCATE governance.{} CASCADE"]
)
def test_the_owner_cannot_change_the_trail(db, owner, table, change):
    a_sealed_trail(db, 1)
    column = "action" if table == "audit_logs" else "sealed_at"

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        owner.execute(change.format(table, column, column))

    assert isinstance(refusal_of(refused.value), GovernanceBroken)


@pytest.mark.parametrize("table", ["audit_logs", "audit_seals", "decisions"])
@pytest.mark.parametrize(
    "change", ["UPDATE governance.{} SET {} = {}", "DELETE FROM governance.{}", "TRUNCATE governance.{}"]
)
def test_the_application_has_no_right_to_change_evidence(db, table, change):
    column = {"audit_logs": "action", "audit_seals": "sealed_at", "decisions": "amount"}[table]

    with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction() as tx:
        tx.connection.execute(change.format(table, column, column))

    assert verified(db).whole


def test_an_edited_row_is_named(db, owner):
    recorded = a_sealed_trail(db, 5)

    behind_the_triggers(owner, "UPDATE governance.audit_logs SET entity_id = 'x' WHERE id = %s", recorded[2])

    assert findings(verified(db)) == [(3, recorded[2], "edited")]


def test_an_edit_deep_in_the_metadata_is_named(db, owner):
    recorded = a_sealed_trail(db, 2)

    behind_the_triggers(
        owner,
        "UPDATE governance.audit_logs SET metadata = jsonb_set(metadata, '{facts,number}', '7') WHERE id = %s",
        recorded[0],
    )

    assert findings(verified(db)) == [(1, recorded[0], "edited")]


def test_a_deleted_row_is_named(db, owner):
    recorded = a_sealed_trail(db, 4)

    behind_the_triggers(owner, "DELETE FROM governance.audit_logs WHERE id = %s", recorded[1])

    assert findings(verified(db)) == [(2, recorded[1], "missing")]


def test_rows_that_changed_places_are_named(db, owner):
    recorded = a_sealed_trail(db, 4)

    behind_the_triggers(owner, "UPDATE governance.audit_seals SET audit_id = 'free' WHERE n = 3")
    behind_the_triggers(owner, "UPDATE governance.audit_seals SET audit_id = %s WHERE n = 2", recorded[2])
    behind_the_triggers(owner, "UPDATE governance.audit_seals SET audit_id = %s WHERE n = 3", recorded[1])

    assert findings(verified(db)) == [(2, recorded[2], "reordered"), (3, recorded[1], "reordered")]


def test_a_row_and_its_seal_taken_out_together_leave_a_gap(db, owner):
    recorded = a_sealed_trail(db, 4)

    behind_the_triggers(owner, "DELETE FROM governance.audit_seals WHERE n = 2")
    behind_the_triggers(owner, "DELETE FROM governance.audit_logs WHERE id = %s", recorded[1])

    assert findings(verified(db)) == [(3, recorded[2], "follows a gap")]


def test_a_row_smuggled_in_is_named_because_nothing_queued_it(db, owner):
    a_sealed_trail(db, 2)

    behind_the_triggers(
        owner, "INSERT INTO governance.audit_logs (id, action, entity, entity_id) VALUES ('smuggled', 'a', 'b', 'c')"
    )
    with db.transaction() as tx:
        sealed = commands.seal(tx)

    assert sealed == 0
    assert findings(verified(db)) == [(None, "smuggled", "never queued for a seal")]


def test_a_tail_that_was_cut_off_is_noticed_by_whoever_kept_the_head(db, owner):
    recorded = a_sealed_trail(db, 3)
    head = verified(db).head

    behind_the_triggers(owner, "DELETE FROM governance.audit_seals WHERE n = 3")
    behind_the_triggers(owner, "DELETE FROM governance.audit_logs WHERE id = %s", recorded[2])

    assert verified(db).whole
    assert [found.finding for found in verified(db, anchor=head).broken] == [f"the head {head} is no longer part of it"]


def test_a_head_that_was_kept_is_part_of_every_later_chain(db):
    a_sealed_trail(db, 2)
    kept = verified(db).head
    a_sealed_trail(db, 2)

    report = verified(db, anchor=kept.upper())

    assert report.whole
    assert report.head != kept


def test_a_link_that_does_not_follow_the_one_before_cannot_be_written(db, owner):
    a_sealed_trail(db, 1)
    with db.transaction() as tx:
        audit = record(tx)

    with pytest.raises(psycopg.errors.ForeignKeyViolation) as refused:
        owner.execute(
            "INSERT INTO governance.audit_seals (n, audit_id, prev_hash, hash) VALUES (2, %s, sha256('a'), sha256('b'))",
            [audit],
        )

    assert refused.value.diag.constraint_name == "seal_follows_the_one_before"


# Reading


def test_only_one_verification_runs_at_a_time(db):
    with db.transaction() as first:
        queries.verify_audit(first)

        with pytest.raises(VerificationRunning), db.transaction() as second:
            queries.verify_audit(second)

    assert verified(db).whole


def test_a_stranger_verifies_the_whole_trail_and_reads_none_of_it(db):
    recorded = a_sealed_trail(db, 3)

    with db.transaction(Actor(kind="agent", did=a_did())) as tx:
        report = queries.verify_audit(tx)
        rows = queries.audit_rows(tx).items

    assert (report.sealed, report.broken, rows) == (len(recorded), [], [])


def test_the_trail_is_read_page_by_page_newest_first(tx):
    recorded = [record(tx, number) for number in range(5)]

    first = queries.audit_rows(tx, action="test.done", limit=3)
    second = queries.audit_rows(tx, action="test.done", limit=3, before=first.after)

    assert [row.id for row in first.items + second.items] == recorded[::-1]
    assert second.after is None


# The command line


def test_the_command_line_seals_what_waits_and_says_that_the_trail_is_whole(services):
    with services.db.transaction() as tx:
        record(tx)

    with command_line(services) as run:
        result = run("verify", "-o", "json")

    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (answer["sealed"], answer["unsealed"], answer["broken"]) == (1, [], [])


def test_the_command_line_names_the_broken_row_and_exits_with_1(services, owner):
    recorded = a_sealed_trail(services.db, 3)
    behind_the_triggers(owner, "UPDATE governance.audit_logs SET action = 'x' WHERE id = %s", recorded[1])

    with command_line(services) as run:
        as_json, as_text = run("verify", "-o", "json"), run("verify")

    assert as_json.exit_code == as_text.exit_code == 1
    assert json.loads(as_json.stdout)["broken"] == [{"n": 2, "audit_id": recorded[1], "finding": "edited"}]
    assert f"2  {recorded[1]}  edited" in as_text.stdout


def test_the_command_line_lists_the_trail(services):
    a_sealed_trail(services.db, 2)

    with command_line(services) as run:
        as_text, as_json = run("ls"), run("ls", "--action", "test.done", "-n", "1", "-o", "json")

    assert ["#2" in line for line in as_text.stdout.splitlines()] == [True, False]
    assert [row["n"] for row in json.loads(as_json.stdout)["items"]] == [2]
