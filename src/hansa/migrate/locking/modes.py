"""PostgreSQL's eight ways to lock a table: their order, and whom each keeps waiting."""

ACCESS_SHARE = "ACCESS SHARE"
ROW_SHARE = "ROW SHARE"
ROW_EXCLUSIVE = "ROW EXCLUSIVE"
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
SHARE = "SHARE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
EXCLUSIVE = "EXCLUSIVE"
ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
UNKNOWN = "unknown"
"""Of a statement that only running it can tell about."""

MODES = (
    ACCESS_SHARE,
    ROW_SHARE,
    ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    EXCLUSIVE,
    ACCESS_EXCLUSIVE,
)
"""From the weakest to the strongest."""

BLOCKS_NOTHING = "nothing but schema changes"
BLOCKS_WRITES = "writes"
BLOCKS_ALL = "reads and writes"


def strength(mode: str) -> int:
    """1 to 8; 0 for what nobody knows."""
    return MODES.index(mode) + 1 if mode in MODES else 0


def blocks(mode: str) -> str:
    """Which other statements wait while a lock of this mode is held."""
    if mode == UNKNOWN:
        return UNKNOWN
    if mode == ACCESS_EXCLUSIVE:
        return BLOCKS_ALL
    return BLOCKS_WRITES if strength(mode) >= strength(SHARE) else BLOCKS_NOTHING
