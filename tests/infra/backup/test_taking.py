"""Taking backups: what is complete, what is cleaned up, who may, and what happens to two at once."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.conninfo import make_conninfo

from given.backups import drop_slot, rewrite
from hansa.infra import backup
from hansa.infra.backup import Archive, BackupSettings, Kind, Source, Timetable
from hansa.infra.backup.errors import (
    BackupDiskFull,
    BackupFailed,
    BackupNotPermitted,
    BackupRunning,
    FolderOfAnotherCluster,
    NothingToBuildOn,
    NotYetArchived,
    SummariesOff,
    TlsNotSpoken,
    WalMissing,
)
from hansa.infra.backup.programs import failure
from hansa.infra.backup.ticks import fetch, keep_schedule, wanted
from hansa.infra.settings import Settings

SLOW = """
import sys
from pathlib import Path
from hansa.infra import backup
backup.take(backup.Repository(Path(sys.argv[1])), backup.Source(dsn=sys.argv[2], embedded=True), rate_mb_s_max=1)
"""


def slow_backup(repository, source):
    """A process in the middle of a backup that would take half a minute, after it has copied something."""
    process = subprocess.Popen([sys.executable, "-c", SLOW, repository.folder, source.dsn])
    deadline = time.monotonic() + 20
    while not any(repository.folder.glob(".unfinished-*/data/base/*/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_a_backup_excludes_others_and_killed_in_the_middle_is_never_called_complete(repository, source, monkeypatch):
    process = slow_backup(repository, source)

    with monkeypatch.context() as hurried, pytest.raises(BackupRunning, match=f"process {process.pid} is busy"):
        hurried.setattr("hansa.infra.backup.taking.PATIENCE_S", 0.1)
        backup.take(repository, source)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = backup.list_backups(repository)
    taken = backup.take(repository, source)
    after = backup.list_backups(repository)

    assert killed.backups == ()
    assert len(killed.interrupted) == 1
    assert [one.backup for one in after.backups] == [taken.backup]
    assert after.interrupted == ()
    assert taken.backup.kind is Kind.FULL


def test_an_interruption_by_ctrl_c_leaves_nothing(repository, source):
    def interrupt(progress):
        if progress.step == "copying":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup.take(repository, source, report=interrupt)

    assert backup.list_backups(repository).interrupted == ()
    assert backup.list_backups(repository).backups == ()


def test_an_incremental_backup_needs_one_to_build_on(repository, source):
    with pytest.raises(NothingToBuildOn):
        backup.take(repository, source, Kind.INCREMENTAL)

    assert backup.list_backups(repository).failure.code == "nothing_to_build_on"


def test_an_incremental_backup_needs_summaries_and_without_them_a_full_one_is_taken(copied, source, ask):
    ask("ALTER SYSTEM SET summarize_wal = off")
    ask("SELECT pg_reload_conf()")
    while backup.examine(source).summarizes:
        time.sleep(0.01)
    try:
        with pytest.raises(SummariesOff):
            backup.take(copied, source, Kind.INCREMENTAL)
        taken = backup.take(copied, source)
    finally:
        ask("ALTER SYSTEM RESET summarize_wal")
        ask("SELECT pg_reload_conf()")

    assert taken.backup.kind is Kind.FULL


def test_a_folder_serves_one_cluster(repository, source):
    repository.make()
    repository.claim("4711")

    with pytest.raises(FolderOfAnotherCluster, match="holds backups of the cluster 4711"):
        backup.take(repository, source)


def test_a_role_that_may_not_replicate_is_refused_by_name(repository, server):
    owner = Source(dsn=server.dsn(role="hansa_owner", database="hansa"), embedded=False)

    with pytest.raises(BackupNotPermitted, match="the role hansa_owner may not replicate"):
        backup.take(repository, owner)

    assert not repository.folder.exists()


def test_the_right_to_replicate_is_enough_to_take_one_that_nobody_else_can_read(repository, server, ask):
    ask("CREATE ROLE copier LOGIN REPLICATION PASSWORD 'secret'")
    copier = make_conninfo(server.dsn(role="postgres", database="hansa"), user="copier", password="secret")
    told = []

    taken = backup.take(repository, Source(dsn=copier, embedded=False), report=told.append)
    ask("DROP ROLE copier")

    copying = [progress for progress in told if progress.step == "copying"]
    checking = [progress for progress in told if progress.step == "checking"]
    folder = repository.folder.stat()
    assert taken.backup.database == "hansa"
    assert copying[-1].done == copying[-1].total > 0
    assert checking[-1].done == taken.backup.bytes
    assert (folder.st_mode & 0o077, folder.st_uid) == (0, os.geteuid())


def test_a_server_that_lets_no_replication_in_is_named(repository, server, source, ask):
    doors = server.data / "pg_hba.conf"
    lines = doors.read_text()
    doors.write_text("".join(line for line in lines.splitlines(keepends=True) if "replication" not in line))
    ask("SELECT pg_reload_conf()")
    try:
        with pytest.raises(BackupNotPermitted, match="refuses a replication connection"):
            until_refused(source)
    finally:
        doors.write_text(lines)
        ask("SELECT pg_reload_conf()")


def until_refused(source):
    """A reload takes a moment."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        backup.examine(source)


