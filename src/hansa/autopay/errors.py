"""What autopay refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import (
    Conflict,
    Defect,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    PaymentRequired,
    ServiceUnavailable,
)


class BudgetMissing(Forbidden):
    """The agent has no budget in this currency; set one before it pays."""

    constraint = "budget_known"


class BudgetExceeded(PaymentRequired):
    """The budget has no room for this: what is spent and reserved would be more than its cap."""

    constraint = ("spending_within_the_budget", "spending_within_the_period")


class BudgetImpossible(Invalid):
    """A budget's caps are whole numbers above zero, no payment's cap is above the total, and a period has a length."""

    constraint = "budget_caps_possible"


class PaymentTooDear(Forbidden):
    """One payment may not cost as much as this one does."""

    constraint = "payment_within_its_cap"


class PriceAboveOffer(Forbidden):
    """The seller asks for more than the buyer is ready to pay for this."""


class WalletTooEmpty(PaymentRequired):
    """The agent's wallet holds less than this costs."""


class PayingPaused(Forbidden):
    """The agent's balance is below its threshold, so it does not pay until there is more."""


class DemoPaysNothing(Forbidden):
    """The agent is in the DEMO phase: the payment would have been within policy, and is not made."""


class OwnerMustApprove(Forbidden):
    """The agent is in the INTERACTIVE phase: its owner approves each payment."""


class NetworkForbidden(Forbidden):
    """The seller asks for a payment on another network than this house pays on."""


class SchemeForbidden(Forbidden):
    """The seller asks for a payment in another scheme than exact."""


class TokenForbidden(Forbidden):
    """The seller asks for a token that is not on the list of those that are paid with."""


class HostForbidden(Forbidden):
    """The budget may not be spent at this host."""


class ResourceElsewhere(Forbidden):
    """The terms are for a resource of another site than the one that was asked."""


class SelfPayment(Forbidden):
    """The seller's wallet is the buyer's own."""


class PayeeDiffers(Forbidden):
    """The wallet to be paid is not the one that this seller has registered."""


class UrlMalformed(Invalid):
    """A paid resource has an absolute http or https URL without a user name, of 2048 characters at most."""


class TermsMalformed(Invalid):
    """The terms are not the payment requirements of x402 version 2."""

    constraint = "transaction_amount_positive"


class PurchaseMisnamed(Invalid):
    """A purchase is named by 8 to 128 characters that the buyer chooses."""

    constraint = "purchase_is_named"


class PurchaseAlreadyStarted(Conflict):
    """This purchase was started with other terms; name a new one."""

    constraint = "one_transaction_per_purchase"


class PurchaseLapsed(Gone):
    """The purchase was not signed in time; its price is no longer reserved. Start a new one."""

    constraint = "purchase_alive_to_sign"


class TransactionUnknown(NotFound):
    """The agent has no such transaction."""

    constraint = "transaction_known"


class AnotherPaymentSigned(Conflict):
    """Another payment was signed for this purchase, or this payment for another purchase."""

    constraint = ("one_payment_per_purchase", "one_transaction_per_message")


class PaymentNotAsAgreed(Forbidden):
    """What was signed is not the payment that was agreed to."""


class RulesMalformed(Invalid):
    """The priority rules are two numbers: fundsThreshold in smallest units, freshnessWindow in seconds."""

    constraint = "priority_rules_are_two_numbers"


class AnswerTooLong(Invalid):
    """An answer that is kept with its payment has 65 536 characters at most."""

    constraint = "answer_short_enough_to_keep"


class SellerUnknown(NotFound):
    """No agent is registered under the seller's DID."""

    constraint = "transaction_pays_a_registered_agent"


class ChainSilent(ServiceUnavailable):
    """The chain does not answer just now, and nothing is paid without it."""


class AutopayBroken(Defect):
    """A rule of autopay was broken by a mistake in the code; nothing was written."""

    constraint = (
        "autopay_agents_pkey",
        "autopay_of_a_registered_agent",
        "budgets_pkey",
        "budget_of_an_agent",
        "one_budget_per_currency",
        "budget_sums_not_negative",
        "autopay_transactions_pkey",
        "transaction_of_an_agent",
        "transaction_within_a_budget",
        "Transaction_hash_network",
        "three_retries_at_most",
        "network_of_the_environment",
        "signed_payments_are_kept",
        "kept_payments_are_sealed",
        "success_is_proven",
        "verified_has_its_hash",
        "failure_says_why",
        "ended_transactions_say_when",
        "transactions_only_move_forward",
        "autopay_ledger_is_append_only",
        "transaction_events_pkey",
        "event_of_a_transaction",
        "api_request_logs_pkey",
        "request_of_an_agent",
        "request_of_a_transaction",
        "balance_snapshots_pkey",
        "balance_of_an_agent",
        "balances_not_negative",
    )
