"""A database to adopt: role-agent governance as it stood before its improvement plan, with the dirt of its years.

`SCHEMA` makes the thirteen tables, `generate` fills them and says exactly what it made, `REVISIONS` is the history that
a migration engine adopts it with, `MAP` says what each old text becomes, and `PROBES` holds what the old application
asks and writes all day: every statement of it must go on working before, during and after the change.
"""

from pathlib import Path

from hansa.examples.legacy.generator import Census, ScaleTooSmall, generate

FOLDER = Path(__file__).parent
SCHEMA = FOLDER / "schema.sql"
REVISIONS = FOLDER / "revisions"
MAP = FOLDER / "map.toml"
PROBES = FOLDER / "probes.toml"

__all__ = ["MAP", "PROBES", "REVISIONS", "SCHEMA", "Census", "ScaleTooSmall", "generate"]
