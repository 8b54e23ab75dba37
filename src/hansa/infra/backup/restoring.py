"""Restoring: a chain of backups and the archived log become a home whose server can be started.

The server recovers in single-user mode. Nobody can connect to data that is half recovered, no port is needed, and the
passwords are made anew in the same step: the old one may be lost with its home.
"""

from __future__ import annotations

import gzip
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hansa.infra.backup.archive import Archive, Mark, needed, unpack
from hansa.infra.backup.errors import (
    BackupFailed,
    BackupUnknown,
    NoBackupBefore,
    NotYetArchived,
    RestoreFailed,
    RestoreFolderTaken,
)
from hansa.infra.backup.lsn import lsn_text
from hansa.infra.backup.manifest import check
from hansa.infra.backup.programs import run
from hansa.infra.backup.progress import Progress, Report, unheard
from hansa.infra.backup.repository import Backup, Repository, chain_of, named, require_room
from hansa.infra.database import APP_ROLE, OWNER_ROLE
from hansa.infra.embedded import Server
from hansa.infra.embedded.binaries import Binaries, reachable_binaries
from hansa.infra.embedded.configuration import CONF
from hansa.infra.embedded.folders import write_file
from hansa.infra.embedded.place import VAULT, Place, choose_place, make_home

_LAST_COMMIT = re.compile(r"last completed transaction was at log time (\S+ \S+)")
_FAULT = re.compile(r"^.*\b(?:ERROR|FATAL|PANIC):.*$", re.MULTILINE)
_TOO_SHORT = "recovery ended before configured recovery target was reached"
_OPEN_DOORS = """\
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
local replication all scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A home that was made from backups."""

    home: Path
    data: Path
    """Where its database lies: in the home, or where the server's account can get to."""
    backups: tuple[str, ...]
    """What it was put together from, the full backup first."""
    database: str
    embedded: bool
    """It has the roles of an embedded server, so `hansa up` works on it."""
    at: datetime | None
    """The moment that was asked for; None: the last one in the archive."""
    last_commit_at: datetime | None
    """When the last transaction that was replayed was committed; None: none was, the backup alone has it all."""
    replayed_to: str
    bytes: int
    took_s: float


def choose(backups: list[Backup], *, at: datetime | None, start: str | None) -> Backup:
    """The backup to begin with: the newest that was complete by then, or the one that is named.

    Raises NoBackupBefore, BackupUnknown.
    """
    if start is not None:
        found = next((backup for backup in backups if backup.id == start), None)
        if found is None:
            raise BackupUnknown(f"there is no complete backup {start}")
        backups = [found]
    fitting = [backup for backup in backups if at is None or backup.finished_at <= at]
    if not fitting:
        first = f": the first one was complete at {backups[0].finished_at:%Y-%m-%d %H:%M:%S.%f}Z" if backups else ""
        raise NoBackupBefore((f"no backup was complete at {at}" if at else "there is no complete backup") + first)
    return fitting[-1]


def restore(
    repository: Repository,
    to: Path,
    *,
    at: datetime | None = None,
    start: str | None = None,
    durable: bool = True,
    report: Report = unheard,
    vault: Path = VAULT,
) -> Restored:
    """Make a home at `to` with the database as it was at the moment `at`, or at the end of the archive.

    The backups are checked before anything is written. `start` names the backup to begin with, for the case that the
    newest one is damaged: the log leads from an older one to the same moment. What is not `durable` is quicker made,
    and worthless after a power failure.
    Raises RestoreFolderTaken, NoBackupBefore, BackupUnknown, ChainBroken, BackupDamaged, WalMissing, NotYetArchived,
    BackupDiskFull, RestoreFailed, EmbeddedRefused.
    """
    began, made = time.monotonic(), not to.exists()
    if not made and (not to.is_dir() or any(to.iterdir())):
        raise RestoreFolderTaken(f"{to} is not empty; a restore never overwrites anything")
    if not repository.folder.exists():
        raise NoBackupBefore(f"there is no folder {repository.folder}")
    with repository.lock("chains", shared=True):
        backups = repository.backups()
        chosen = choose(backups, at=at, start=start)
        chain = chain_of(chosen, backups)
        mark, segments = needed(Archive(repository).run_of(chosen), chosen, at=at)
        for backup in chain:
            check(repository.data_of(backup), report=report)
        home = Path(os.path.abspath(to))  # noqa: PTH100 - resolve() would follow a link that may be moved
        make_home(home)
        with named(home):
            place = choose_place(home, vault)
            try:
                room = sum(backup.bytes for backup in chain) + len(segments) * chosen.segment_bytes
                require_room(place.folder, room)
                last = _make(
                    repository, place, chain, segments, mark, at=at, report=report, vault=vault, durable=durable
                )
            except BaseException:
                place.remove()
                if made:
                    home.rmdir()
                raise
    return Restored(
        home=home,
        data=place.data,
        backups=tuple(backup.id for backup in chain),
        database=chosen.database,
        embedded=chosen.embedded,
        at=at,
        last_commit_at=last,
        replayed_to=lsn_text(mark.position),
        bytes=_size(place.data),
        took_s=time.monotonic() - began,
    )


