"""Who may do what, read from PostgreSQL's own notation of privileges, such as `reader=r*w/owner`."""

import re
from collections.abc import Iterator, Mapping, Sequence

from hansa.migrate.catalog.sentences import OWNER

PRIVILEGES = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
    "X": "EXECUTE",
    "U": "USAGE",
    "C": "CREATE",
    "c": "CONNECT",
    "T": "TEMPORARY",
    "s": "SET",
    "A": "ALTER SYSTEM",
}

# What everybody may do, and what the owner may do, as long as nobody granted or revoked anything.
_PUBLIC = {
    "function": "X",
    "procedure": "X",
    "aggregate": "X",
    "type": "U",
    "enum": "U",
    "domain": "U",
    "range": "U",
    "language": "U",
    "database": "Tc",
}
_OWNER = {
    "table": "arwdDxt",
    "view": "arwdDxt",
    "materialized view": "arwdDxt",
    "foreign table": "arwdDxt",
    "sequence": "rwU",
    "schema": "UC",
    "foreign server": "U",
    "database": "CTc",
}
_ITEM = re.compile(r'(?P<grantee>"(?:[^"]|"")*"|[^=]*)=(?P<letters>[a-zA-Z*]*)/.*', re.DOTALL)


def privileges(acl: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each grantee with its privileges, and whether it may pass each of them on."""
    for item in acl:
        match = _ITEM.fullmatch(item)
        assert match is not None, item
        grantee, letters = match["grantee"] or "PUBLIC", re.finditer(r"([a-zA-Z])(\*?)", match["letters"])
        yield grantee, {PRIVILEGES.get(letter[1], letter[1]): _HOW[letter[2]] for letter in letters}


_HOW = {"": "granted", "*": "granted, and may be passed on"}


def grants(target: str, acl: Sequence[str] | None, owner: str | None) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The grants on an object as objects of their own; what its owner may do goes without saying."""
    kind = _kind(target)
    if acl is None:
        everybody = _PUBLIC.get(kind)
        acl = [f"={everybody}/"] if everybody else []
    for grantee, granted in privileges(acl):
        if grantee == owner:
            yield from _less_than_usual(target, kind, granted)
        else:
            yield f"grant on {target} to {grantee}", granted


def _kind(target: str) -> str:
    first, second = target.partition(" ")[0], " ".join(target.split(" ", 2)[:2])
    return second if second in _OWNER else first


def _less_than_usual(target: str, kind: str, granted: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """An owner who gave up a privilege is worth telling; one who has them all is not."""
    usual = [PRIVILEGES[letter] for letter in _OWNER.get(kind, _PUBLIC.get(kind, ""))]
    missing = [privilege for privilege in usual if privilege not in granted]
    if missing:
        yield f"grant on {target} to {OWNER}", dict.fromkeys(missing, "given up")
