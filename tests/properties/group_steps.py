"""Steps of groups: a payer and some workers who decide by vote."""

from __future__ import annotations

from typing import Any

from hansa.infra.db import Query, Tx
from hansa.negotiation import commands, queries
from hansa.negotiation.models import Group, GroupState, GroupTerms, VotingRule
from properties.deal_steps import LONG_AGO, known
from properties.world import Hand, Note, Step, Team, World, kind


def heard_group(world: World, note: Note) -> None:
    group: Group = note.result
    team = world.teams.setdefault(str(group.id), Team(group.id, group.payer_did, note.step.facts.get("workers", [])))
    team.round, team.open = group.round, group.state is GroupState.OPEN


@kind(3, heard_group)
def open_group(hand: Hand) -> Step | None:
    if (intent := hand.intent()) is None:
        return None
    ident, payer, _ = intent
    workers = hand.luck.sample(hand.world.agents, hand.luck.choice((1, 2, 2, 3, 4)))
    rule, max_rounds = hand.luck.choice(list(VotingRule)), hand.luck.choice((2, 10, 10, 21))
    return Step(
        "open_group",
        lambda tx: commands.open_group(
            tx, by=payer, workers=workers, intent=ident, rule=rule, max_rounds=max_rounds, at=tx.at
        ),
        by=payer,
        facts={"workers": workers},
    )


def member(hand: Hand, team: Team) -> str:
    return hand.agent() if hand.chance(0.04) else hand.luck.choice([team.payer, *team.workers])


@kind(5, heard_group)
def propose_to_group(hand: Hand) -> Step | None:
    if (team := hand.team()) is None:
        return None
    by = member(hand, team)
    named = hand.luck.sample(team.workers, hand.luck.randint(1, len(team.workers)))
    if hand.chance(0.04):
        named = [*named, team.payer]
    parts = {worker: hand.luck.randint(1, 9_000) for worker in named}
    offer = GroupTerms(parts=parts, delivery_s=hand.luck.choice((None, 60, 3_600)))
    return Step(
        "propose_to_group",
        lambda tx: commands.propose_to_group(tx, team.id, by=by, terms=offer),
        by=by,
        about=str(team.id),
        facts={"parts": parts},
    )


def heard_vote(world: World, note: Note) -> None:
    group, deals = note.result
    world.teams[str(group.id)].open = group.state is GroupState.OPEN
    world.deals.update({str(deal.id): known(deal) for deal in deals})


@kind(11, heard_vote)
def vote(hand: Hand) -> Step | None:
    if (team := hand.team()) is None:
        return None
    by, seen, approves = member(hand, team), max(1, team.round - hand.chance(0.1)), hand.chance(0.9)

    def act(tx: Tx) -> Any:
        group = commands.vote(tx, team.id, by=by, seen_round=seen, approves=approves, at=tx.at)
        if not isinstance(group, Group):
            return group
        agreed = queries.group_deals_of(tx, team.id) if group.state is GroupState.AGREED else []
        return group, [queries.negotiation_of(tx, deal.negotiation_id) for deal in agreed]

    return Step("vote", act, by=by, about=str(team.id), facts={"round": seen, "approves": approves})


@kind(1, heard_group)
def leave_group(hand: Hand) -> Step | None:
    if (team := hand.team()) is None:
        return None
    by = member(hand, team)
    return Step("leave_group", lambda tx: commands.leave_group(tx, team.id, by=by), by=by, about=str(team.id))


@kind(1, heard_group)
def reject_group(hand: Hand) -> Step | None:
    if (team := hand.team()) is None:
        return None
    by = member(hand, team)
    return Step("reject_group", lambda tx: commands.reject_group(tx, team.id, by=by), by=by, about=str(team.id))


AGE_GROUP = Query(str, f"""
    UPDATE negotiation.groups SET deadline_at = {LONG_AGO}
     WHERE id = %(id)s AND state = 'open' RETURNING id::text
    """)  # fmt: skip


@kind(1)
def age_group(hand: Hand) -> Step | None:
    if (team := hand.team()) is None or hand.chance(0.5):
        return None
    return Step("age_group", lambda tx: tx.all(AGE_GROUP, id=team.id), role="owner", about=str(team.id))


@kind(1)
def expire_groups(hand: Hand) -> Step:
    return Step("expire_groups", commands.expire_groups, role="system")
