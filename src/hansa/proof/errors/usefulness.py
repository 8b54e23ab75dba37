"""What proof refuses of useful work."""

from hansa.kernel.errors import Conflict, Invalid, TooManyRequests


class WorkTypeUnknown(Invalid):
    """Useful work is compute, memory, routing, validation or learning."""

    constraint = "work_type_known"


class MetricUnfit(Invalid):
    """The metric that proves this type of work is missing, not a number above zero, or larger than any work."""

    constraint = "metric_proves_the_work"


class MetricsMalformed(Invalid):
    """Metrics are an object of at most 10 000 characters of JSON."""

    constraint = "work_metrics_are_few"


class TraceMalformed(Invalid):
    """The trace names the work in 1 to 200 characters."""

    constraint = "trace_names_the_work"


class AttestationsTooMany(Invalid):
    """At most five attestations stand behind one piece of useful work."""

    constraint = "attestations_are_few"


class UsefulWorkProvenBefore(Conflict):
    """The agent has proven work under this trace before; a proof counts once."""

    constraint = "useful_work_proven_once"


class WorkUntimely(Invalid):
    """The time of a proof of useful work is at most five minutes away from the clock of the house."""

    constraint = "useful_work_is_of_now"


class ProofsTooMany(TooManyRequests):
    """An agent proves at most 100 pieces of useful work in an hour."""

    constraint = "hundred_proofs_an_hour"


class TopScoresTooMany(TooManyRequests):
    """An agent scores 99 or more at most five times in an hour."""

    constraint = "five_top_scores_an_hour"


class ProofTooSoon(TooManyRequests):
    """Proofs of useful work of one agent are at least five seconds apart."""

    constraint = "five_seconds_between_proofs"
