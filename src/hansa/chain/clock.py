"""Slots and blockhashes: both follow from the log and the wall clock alone, so a restart finds them again."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from solders.hash import Hash

FIRST_SLOT = 432_000
"""The slot of genesis: the first of epoch 1, so that there are finalized slots from the start."""
SLOTS_PER_EPOCH = 432_000
HEIGHT_LAG = 32_000
"""How far the block height is behind the slot. A cluster skips slots; we skipped them all before genesis."""
BLOCKHASH_LIFE = 150
"""Slots after its own in which a blockhash is accepted."""
FINALITY_LAG = 32
"""Slots until a slot counts as finalized."""


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def block_height(slot: int) -> int:
    return slot - HEIGHT_LAG


def last_valid_block_height(slot: int) -> int:
    """The last height at which the blockhash of `slot` is accepted."""
    return block_height(slot) + BLOCKHASH_LIFE


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A known point of the chain's time, from which the slots are counted on."""

    slot: int
    wall_ms: int
    """When the slot began, by the wall clock."""
    chain_ms: int
    """When the slot began, by the chain's own clock, which warps move ahead of the wall clock."""
    slot_ms: int

    def ahead(self, elapsed_ms: int) -> "Anchor":
        """The slot that runs `elapsed_ms` later. Never an earlier one, even if the wall clock was set back."""
        slots = max(elapsed_ms, 0) // self.slot_ms
        return Anchor(
            slot=self.slot + slots,
            wall_ms=self.wall_ms + slots * self.slot_ms,
            chain_ms=self.chain_ms + slots * self.slot_ms,
            slot_ms=self.slot_ms,
        )


class Clock:
    """Tells the running slot. Inside one process it follows the monotonic clock, so it cannot go back."""

    def __init__(self, anchor: Anchor, *, now_ms: Callable[[], int] = monotonic_ms) -> None:
        self._now_ms = now_ms
        self._anchor = anchor
        self._anchored_at = now_ms()

    @property
    def slot(self) -> int:
        return self.now().slot

    def now(self) -> Anchor:
        return self._anchor.ahead(self._now_ms() - self._anchored_at)

    def warp(self, slots: int) -> Anchor:
        """Move `slots` ahead at once; the slot that runs now is cut short."""
        now = self.now()
        moved = Anchor(
            slot=now.slot + slots,
            wall_ms=wall_ms(),
            chain_ms=now.chain_ms + slots * now.slot_ms,
            slot_ms=now.slot_ms,
        )
        self._anchor, self._anchored_at = moved, self._now_ms()
        return moved


class Blockhashes:
    """One hash per slot, derived from the instance: the same on every replay, different on every chain."""

    def __init__(self, instance: str) -> None:
        self._instance = instance.encode()
        self._slots: dict[Hash, int] = {}
        self._newest = -1

    def of(self, slot: int) -> Hash:
        return Hash(hashlib.sha256(b"hansa blockhash" + self._instance + slot.to_bytes(8, "little")).digest())

    def slot_of(self, blockhash: Hash, *, now: int) -> int | None:
        """The slot `blockhash` belongs to, or None when it is unknown or older than its life allows at `now`."""
        self._follow(now)
        slot = self._slots.get(blockhash)
        return slot if slot is not None and slot <= now else None

    def recent(self, now: int) -> list[tuple[int, Hash]]:
        """Every accepted (slot, blockhash), the newest first."""
        self._follow(now)
        return [(slot, blockhash) for blockhash, slot in reversed(self._slots.items())]

    def _follow(self, now: int) -> None:
        """Hold the hashes of `now` and the slots before it that may still be used, oldest first."""
        oldest = now - BLOCKHASH_LIFE
        for slot in range(max(self._newest + 1, oldest), now + 1):
            self._slots[self.of(slot)] = slot
        self._newest = max(self._newest, now)
        while self._slots and (first := next(iter(self._slots.items())))[1] < oldest:
            del self._slots[first[0]]
