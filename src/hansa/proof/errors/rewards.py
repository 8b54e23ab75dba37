"""What proof refuses of rewards."""

from hansa.kernel.errors import Conflict, Gone, Invalid, NotFound


class RewardPolicyUnfit(Invalid):
    """An epoch offers 0 to 10 000 basis points of the pool, to a usefulness above 0 and up to 100."""

    constraint = ("reward_share_within_the_pool", "reward_score_min_within_100")


class EpochUnknown(NotFound):
    """No rewards are fixed for this day."""


class EpochNotOver(Conflict):
    """Rewards are for a UTC day that is over."""

    constraint = "reward_epoch_is_over"


class EpochTooOld(Gone):
    """Rewards can be paid up to 30 days later, while the work of that day still counts."""

    constraint = "reward_epoch_of_the_last_30_days"
