"""Tutorials are run as they are written: every command of their ```console blocks, in order, in one shell.

A line that starts with `$ ` is a command and must succeed; lines that start with `> ` go on with it. The lines below are
pieces of its output, in their order; `…` stands for anything. A command that ends with `&` goes on in the background,
and the reader waits until it has said what is documented.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hansa.entry.house import lock_is_held
from hansa.infra.embedded import EmbeddedPostgres

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorial").glob("*.md"))
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PATIENCE_S = 90


@dataclass
class Step:
    """One command of a tutorial, and the pieces of output that are shown below it."""

    command: str
    shown: list[str] = field(default_factory=list)


def steps(text: str) -> list[Step]:
    found: list[Step] = []
    for line in (line for block in BLOCK.findall(text) for line in block.splitlines()):
        if line.startswith("$ "):
            found.append(Step(line[2:]))
        elif line.startswith(">"):
            found[-1].command += "\n" + line[2:]
        elif line.strip():
            found[-1].shown.append(line.strip())
    return found


class Shell:
    """A bash that takes one command after the other."""

    def __init__(self, folder: Path) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self) -> None:
        while piece := os.read(self.process.stdout.fileno(), 65536):
            self.said += piece.decode(errors="replace")

    def run(self, command: str) -> tuple[int, int]:
        """Exit status, and where in all output that of this command begins."""
        mark, begins = secrets.token_hex(8), len(self.said)
        # Braces keep functions and variables; the empty input keeps programs away from the commands still to come.
        self.process.stdin.write(f"{{\n{command}\n}} </dev/null\nstatus=$?; echo; echo {mark} $status\n")
        ended = re.compile(rf"^{mark} (\d+)$", re.MULTILINE)
        wait_until(lambda: ended.search(self.said, begins), command)
        return int(ended.search(self.said, begins)[1]), begins

    def wait_for(self, shown: list[str], begins: int) -> None:
        """Until something in the background has said what is shown, or for as long as anybody would wait."""
        with suppress(AssertionError):
            wait_until(lambda: missing(shown, self.said[begins:]) is None, "the background")

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.stdin.close()
        self.process.wait(10)
        self.listener.join(10)
        self.process.stdout.close()


def environment() -> dict[str, str]:
    """Nothing set by the person who runs the tests, this installation first on the path, and any free port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HANSA_")}
    kept.pop("DATABASE_URL", None)
    kept.pop("MIGRATE_DATABASE_URL", None)
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", "HANSA_PORT": "0"}


def wait_until(holds, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"this takes too long: {what}"
        time.sleep(0.02)


def missing(shown: list[str], said: str) -> str | None:
    """The first piece of output that is not there, in the order in which they are shown; None: all are."""
    place = 0
    for piece in (piece.strip() for line in shown for piece in line.split("…")):
        found = said.find(piece, place)
        if found < 0:
            return piece
        place = found + len(piece)
    return None


@pytest.fixture
def shell() -> Iterator[Shell]:
    """A shell in a folder of its own; whatever was started in it is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-tutorial-"))
    folder.chmod(0o755)  # the account that runs the server for root must reach its data
    shell = Shell(folder)
    yield shell
    shell.close()
    for home in folder.glob("*/home"):
        wait_until(lambda home=home: not lock_is_held(home), "the house closes when its shell is gone")
        EmbeddedPostgres(home).destroy()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_does_what_it_says(shell: Shell, tutorial: Path):
    written = steps(tutorial.read_text())
    assert written, "a tutorial has commands"

    for step in written:
        status, begins = shell.run(step.command)

        assert status == 0, f"$ {step.command}\n{shell.said[begins:]}"
        if step.command.endswith("&"):
            shell.wait_for(step.shown, begins)
        lacking = missing(step.shown, shell.said[begins:])
        assert lacking is None, f"$ {step.command}\nshould say {lacking!r} and says\n{shell.said[begins:]}"


def test_commands_and_their_output_are_read_from_a_tutorial():
    text = "Words\n```console\n$ cat <<END\n> one\n>\n> END\none\n$ true\n```\n```sh\n$ not run\n```\n"

    found = steps(text)

    assert found == [Step("cat <<END\none\n\nEND", ["one"]), Step("true")]


def test_output_that_is_not_said_is_noticed():
    assert missing(["ready at http://…", "done"], "ready at http://127.0.0.1:1\nall done") is None
    assert missing(["done", "ready"], "ready, then done") == "ready"
    assert missing(["failed …"], "all is well") == "failed"
