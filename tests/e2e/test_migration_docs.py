"""The how-to guides about migrations do what they say, each on an empty database of its own.

Tutorials are run by test_tutorials.py, which also says how commands and their output are written.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from e2e.test_tutorials import Shell, missing, steps
from hansa.infra.embedded import Server
from hansa.infra.embedded.binaries import find_binaries
from hansa.migrate import testing

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
GUIDES = (
    "convert-an-enum-online",
    "adopt-an-existing-database",
    "deploy-from-a-container-entrypoint",
    "recover-from-a-failed-migration",
)
LEFT_WITH = re.compile(r"^left with (\d+)$", re.MULTILINE)


class StrictShell(Shell):
    """Tells the exit status of the command itself."""

    def run(self, command: str) -> tuple[int, int]:
        _, begins = super().run(f'{command}\n}} </dev/null; status=$?; {{ echo; echo "left with $status"')
        return int(LEFT_WITH.findall(self.said[begins:])[-1]), begins


@pytest.fixture
def shell(postgres: Server, server_dsn: str) -> Iterator[Shell]:
    """A shell in a folder of its own, with an empty database and the programs of its server."""
    name = f"guide_{uuid4().hex}"
    folder = Path(tempfile.mkdtemp(prefix="hansa-guide-"))
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    shell = StrictShell(folder)
    shell.run(f"export MIGRATE_DATABASE_URL='{postgres.dsn(role='postgres', database=name)}'")
    shell.run(f"export PATH='{find_binaries().bin}':$PATH")
    yield shell
    shell.close()
    testing.drop(server_dsn, name)
    shutil.rmtree(folder)


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_does_what_it_says(shell: Shell, guide: str):
    written = steps((HOWTO / f"{guide}.md").read_text())
    assert written, "a guide has commands"

    for step in written:
        status, begins = shell.run(step.command)

        assert status == 0, f"$ {step.command}\n{shell.said[begins:]}"
        lacking = missing(step.shown, shell.said[begins:])
        assert lacking is None, f"$ {step.command}\nshould say {lacking!r} and says\n{shell.said[begins:]}"
