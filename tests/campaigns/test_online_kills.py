"""An online migration survives kill -9 at every step: four kills with every test run, thirty with `make soak`."""

from collections import Counter
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from campaigns.online.accounts import Accounts
from campaigns.online.campaign import campaign, whole
from campaigns.online.migration import CONVERSION, write_revisions
from campaigns.online.notes import ACKNOWLEDGED, LOST, REFUSED, Notes, Write
from campaigns.online.places import ways
from campaigns.online.report import write_report
from campaigns.online.striker import CLIENT, ENGINE, SERVER
from campaigns.record import Writer

REPORT = Path(__file__).parents[2] / "docs" / "explanation" / "online-kills.json"


def ended_as_if_nothing_had_been(result):
    """The assertion of every campaign, with all that is wrong in its message."""
    assert not result.problems, "\n".join(["", *result.problems])


@pytest.mark.timeout(240)
def test_a_migration_ends_the_same_while_deployer_server_and_a_client_are_killed():
    killed = [ENGINE, ENGINE, SERVER, CLIENT]
    with campaign(seed=77, rows=20_000, kills=killed, kills_a_round=4, thorough=False) as one:
        result = one.run()

    ended_as_if_nothing_had_been(result)
    assert Counter(kill.victim for kill in result.kills) == Counter(killed)
    assert len(result.inside) >= 2, "kills have to hit open transactions"
    assert all(kill.aborted for kill in result.kills if kill.aborted is not None)
    assert result.outcomes[ACKNOWLEDGED] > 100
    assert len(result.reference.up.preimages) > 500
    assert len(result.reference.up.quarantine) > 50


@pytest.mark.soak
@pytest.mark.timeout(25 * 60)
def test_thirty_kills_at_all_steps_leave_what_a_run_without_kills_leaves():
    with campaign(seed=21, rows=30_000, **whole(30)) as one:
        result = one.run()

    write_report(result, REPORT)
    ended_as_if_nothing_had_been(result)
    up = [kill for kill in result.kills if kill.direction == "up"]
    assert Counter(kill.victim for kill in up) == {ENGINE: 10, SERVER: 10, CLIENT: 10}
    assert {kill.place for kill in up} == set(result.places)
    assert sum(kill.inside for kill in up) >= 15
    assert all(kill.aborted for kill in result.kills if kill.aborted is not None)


def test_the_place_of_a_run_follows_from_the_ledger(tmp_path):
    up, down = ways(write_revisions(tmp_path))
    row = {"revision": CONVERSION, "number": 1, "direction": "up", "step": "sync", "finished": False, "share": 0.5}
    script = row | {"number": 0, "step": "up.sql", "finished": True, "share": None}

    backfill = up.position(([], True, [script, row]))
    index = up.position(([], True, [script, row | {"step": "backfill"}]))
    second = up.position(([], True, [script, row | {"step": "analyze", "finished": True}]))
    back = down.position(([CONVERSION], True, [script, row | {"direction": "down", "step": None}]))

    assert up.places[up.position(None).index].name == "begin"
    assert up.places[up.position(([], True, None)).index].name == "script"
    assert (up.places[backfill.index].name, backfill.share) == ("convert_to_enum: backfill", 0.5)
    assert up.places[index.index].name == "convert_to_enum: index"
    assert up.places[second.index].name == "create_index: preflight"
    assert down.places[back.index].name == "create_index: drop"
    assert up.position(([place.revision for place in up.places], False, None)).index == len(up.places)


@pytest.fixture
def dsn(server_dsn):
    """Connection string of an empty database."""
    name = f"accounts_{uuid4().hex}"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        yield make_conninfo(server_dsn, dbname=name)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def notes(tmp_path):
    """Two rows written, one of them twice, then a pair whose answer was never heard, a refusal, and a stray."""
    record = Writer(tmp_path / "notes.jsonl")
    for how, writes in [
        (ACKNOWLEDGED, [Write(10, 1, "Confirmed")]),
        (ACKNOWLEDGED, [Write(20, 2, "failed")]),
        (LOST, [Write(20, 3, "pending"), Write(30, 4, "pending")]),
        (REFUSED, [Write(10, 5, "success")]),
        (ACKNOWLEDGED, [Write(101, 6, " Unknown", insert=True)]),
        (None, [Write(40, 7, "failed")]),
    ]:
        record.write("begin", tx=writes[0].sequence, writes=[write.noted() for write in writes])
        if how is not None:
            record.write("end", tx=writes[0].sequence, how=how, why="")
    return Notes.read(tmp_path / "notes.jsonl")


def test_notes_tell_what_is_certain_and_what_may_be(notes):
    sequences = {row: [one and one.sequence for one in notes.rows[row].candidates()] for row in (10, 20, 30, 40)}

    assert sequences == {10: [1], 20: [2, 3], 30: [None, 4], 40: [None, 7]}
    assert notes.outcomes == {ACKNOWLEDGED: 3, LOST: 2, REFUSED: 1}
    assert notes.old_words_refused
    assert notes.strays() == {101: True}
    assert (notes.last, notes.inserted) == (7, 1)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("UPDATE books.transfers SET writes = 0 WHERE id = 10", "row 10 holds write 0"),
        ("UPDATE books.transfers SET status = 'pending' WHERE id = 10", "row 10 is 'pending' after 'Confirmed'"),
        ("DELETE FROM books.transfers WHERE id = 20", "row 20 is lost"),
        ("UPDATE books.transfers SET status = 'pending', writes = 3 WHERE id = 20", "half of a transaction"),
        ("DELETE FROM mig.quarantine", "row 101, which has no place, is lost"),
        (
            "INSERT INTO mig.quarantine (columns, contents, relation) SELECT columns, contents, relation FROM mig.quarantine",
            "set aside twice",
        ),
        ("INSERT INTO books.transfers VALUES (101, 'pending', 6)", "row 101 is in the table"),
        ("INSERT INTO mig.preimages VALUES ('{10}', 'REVERTED', 'failed')", "which nobody wrote"),
    ],
)
def test_whatever_is_lost_halved_or_doubled_is_found(notes, dsn, wrong, told):
    accounts = Accounts(notes=notes, before=dict.fromkeys(range(10, 101, 10), "pending"), rows=100)
    with psycopg.connect(dsn) as connection:
        connection.execute("""
            CREATE SCHEMA books; CREATE SCHEMA mig;
            CREATE TABLE books.transfers (id bigint, status text, writes bigint);
            CREATE TABLE mig.quarantine (columns text[], contents text[], relation text);
            CREATE TABLE mig.preimages (key text[], original text, converted text);
            INSERT INTO books.transfers SELECT n, 'pending', 0 FROM generate_series(10, 100, 10) AS n;
            UPDATE books.transfers SET status = 'confirmed', writes = 1 WHERE id = 10;
            UPDATE books.transfers SET status = 'failed', writes = 2 WHERE id = 20;
            INSERT INTO mig.quarantine VALUES ('{id,status,writes}', '{101," Unknown",6}', 'books.transfers');
        """)
    assert list(accounts.findings(dsn, up=True)) == []

    with psycopg.connect(dsn) as connection:
        connection.execute(wrong)

    findings = list(accounts.findings(dsn, up=True))
    assert any(told in finding for finding in findings), findings
