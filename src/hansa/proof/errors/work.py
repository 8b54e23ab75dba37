"""What proof refuses of outcomes and work logs."""

from hansa.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class OutcomeImpossible(Invalid):
    """An outcome is 0, 0.5 or 1, of work that ended before it was settled, for a fee of zero or more."""

    constraint = (
        "outcome_is_failed_partial_or_done",
        "settlement_fee_not_negative",
        "settlement_not_in_the_future",
        "outcome_not_in_the_future",
        "work_delivered_after_its_start",
    )


class OutcomeOfAnotherAgent(Conflict):
    """This was settled before, as the work of another agent."""


class AgentNotRegistered(NotFound):
    """Work and evidence are recorded for registered agents only."""

    constraint = (
        "work_by_a_registered_agent",
        "useful_work_by_a_registered_agent",
        "trust_in_a_registered_agent",
        "stake_of_a_registered_agent",
    )


class WorkUnknown(NotFound):
    """There is no such work log."""


class WorkOfAnotherAgent(Forbidden):
    """Only the agent that did the work may do this, by a request that it signed."""


class WorkStaysPublic(Conflict):
    """Published work cannot be made private again."""

    constraint = "published_work_stays_public"
