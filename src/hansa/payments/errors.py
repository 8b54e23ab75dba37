"""What payments refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Conflict, Defect, Invalid, PaymentRequired, ServiceUnavailable


class PaymentInvalid(Invalid):
    """The payment does not pay what is asked, or not in a way that we would sign; `reason` names what is wrong."""

    def __init__(self, detail: str, *, reason: str) -> None:
        super().__init__(detail, reason=reason)
        self.reason = reason
        """The word for it on the wire of x402."""


class PaymentBoundElsewhere(Conflict):
    """This payment was presented for something else; it buys nothing but that."""

    constraint = ("payment_bound_to_its_purchase", "answer_of_one_resource")


class PaymentMissing(PaymentRequired):
    """This route is paid, and the request came without a verified payment."""


class AnswerInTheMaking(Conflict):
    """The answer to this payment is still being made; send the same payment again."""

    retryable = True


class ChainDiffers(ServiceUnavailable):
    """The chain is not the one that this database has been used with."""

    retryable = False


class ChainUnavailable(ServiceUnavailable):
    """The chain does not answer just now."""


class ChainUnchecked(ServiceUnavailable):
    """No chain has been checked for this environment yet; the house does it when it starts."""

    constraint = "claim_on_a_known_chain"


class TreasuryEmpty(ServiceUnavailable):
    """Our fee payer has too few lamports to sign for anybody."""


class PaymentsBroken(Defect):
    """A rule of payments was broken by a mistake in the code; nothing was written."""

    constraint = (
        "one_chain_per_environment",
        "network_names_its_genesis",
        "only_a_local_chain_has_an_instance",
        "claims_pkey",
        "one_claim_per_payment",
        "one_claim_per_transaction",
        "payment_is_named_by_digests",
        "payment_amount_positive",
        "claim_tried_at_least_once",
        "signed_claims_keep_their_bytes",
        "ended_claims_say_when",
        "failed_claims_say_why",
        "claims_only_move_forward",
        "claim_history_is_append_only",
        "claim_events_pkey",
        "event_of_a_claim",
        "one_answer_per_payment",
        "answer_is_whole",
        "only_success_is_sold",
    )
