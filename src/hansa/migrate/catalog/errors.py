"""What the comparison of catalogs refuses."""

from hansa.migrate.errors import Refusal


class NothingToCompare(Refusal):
    """No snapshot of the expected catalog was recorded yet."""


class UnreadableSnapshot(Refusal):
    """A recorded snapshot is not one of this engine's, or of a form that this version does not read."""


class SchemaMissing(Refusal):
    """A schema that should be compared exists in neither database."""
