"""Looks at `map.toml`, which says for every old value of a column what it becomes.

The engine compares old values literally and stops at one that the map does not name. An entry that looks as if it stood
for all the others does not: its author expected the ELSE of `else-coercion`.
"""

import re
import tomllib
from collections.abc import Iterator

from hansa.migrate.lint.report import Finding, Severity
from hansa.migrate.online.specification import MAP

CATCH_ALL = "map-catch-all"
_CATCH_ALL = frozenset(("", "*", "**", "%", "_", ".*", "...", "default", "else", "otherwise"))


def map_findings(revision: str, text: str) -> Iterator[Finding]:
    """Entries of the maps that seem to stand for every value they do not name; the folder's reader knows the rest."""
    for name, entries in tomllib.loads(text).items():
        for old in entries["values"]:
            if old.strip().lower() in _CATCH_ALL:
                yield Finding(
                    revision=revision,
                    file=MAP,
                    line=_line(text, name, old),
                    rule=CATCH_ALL,
                    severity=Severity.WARNING,
                    message=f"{old!r} in {name} stands for the value {old!r} alone, not for all that are not named",
                    hint="name every value; one that nobody thought of stops the operation before it starts",
                )


def _line(text: str, name: str, old: str) -> int:
    """Where the entry stands below the header of its map; tomllib keeps no positions."""
    entry = re.compile(rf"""\s*["']?{re.escape(old)}["']?\s*=""")
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            inside = re.sub(r"[\s\"'\[\]]", "", line) == f"{name}.values"
        elif inside and entry.match(line):
            return number
    return 1