def _make(
    repository: Repository,
    place: Place,
    chain: tuple[Backup, ...],
    segments: dict[str, Path],
    mark: Mark,
    *,
    at: datetime | None,
    report: Report,
    vault: Path,
    durable: bool,
) -> datetime | None:
    """Put the data together beside its final place, recover it, and move it there; the time of its last commit."""
    data = place.unfinished
    report(Progress(step="combining", done=0, total=sum(backup.bytes for backup in chain)))
    folders = [repository.data_of(backup) for backup in chain]
    run("pg_combinebackup", [*folders, "--output", data, "--no-sync", "--no-manifest"], refusal=BackupFailed)
    _configure(data, ours=chain[-1].embedded)
    for done, (name, packed) in enumerate(sorted(segments.items())):
        report(Progress(step="unpacking the log", done=done * chain[-1].segment_bytes))
        unpack(packed, data / "pg_wal" / name, chain[-1].segment_bytes)
    for history in Archive(repository).run_of(chain[-1]).histories():
        (data / "pg_wal" / history.name.removesuffix(".gz")).write_bytes(_plain(history))
    (data / "recovery.signal").touch()
    _hand_over(place, data)
    password = secrets.token_urlsafe(32)
    report(Progress(step="replaying the log", done=0))
    binaries = reachable_binaries(place.account, vault)
    last = _recover(place, binaries, _statements(place, password), at=at, mark=mark, durable=durable)
    place.keep_password(password)
    place.keep_record(port=None)
    if durable:
        os.sync()  # everything at once, and before it has the name by which a server finds it
    data.rename(place.data)
    return last


def _configure(data: Path, *, ours: bool) -> None:
    """A server of somebody else's may archive, preload or listen in ways that a copy on this machine must not."""
    if not ours:
        (data / "postgresql.conf").write_text(f"include '{CONF}'\n", encoding="utf-8")
        (data / "pg_hba.conf").write_text(_OPEN_DOORS, encoding="utf-8")
        (data / "pg_ident.conf").write_text("", encoding="utf-8")
        (data / "postgresql.auto.conf").write_text("", encoding="utf-8")
        (data / CONF).write_text("", encoding="utf-8")
    for leftover in ("standby.signal", "postmaster.pid", "start.log"):
        (data / leftover).unlink(missing_ok=True)
    shutil.rmtree(data / "log", ignore_errors=True)


def _hand_over(place: Place, data: Path) -> None:
    """Everything to the server's account, and to nobody else."""
    data.chmod(0o700)
    if not place.account.switched:
        return
    for folder, _, files in os.walk(data):
        place.account.give(Path(folder))
        for name in files:
            os.lchown(Path(folder) / name, place.account.uid, place.account.gid)


def _statements(place: Place, password: str) -> list[str]:
    """What makes the restored server ours: one statement a line, as single-user mode reads them."""
    server = Server(data=place.data, socket_dir=place.folder, port=0, pid=0, password=password)
    return [
        _if_role("postgres", "NULL", otherwise="CREATE ROLE postgres"),
        f"ALTER ROLE postgres SUPERUSER LOGIN PASSWORD '{password}'",
        *(
            _if_role(role, f"ALTER ROLE {role} PASSWORD '{server.password_of(role)}'", otherwise="NULL")
            for role in (OWNER_ROLE, APP_ROLE)
        ),
    ]


def _if_role(role: str, then: str, *, otherwise: str) -> str:
    found = f"EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}')"
    return f"DO $$ BEGIN IF {found} THEN {then}; ELSE {otherwise}; END IF; END $$"


def _recover(
    place: Place, binaries: Binaries, statements: Iterable[str], *, at: datetime | None, mark: Mark, durable: bool
) -> datetime | None:
    """Replay the log up to the moment, run the statements, stop; the time of the last commit that was replayed.

    Raises NotYetArchived, RestoreFailed.
    """
    settings = {
        "fsync": "on" if durable else "off",
        "hot_standby": "off",  # with it, settings of the original server would have to be matched
        "restore_command": "false",  # everything is in place already
        "recovery_target_action": "promote",
        "logging_collector": "off",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_min_error_statement": "panic",
        "timezone": "UTC",
        "lc_messages": "C",
        **({"recovery_target_time": at.astimezone(UTC).isoformat(sep=" ")} if at else {}),
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server: list[str | Path] = [binaries.bin / "postgres", "--single", "-D", place.unfinished, *options, "template1"]
    said = _run_with_input(place, server, "".join(f"{line}\n" for line in statements), binaries)
    if _TOO_SHORT in said:
        raise NotYetArchived(f"the log in the archive ends before {at}")
    faults = _FAULT.findall(said)
    commits = _LAST_COMMIT.findall(said)
    if faults or "archive recovery complete" not in said:
        raise RestoreFailed("\n  ".join(["the server said:", *(faults or said.splitlines()[-12:])]))
    last = datetime.fromisoformat(commits[-1]).astimezone(UTC) if commits else None
    if at is None and (last is None or last < mark.at):
        raise RestoreFailed(f"the log could be replayed up to {last} only, and the archive goes up to {mark.at}")
    return last


def _run_with_input(place: Place, command: list[str | Path], text: str, binaries: Binaries) -> str:
    """What a command of the server's account says; it reads `text`, which only that account can see, and only once."""
    handed = place.folder / f"restore.{secrets.token_hex(4)}"
    write_file(handed, text, uid=place.account.uid, gid=place.account.gid)
    try:
        script = 'exec "$@" <"$0"'
        return place.account.run(["/bin/sh", "-c", script, handed, *command], env=binaries.env).stdout
    finally:
        handed.unlink()


def _plain(history: Path) -> bytes:
    content = history.read_bytes()
    return gzip.decompress(content) if history.suffix == ".gz" else content


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