def test_the_login_for_backups_is_the_one_that_was_set_for_them_then_the_owners():
    urls = {"database_url": "postgresql://pooled/a", "migrate_database_url": "postgresql://direct/b"}

    chosen = [
        backup.source_of(Settings(**urls), BackupSettings(database_url="postgresql://copier/c")),
        backup.source_of(Settings(**urls), BackupSettings()),
        backup.source_of(Settings(database_url="postgresql://pooled/a"), BackupSettings()),
    ]

    assert [one.database for one in chosen] == ["c", "b", "a"]
    assert not any(one.embedded for one in chosen)


def test_a_full_disk_is_named_before_and_after(copied, history, to):
    record = copied.path_of(history.full) / "backup.json"
    grown = record.read_bytes().replace(b'"bytes": ', b'"bytes": 1000000000')
    rewrite(record, grown)

    refusal = failure("pg_basebackup", ["error: could not write: No space left on device"], BackupFailed)

    assert isinstance(refusal, BackupDiskFull)
    with pytest.raises(BackupDiskFull, match="are needed"):
        backup.restore(copied, to)
    assert not to.exists()


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_a_connection_that_must_be_encrypted_is_refused_by_name(repository, source, mode):
    with pytest.raises(TlsNotSpoken, match=f"sslmode={mode}"):
        backup.take(repository, Source(dsn=make_conninfo(source.dsn, sslmode=mode), embedded=False))


def test_no_password_stands_on_a_command_line(source, server):
    assert server.password in source.dsn
    assert server.password not in source.login.conninfo
    assert source.login.environment == {"PGPASSWORD": server.password}


# --------------------------------------------------------------------------------------------- the archived log


def test_a_slot_that_was_lost_leaves_a_gap_that_is_named_and_a_new_run(copied, source, ask, to):
    drop_slot(source, copied)
    in_between = ask("SELECT clock_timestamp()")
    ask("SELECT pg_switch_wal()")
    ask("CHECKPOINT")

    after = backup.take(copied, source).backup

    assert len(Archive(copied).runs()) == 2
    assert {one.finding for one in backup.list_backups(copied).backups} == {""}
    assert after.kind is Kind.INCREMENTAL
    with pytest.raises(NotYetArchived, match="is archived up to"):
        backup.restore(copied, to, at=in_between)


