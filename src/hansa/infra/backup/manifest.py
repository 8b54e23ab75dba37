"""The list of files that PostgreSQL writes with every backup, and whether the files are still those.

The check is ours: it needs no running server, names every file that differs, and works where `pg_verifybackup` is
missing or broken. The log is not in the list; the archive has checksums of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hansa.infra.backup.errors import BackupDamaged
from hansa.infra.backup.lsn import lsn
from hansa.infra.backup.progress import Progress, Report, unheard

NAME = "backup_manifest"
_UNLISTED = (NAME, "pg_wal")
_FINDINGS_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """One file as it was when the backup was taken."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A backup's own list."""

    files: Mapping[str, ListedFile]
    timeline: int
    start: int
    """Position in the log from which a restore has to replay."""
    end: int
    """Position up to which it has to replay at least."""

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files.values())


def read_manifest(data: Path) -> Manifest:
    """The list in a backup's folder, itself found unchanged. Raises BackupDamaged."""
    path = data / NAME
    try:
        content = path.read_bytes()
        document = json.loads(content)
        listed = {file.path: file for file in map(_listed, document["Files"])}
        last = document["WAL-Ranges"][-1]
        first = document["WAL-Ranges"][0]
        stated = document["Manifest-Checksum"]
    except FileNotFoundError as missing:
        raise BackupDamaged(f"{path} is missing") from missing
    except (ValueError, KeyError, TypeError, IndexError) as strange:
        raise BackupDamaged(f"{path} was changed: it is no list of files any more ({strange})") from strange
    # The checksum covers everything before the line that holds it.
    covered = content[: content.rindex(b'"Manifest-Checksum"')]
    if hashlib.sha256(covered).hexdigest() != stated:
        raise BackupDamaged(f"{path} was changed: its checksum is wrong")
    return Manifest(files=listed, timeline=last["Timeline"], start=lsn(first["Start-LSN"]), end=lsn(last["End-LSN"]))


def check(data: Path, *, report: Report = unheard) -> Manifest:
    """Read every file of a backup; raises BackupDamaged, which names the files that are not what they were."""
    manifest = read_manifest(data)
    findings = list(_findings(data, manifest, report))
    if findings:
        more = len(findings) - _FINDINGS_SHOWN
        shown = findings[:_FINDINGS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise BackupDamaged("; ".join(shown), findings=findings)
    return manifest


def _findings(data: Path, manifest: Manifest, report: Report) -> Iterator[str]:
    done, total = 0, manifest.size
    for listed in manifest.files.values():
        report(Progress(step="checking", done=done, total=total))
        finding = _finding(data / listed.path, listed)
        if finding:
            yield finding
        done += listed.size
    report(Progress(step="checking", done=done, total=total))
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data)
        if path.is_file() and name.parts[0] not in _UNLISTED and str(name) not in manifest.files:
            yield f"{path} does not belong to the backup"


def _finding(path: Path, listed: ListedFile) -> str:
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size != listed.size:
                return f"{path} has {size} bytes instead of {listed.size}"
            return f"{path} was changed" if hashlib.file_digest(file, "sha256").hexdigest() != listed.sha256 else ""
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def _listed(entry: Any) -> ListedFile:  # Any: one member of a JSON document; wrong shapes raise and are named above
    fields = cast("dict[str, Any]", entry)
    # A name that is no UTF-8 is written in hexadecimal.
    path = fields["Path"] if "Path" in fields else os.fsdecode(bytes.fromhex(fields["Encoded-Path"]))
    if fields["Checksum-Algorithm"] != "SHA256":
        raise ValueError(f"checksums of kind {fields['Checksum-Algorithm']}")
    return ListedFile(path=path, size=fields["Size"], sha256=fields["Checksum"])
