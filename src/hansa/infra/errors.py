"""What the outbox and the kept answers refuse."""

from hansa.kernel.errors import Defect


class OpsBroken(Defect):
    """A rule of the outbox, of kept answers, heartbeats or rates was broken by a mistake in the code."""

    constraint = (
        "outbox_pkey",
        "effects_pkey",
        "effect_of_an_event",
        "idempotency_keys_pkey",
        "heartbeats_pkey",
        "one_rate_per_subject",
    )
