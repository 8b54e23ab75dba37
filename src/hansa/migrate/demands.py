"""What a run must be able to show before it starts: a rehearsal of exactly this, a backup before anything is dropped.

Each is a condition for `up(..., conditions=[...])`, which asks them under the migration lock, before anything runs.
"""

from collections.abc import Callable, Sequence

from hansa.migrate.commands import Condition
from hansa.migrate.errors import Refusal
from hansa.migrate.ledger import Ledger
from hansa.migrate.rehearsal import require_rehearsal
from hansa.migrate.revisions import Revision
from hansa.migrate.session import Session

CONTRACTS = frozenset({"contract", "contract_rename"})
"""Kinds of operations that drop what an earlier revision kept."""


class BackupMissing(Refusal):
    """The run would drop old columns, and there is no fresh backup."""


def rehearsed(within_s: float) -> Condition:
    """Exactly the pending revisions went well on a copy of the database as it is, so lately. Raises NotRehearsed."""

    def check(session: Session, _: Ledger, waiting: Sequence[Revision]) -> None:
        require_rehearsal(session.connection, waiting, within_s=within_s)

    return check


def backed_up(within_s: float, age_s: Callable[[], float | None]) -> Condition:
    """There is a backup so fresh when something old is dropped for good; a new database has nothing to lose.

    `age_s` tells how old the latest backup is, None when there is none. Raises BackupMissing.
    """

    def check(_: Session, state: Ledger, waiting: Sequence[Revision]) -> None:
        contracting = [
            revision.id for revision in waiting if any(operation.kind in CONTRACTS for operation in revision.operations)
        ]
        if not contracting or not state.applied:
            return
        found = age_s()
        if found is None or found > within_s:
            said = "there is none" if found is None else f"the latest is {found / 3600:.1f} h old"
            raise BackupMissing(
                f"{contracting[0]} drops old columns for good, and needs a backup of the last "
                f"{within_s / 3600:g} h: {said}. Make one, or say --no-backup"
            )

    return check
