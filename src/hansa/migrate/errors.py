"""What the engine refuses, each with a name that says what is wrong.

`code` is the class name in snake case: stable, machine-readable, part of the JSON output.
"""

import re
from typing import ClassVar


class Refusal(Exception):
    """The engine did not do what was asked; the message says why and what to do."""

    code: ClassVar[str] = "refusal"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


# --- the folder -------------------------------------------------------------------------------------------------------


class DirectoryMissing(Refusal):
    """The folder of revisions does not exist."""


class BadRevisionName(Refusal):
    """A folder is not named `<timestamp>_<name>`, for example `20261120T000100_credits`."""


class BadMeta(Refusal):
    """`meta.toml` is missing, unreadable, or has an unknown, ill-typed or contradictory entry."""


class UpMissing(Refusal):
    """A revision has no up.sql."""


class DownMissing(Refusal):
    """A revision has neither a down.sql nor a reason why it is irreversible."""


class UnknownFile(Refusal):
    """A revision holds an SQL file under a name the engine would never run."""


class DuplicateRevision(Refusal):
    """Two revisions have the same id, or ids that differ only by case."""


class UnknownRequirement(Refusal):
    """A revision requires one that does not exist."""


class CyclicRequirements(Refusal):
    """Revisions require each other in a circle."""


class UnknownRevision(Refusal):
    """The named revision is not in the folder."""


class RevisionExists(Refusal):
    """A revision of that name is already in the folder."""


# --- scripts ----------------------------------------------------------------------------------------------------------


class EmptyScript(Refusal):
    """A script holds no statement, only comments or nothing."""


class Unterminated(Refusal):
    """A quote, a dollar quote or a comment is opened and never closed."""


class PsqlCommand(Refusal):
    r"""A script uses a command of psql, such as \i or \copy, which only psql can run."""


class TransactionControl(Refusal):
    """A script opens or closes a transaction, which is the engine's to do."""


class CopyStream(Refusal):
    """A script copies from or to the client, which has nothing to give and nowhere to put it."""


# --- the ledger -------------------------------------------------------------------------------------------------------


class EditedRevision(Refusal):
    """A file of an applied revision is no longer what was applied."""


class MissingRevision(Refusal):
    """An applied revision is gone from the folder."""


class BrokenChain(Refusal):
    """The event log was altered: a link does not follow from the one before."""


class PartlyReplaced(Refusal):
    """Only some of the revisions that a squashed one replaces are applied, so it can neither run nor be skipped."""


class EngineTooOld(Refusal):
    """The ledger was written by a later version of the engine."""


class NotApplied(Refusal):
    """The named revision, or so many revisions, are not applied."""


class Irreversible(Refusal):
    """A revision that would have to be reverted cannot be."""


class InterruptedRevision(Refusal):
    """A non-transactional revision stopped half-way, and this is not the way to finish it."""


class ProgressMismatch(Refusal):
    """The statements that already ran before an interruption were edited since."""


# --- the run ----------------------------------------------------------------------------------------------------------


class BadRequest(Refusal):
    """The arguments contradict each other or are out of range."""


class NoDatabase(Refusal):
    """Nothing says which database to work on."""


class Unreachable(Refusal):
    """The server could not be reached, or does not let us in."""


class ServerTooOld(Refusal):
    """The server is older than PostgreSQL 15."""


class PooledConnection(Refusal):
    """The connection goes through a pooler, where a session lock protects nobody."""


class LockUnavailable(Refusal):
    """Another deployer kept the migration lock for longer than we were told to wait."""


class LockLost(Refusal):
    """The migration lock is no longer held by this session."""


class DatabaseProblem(Refusal):
    """PostgreSQL refused something the engine itself asked for."""


class StatementFailed(Refusal):
    """A statement of a revision failed; everything its transaction did is undone."""

    def __init__(self, message: str, *, revision: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.revision = revision
        self.sqlstate = sqlstate


class LockTimeout(StatementFailed):
    """A statement did not get its lock on a table in time, however often it was tried."""


class EmptyVerify(Refusal):
    """A statement of verify.sql returned no row, so it verified nothing."""


class MalformedVerify(Refusal):
    """A statement of verify.sql does not return (check text, ok boolean[, detail text])."""


class ProductionSeed(Refusal):
    """Seeds are not for production, unless forced."""
