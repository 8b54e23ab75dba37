"""What can be done in the market: with tasks, with reviews, and with what is counted from both."""

from hansa.market.commands.reviews import edit_review, respond, review, withdraw_review
from hansa.market.commands.standing import (
    note_change,
    publish_due_leaderboards,
    publish_leaderboards,
    record_hire,
    set_leaderboard_references,
)
from hansa.market.commands.tasks import accept_delivery, cancel, create_task, deliver, end_task_of_deal, start

__all__ = [
    "accept_delivery",
    "cancel",
    "create_task",
    "deliver",
    "edit_review",
    "end_task_of_deal",
    "note_change",
    "publish_due_leaderboards",
    "publish_leaderboards",
    "record_hire",
    "respond",
    "review",
    "set_leaderboard_references",
    "start",
    "withdraw_review",
]
