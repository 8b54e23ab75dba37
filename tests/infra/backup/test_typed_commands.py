"""`hansa backup` as an operator types it: lines, JSON, exit codes."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from given import deals
from given.backups import drop_slot, flip_a_bit
from hansa.entry.backups import app
from hansa.entry.cli import Console
from hansa.infra import backup
from hansa.infra.backup import Repository, Source
from hansa.infra.backup.errors import DumpNotPermitted, TargetNotSupported
from hansa.infra.database import embedded
from hansa.infra.db import Db
from hansa.infra.seal import LocalKeyRing, SealBroken


@pytest.fixture
def home(settings, migrated, source):
    """The home of the cluster, without any backup before and after."""
    yield settings
    repository = Repository(settings.home / "backups")
    if repository.identity():
        drop_slot(source, repository)
    shutil.rmtree(repository.folder, ignore_errors=True)


@pytest.fixture
def damageable(copied, monkeypatch):
    """Lets the commands work on a copy of the history of backups."""
    monkeypatch.setenv("HANSA_BACKUP_FOLDER", str(copied.folder))
    return copied


@pytest.fixture
def hansa_backup(home):
    """Runs a command and gives its exit code and what it printed."""

    def run(*arguments):
        done = CliRunner().invoke(app, list(map(str, arguments)), obj=Console(home))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout

    return run


@pytest.fixture(scope="session")
def books(migrated):
    """Some movements in the books, and rows in the audit trail."""
    with Db(embedded(migrated).app_dsn, size=2) as db, db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        deals.accepted(tx, buyer, seller)


def test_now_ls_and_prune_speak_to_people_and_to_programs(hansa_backup):
    empty = hansa_backup("ls")
    full = hansa_backup("now")
    incremental = hansa_backup("now", "--incremental", "-o", "json")
    listed = hansa_backup("ls")
    as_json = hansa_backup("ls", "-o", "json")
    pruned = hansa_backup("prune", "-o", "json")

    made = json.loads(incremental[1])["backup"]
    assert empty[0] == 0
    assert "no complete backup" in empty[1]
    assert full[0] == 0
    assert "every checksum right" in full[1]
    assert "MB/s" in full[1]
    assert made["kind"] == "incremental"
    assert made["id"] in listed[1]
    assert "any moment from" in listed[1]
    assert [one["backup"]["kind"] for one in json.loads(as_json[1])["backups"]] == ["full", "incremental"]
    assert json.loads(pruned[1])["backups"] == []


def test_ls_exits_with_1_when_a_backup_lacks_something(hansa_backup, damageable, history):
    shutil.rmtree(damageable.path_of(history.first))

    code, said = hansa_backup("ls")

    assert code == 1
    assert f"builds on {history.first.id}, which is missing" in said


def test_wrong_usage_is_told_apart_from_refusals(hansa_backup, tmp_path):
    assert hansa_backup("now", "--full", "--incremental")[0] == 2
    assert hansa_backup("restore", "--to", tmp_path / "x", "--at", "yesterday")[0] == 2
    assert hansa_backup("restore", "--to", tmp_path / "x", "--at", "2026-12-01T10:00:00")[0] == 2


def test_a_restored_home_brings_its_keys_and_says_how_to_go_on(hansa_backup, home, damageable, to):
    LocalKeyRing.create(home.home / "keys" / "ring.json")

    code, said = hansa_backup("restore", "--to", to)

    assert code == 0
    assert f"hansa --home {to} up" in said
    assert (to / "keys" / "ring.json").read_bytes() == (home.home / "keys" / "ring.json").read_bytes()
    shutil.rmtree(home.home / "keys")


def test_a_drill_prints_its_checks_and_leaves_nothing_behind(hansa_backup, books, monkeypatch, open_folder):
    (open_folder / "tmp").mkdir()
    (open_folder / "tmp").chmod(0o755)
    monkeypatch.setattr("tempfile.tempdir", str(open_folder / "tmp"))
    hansa_backup("now")

    code, said = hansa_backup("drill")

    checks = [line[6:28].strip() for line in said.splitlines()]
    assert code == 0
    assert all(line.startswith("PASS  ") for line in said.splitlines())
    assert checks == [
        "restore",
        "page checksums",
        "server starts",
        "tables can be read",
        "migrations verify",
        "books balanced",
        "audit trail",
    ]
    assert list((open_folder / "tmp").iterdir()) == []


def test_a_corrupted_posting_fails_the_drill(hansa_backup, books, ask):
    ask("ALTER TABLE credits.postings DISABLE TRIGGER USER")
    ask("UPDATE credits.postings SET amount = amount + 1 WHERE line = 1")
    hansa_backup("now")
    ask("UPDATE credits.postings SET amount = amount - 1 WHERE line = 1")
    ask("ALTER TABLE credits.postings ENABLE TRIGGER USER")

    code, said = hansa_backup("drill", "-o", "json", "--at", taken_at(hansa_backup))

    found = {check["name"]: check for check in json.loads(said)["checks"]}
    assert code == 1
    assert not json.loads(said)["passed"]
    assert not found["books balanced"]["passed"]
    assert found["audit trail"]["passed"]


def taken_at(hansa_backup):
    """The moment at which the newest backup was complete."""
    return json.loads(hansa_backup("ls", "-o", "json")[1])["backups"][-1]["backup"]["finished_at"]


def test_a_damaged_backup_fails_the_drill_by_name(hansa_backup, damageable, history):
    damaged = damageable.data_of(history.first) / "global" / "pg_control"
    flip_a_bit(damaged)

    code, said = hansa_backup("drill")

    assert code == 1
    assert said.splitlines() == [f"FAIL  {'restore':<22}backup_damaged: {damaged} was changed"]


def test_a_dump_and_its_audit_trail_can_be_opened_with_the_key_ring_alone(hansa_backup, books, home, tmp_path):
    code, said = hansa_backup("dump", "--to", tmp_path / "dumps", "-o", "json")

    made = json.loads(said)
    plain, audit = tmp_path / "plain", tmp_path / "audit"
    hansa_backup("open", made["dump"], "--to", plain)
    hansa_backup("open", made["audit"], "--to", audit)
    rows = [json.loads(line) for line in audit.read_text().splitlines()]
    assert code == 0
    assert plain.read_bytes().startswith(b"PGDMP")
    assert plain.stat().st_size == made["dump_bytes"]
    assert plain.stat().st_mode & 0o077 == 0
    assert len(rows) == made["audit_rows"] > 0
    assert {"id", "action", "hash"} <= rows[0].keys()
    shutil.rmtree(home.home / "keys")


def test_a_damaged_dump_does_not_open_and_leaves_no_file(hansa_backup, home, tmp_path):
    made = json.loads(hansa_backup("dump", "--to", tmp_path / "dumps", "-o", "json")[1])
    flip_a_bit(tmp_path / "dumps" / made["dump"])

    with pytest.raises(SealBroken, match="chunk"):
        hansa_backup("open", made["dump"], "--to", tmp_path / "plain")

    assert [path.name for path in tmp_path.iterdir()] == ["dumps"]
    shutil.rmtree(home.home / "keys")


def test_a_dump_by_somebody_who_does_not_see_every_row_is_refused(migrated, tmp_path, services_keys):
    owner = Source(dsn=migrated.dsn(role="hansa_owner", database="hansa"), embedded=False)

    with pytest.raises(DumpNotPermitted, match="row level security would hide rows from hansa_owner"):
        backup.dump(owner, tmp_path / "dumps", services_keys, lambda _: [])

    assert list((tmp_path / "dumps").iterdir()) == []


@pytest.mark.parametrize("target", ["s3://bucket/path", "https://example.org/x"])
def test_a_target_that_is_no_folder_is_refused_by_name(hansa_backup, target):
    with pytest.raises(TargetNotSupported, match="is not a target"):
        hansa_backup("dump", "--to", target)
