"""PostgreSQL's eight ways to lock a table, and whom each keeps waiting."""

import re
from enum import StrEnum


class Blocks(StrEnum):
    """What waits while a lock is held."""

    NOTHING = "nothing"
    """No reading or writing of rows; only other changes of the table's shape."""
    SAME_ROWS = "changes of the same rows"
    WRITES = "writes"
    ALL = "reads and writes"


class LockMode(StrEnum):
    """From the weakest to the strongest."""

    ACCESS_SHARE = "ACCESS SHARE"
    ROW_SHARE = "ROW SHARE"
    ROW_EXCLUSIVE = "ROW EXCLUSIVE"
    SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
    SHARE = "SHARE"
    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    EXCLUSIVE = "EXCLUSIVE"
    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"

    @classmethod
    def of_catalog(cls, name: str) -> "LockMode":
        """From the catalog's spelling, such as `ShareRowExclusiveLock`."""
        return cls(re.sub(r"(?<!^)(?=[A-Z])", " ", name.removesuffix("Lock")).upper())

    @property
    def strength(self) -> int:
        """1 to 8."""
        return list(LockMode).index(self) + 1

    @property
    def blocks(self) -> Blocks:
        if self is LockMode.ACCESS_EXCLUSIVE:
            return Blocks.ALL
        return Blocks.WRITES if self.strength >= LockMode.SHARE.strength else Blocks.NOTHING
