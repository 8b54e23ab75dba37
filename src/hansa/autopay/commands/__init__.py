"""What can be done in autopay: set up, buy, and learn what came of it."""

from hansa.autopay.commands.outcome import conclude, due, lapse, report
from hansa.autopay.commands.purchase import intend, keep_signed, signed_payload
from hansa.autopay.commands.setting_up import configure, note_balance, note_changed_balance, set_budget

__all__ = [
    "conclude",
    "configure",
    "due",
    "intend",
    "keep_signed",
    "lapse",
    "note_balance",
    "note_changed_balance",
    "report",
    "set_budget",
    "signed_payload",
]
