"""What was demonstrated to go wrong in AINP's own broker, and the test here that each defect would fail.

A test is marked with the id of its defect and says what holds here instead:

    @defect("double_settle", "The second settlement is a 409; ...")
    def test_a_second_settlement_pays_nobody(...):
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

TESTS = ("money", "payments", "state", "identity", "scores")
"""The files of tests/defects that attack."""

MONEY = {
    "double_settle": "A deal could be settled twice: the provider was paid twice, the second time out of money that was"
    " reserved for somebody else.",
    "concurrent_settle": "Of twenty pairs of simultaneous settlements, both were paid each time.",
    "concurrent_accept": "In sixteen of twenty pairs of simultaneous accepts the price was reserved twice, and half of it"
    " stayed reserved for ever.",
    "accept_vs_propose": "An accept and a proposal at once sealed one price with the money of another, or put a deal"
    " back into haggling with its money locked.",
    "self_accept": "The responder proposed a price, accepted it himself and settled himself as validator.",
    "http_forged_accept": "Over HTTP, in production, without any signature, a stranger accepted in the victim's name and"
    " emptied its account.",
    "forged_reserved_credits": "How much was reserved was read from the other party's free custom terms, so a thief was"
    " paid from another deal's reservation.",
    "negative_price": "A negative price freed reserved money, and one balance backed two deals.",
    "negative_split_mint": "Shares of 500 % and -400 % were taken: 10 000 spent, 50 000 earned.",
    "split_renegotiation_ignored": "The parties agreed on 90 %, and the 70 % of the opening offer was paid.",
    "shares_burned": "Shares of broker, validator and pool were computed and paid to nobody: 30 % vanished.",
    "nonatomic_settle": "A settlement with an unknown validator took the payer's money, paid a part, failed, and could"
    " not be repeated.",
    "nonatomic_earn": "Three calls that failed left 3000 on the account and no line in the ledger.",
    "deposit_no_account": "A deposit to an account that did not exist wrote its ledger line, moved nothing and reported"
    " success.",
    "markpaid_no_account": "A payment for somebody without an account was marked paid; the money reached nobody.",
    "initial_balance_unledgered": "Opening credits stood on the account and in no ledger line.",
    "release_foreign": "One deal could release what another deal had reserved, since a release named an amount.",
    "reserve_not_idempotent": "The same reservation sent again held the money again.",
    "negative_amounts": "A deposit of -100 was taken.",
    "spend_ignores_reserved": "Spending reserved money was stopped by a raw constraint error only.",
    "free_mint_credits_method": "A payment request with the method credits marked itself as paid: money from nothing.",
    "webhook_unsigned_amount": "An unsigned webhook said how much had been paid, and that much was credited.",
    "tx_ref_reuse": "One transaction paid two payment requests.",
    "expired_payable": "Requests that had expired, failed or been cancelled could still be paid.",
    "crash_between_deposit_and_commit": "The deposit ran on a connection of its own: a crash before the commit and a"
    " redelivery credited it twice.",
    "markpaid_pool_deadlock": "Each payment took two connections: forty at once on a pool of twenty blocked each other"
    " until most failed.",
    "rewards_not_idempotent": "Two replicas paid the reward pool twice, and from nothing.",
    "expired_agent_loses_money": "When an agent's time to live ran out, its account, ledger and proofs were deleted.",
    "reject_overwrites_accept": "An accepted deal could be rejected; its money stayed locked for ever.",
    "reject_after_settle": "A deal could be rejected after it was paid.",
    "custom_terms_wiped": "Accepting a proposal emptied the custom terms that had been agreed.",
    "float_money": "Amounts went through floating point: 70 % of 90 000 paid 62 999, and 2^53 + 1 lost a unit.",
}
STATE_IDENTITY_SCORES = {
    "lost_update_propose": "Of 160 proposals that were acknowledged, 26 were stored.",
    "max_rounds_race": "Eight simultaneous proposals were acknowledged where two rounds were left.",
    "outsider_propose": "A third agent could propose in a negotiation of two others.",
    "same_party_turns": "One party could propose again and again; there were no turns.",
    "max_rounds_1": "A negotiation with one round could never be accepted.",
    "bad_terms": "A quality of 5 was answered with a raw constraint error.",
    "production_rejects_valid_signatures": "In production every correctly signed request was refused: key format and"
    " canonical form differed between signer and verifier.",
    "register_sets_own_trust": "Anybody, unsigned, could register an agent again with any trust; its capabilities were"
    " dropped on the way.",
    "ttl_units": "Minutes were read as milliseconds: an advertisement for an hour lived for 60 ms.",
    "reputation_never_updates": "A missing cast made every update of reputation and trust fail, and the error was"
    " swallowed.",
    "slash_never_works": "The same missing cast made every slashing an internal error.",
    "reputation_formula_if_repaired": "With the cast repaired, one good deal threw trust from .95 to .685, and any deal"
    " of more than five seconds counted as late.",
    "slash_formula_if_repaired": "With the cast repaired, an agent without stake was slashed, and a negative slash gave"
    " stake.",
    "trust_lost_update": "Sixteen successes at once gave .590 where one after the other gives .937.",
    "trust_no_read_decay": "After a year of silence trust was still read as on the last day.",
    "proof_duplicate_race": "Nineteen of twenty copies of one proof of usefulness were stored.",
    "proof_without_intent": "A proof without an intent, optional in the API, was an internal error.",
    "proof_wrong_metric": "Metrics that were text passed, and others broke the server.",
    "attestation_forgery": "One caller without a signature filled a quorum of three.",
    "finalizer_ignores_committee": "The job that finalised receipts counted audits of anybody, not of the committee.",
    "replay_race": "Fifty copies of one message at the same time were all accepted.",
    "replay_redis_down": "Without its cache the protection against replay let everything through.",
    "greylist_inverted": "Whoever retried at once passed, and whoever waited as told was turned away again.",
    "db_restart_kills_broker": "One idle connection closed by the database ended the whole process.",
    "thread_participants_growth": "Thirty messages between two made sixty participants; unread messages were never"
    " counted, and a message to nobody was an internal error.",
}
ORIGINAL = MONEY | STATE_IDENTITY_SCORES
"""Id of a defect -> what went wrong in the original, demonstrated there."""

WAITING = frozenset[str]()
"""Ids whose test waits for a feature that is being built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The test that shows that a defect is not here."""

    file: str
    test: str
    holds: str


SHOWN: dict[str, Shown] = {}

Test = TypeVar("Test", bound=Callable[..., Any])


def defect(ident: str, holds: str) -> Callable[[Test], Test]:
    """Mark the one test that attacks a defect of the original, and say what holds here."""
    if ident not in ORIGINAL:
        raise ValueError(f"no defect of the original is called {ident}")

    def register(test: Test) -> Test:
        file = f"tests/defects/{Path(test.__code__.co_filename).name}"
        shown = Shown(file=file, test=test.__name__, holds=holds)
        # The same test again is the same module imported under another name.
        if SHOWN.setdefault(ident, shown) != shown:
            raise ValueError(f"{ident} has two tests: {SHOWN[ident].test} and {test.__name__}")
        return test

    return register


def load() -> None:
    """Let every file of attacks register its tests."""
    for name in TESTS:
        importlib.import_module(f"defects.test_{name}")


def page() -> str:
    """docs/explanation/defects.md."""
    load()
    return "\n".join(
        [
            "# Defects of the original",
            "",
            "AINP specifies negotiation, credits, trust and usefulness, and comes with a broker that implements them. On a",
            f"real PostgreSQL, {len(ORIGINAL)} ways were demonstrated in which that broker loses, mints or leaks money, or says",
            "what is not so. Hansa does not have them: for each there is a test that makes the same attack, with real commits,",
            "sessions, signatures, and processes that are killed, and then asks the books. Where the feature itself does not",
            "exist here because another design took its place, the attack goes against what stands in that place.",
            "",
            "Generated by `docs/generate.py` from the tests; a test keeps it true.",
            *section("Money", MONEY),
            *section("State, identity, scores", STATE_IDENTITY_SCORES),
            "",
        ]
    )


def section(title: str, defects: dict[str, str]) -> list[str]:
    rows = [f"| `{ident}` | {happened} | {holds(ident)} |" for ident, happened in defects.items()]
    head = ["| id | in the original | here, and the test that shows it |", "|---|---|---|"]
    return ["", f"## {title}", "", *head, *rows]


def holds(ident: str) -> str:
    if ident in WAITING:
        return "not shown yet"
    shown = SHOWN[ident]
    return f"{shown.holds} `{shown.file}::{shown.test}`"
