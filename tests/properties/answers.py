"""What the sessions were answered, replayed without a database, must be what the database holds: no less and no more.

Sums do not depend on the order of what was done at the same time, and neither do sets of rows; where order matters the
database's own witness (watch.sql) says which step wrote what.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg

from hansa.credits.models import POOL, TREASURY
from hansa.negotiation.models import GroupState
from properties.deal_steps import stated
from properties.money_steps import FAUCET
from properties.world import Note, World

SWEEPS = {"expire_stale", "expire_holds", "expire_groups", "lapse", "tend_stakes"}
Account = list[int]
"""Balance, earned, spent."""
DEFAULT_SPLIT = {"agent": 7000, "broker": 1000, "validator": 1000, "pool": 1000}


class Answers:
    """The notes of all sessions by kind of step, and what follows from them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.notes = {note.id: note for note in world.notes}
        self.of: dict[str, list[Note]] = defaultdict(list)
        for note in world.notes:
            if note.done:
                self.of[note.step.kind].append(note)
        self.rounds: dict[tuple[str, int], tuple[str, dict[str, Any]]] = {
            (str(note.result.id), note.result.round): (note.step.by, stated(note.step.facts["terms"]))
            for note in [*self.of["initiate"], *self.of["propose"]]
        }
        self.parties = {
            str(note.result.id): (note.result.initiator_did, note.result.responder_did) for note in self.of["initiate"]
        }
        self.agreed = {
            str(note.result.id)
            for note in [*self.of["accept"], *self.of["propose"]]
            if note.result.state.value == "accepted"
        }
        self.group_deals = [deal for note in self.of["vote"] for deal in note.result[1]]
        for deal in self.group_deals:
            offer = {name: deal.final_proposal.get(name) for name in ("price", "delivery_s")}
            none = dict.fromkeys(DEFAULT_SPLIT)
            self.rounds[str(deal.id), 1] = deal.initiator_did, {**offer, "quality": None, "split": none, "custom": {}}
            self.parties[str(deal.id)] = deal.initiator_did, deal.responder_did
            self.agreed.add(str(deal.id))

    def last(self, deal: str) -> dict[str, Any]:
        """The terms of the last round of a negotiation."""
        n = 1
        while (deal, n + 1) in self.rounds:
            n += 1
        return self.rounds[deal, n][1]

    def shares(self, note: Note) -> Counter[str]:
        """Who is paid what by a settlement: whole units down, and what is left to the pool."""
        deal = str(note.result.paid.negotiation_id)
        terms, (_, worker) = self.last(deal), self.parties[deal]
        split = terms["split"] if terms["split"]["agent"] is not None else DEFAULT_SPLIT
        paid: Counter[str] = Counter()
        for who, role in (
            (worker, "agent"),
            (note.step.facts["broker"], "broker"),
            (note.step.facts["validator"], "validator"),
        ):
            if who is not None:
                paid[who] += terms["price"] * split[role] // 10_000
        paid[POOL] += terms["price"] - paid.total()
        return +paid

    def accounts(self) -> dict[str, Account]:
        """Balance, earned and spent of everybody."""
        known: dict[str, Account] = defaultdict(lambda: [0, 0, 0])
        for agent, units in self.world.opening.items():
            known[agent][0] += units
        for agent in {note.step.about for note in self.of["faucet"]}:
            known[agent][0] += FAUCET
        for note in self.of["deposit"]:
            known[note.step.about][0] += note.step.facts["units"]
        for note in [*self.of["transfer"], *self.of["spend"]]:
            pay(known, note.step.by, {note.step.facts["to"]: note.step.facts["units"]})
        for note in [*self.of["earn"], *self.of["reward"]]:
            pay(known, note.step.facts["source"], {note.step.about: note.step.facts["units"]})
        for note in self.of["settle"]:
            pay(known, self.parties[str(note.result.paid.negotiation_id)][0], self.shares(note))
        return known


def pay(known: dict[str, Account], payer: str, shares: dict[str, int]) -> None:
    for who, units in shares.items():
        known[payer][0] -= units
        known[payer][2] += units
        known[who][0] += units
        known[who][1] += units


def against_answers(owner: psycopg.Connection[Any], world: World) -> Iterator[str]:
    """Every way in which the database holds less or more than what was answered."""
    answers = Answers(world)
    for check in (accounts, rounds, ends, settlements, holds, movements, groups, stakes, witness):
        for finding in check(owner, answers):
            yield f"{check.__name__} as answered: {finding}"


