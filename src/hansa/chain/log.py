"""The chain's only memory: an append-only file of JSON lines, on the disk before anything is answered."""

import fcntl
import json
import os
from pathlib import Path

from hansa.chain.errors import HomeInUse, Json, LogDamaged

Record = dict[str, Json]


class Log:
    """The records of one home, in the order in which they changed the chain.

    A process that dies while it writes leaves a torn last line: nobody was answered, so the line is cut off.
    Any other line that cannot be read is damage, and the chain refuses to start on it.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._path = home / "chain.jsonl"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._lock(home)
        _sync_folder(home)
        self.records = self._read()

    def append(self, record: Record) -> None:
        """Write one record and wait until the disk has it."""
        line = memoryview(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        while line:
            line = line[os.write(self._file, line) :]
        os.fdatasync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def _lock(self, home: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise HomeInUse(f"{home} is served by another process") from None

    def _read(self) -> list[Record]:
        records: list[Record] = []
        good_bytes = 0
        lines = self._path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            record = _parse(line)
            if record is None and number < len(lines):
                raise LogDamaged(f"line {number} of {self._path} is not a record")
            if record is not None:
                records.append(record)
                good_bytes += len(line)
        os.ftruncate(self._file, good_bytes)
        return records


def _parse(line: bytes) -> Record | None:
    """The record of one line, or None when the line was not written to its end."""
    if not line.endswith(b"\n"):
        return None
    try:
        record: Json = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable, not only its content."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
