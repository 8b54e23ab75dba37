"""What credits refuses, and the constraints that speak each refusal."""

from hansa.kernel.errors import Conflict, Defect, Forbidden, Gone, Invalid, NotFound, PaymentRequired


class InsufficientFunds(PaymentRequired):
    """The account has less available than is needed."""

    constraint = "funds_available_to_reserve"


class AmountNotPositive(Invalid):
    """An amount of credits is a whole number of units greater than zero."""

    constraint = "hold_amount_positive"


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
    """The account has never held a credit."""


class FaucetClosed(Forbidden):
    """The faucet gives opening credits only in development, once to each agent."""


class StatementForbidden(Forbidden):
    """A statement of account is shown to its holder only."""


class LedgerBroken(Defect):
    """A rule of the books was broken by a mistake in the code; nothing was written."""

    constraint = (
        "postings_sum_to_zero",
        "movement_written_whole",
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
        "credit_accounts_pkey",
        "holds_pkey",
        "credit_transactions_pkey",
        "postings_pkey",
    )
