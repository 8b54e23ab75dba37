"""The whole change of a dirty database, there and back, and the proof that each promise of it can be broken."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from hansa import migrate
from hansa.entry.demo_migrate import DemoFailed, MigrationDemo, Written
from hansa.examples import legacy
from hansa.migrate import testing

SCALE = 100
BASELINE, TYPES, VALUES, *_ = sorted(folder.name for folder in legacy.REVISIONS.iterdir())
NOBODY_WROTE = Written(followed={}, added={})


@pytest.fixture
def revisions(tmp_path) -> Path:
    """A copy of the revisions, to be spoilt."""
    return Path(shutil.copytree(legacy.REVISIONS, tmp_path / "revisions"))


@pytest.fixture
def dsn(server_dsn):
    with testing.scratch(server_dsn, "demo") as dsn:
        yield dsn


def on_stage(dsn, revisions=legacy.REVISIONS):
    """The demo after it filled the old database."""
    demo = MigrationDemo(scale=SCALE, as_json=True, revisions=revisions)
    demo.dsn = dsn
    return demo, demo.fill(BASELINE)


def ask(dsn, query):
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.rowcount if cursor.description is None else cursor.fetchall()


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def left_over():
    return set(Path(tempfile.gettempdir()).glob("hansa-demo-*"))


@pytest.mark.timeout(120)
def test_the_demo_goes_there_and_back_by_itself_and_leaves_nothing():
    before = left_over()
    command = [sys.executable, "-m", "hansa.entry.cli", "demo", "migrate", f"--scale={SCALE}", "-o", "json"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)

    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["problem"]) == (0, True, None), done.stderr
    assert len(told["steps"]) == 12
    assert told["plan_as_written"]["agents_active_again"] > 0
    assert told["plan_as_written"]["transactions_sent_again"] > 0
    assert told["up"]["statements"] > 0
    assert (told["up"]["failed"], told["up"]["lost"]) == (0, 0)
    assert set(told["judged"].values()) == {0}
    assert sum(shelf["rows"] for shelf in told["quarantine"]) > 0
    assert left_over() == before


@pytest.mark.timeout(120)
def test_a_way_back_that_loses_something_ends_the_demo_with_its_name(revisions, capsys):
    spoil(
        revisions / TYPES / "down.sql",
        'DROP TABLE "trust_histories";',
        'DROP TABLE "trust_histories"; UPDATE "role_agents" SET "status" = lower("status");',
    )

    status = MigrationDemo(scale=SCALE, as_json=True, revisions=revisions).run()

    told = json.loads(capsys.readouterr().out)
    assert (status, told["ok"]) == (1, False)
    assert told["problem"].startswith("the rehearsal: after down: table public.role_agents")
    assert "up" not in told


def test_a_map_that_resets_a_status_is_found_out_however_well_it_can_go_back(dsn, revisions):
    spoil(revisions / VALUES / "map.toml", 'success = "confirmed"', 'success = "pending"')
    demo, before = on_stage(dsn, revisions)
    migrate.up(dsn, revisions)

    with pytest.raises(DemoFailed, match="1 settled transactions wait to be sent again"):
        demo.judge(before, NOBODY_WROTE)

    demo.go_back(before, NOBODY_WROTE, BASELINE)


def test_a_map_that_gives_power_back_is_found_out(dsn, revisions):
    spoil(revisions / VALUES / "map.toml", 'banned = "suspended"', 'banned = "active"')
    demo, before = on_stage(dsn, revisions)
    migrate.up(dsn, revisions)

    with pytest.raises(DemoFailed, match="1 agents are active that were not"):
        demo.judge(before, NOBODY_WROTE)


def test_originals_that_are_gone_are_missed_on_the_way_back(dsn):
    demo, before = on_stage(dsn)
    migrate.up(dsn, legacy.REVISIONS)
    demo.judge(before, NOBODY_WROTE)
    gone = ask(dsn, "DELETE FROM mig.preimages")

    with pytest.raises(DemoFailed, match=r"down: \d+ rows of \w+ are not as they were"):
        demo.go_back(before, NOBODY_WROTE, BASELINE)

    assert gone > 0


def test_a_row_that_is_nowhere_is_missed(dsn):
    demo, before = on_stage(dsn)
    migrate.up(dsn, legacy.REVISIONS)
    demo.show_quarantine(before, NOBODY_WROTE)
    ask(dsn, "DELETE FROM mig.quarantine WHERE id = (SELECT min(id) FROM mig.quarantine)")

    with pytest.raises(DemoFailed, match="1 rows of blockchain_transactions are neither there nor in quarantine"):
        demo.show_quarantine(before, NOBODY_WROTE)


def test_what_the_clients_lost_is_counted_against_what_is_there(dsn):
    demo, before = on_stage(dsn)
    demo.up = lambda: ask(dsn, LOSE) and migrate.up(dsn, legacy.REVISIONS)

    with pytest.raises(DemoFailed, match="confirmed writes are not there"):
        demo.up_under_traffic(before)


LOSE = """
    CREATE RULE lost AS ON INSERT TO "audit_logs" DO INSTEAD NOTHING
"""
"""What an application would not notice: its rows are taken, and are not there."""
