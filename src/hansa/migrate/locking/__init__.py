"""Locks before they are taken: which ones a statement needs, which ones a deployment will hold, who waits right now.

The rules are PostgreSQL's documented ones, compared in the tests with what a server really does. What only running a
statement can tell (DO, CALL, CASCADE) is said to be unknown, never left out.
"""

from hansa.migrate.locking.lock import Lock, Reach
from hansa.migrate.locking.planned import LockPlan, PlannedLock, StatementLocks, locks
from hansa.migrate.locking.statements import locks_of
from hansa.migrate.locking.waiting import Waiting, waiting

__all__ = [
    "Lock",
    "LockPlan",
    "PlannedLock",
    "Reach",
    "StatementLocks",
    "Waiting",
    "locks",
    "locks_of",
    "waiting",
]
