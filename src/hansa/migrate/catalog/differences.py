"""What is different between two catalogs, each difference in one sentence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from hansa.migrate.catalog.sentences import sentence
from hansa.migrate.catalog.snapshot import (
    COLUMN_ORDER,
    COMES_WITH,
    INHERITED_FROM,
    PART_OF,
    SOFT,
    STRUCTURE,
    Aspects,
    Snapshot,
)


class DifferenceKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it was."""

    kind: DifferenceKind
    object: str
    """Its name in the snapshot, as in `index governance.idx_role_agents_status`."""
    aspect: str | None = None
    """What changed about it; None for an object that came or went."""
    before: str | None = None
    """The value of the aspect, or the privileges of a grant; None when there was nothing."""
    after: str | None = None
    """None when there is nothing any more."""
    soft: bool = False
    """Whether statements that name their columns cannot tell."""

    @property
    def sentence(self) -> str:
        return sentence(self.kind, self.object, self.aspect, self.before, self.after)


# Each difference by kind, object and aspect, and what it led to.
_Known = Mapping[tuple[DifferenceKind, str | None, str | None], str | None]


def differences(before: Snapshot, after: Snapshot, *, parts: bool = False) -> tuple[Difference, ...]:
    """What a database administrator would call the changes from one catalog to the other, by the name of the object.

    What only follows from another change is left out: the columns of a table that is gone, a trigger's copies on
    partitions, the sequence of an identity that was dropped. `parts` tells those too.
    """
    found = tuple(_all(before.objects, after.objects))
    if parts:
        return found
    known: _Known = {(one.kind, one.object, one.aspect): one.after for one in found}
    return tuple(one for one in found if not _follows(one, before, after, known))


def carried(expected: Snapshot, before: Snapshot, after: Snapshot) -> Snapshot:
    """What is expected once a migration led from one catalog to the other.

    Only what the migration changed is taken over: a drift that was there before it is a drift after it.
    """
    objects = dict(expected.objects)
    for name in sorted(before.objects.keys() | after.objects.keys()):
        old, new = before.objects.get(name), after.objects.get(name)
        if old == new:
            continue
        if new is None:
            objects.pop(name, None)
        elif old is None:
            objects[name] = new
        elif name in objects:
            objects[name] = _carried_aspects(objects[name], old, new)
    return Snapshot(objects=dict(sorted(objects.items())))


def _carried_aspects(expected: Aspects, old: Aspects, new: Aspects) -> Aspects:
    aspects = dict(expected)
    for aspect in old.keys() | new.keys():
        if old.get(aspect) == new.get(aspect):
            continue
        if aspect == COLUMN_ORDER and expected.get(aspect) != old.get(aspect):
            aspects[aspect] = _carried_order(expected.get(aspect), new.get(aspect))
        elif aspect in new:
            aspects[aspect] = new[aspect]
        else:
            aspects.pop(aspect, None)
    return aspects


def _carried_order(expected: str | None, new: str | None) -> str:
    """The expected order without the columns that went, then those that came."""
    kept, now = _columns(expected), _columns(new)
    return ", ".join([column for column in kept if column in now] + [column for column in now if column not in kept])


def _all(before: Mapping[str, Aspects], after: Mapping[str, Aspects]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if new is None:
            yield Difference(kind=DifferenceKind.REMOVED, object=name, before=_privileges(name, old or {}))
        elif old is None:
            yield Difference(kind=DifferenceKind.ADDED, object=name, after=_privileges(name, new))
        else:
            yield from _changes(name, old, new)


def _privileges(name: str, aspects: Aspects) -> str | None:
    """What a grant is about: unlike those of other objects its aspects are its whole meaning."""
    if not name.startswith("grant on "):
        return None
    return ", ".join(sorted(aspect for aspect in aspects if aspect not in STRUCTURE))


def _changes(name: str, old: Aspects, new: Aspects) -> Iterator[Difference]:
    for aspect in sorted(old.keys() | new.keys()):
        was, now = old.get(aspect), new.get(aspect)
        if was == now or aspect in STRUCTURE or (aspect == COLUMN_ORDER and _same_order(was, now)):
            continue
        yield Difference(
            kind=DifferenceKind.CHANGED, object=name, aspect=aspect, before=was, after=now, soft=aspect in SOFT
        )


def _same_order(was: str | None, now: str | None) -> bool:
    """Whether the columns that are in both come in the same order: those that came or went are told as such."""
    old, new = _columns(was), _columns(now)
    return [column for column in old if column in new] == [column for column in new if column in old]


def _columns(order: str | None) -> list[str]:
    return order.split(", ") if order else []


def _follows(
    one: Difference,
    before: Snapshot,
    after: Snapshot,
    known: _Known,
) -> bool:
    """Whether another difference says this one already."""
    aspects = (after if one.kind is DifferenceKind.ADDED else before).objects[one.object]
    above, original = aspects.get(PART_OF), aspects.get(INHERITED_FROM)
    if one.kind is DifferenceKind.CHANGED:
        same = (one.kind, original, one.aspect)
        return same in known and known[same] == one.after
    if (one.kind, original, None) in known:
        return True
    brought = aspects.get(COMES_WITH)
    return (one.kind, above, None) in known or (
        brought is not None and (DifferenceKind.CHANGED, above, brought) in known
    )
