"""Positions in the write-ahead log, and the names of the files that hold it."""

from __future__ import annotations

import re

SEGMENT = re.compile(r"[0-9A-F]{24}")


def lsn(text: str) -> int:
    """A position as PostgreSQL writes it, `1/6B374D8`, as a number of bytes."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) | int(low, 16)


def lsn_text(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def segment_name(timeline: int, number: int, segment_bytes: int) -> str:
    """The file of the log's n-th segment on a timeline."""
    per_file = (1 << 32) // segment_bytes
    return f"{timeline:08X}{number // per_file:08X}{number % per_file:08X}"


def segment_number(name: str, segment_bytes: int) -> int:
    """Which segment a file holds, whatever its timeline."""
    return int(name[8:16], 16) * ((1 << 32) // segment_bytes) + int(name[16:24], 16)


def timeline_of(name: str) -> int:
    return int(name[:8], 16)
