"""What a rehearsal refuses, each with a name that says what is wrong."""

from hansa.migrate.errors import Refusal


class CannotClone(Refusal):
    """A copy of this kind cannot be made of this database; the message says why."""


class NoClone(Refusal):
    """No kind of copy can be made of this database; the message says why for each."""


class BadProbes(Refusal):
    """The probes' file is unreadable, or a probe has a missing, unknown or contradictory entry."""


class NotRehearsed(Refusal):
    """No certificate covers exactly these revisions on exactly this catalog; the message says what is wrong with it."""


class CannotRecord(Refusal):
    """The role may not write the certificate into the ledger."""
