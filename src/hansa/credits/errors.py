"""What credits refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Conflict, Defect, Forbidden, Gone, Invalid, NotFound, PaymentRequired


class InsufficientFunds(PaymentRequired):
    """The account has less available than is needed."""

    constraint = ("funds_available_to_reserve", "funds_available_to_pay")


class AmountNotPositive(Invalid):
    """An amount of credits is a whole number of units greater than zero."""

    constraint = ("hold_amount_positive", "paid_amount_positive", "disbursed_amount_positive")


class HoldUnknown(NotFound):
    """There is no such hold."""

    constraint = "hold_known"


class HoldEnded(Conflict):
    """The hold was captured, released or has expired; it cannot end twice."""

    constraint = "hold_ends_once"


class HoldExpired(Gone):
    """The hold's time is over; its money goes back to its owner."""

    constraint = "hold_alive_to_capture"


class HoldAlreadyMade(Conflict):
    """Money is already held for this purpose."""

    constraint = "one_hold_per_purpose"


class MovementAlreadyMade(Conflict):
    """This movement of credits has been made before."""

    constraint = "one_movement_per_key"


class AccountUnknown(NotFound):
    """There is no such account, and no agent is registered under this DID."""

    constraint = "account_known"


class PaidToOneself(Invalid):
    """An account cannot pay itself."""

    constraint = "paid_to_another"


class TransferToTheHouse(Invalid):
    """System accounts take no transfers; agents pay each other."""

    constraint = "transfer_to_an_agent"


class TransferAboveLimit(Forbidden):
    """One payment of this account may not be as large as this."""

    constraint = "transfer_within_limit"


class DailyLimitReached(Forbidden):
    """This account has no room left for such a payment today; the day is that of UTC."""

    constraint = "day_within_limit"


class PoolTooSmall(Conflict):
    """The pool has less than is to be paid from it."""

    constraint = "pool_covers_rewards"


class HouseFundsTooSmall(Conflict):
    """The treasury or the escrow has less than is to be paid from it."""

    constraint = ("treasury_covers_payments", "escrow_covers_payments")


class IssuingForbidden(Forbidden):
    """Only an operator issues credits."""

    constraint = "issued_by_an_operator"


class LimitsForbidden(Forbidden):
    """Only an operator says what accounts may pay."""


class HoldForeign(Forbidden):
    """The hold is on somebody else's account."""

    constraint = "hold_released_by_its_owner"


class HoldNotManual(Forbidden):
    """The hold was not made by hand; it ends with the thing that it was made for."""

    constraint = "hold_made_by_hand"


class LimitsNegative(Invalid):
    """A limit is zero or more."""

    constraint = ("limits_not_negative", "account_limits_not_negative")


class FaucetClosed(Forbidden):
    """The faucet gives opening credits only in development, once to each agent."""


class StatementForbidden(Forbidden):
    """A statement of account is shown to its holder only."""


class LedgerBroken(Defect):
    """A rule of the books was broken by a mistake in the code; nothing was written."""

    constraint = (
        "postings_sum_to_zero",
        "shares_are_the_whole_hold",
        "books_are_append_only",
        "system_accounts_are_known",
        "agent_balance_not_negative",
        "reserved_within_balance",
        "turnover_not_negative",
        "ended_holds_have_an_end",
        "posting_moves_something",
        "hold_on_an_account",
        "movement_of_a_hold",
        "posting_of_a_movement",
        "posting_on_an_account",
        "only_the_mint_goes_below_zero",
        "house_pays_what_is_earned",
        "holds_stay_what_they_are",
        "ended_holds_stay_ended",
        "limits_are_one_row",
        "one_set_of_limits",
        "one_set_of_limits_per_account",
        "limits_of_an_account",
        "discrepancies_are_a_list",
        "reconciliations_pkey",
        "credit_accounts_pkey",
        "holds_pkey",
        "credit_transactions_pkey",
        "postings_pkey",
    )
