"""The order of revisions: each after those it requires, ties by id, so the same everywhere."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from hansa.migrate.errors import CyclicRequirements, DuplicateRevision, UnknownRequirement


class Node(Protocol):
    """What the order is made from."""

    @property
    def id(self) -> str: ...
    @property
    def requires(self) -> tuple[str, ...]: ...


N = TypeVar("N", bound=Node)


def in_order(nodes: Iterable[N]) -> tuple[N, ...]:
    """All nodes, each after those it requires. Raises DuplicateRevision, UnknownRequirement, CyclicRequirements."""
    known = _by_id(nodes)
    waiting = {node.id: len(node.requires) for node in known.values()}
    dependents: defaultdict[str, list[str]] = defaultdict(list)
    for node in known.values():
        for required in node.requires:
            dependents[required].append(node.id)
    ready = [name for name, count in waiting.items() if not count]
    heapq.heapify(ready)
    order: list[N] = []
    while ready:
        name = heapq.heappop(ready)
        order.append(known[name])
        for dependent in dependents[name]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heapq.heappush(ready, dependent)
    if len(order) < len(known):
        raise CyclicRequirements(f"these require each other: {_circle(known, {node.id for node in order})}")
    return tuple(order)


def with_requirements(order: Sequence[N], wanted: str) -> tuple[N, ...]:
    """The wanted node and all it needs, directly or not, in the given order."""
    needed = {wanted}
    for node in reversed(order):
        if node.id in needed:
            needed.update(node.requires)
    return tuple(node for node in order if node.id in needed)


def heads(nodes: Iterable[N]) -> tuple[str, ...]:
    """Ids that nothing requires: what the next revision builds on."""
    all_nodes = tuple(nodes)
    required = {name for node in all_nodes for name in node.requires}
    return tuple(sorted(node.id for node in all_nodes if node.id not in required))


def _by_id(nodes: Iterable[N]) -> dict[str, N]:
    known: dict[str, N] = {}
    folded: dict[str, str] = {}
    for node in nodes:
        if node.id.casefold() in folded:
            raise DuplicateRevision(f"{node.id} and {folded[node.id.casefold()]} are one id; rename one of the folders")
        folded[node.id.casefold()] = node.id
        known[node.id] = node
    for node in known.values():
        for required in node.requires:
            if required not in known:
                raise UnknownRequirement(f"{node.id} requires {required}, which does not exist")
    return known


def _circle(known: dict[str, N], placed: set[str]) -> str:
    """One circle among the nodes that could not be placed, as `a -> b -> a`."""
    name = min(set(known) - placed)
    path: list[str] = []
    while name not in path:
        path.append(name)
        name = min(required for required in known[name].requires if required not in placed)
    return " -> ".join([*path[path.index(name) :], name])
