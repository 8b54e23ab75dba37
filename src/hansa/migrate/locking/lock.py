"""A lock that a statement will take."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hansa.migrate.lint.reader import Reader
from hansa.migrate.locking.modes import ACCESS_EXCLUSIVE, BLOCKS_ALL, UNKNOWN, blocks, strength

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


class Reach(StrEnum):
    """What is locked, seen from the relation that the statement names."""

    ITSELF = "itself"
    ITS_TABLE = "its table"
    """Of an index."""
    ITS_INDEXES = "its indexes"
    REFERENCED = "the tables it references"
    """By the foreign key or the column that `part` names, or by all its foreign keys."""
    REFERENCING = "the tables that reference it"
    PARENT = "the table it is a partition of, with its default partition"
    DEFAULT_PARTITION = "its default partition"
    SEQUENCES = "the sequences of its columns"
    COLUMNS_OF_IT = "the tables with a column of it"
    """Of a domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock on a table, an index, a view or a sequence, held until the end of the transaction."""

    relation: str
    """As the statement names it, quoted where it must be; empty when the statement does not tell."""
    mode: str
    """Such as `SHARE ROW EXCLUSIVE`, or `unknown`."""
    why: str
    reach: Reach = Reach.ITSELF
    part: str = ""
    """Name of the constraint or column whose foreign key reaches further; empty: every one. Of an unknown lock: the
    function that may take it, where it is one."""

    @property
    def blocks(self) -> str:
        """`reads and writes`, `writes`, `nothing but schema changes`, or `unknown`."""
        # Planning any query takes a weak lock on every index of its tables, so nobody gets past a locked index.
        return BLOCKS_ALL if self.reach is Reach.ITS_INDEXES else blocks(self.mode)


def on(relation: str, mode: str, why: str) -> Lock:
    """A lock on what the statement names."""
    return Lock(relation=relation, mode=mode, why=why)


def everybody(relation: str, why: str) -> Lock:
    """A lock that nobody gets past."""
    return on(relation, ACCESS_EXCLUSIVE, why)


def reached(relation: str, mode: str, reach: Reach, why: str, *, part: str = "") -> Lock:
    """A lock on what hangs together with what the statement names."""
    return Lock(relation=relation, mode=mode, why=why, reach=reach, part=part)


def unknown(why: str) -> Lock:
    """A lock that only running the statement can tell about."""
    return Lock(relation="", mode=UNKNOWN, why=why)


def strongest(locks: Iterable[Lock]) -> tuple[Lock, ...]:
    """One lock for each relation, the first named first."""
    found: dict[tuple[str, Reach, str], Lock] = {}
    for lock in locks:
        key = (lock.relation, lock.reach, lock.part if lock.relation else lock.why)
        if key not in found or strength(found[key].mode) < strength(lock.mode):
            found[key] = lock
    return tuple(found.values())


def relation(reader: Reader) -> str:
    """The name that comes next, so that PostgreSQL reads it as the same name again."""
    name = reader.name()
    return ".".join(quoted(part) for part in (name.schema, name.name) if part)


def quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
