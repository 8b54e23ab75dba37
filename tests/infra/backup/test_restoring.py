"""Restores from real backups of a real server, whole, to a moment, and from damaged ones."""

import shutil
from datetime import timedelta

import pytest

from given.backups import DIGEST, flip_a_bit, rewrite, started
from hansa.infra import backup
from hansa.infra.backup import Archive
from hansa.infra.backup.errors import (
    BackupDamaged,
    BackupUnknown,
    ChainBroken,
    NoBackupBefore,
    NotYetArchived,
    RestoreFolderTaken,
    WalMissing,
)
from hansa.infra.database import embedded
from hansa.infra.embedded import EmbeddedPostgres


def test_a_full_backup_two_incremental_ones_and_the_log_give_back_every_row(history, to):
    restored = backup.restore(history.repository, to)

    with started(to) as ask:
        assert ask(DIGEST) == history.left
    assert restored.backups == (history.full.id, history.first.id, history.second.id)
    assert restored.last_commit_at > history.before_delete


def test_the_instant_before_a_delete_has_all_rows(history, to):
    restored = backup.restore(history.repository, to, durable=False, at=history.before_delete)

    with started(to) as ask:
        assert ask(DIGEST) == history.whole
    assert restored.last_commit_at <= history.before_delete


def test_a_restored_home_is_a_home_of_hansa_with_passwords_of_its_own(history, to, server):
    backup.restore(history.repository, to)

    cluster = EmbeddedPostgres(to)
    restored = cluster.start()
    database = embedded(restored)
    cluster.stop()

    assert restored.password != server.password
    assert "hansa_app" in database.app_dsn
    assert [path.name for path in to.glob("restore.*")] == []


def test_a_moment_can_be_reached_from_an_older_backup_too(history, copied, to):
    shutil.rmtree(copied.path_of(history.second))

    restored = backup.restore(copied, to, durable=False, at=history.before_delete, start=history.full.id)

    with started(to) as ask:
        assert ask(DIGEST) == history.whole
    assert restored.backups == (history.full.id,)


@pytest.mark.parametrize("which", ["full", "first", "second"])
def test_a_flipped_bit_is_found_and_named_before_anything_is_written(history, copied, to, which):
    damaged = copied.data_of(getattr(history, which)) / "global" / "pg_control"
    flip_a_bit(damaged)

    with pytest.raises(BackupDamaged, match=f"{damaged} was changed"):
        backup.restore(copied, to, durable=False)

    assert not to.exists()


def test_missing_added_and_shortened_files_are_named_together(history, copied, to):
    data = copied.data_of(history.full)
    (data / "PG_VERSION").unlink()
    (data / "global" / "stranger").write_text("x")
    rewrite(data / "pg_hba.conf", b"")

    with pytest.raises(BackupDamaged) as refused:
        backup.restore(copied, to, durable=False)

    found = "; ".join(refused.value.facts["findings"])
    assert f"{data}/PG_VERSION cannot be read" in found
    assert f"{data}/global/stranger does not belong" in found
    assert f"{data}/pg_hba.conf has 0 bytes instead of" in found


def test_a_changed_list_of_checksums_is_not_believed(history, copied, to):
    manifest = copied.data_of(history.full) / "backup_manifest"
    rewrite(manifest, manifest.read_bytes().replace(b'"Size": 3,', b'"Size": 4,', 1))

    with pytest.raises(BackupDamaged, match="its checksum is wrong"):
        backup.restore(copied, to, durable=False)


def test_an_incremental_backup_that_is_missing_is_named(history, copied, to):
    shutil.rmtree(copied.path_of(history.first))

    with pytest.raises(ChainBroken, match=f"{history.second.id} builds on {history.first.id}, which is missing"):
        backup.restore(copied, to, durable=False)

    found = backup.list_backups(copied)
    assert [bool(one.finding) for one in found.backups] == [False, True]


def test_a_damaged_piece_of_the_log_is_named(history, copied, to):
    _, segments = segments_from(copied, history.full)
    damaged = max(segments, key=lambda path: path.stat().st_size)  # one that is not full of zeros
    flip_a_bit(damaged)

    with pytest.raises(BackupDamaged, match=f"{damaged} was changed"):
        backup.restore(copied, to, durable=False, start=history.full.id)

    assert not to.exists()


def test_a_missing_piece_of_the_log_is_named(history, copied, to):
    names, segments = segments_from(copied, history.full)
    segments[1].unlink()

    with pytest.raises(WalMissing, match=names[1]):
        backup.restore(copied, to, durable=False, start=history.full.id)


def segments_from(repository, first):
    run = Archive(repository).run_of(first)
    found = sorted(run.segments().items())
    names = [name for name, _ in found if int(name[16:], 16) >= first.start // first.segment_bytes]
    return names, [run.segments()[name] for name in names]


def test_moments_outside_of_the_archive_are_refused(history, to):
    end = Archive(history.repository).last_mark().at

    with pytest.raises(NoBackupBefore, match="the first one was complete at"):
        backup.restore(history.repository, to, durable=False, at=history.full.started_at)
    with pytest.raises(NotYetArchived, match="is archived up to"):
        backup.restore(history.repository, to, durable=False, at=end + timedelta(seconds=1))
    with pytest.raises(BackupUnknown):
        backup.restore(history.repository, to, durable=False, start="20200101T000000.000Z-full")
    assert not to.exists()


def test_a_restore_never_overwrites(history, to):
    to.mkdir()
    (to / "letter").write_text("mine")

    with pytest.raises(RestoreFolderTaken):
        backup.restore(history.repository, to)

    assert [path.name for path in to.iterdir()] == ["letter"]


def test_a_copy_of_somebody_elses_server_gets_a_configuration_of_its_own(history, ask, source, repository, to):
    ask("ALTER SYSTEM SET archive_command = 'touch /tmp/never'")
    foreign = backup.Source(dsn=source.dsn, embedded=False)
    backup.take(repository, foreign)
    ask("ALTER SYSTEM RESET archive_command")

    restored = backup.restore(repository, to, durable=False)

    with started(to) as ask_copy:
        assert ask_copy("SHOW archive_command") == "(disabled)"
        assert ask_copy("SELECT count(*) FROM letters") > 0
    assert not restored.embedded
