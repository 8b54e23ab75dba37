"""Write the reference pages that come from the code and the catalog: `.venv/bin/python docs/generate.py`.

Each page is made by the same function that a test in tests/architecture/ compares it with.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from hansa.infra.database import embedded
from hansa.infra.db import become
from hansa.infra.embedded import EmbeddedPostgres, test_settings
from hansa.migrate import up
from hansa.migrations import DIRECTORY

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from reference_pages import pages  # noqa: E402 - it lies beside this file

from architecture import matrix  # noqa: E402 - found on the path of the line above
from architecture.statements import planned  # noqa: E402
from given import defects  # noqa: E402


@contextmanager
def migrated() -> Generator[tuple[psycopg.Connection[Any], psycopg.Connection[Any]]]:
    """Connections of the owner and of the application to a new database that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-docs-"))
    folder.chmod(0o755)  # the account under which root runs the server must reach its data
    cluster = EmbeddedPostgres(folder / "home", settings=test_settings())
    try:
        database = embedded(cluster.start())
        up(database.owner_dsn, DIRECTORY)
        with (
            psycopg.connect(database.owner_dsn, autocommit=True) as owner,
            psycopg.connect(database.owner_dsn, autocommit=True) as app,
        ):
            become(app, "hansa_app")
            yield owner, app
    finally:
        cluster.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Write all generated pages."""
    for name, text in pages().items():
        (DOCS / "reference" / name).write_text(text())
    (DOCS / "explanation" / "defects.md").write_text(defects.page())
    with migrated() as (owner, app):
        (DOCS / "reference" / "tables.md").write_text(matrix.page(matrix.lives(owner, planned(app))))


if __name__ == "__main__":
    main()
