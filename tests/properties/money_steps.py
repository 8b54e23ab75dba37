"""Steps of one account, or two: payments, rewards, money set aside, stakes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hansa.credits import commands as ledger
from hansa.credits.models import POOL, TREASURY, TxType
from hansa.proof import commands as proof
from properties.world import Hand, Note, Step, World, kind

FAUCET = 5_000


def key(hand: Hand) -> str:
    """Few keys, so that two sessions use the same one."""
    return f"key-{hand.luck.randint(0, len(hand.world.notes) // 20 + 4)}"


def money(kind_of: str, act: Any, hand: Hand, by: str, **facts: Any) -> Step:
    role = facts.pop("role", "agent")
    return Step(kind_of, act, by=by, role=role, about=by, facts=facts)


@kind(10)
def transfer(hand: Hand) -> Step:
    sender, units, ident = hand.agent(), 0 if hand.chance(0.02) else hand.units(), key(hand)
    if hand.chance(0.6):  # some who have little, so that two sessions spend the same money
        sender = hand.luck.choice(hand.world.agents[2:5])
    receiver = hand.luck.choice((TREASURY, "did:key:nobody")) if hand.chance(0.05) else hand.agent()
    return money(
        "transfer",
        lambda tx: ledger.transfer(tx, sender, receiver, units, key=ident),
        hand,
        sender,
        to=receiver,
        units=units,
        key=f"transfer:{ident}",
    )


@kind(3)
def spend(hand: Hand) -> Step:
    by, units, ident = hand.agent(), hand.units(), f"spend:{key(hand)}"
    return money(
        "spend",
        lambda tx: ledger.spend(tx, by, units, key=ident, reason="a fee"),
        hand,
        by,
        to=TREASURY,
        units=units,
        key=ident,
    )


@kind(2)
def deposit(hand: Hand) -> Step:
    account, units, ident = hand.agent(), hand.units(), f"deposit:{key(hand)}"
    role = "operator" if hand.chance(0.85) else "agent"
    return money(
        "deposit",
        lambda tx: ledger.deposit(tx, account, units, key=ident, reason="top-up"),
        hand,
        account,
        units=units,
        key=ident,
        role=role,
    )


@kind(1)
def faucet(hand: Hand) -> Step:
    account, units = hand.agent(), 0 if hand.chance(0.1) else FAUCET
    return money("faucet", lambda tx: ledger.open_with_faucet(tx, account, units), hand, account)


@kind(2)
def earn(hand: Hand) -> Step:
    account, units, ident = hand.agent(), hand.units(), f"earn:{key(hand)}"
    return money(
        "earn", lambda tx: ledger.earn(tx, account, units, key=ident, reason="from the house"), hand, account,
        units=units, key=ident, source=TREASURY,
    )  # fmt: skip


@kind(2)
def reward(hand: Hand) -> Step:
    account, ident = hand.agent(), f"reward:{key(hand)}"
    parts = {TxType.POU_COMPUTE: hand.luck.randint(0, 300), TxType.POU_ROUTING: hand.units()}
    return money(
        "reward", lambda tx: ledger.reward(tx, account, parts, key=ident, reason="useful"), hand, account,
        units=sum(parts.values()), key=ident, source=POOL,
    )  # fmt: skip


def heard_hold(world: World, note: Note) -> None:
    world.holds.append((note.result.id, note.step.by))


@kind(6, heard_hold)
def set_aside(hand: Hand) -> Step:
    by, units, purpose = hand.agent(), hand.units(), key(hand)
    lasts = timedelta(hours=-1) if hand.chance(0.4) else timedelta(days=1)
    return money(
        "set_aside",
        lambda tx: ledger.set_aside(tx, by, units, purpose=purpose, lasts=lasts, at=tx.at),
        hand,
        by,
        units=units,
    )


@kind(4)
def release_own(hand: Hand) -> Step | None:
    holds = hand.world.holds[-8:]
    deals = [(deal.hold, deal.initiator) for deal in list(hand.world.deals.values())[-20:] if deal.hold]
    pool = deals if deals and hand.chance(0.15) else holds
    if not pool:
        return None
    hold, owner = hand.luck.choice(pool)
    by = owner if hand.chance(0.85) else hand.agent()
    return Step("release_own", lambda tx: ledger.release_own(tx, hold, by=by), by=by, about=str(hold))


@kind(2)
def expire_holds(hand: Hand) -> Step:
    limit = hand.luck.choice((1, 5, 100))
    return Step("expire_holds", lambda tx: ledger.expire_holds(tx, limit=limit), role="system")


@kind(2)
def lock_stake(hand: Hand) -> Step:
    by, units = hand.agent(), hand.luck.randint(1, 3_000)
    return money("lock_stake", lambda tx: proof.lock_stake(tx, units, by=by), hand, by, units=units)


@kind(1)
def unlock_stake(hand: Hand) -> Step:
    by = hand.agent()
    return money("unlock_stake", lambda tx: proof.unlock_stake(tx, by=by), hand, by)


@kind(1)
def tend_stakes(hand: Hand) -> Step:
    return Step("tend_stakes", lambda tx: proof.tend_stakes(tx, at=tx.at), role="system")
