"""Names that the engine gives: never longer than what PostgreSQL keeps, and never two things under one."""

import hashlib

NAME_BYTES_MAX = 63
"""PostgreSQL cuts longer names without an error."""
DIGEST_LENGTH = 8


def fitting(stem: str, ending: str = "") -> str:
    """`stem` followed by `ending`; what is too long is cut, and a digest keeps apart what would become one."""
    whole = f"{stem}{ending}"
    if len(whole.encode()) <= NAME_BYTES_MAX:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGEST_LENGTH]
    rest = f"_{digest}{ending}"
    return stem.encode()[: NAME_BYTES_MAX - len(rest.encode())].decode(errors="ignore") + rest
