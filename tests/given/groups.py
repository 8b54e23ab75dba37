"""Groups of three and more in every state, made by the commands that make real ones."""

from decimal import Decimal

from given import deals
from hansa.negotiation import commands
from hansa.negotiation.commands import groups
from hansa.negotiation.models import Group, GroupTerms, VotingRule


def team(tx, *, workers=2, units=1_000_000):
    """An agent that pays, and some that work."""
    names = [f"Worker {number}" for number in range(1, workers + 1)]
    return deals.rich_agent(tx, "Payer", units=units), [deals.rich_agent(tx, name, units=0) for name in names]


def opened(tx, payer, workers, *, rule=VotingRule.UNANIMOUS, **options):
    """A group in which nobody has proposed yet."""
    return commands.open_group(
        tx, by=payer, workers=workers, intent=deals.intent(tx, payer), rule=rule, at=tx.at, **options
    )


def weighted(tx, weights):
    """A group that decides by trust, in which the members, the payer first, weigh what is given."""
    members = [deals.rich_agent(tx, f"Member {number}") for number, _ in enumerate(weights)]
    group = tx.one(
        groups.OPEN_GROUP,
        intent=deals.intent(tx, members[0]),
        payer=members[0],
        rule=VotingRule.TRUST_WEIGHTED,
        members=members,
        weights=[Decimal(weight) for weight in weights],
        max_rounds=10,
        ttl=groups.deals.TTL_DEFAULT,
        round_s=None,
    )
    return group, members


def proposed(tx, group: Group, by, parts, **terms):
    """The group after a proposal of these parts."""
    return commands.propose_to_group(tx, group.id, by=by, terms=GroupTerms(parts=parts, **terms))


def voted(tx, group: Group, *members, approves=True):
    """What became of the group when these members had voted, one after the other."""
    result = group
    for member in members:
        result = commands.vote(tx, group.id, by=member, seen_round=group.round, approves=approves, at=tx.at)
    return result


def agreed(tx, *, workers=2, part=30_000, **options):
    """An agreed group: every worker is bound at the same part."""
    payer, names = team(tx, workers=workers)
    group = proposed(tx, opened(tx, payer, names, **options), payer, dict.fromkeys(names, part))
    return voted(tx, group, *names), payer, names
