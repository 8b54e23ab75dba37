"""The catalog of a database as a value: taken in one look, compared object by object, told in sentences."""

from hansa.migrate.catalog.differences import Difference, DifferenceKind, carried, differences
from hansa.migrate.catalog.errors import NothingToCompare, SchemaMissing, UnreadableSnapshot
from hansa.migrate.catalog.snapshot import Snapshot, snapshot

__all__ = [
    "Difference",
    "DifferenceKind",
    "NothingToCompare",
    "SchemaMissing",
    "Snapshot",
    "UnreadableSnapshot",
    "carried",
    "differences",
    "snapshot",
]
