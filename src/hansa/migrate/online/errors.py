"""What online operations refuse, each with a name that says what is wrong."""

from hansa.migrate.errors import Refusal


class BadOperation(Refusal):
    """An `[[operation]]` of meta.toml has an unknown kind, or a missing, unknown or ill-typed entry."""


class BadMap(Refusal):
    """map.toml is unreadable, lacks a named map, or a map is contradictory."""


class OperationRefused(Refusal):
    """The database is not as the operation needs it; nothing was changed."""


class UnmappedValues(OperationRefused):
    """The map says nothing about values that are there; each is listed with its count."""


class OperationFailed(Refusal):
    """PostgreSQL refused a step of an operation; what was finished before stays, and `up` goes on from there."""

    def __init__(self, message: str, *, revision: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.revision = revision
        self.sqlstate = sqlstate


class OperationCancelled(Refusal):
    """Somebody asked the operation to stop; `up` goes on from there, `down` takes it back."""