def test_a_fetch_that_died_does_not_cost_what_was_fetched_before(copied, history):
    run = Archive(copied).runs()[-1]
    (partial,) = run.folder.glob("*.gz.partial")
    name, content = partial.name.removesuffix(".gz.partial"), partial.read_bytes()
    partial.rename(run.folder / f"{name}.gz.previous")
    (run.folder / f"{name}.gz.partial").write_bytes(content[: len(content) // 2])

    best = run.segments()[name]

    assert best.name == f"{name}.gz.previous"


def test_a_record_that_was_changed_is_named(copied, history):
    record = copied.path_of(history.full) / "backup.json"
    record.unlink()
    record.write_text("{}")

    with pytest.raises(backup.errors.BackupDamaged, match=r"backup\.json was changed"):
        backup.list_backups(copied)


def test_a_backup_whose_log_is_gone_is_no_longer_restorable(copied, history):
    for path in Archive(copied).runs()[0].folder.glob("*.gz*"):
        path.unlink()

    found = backup.list_backups(copied)

    assert all("which is not in the archive" in one.finding for one in found.backups)
    assert found.restorable_from is None
    with pytest.raises(WalMissing):
        Archive(copied).run_of(history.full)


# --------------------------------------------------------------------------------------------------- by itself


def options(repository, **more):
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    return BackupSettings(folder=repository.folder, full_at=hour_ago.time(), incremental_every_h=2, **more)


def test_the_worker_takes_what_is_due_and_nothing_twice(repository, source, settings):
    automatic, now = options(repository, automatic=True), datetime.now(UTC)

    taken = [keep_schedule(settings, automatic, now=now + timedelta(hours=hours)) for hours in (0, 0.5, 2)]

    assert [one and one.backup.kind for one in taken] == [Kind.FULL, None, Kind.INCREMENTAL]


def test_the_worker_takes_one_out_of_turn_when_log_was_lost(copied, source, settings, ask):
    automatic = BackupSettings(folder=copied.folder, automatic=True)
    timetable = Timetable(full_at=(datetime.now(UTC) - timedelta(hours=1)).time())
    whole = wanted_soon(copied, timetable)
    drop_slot(source, copied)
    ask("SELECT pg_switch_wal()")
    ask("CHECKPOINT")

    fetch(settings, automatic)

    assert whole is None
    assert wanted_soon(copied, timetable) is Kind.INCREMENTAL
    assert wanted_soon(copied, timetable, summarizes=False) is Kind.FULL


def wanted_soon(repository, timetable, *, summarizes=True):
    """What the worker would take a minute from now."""
    return wanted(repository, datetime.now(UTC) + timedelta(minutes=1), timetable, summarizes=summarizes)


def test_the_worker_takes_none_where_nobody_asked_for_it(repository, settings):
    assert keep_schedule(settings, options(repository), now=datetime.now(UTC)) is None
    assert not repository.folder.exists()


def test_in_production_backups_are_automatic():
    assert BackupSettings().runs_by_itself(Settings(env="production"))
    assert not BackupSettings(automatic=False).runs_by_itself(Settings(env="production"))
    assert not BackupSettings().runs_by_itself(Settings())


def test_after_a_failure_the_worker_rests(repository, source, settings, monkeypatch):
    automatic, now = options(repository, automatic=True), datetime.now(UTC)

    def broken(*_, **__):
        raise BackupFailed("the cable is out")

    with monkeypatch.context() as patched, pytest.raises(BackupFailed):
        patched.setattr("hansa.infra.backup.taking._copy", broken)
        keep_schedule(settings, automatic, now=now)
    soon = keep_schedule(settings, automatic, now=datetime.now(UTC))
    failure = backup.list_backups(repository).failure
    later = keep_schedule(settings, automatic, now=datetime.now(UTC) + timedelta(minutes=16))

    assert soon is None
    assert failure.detail == "the cable is out"
    assert later.backup.kind is Kind.FULL
    assert backup.list_backups(repository).failure is None


def test_the_log_is_fetched_once_there_is_a_backup(copied, repository, settings):
    mark = Archive(copied).last_mark()

    without = fetch(settings, BackupSettings(folder=repository.folder))
    with_one = fetch(settings, BackupSettings(folder=copied.folder))

    assert (without, with_one) == (False, True)
    assert Archive(copied).last_mark().position > mark.position
    assert Archive(copied).last_mark().at > mark.at
