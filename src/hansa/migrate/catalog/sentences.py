"""How a database administrator would say what is different."""

import re
from collections.abc import Callable

SHOWN_MAX = 80
"""Longer values are not repeated in a sentence."""

OWNER = "its owner"
"""The grantee under which a snapshot keeps what the owner of an object gave up."""


def sentence(kind: str, name: str, aspect: str | None, before: str | None, after: str | None) -> str:
    """One sentence without a full stop, as in `index governance.idx_role_agents_status is gone`."""
    if name.startswith("grant on "):
        return _grant(name, aspect or before or after or "", kind, after)
    if aspect is None:
        return f"{name} is gone" if kind == "removed" else f"{name} is new"
    if aspect in _ADJECTIVES:
        now, no_longer = _ADJECTIVES[aspect]
        return f"{name} {no_longer if after == 'no' else now}"
    return _SAID.get(aspect, _change(aspect))(name, before, after)


Say = Callable[[str, str | None, str | None], str]


def _change(aspect: str) -> Say:
    def say(name: str, before: str | None, after: str | None) -> str:
        what = f"{aspect} of {name}"
        if after is None:
            return f"{what} is gone" + (f", was {before}" if _short(before) else "")
        if before is None:
            return f"{what} is new" + (f": {after}" if _short(after) else "")
        return f"{what} is {after}, was {before}" if _short(before, after) else f"{what} is different"

    return say


def _short(*values: str | None) -> bool:
    return all(value is not None and len(value) <= SHOWN_MAX and "\n" not in value for value in values)


def _grant(name: str, granted: str, kind: str, after: str | None) -> str:
    target, _, grantee = name.removeprefix("grant on ").rpartition(" to ")
    lost = kind == "removed" or (kind == "changed" and after is None)
    if grantee == OWNER:
        return f"the owner of {target} {'has' if lost else 'gave up'} {granted}" + (" again" if lost else "")
    how = "has no longer" if lost else "may pass on" if after == "granted, and may be passed on" else "has"
    return f"{grantee} {how} {granted} on {target}"


def _row_security(name: str, _before: str | None, after: str | None) -> str:
    return f"row-level security of {_bare(name)} is switched {after}"


def _forced_row_security(name: str, _before: str | None, after: str | None) -> str:
    return f"row-level security of {_bare(name)} is {'now' if after == 'on' else 'no longer'} forced on its owner"


def _bare(name: str) -> str:
    return name.removeprefix("table ")


def _state(name: str, _before: str | None, after: str | None) -> str:
    return f"{name} is {after}"


def _key_triggers(name: str, _before: str | None, after: str | None) -> str:
    return f"the triggers behind {name} are {after}" + (", so it keeps nothing" if after == "disabled" else "")


def _null(name: str, _before: str | None, after: str | None) -> str:
    if after is None or after == "allowed":
        return f"{name} accepts NULL now"
    return f"{name} refuses NULL now" + after.removeprefix("refused")


def _partition(name: str, before: str | None, after: str | None) -> str:
    if after is None:
        return f"{name} is detached, was a partition of {before}"
    return f"{name} is a partition of {after}" + (f", was one of {before}" if before else " now")


def _labels(name: str, before: str | None, after: str | None) -> str:
    old, new = _quoted(before), _quoted(after)
    gone = [f"{label} is gone" for label in old if label not in new]
    come = [f"{label} is new" for label in new if label not in old]
    return f"labels of {name} changed: " + (", ".join(gone + come) or "their order is " + ", ".join(new))


def _quoted(labels: str | None) -> list[str]:
    return re.findall(r"'(?:[^']|'')*'", labels or "")


_ADJECTIVES = {
    "validated": ("is validated now", "is not validated any more"),
    "enforced": ("is enforced now", "is not enforced any more"),
    "deferrable": ("can be deferred now", "cannot be deferred any more"),
    "clustered": ("is what its table is clustered on now", "is no longer what its table is clustered on"),
    "populated": ("holds data now", "holds no data any more"),
    "cycle": ("starts over at its end now", "does not start over at its end any more"),
    "strict": ("is strict now", "is not strict any more"),
    "leakproof": ("is leakproof now", "is not leakproof any more"),
    "trusted": ("is trusted now", "is not trusted any more"),
}
"""Aspects that are `yes` or `no`, and what to say of the object then."""

_SAID: dict[str, Say] = {
    "row-level security": _row_security,
    "forced row-level security": _forced_row_security,
    "state": _state,
    "triggers": _key_triggers,
    "null": _null,
    "partition of": _partition,
    "labels": _labels,
}
