"""What the lint refuses, beside what reading the folder refuses."""

from hansa.migrate.errors import Refusal


class UnknownSelection(Refusal):
    """`only` names something that is neither a revision of the folder nor a rule."""


class SquawkFailed(Refusal):
    """squawk is there, but ended without an answer, for example because of a faulty .squawk.toml."""
