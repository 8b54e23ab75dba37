"""What negotiation refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Conflict, Defect, Forbidden, Gone, Invalid, NotFound


class NegotiationUnknown(NotFound):
    """There is no such negotiation."""

    constraint = "negotiation_known"


class IntentUnknown(NotFound):
    """There is no such intent."""

    constraint = "negotiation_serves_an_intent"


class IntentForeign(Forbidden):
    """An agent negotiates for its own intents only."""


class NotAParticipant(Forbidden):
    """Only the two parties of a negotiation take part in it."""

    constraint = "only_participants_negotiate"


class NegotiationClosed(Conflict):
    """The negotiation was accepted or rejected, or has expired."""

    constraint = "negotiation_open"


class NegotiationExpired(Gone):
    """The time for this negotiation is over."""

    constraint = "negotiation_in_time"


class RoundExpired(Gone):
    """The time to answer the proposal on the table is over."""

    constraint = "round_in_time"


class NotYourTurn(Conflict):
    """The other party is to answer first."""

    constraint = "parties_take_turns"


class RoundsUsedUp(Conflict):
    """All rounds of this negotiation are used: accept or reject."""

    constraint = "rounds_left_to_propose"


class ProposalChanged(Conflict):
    """Another proposal is on the table than the one that was to be accepted."""

    constraint = "accepts_what_was_seen"


class SelfHire(Invalid):
    """An agent cannot hire itself, nor another agent of its own account."""

    constraint = ("negotiation_participants_different", "parties_of_two_accounts")


class TermsImpossible(Invalid):
    """Price, delivery time, quality, shares or custom terms are outside what a deal can have."""

    constraint = (
        "price_possible",
        "delivery_time_possible",
        "quality_is_a_share",
        "shares_are_the_whole",
        "shares_stated_together",
        "custom_terms_are_few",
        "intent_budget_possible",
        "intent_is_described",
    )


class RoundLimitImpossible(Invalid):
    """A negotiation has 1 to 20 rounds; the opening offer is the first."""

    constraint = ("max_rounds_within_bounds", "rounds_within_max")


class RoundTimeImpossible(Invalid):
    """A round lasts 5 seconds to one day."""

    constraint = "round_time_possible"


class StandingAcceptanceImpossible(Invalid):
    """A standing acceptance is at a convergence of 0.50 to 1.00."""

    constraint = "standing_acceptance_possible"


class PriceAboveBudget(Invalid):
    """The price is more than the intent's budget, less what its other deals commit, allows."""

    constraint = "price_within_budget"


class RejectionTooLong(Invalid):
    """A rejection gives its reason in at most 1000 characters."""

    constraint = "rejected_in_few_words"


class PartyUnknown(NotFound):
    """A party of this negotiation, or its validator, is not registered."""

    constraint = (
        "intent_of_an_agent",
        "initiator_is_an_agent",
        "responder_is_an_agent",
        "validator_is_an_agent",
        "member_is_an_agent",
    )


class OnlyThePayerSettles(Forbidden):
    """Only the agent that pays can settle its deal."""

    constraint = "the_payer_settles"


class ValidatorNotIndependent(Invalid):
    """The validator of a deal is neither of its parties, nor another agent of theirs."""

    constraint = "validator_is_a_third_party"


class AlreadySettled(Conflict):
    """The deal is settled; nothing is paid twice."""

    constraint = "settled_once"


class DealNotAccepted(Conflict):
    """The negotiation is not an accepted deal."""

    constraint = ("deal_accepted_to_settle", "deal_open_to_bind")


class DealBound(Conflict):
    """Something else fulfils this deal already."""

    constraint = "deal_bound_once"


class SettledElsewhere(Conflict):
    """The deal is settled through what fulfils it: accept the task's delivery."""

    constraint = "settled_by_what_fulfils_it"


class NegotiationBroken(Defect):
    """A rule of negotiation was broken by a mistake in the code; nothing was written."""

    constraint = (
        "intents_pkey",
        "intent_names_its_requester",
        "intent_status_known",
        "negotiations_pkey",
        "opened_through_the_gate",
        "accepted_through_the_gate",
        "deal_has_a_hold",
        "negotiation_state_known",
        "convergence_score_is_a_share",
        "turn_of_a_participant",
        "accepted_means_held",
        "bound_to_one_thing",
        "standing_of_a_participant",
        "ended_by_a_participant",
        "only_rejections_have_a_reason",
        "states_only_as_drawn",
        "negotiations_by_hold",
        "rounds_pkey",
        "round_of_a_negotiation",
        "settlement_of_a_negotiation",
        "settlement_is_a_movement",
        "settlement_pays_everything",
        "proposals_are_append_only",
    )


class GroupUnknown(NotFound):
    """There is no such group."""

    constraint = "group_known"


class NotAMember(Forbidden):
    """Only the payer and the workers of a group take part in it, and only until they leave."""

    constraint = "only_members_take_part"


class GroupClosed(Conflict):
    """The group has agreed, was rejected, or has expired."""

    constraint = "group_open"


class GroupExpired(Gone):
    """The time of this group, or of its round, is over."""

    constraint = "group_in_time"


class MembersImpossible(Invalid):
    """A group is a payer and 2 to 19 workers, each named once and each of an account of its own."""

    constraint = ("group_of_two_to_nineteen_workers", "member_named_once", "members_of_different_accounts")


class GroupLimitsImpossible(Invalid):
    """A group has 1 to 20 rounds, some time, and a second to 30 days for a round."""

    constraint = ("group_max_rounds_within_bounds", "group_round_time_possible", "group_time_possible")


class PartsImpossible(Invalid):
    """A proposal has one part of at least 1 unit for each worker that it includes, for one of the group's at least."""

    constraint = ("parts_are_for_workers", "worker_has_one_part", "part_possible", "group_price_possible")


class GroupTermsImpossible(Invalid):
    """Delivery time, quality or custom terms are outside what a group can agree on."""

    constraint = ("group_delivery_time_possible", "group_quality_is_a_share", "group_custom_terms_are_few")


class OwnProposalOnTheTable(Conflict):
    """Nobody replaces its own proposal: another member answers it first."""

    constraint = "members_take_turns"


class VotedAlready(Conflict):
    """A member votes once in a round, and the proposer has approved by proposing."""

    constraint = "one_vote_a_round"


class PayerStays(Forbidden):
    """The payer does not leave its group; it rejects it."""

    constraint = "the_payer_stays_in_its_group"


class OnlyThePayerRejects(Forbidden):
    """Only the payer ends a group; a worker leaves it."""

    constraint = "the_payer_rejects_its_group"


class GroupBroken(Defect):
    """A rule of groups was broken by a mistake in the code; nothing was written."""

    constraint = (
        "groups_pkey",
        "group_serves_an_intent_of_its_payer",
        "group_rounds_within_max",
        "newest_proposal_on_the_table",
        "group_convergence_is_a_share",
        "group_agrees_on_a_proposal",
        "group_end_has_its_time",
        "proposal_on_the_table",
        "member_of_a_group",
        "every_member_has_weight",
        "group_proposals_pkey",
        "group_proposal_by_a_member",
        "group_price_is_its_parts",
        "part_of_a_proposal",
        "part_for_a_member",
        "vote_on_a_proposal",
        "vote_of_a_member",
        "worker_bound_once",
        "deal_of_one_group",
        "deal_of_a_member",
        "group_deal_is_a_negotiation",
        "group_binds_what_was_agreed",
        "group_history_is_append_only",
    )
