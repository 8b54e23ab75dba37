"""Makes the folder of a new revision: empty, from a database that exists, or with a way back that nobody wrote."""

import json
import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from hansa.migrate.dumping import dump_schema
from hansa.migrate.errors import BadRequest, BadRevisionName, RevisionExists
from hansa.migrate.graph import heads
from hansa.migrate.revisions import META, load
from hansa.migrate.splitter import split
from hansa.migrate.undoing import DownDraft, derived_down

NAME = re.compile(r"[a-z][a-z0-9_]*")

TEMPLATES = {
    "up.sql": "-- {name}: what changes. All of it runs in one transaction; do not write BEGIN or COMMIT.\n",
    "down.sql": "-- {name}: undoes up.sql completely, in reverse order.\n",
    "verify.sql": """\
-- {name}: each statement returns rows of (check text, ok boolean[, detail text]) and runs read-only.
-- To let it write (all of it is rolled back), make this the first line:  verify: writes
-- SELECT 'table credits.accounts exists', to_regclass('credits.accounts') IS NOT NULL;
""",
    "seed.sql": "-- {name}: rows for development and demonstrations; refused in production.\n",
}


def new(directory: Path, name: str, *, at: datetime, description: str = "", seed: bool = False) -> Path:
    """Make a folder with templates, building on everything that nothing builds on yet.

    The templates hold no statement, and an empty script is refused, so a forgotten one cannot be applied.
    Raises BadRevisionName, RevisionExists.
    """
    scripts = {file: text.format(name=name) for file, text in TEMPLATES.items() if seed or file != "seed.sql"}
    return write_revision(directory, name, scripts, at=at, description=description)


def new_from_database(
    dsn: str, directory: Path, name: str, *, at: datetime, description: str = "", scratch_dsn: str | None = None
) -> Path:
    """Make a first revision that makes the schema of a database that exists, for `baseline` to adopt it.

    Its down.sql is derived on an empty database made for a moment on the server of `scratch_dsn` (default: the same
    server), and leads back to nothing. Raises BadRequest when there are revisions already or the database is empty,
    and what `dump_schema` and `up` raise.
    """
    if directory.is_dir() and load(directory):
        raise BadRequest(f"{directory} holds revisions already; the schema of a database can only be the first one")
    dump = dump_schema(dsn)
    if not dump.statements:
        raise BadRequest("the database is empty; there is nothing to make a revision from")
    scripts = {
        "up.sql": f"-- {name}: the schema as it was when it was adopted.\n\n"
        + "\n\n".join(f"{statement};" for statement in dump.statements)
        + "\n",
        "verify.sql": _verify_tables(name, dump.tables),
    }
    described = description or "the schema as it was when it was adopted"
    folder = write_revision(
        directory, name, {file: text for file, text in scripts.items() if text}, at=at, description=described
    )
    try:
        draft = derived_down(scratch_dsn or dsn, directory, folder.name)
    except BaseException:
        shutil.rmtree(folder)  # a revision without a way back would only be in the way of the next try
        raise
    (folder / "down.sql").write_text(draft.text, encoding="utf-8")
    return folder


def write_derived_down(directory: Path, revision: str, *, scratch_dsn: str) -> DownDraft:
    """Derive the down.sql of a revision and write it, unless somebody wrote one.

    Raises RevisionExists when there is a down.sql with statements, and what `derived_down` raises.
    """
    path = directory / revision / "down.sql"
    if path.is_file() and split(path.read_text(encoding="utf-8"), source=f"{revision}/down.sql"):
        raise RevisionExists(f"{revision} has a down.sql already; empty it to derive one")
    draft = derived_down(scratch_dsn, directory, revision)
    path.write_text(draft.text, encoding="utf-8")
    return draft


def write_revision(
    directory: Path,
    name: str,
    scripts: Mapping[str, str],
    *,
    at: datetime,
    description: str,
) -> Path:
    """Make the folder of a revision that builds on everything that nothing builds on yet, with these files.

    Raises BadRevisionName, RevisionExists.
    """
    if not NAME.fullmatch(name):
        raise BadRevisionName(f"{name!r}: use small letters, digits and underscores, as in credits_and_holds")
    directory.mkdir(parents=True, exist_ok=True)
    revisions = load(directory)
    if any(revision.id.split("_", 1)[1] == name for revision in revisions):
        raise RevisionExists(f"there is a revision named {name} already")
    folder = directory / f"{at:%Y%m%dT%H%M%S}_{name}"
    folder.mkdir()
    (folder / META).write_text(_meta(description or name.replace("_", " "), heads(revisions)), encoding="utf-8")
    for file, text in scripts.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def _verify_tables(name: str, tables: tuple[str, ...]) -> str:
    if not tables:
        return ""
    listed = ",\n  ".join("('" + table.replace("'", "''") + "')" for table in tables)
    return (
        f"-- {name}: every table is there.\n"
        f"SELECT 'table ' || name || ' exists', to_regclass(name) IS NOT NULL\nFROM (VALUES\n  {listed}\n"
        ") AS t (name)\nORDER BY name;\n"
    )


def toml_string(text: str) -> str:
    """A text as meta.toml writes it: what JSON escapes, TOML reads the same way."""
    return json.dumps(text, ensure_ascii=False)


def _meta(description: str, requires: tuple[str, ...]) -> str:
    listed = ", ".join(toml_string(name) for name in requires)
    return f"description = {toml_string(description)}\nrequires = [{listed}]\ntransactional = true\n"
