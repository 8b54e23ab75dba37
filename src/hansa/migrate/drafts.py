"""Makes the folder of a new revision."""

import re
from datetime import datetime
from pathlib import Path

from hansa.migrate.errors import BadRevisionName, RevisionExists
from hansa.migrate.graph import heads
from hansa.migrate.revisions import META, load

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
    if not NAME.fullmatch(name):
        raise BadRevisionName(f"{name!r}: use small letters, digits and underscores, as in credits_and_holds")
    directory.mkdir(parents=True, exist_ok=True)
    revisions = load(directory)
    if any(revision.id.split("_", 1)[1] == name for revision in revisions):
        raise RevisionExists(f"there is a revision named {name} already")
    folder = directory / f"{at:%Y%m%dT%H%M%S}_{name}"
    folder.mkdir()
    (folder / META).write_text(_meta(description or name.replace("_", " "), heads(revisions)), encoding="utf-8")
    for file, text in TEMPLATES.items():
        if seed or file != "seed.sql":
            (folder / file).write_text(text.format(name=name), encoding="utf-8")
    return folder


def _meta(description: str, requires: tuple[str, ...]) -> str:
    listed = ", ".join(f'"{name}"' for name in requires)
    quoted = description.replace("\\", "\\\\").replace('"', '\\"')
    return f'description = "{quoted}"\nrequires = [{listed}]\ntransactional = true\n'