def differing(what: str, expected: Any, found: Any) -> Iterator[str]:
    """Keys of two mappings, or members of two sets, that are not in both alike."""
    for key in sorted({*expected, *found}, key=str):
        if isinstance(expected, (set, frozenset)):
            ours, theirs = key in expected, key in found
        else:
            ours, theirs = expected.get(key), found.get(key)
        if ours != theirs:
            yield f"{what} {key}: answered {ours}, found {theirs}"


def accounts(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    known = answers.accounts()
    query = "SELECT account, balance, earned, spent FROM credits.credit_accounts WHERE kind = 'agent'"
    found = dict.fromkeys(answers.world.agents, (0, 0, 0)) | {row[0]: row[1:] for row in owner.execute(query)}
    yield from differing("account", {name: tuple(known[name]) for name in answers.world.agents}, found)
    house = {name: known[name][0] for name in (POOL, TREASURY)}
    rows = owner.execute("SELECT account, balance FROM credits.system_balances WHERE account = ANY (%s)", [list(house)])
    yield from differing("account", house, dict(rows.fetchall()))


ROUNDS = """
    SELECT negotiation_id::text, n, by_did, price, delivery_s, quality, agent_bps, broker_bps, validator_bps, pool_bps, custom
      FROM negotiation.rounds
"""


def rounds(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    found = {}
    for ident, n, by, price, delivery_s, quality, *bps, custom in owner.execute(ROUNDS):
        split = dict(zip(DEFAULT_SPLIT, bps, strict=True))
        offer = {"price": price, "delivery_s": delivery_s, "quality": quality, "split": split, "custom": custom}
        found[ident, n] = by, offer
    yield from differing("round", answers.rounds, found)


def ends(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    """Acceptances and rejections one by one; what the sweeps ended is only counted, since they say no more."""
    intents = {(str(note.result.id), note.step.facts["budget"]) for note in answers.of["intend"]}
    yield from differing("intent", intents, set(owner.execute("SELECT id::text, budget FROM negotiation.intents")))
    rows = owner.execute(
        "SELECT id::text, state, accepted_at IS NOT NULL, bound_id FROM negotiation.negotiations"
    ).fetchall()
    yield from differing("negotiation", set(answers.parties), {row[0] for row in rows})
    yield from differing("agreement", answers.agreed, {row[0] for row in rows if row[2]})
    for note in answers.of["accept"]:
        if note.step.facts["seen"] not in {None, note.result.round}:
            yield f"round {note.result.round} of {note.step.about} was sealed, round {note.step.facts['seen']} was seen"
    rejected = {str(note.result.id) for note in answers.of["reject"]}
    yield from differing("rejection", rejected, {row[0] for row in rows if row[1] == "rejected"})
    bound = {str(note.result.id) for note in answers.of["bind"]}
    yield from differing("bound deal", bound, {row[3] for row in rows if row[3]})
    expired = sum(note.result for note in answers.of["expire_stale"])
    if expired != (found := sum(row[1] == "expired" and not row[2] for row in rows)):
        yield f"{expired} expiries answered, {found} found"


SETTLEMENTS = """
    SELECT settlement.negotiation_id::text, posting.account, sum(posting.amount)::bigint
      FROM negotiation.settlements AS settlement
      JOIN credits.postings AS posting ON posting.transaction_id = settlement.movement_id AND posting.amount > 0
     GROUP BY 1, 2
"""


def settlements(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    expected = {
        (str(note.result.paid.negotiation_id), who): units
        for note in answers.of["settle"]
        for who, units in answers.shares(note).items()
    }
    yield from differing("share", expected, {row[:2]: row[2] for row in owner.execute(SETTLEMENTS)})


HOLDS = "SELECT id::text, account, amount, purpose_kind, purpose_id, state::text FROM credits.holds"


def holds(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    rows = owner.execute(HOLDS).fetchall()
    made = {str(note.result.id): (note.step.by, note.step.facts["units"]) for note in answers.of["set_aside"]}
    yield from differing("money set aside", made, {row[0]: row[1:3] for row in rows if row[3] == "manual"})
    deals = {deal: (answers.parties[deal][0], answers.last(deal)["price"]) for deal in answers.agreed}
    yield from differing("price held", deals, {row[4]: row[1:3] for row in rows if row[3] == "negotiation"})
    released = {str(note.result.id) for note in answers.of["release_own"]}
    yield from differing("release", released, {row[0] for row in rows if row[5] == "released" and row[3] != "stake"})
    lapsed = sum(note.result for note in answers.of["expire_holds"])
    if lapsed != (found := sum(row[5] == "expired" for row in rows)):
        yield f"{lapsed} holds lapsed as answered, {found} found"


def movements(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    """Of the movements that a caller names, each name once."""
    kinds = ("transfer", "spend", "deposit", "earn", "reward")
    expected = Counter(note.step.facts["key"] for name in kinds for note in answers.of[name])
    query = (
        "SELECT key, count(*) FROM credits.credit_transactions WHERE split_part(key, ':', 1) = ANY (%s) GROUP BY key"
    )
    yield from differing("movement", expected, dict(owner.execute(query, [list(kinds)]).fetchall()))


PARTS = """
    SELECT proposal.group_id::text, proposal.n, proposal.by_did, jsonb_object_agg(part.worker_did, part.units)
      FROM negotiation.group_proposals AS proposal
      JOIN negotiation.group_parts AS part ON part.group_id = proposal.group_id AND part.n = proposal.n
     GROUP BY 1, 2, 3
"""


def groups(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    proposed = {
        (str(note.result.id), note.result.round): (note.step.by, note.step.facts["parts"])
        for note in answers.of["propose_to_group"]
    }
    yield from differing("proposal", proposed, {row[:2]: row[2:] for row in owner.execute(PARTS)})
    votes = {
        (note.step.about, note.step.facts["round"], note.step.by, note.step.facts["approves"])
        for note in answers.of["vote"]
    } | {(group, n, by, True) for (group, n), (by, _) in proposed.items()}
    query = "SELECT group_id::text, n, member_did, approves FROM negotiation.group_votes"
    yield from differing("vote", votes, set(owner.execute(query)))
    agreed = {str(note.result[0].id) for note in answers.of["vote"] if note.result[0].state is GroupState.AGREED}
    query = "SELECT id::text FROM negotiation.groups WHERE state = 'agreed'"
    yield from differing("agreed group", agreed, {row[0] for row in owner.execute(query)})


STAKES = """
    SELECT hold.account, hold.amount, made.step, ended.step
      FROM credits.holds AS hold
      JOIN watch.movements AS made ON made.key = 'reserve:' || hold.id
      LEFT JOIN watch.movements AS ended ON ended.key = 'release:' || hold.id
     WHERE hold.purpose_kind = 'stake'
     ORDER BY hold.account, split_part(hold.purpose_id, ':', -1)::integer
"""


def stakes(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    """A stake is what was there before and what was added, unless it was given back between."""
    before: dict[str, tuple[int, str]] = {}
    for account, amount, made, ended in owner.execute(STAKES):
        kept, until = before.get(account, (0, ""))
        expected = answers.notes[made].step.facts["units"] + (kept if until == made else 0)
        if amount != expected:
            yield f"stake of {account}: {expected} from the answers, {amount} held"
        before[account] = amount, ended


def witness(owner: psycopg.Connection[Any], answers: Answers) -> Iterator[str]:
    """Whatever was written was written by a step that was answered `done`, about what that step was about."""
    for ident, thing, subject, became in owner.execute("SELECT step, thing, subject, became FROM watch.changes"):
        note = answers.notes.get(ident)
        if note is None or not note.done:
            yield f"{thing} {subject} became {became} by step {ident}: {note and (note.step.kind, note.outcome)}"
        elif note.step.kind not in SWEEPS and thing != "holds" and subject not in named_by(note):
            yield f"{thing} {subject} became {became} by {note.step.kind} about {note.step.about}"
    for ident, key in owner.execute("SELECT step, key FROM watch.movements WHERE key NOT LIKE 'opening:%'"):
        if ident not in answers.notes or not answers.notes[ident].done:
            yield f"movement {key} by step {ident}, which was refused"


def named_by(note: Note) -> set[str]:
    """Ids that a step was about, or gave."""
    given = note.result if isinstance(note.result, tuple) else ()
    new = {str(deal.id) for deal in given[1]} if given else {str(getattr(note.result, "id", ""))}
    return {note.step.about, *new}
