"""What a driver has done, one line per event in a file that survives its death.

A step is written when it begins and when it was answered. Whoever opens the file again goes on after the last answer;
a step that has begun and has no answer is sent again under its Idempotency-Key.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Writer:
    """Appends lines, each with one write; a line that a killed writer left torn is closed and never read."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.lock = threading.Lock()
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            os.write(self.descriptor, b"\n")

    def write(self, what: str, **facts: object) -> None:
        line = json.dumps({"at": time.time(), "what": what, **facts}) + "\n"
        with self.lock:
            os.write(self.descriptor, line.encode())


@dataclass
class Reader:
    """Reads a file that somebody else appends to; `look` takes in what is new."""

    path: Path
    offset: int = 0
    answers: dict[int, dict[str, Json]] = field(default_factory=dict[int, dict[str, Json]])
    """Deal -> step -> what was answered."""
    open: dict[int, str] = field(default_factory=dict[int, str])
    """Deal -> the step that has begun and has no answer."""
    lines: list[Json] = field(default_factory=list[Json])

    def look(self) -> Reader:
        for line in self.fresh():
            self.lines.append(line)
            if line["what"] == "begin":
                self.open[line["deal"]] = line["step"]
            elif line["what"] == "answer":
                self.open.pop(line["deal"], None)
                self.answers.setdefault(line["deal"], {})[line["step"]] = line["answer"]
        return self

    def fresh(self) -> Iterator[Json]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            text = file.read()
        whole = text.rpartition(b"\n")[0]  # the writer may be in the middle of the last line
        self.offset += len(whole) + (1 if whole else 0)
        for line in whole.split(b"\n"):
            with suppress(ValueError):
                yield json.loads(line)

    @property
    def answered(self) -> int:
        """Steps that are done."""
        return sum(len(steps) for steps in self.answers.values())

    def of(self, what: str) -> list[Json]:
        return [line for line in self.lines if line["what"] == what]

    def in_flight_at(self, moment: float) -> list[str]:
        """The steps that had been sent and not answered at a moment."""
        sent: dict[int, str] = {}
        for line in self.lines:
            if line["at"] > moment:
                break
            if line["what"] == "begin":
                sent[line["deal"]] = line["step"]
            elif line["what"] == "answer":
                sent.pop(line["deal"], None)
        return sorted(sent.values())

    def seen(self) -> Counter[str]:
        """What drivers met on the wire besides plain answers, e.g. ConnectError, 503, replayed."""
        return Counter(line["thing"] for line in self.of("wire"))
