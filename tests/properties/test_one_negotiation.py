"""One negotiation, step by step: the database and a model in plain Python agree on every result and every refusal."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from given import deals, registry
from hansa.credits import commands as ledger
from hansa.credits import queries as books
from hansa.kernel.errors import Refusal
from hansa.negotiation import commands, queries
from hansa.negotiation.models import PRICE_MAX, Split, Terms
from properties.one_negotiation import Model, Refused

FUNDS, BUDGET = 60_000, 80_000
PRICES = st.one_of(
    st.integers(1, 100),
    st.integers(40_000, 70_000),
    st.sampled_from([0, FUNDS, FUNDS + 1, BUDGET, BUDGET + 1, PRICE_MAX + 1]),
)
SPLITS = st.sampled_from([None, None, Split(), Split(agent=3333, broker=0, validator=0, pool=6667), Split(agent=7001)])
TERMS = st.builds(
    Terms,
    price=PRICES,
    delivery_s=st.sampled_from([None, None, 1, 3, 7, 3600, 0]),
    quality=st.sampled_from([None, None, *map(Decimal, ("0", "0.33", "0.5", "1", "1.01"))]),
    split=SPLITS,
    custom=st.sampled_from([{}, {}, {"colour": "red"}]),
)
STANDING = st.sampled_from([None, None, *map(Decimal, ("0.5", "0.501", "0.8", "1", "0.49", "1.01"))])
WHO = st.sampled_from(["initiator", "initiator", "responder", "responder", "outsider"])


class OneNegotiation(RuleBasedStateMachine):
    """Each rule does the same to both and compares what they say."""

    def __init__(self, db, owner, keys):
        super().__init__()
        self.db, self.owner, self.keys, self.ident = db, owner, keys, None

    @initialize()
    def meet(self):
        with self.db.transaction() as tx:
            initiator, responder, outsider = (registry.agent(tx).did for _ in range(3))
            ledger.open_with_faucet(tx, initiator, FUNDS)
            self.did = {"initiator": initiator, "responder": responder, "outsider": outsider}
            self.intent = deals.intent(tx, initiator, budget=BUDGET)

    @precondition(lambda self: self.ident is None)
    @rule(
        terms=TERMS,
        accepts_at=STANDING,
        max_rounds=st.sampled_from([1, 2, 3, 6, 20]),
        round_s=st.sampled_from([None, 60]),
    )
    def begin(self, terms, accepts_at, max_rounds, round_s):
        self.model = Model(funds=FUNDS, budget=BUDGET, max_rounds=max_rounds, round_s=round_s)
        made = self.both(
            lambda: self.model.initiate(terms, accepts_at),
            lambda tx: commands.initiate(
                tx,
                by=self.did["initiator"],
                responder=self.did["responder"],
                intent=self.intent,
                terms=terms,
                max_rounds=max_rounds,
                round_s=round_s,
                accepts_at=accepts_at,
                at=tx.at,
            ),
        )
        self.ident = made and made[1].id

    def both(self, model, real):
        """Both results; None when both refused for the same reason."""
        try:
            expected, code = model(), None
        except Refused as refused:
            expected, code = None, refused.args[0]
        try:
            with self.db.transaction() as tx:
                found, said = real(tx), None
        except Refusal as refusal:
            found, said = None, refusal.code()
        assert said == code, f"the model says {code or 'yes'}, the database {said or 'yes'}"
        return None if code else (expected, found)

    begun = precondition(lambda self: self.ident is not None)

    @begun
    @rule(by=WHO, terms=TERMS, accepts_at=STANDING)
    def propose(self, by, terms, accepts_at):
        self.both(
            lambda: self.model.propose(by, terms, accepts_at),
            lambda tx: commands.propose(tx, self.ident, by=self.did[by], terms=terms, accepts_at=accepts_at),
        )

    @begun
    @rule(terms=TERMS, nearer=st.integers(-40, 40), accepts_at=STANDING)
    def answer(self, terms, nearer, accepts_at):
        """Whose turn it is comes near to what is on the table."""
        table, by = self.model.terms, self.model.turn
        near = Terms(
            price=max(1, table.price + nearer),
            delivery_s=table.delivery_s,
            quality=table.quality,
            split=table.split,
            custom=terms.custom,
        )
        self.propose(by, near, accepts_at)

    @begun
    @rule(by=WHO, seen=st.sampled_from([None, 0, 0, -1]))
    def accept(self, by, seen):
        n = None if seen is None else len(self.model.rounds) + seen
        self.both(
            lambda: self.model.accept(by, n),
            lambda tx: commands.accept(tx, self.ident, by=self.did[by], seen_round=n, at=tx.at),
        )

    @begun
    @rule(by=WHO, reason=st.sampled_from(["", "too dear", "x" * 1001]))
    def reject(self, by, reason):
        self.both(
            lambda: self.model.reject(by, reason),
            lambda tx: commands.reject(tx, self.ident, by=self.did[by], reason=reason),
        )

    @begun
    @rule(by=WHO)
    def settle(self, by):
        paid = self.both(
            lambda: self.model.settle(by), lambda tx: commands.settle(tx, self.keys, self.ident, by=self.did[by])
        )
        if paid:
            shares, settlement = paid
            assert shares == {"agent": settlement.paid.agent_units, "pool": settlement.paid.pool_units}

    @begun
    @rule()
    def expire(self):
        swept = self.both(self.model.expire, commands.expire_stale)
        assert swept is not None
        assert swept[0] == swept[1]

    @precondition(lambda self: self.ident and not self.model.overdue)
    @rule(whole=st.booleans())
    def let_time_pass(self, whole):
        """An hour goes by: for the negotiation, or for its round alone."""
        if whole:
            self.model.overdue = True
            self.moved("expires_at")
        elif self.model.round_s:
            self.model.round_overdue = True
            self.moved("round_due_at")

    def moved(self, column):
        self.owner.execute(
            f"UPDATE negotiation.negotiations SET {column} = clock_timestamp() - interval '1 hour' WHERE id = %s",
            [self.ident],
        )

    @begun
    @invariant()
    def they_agree(self):
        model = self.model
        with self.db.transaction() as tx:
            found = queries.negotiation_of(tx, self.ident)
            rounds = queries.rounds_of(tx, self.ident)
            account = books.account_of(tx, self.did["initiator"])
        names = {did: name for name, did in self.did.items()}
        assert (found.state.value, found.round, names[found.turn_did]) == (model.state, len(model.rounds), model.turn)
        assert found.convergence_score == model.convergence
        assert found.not_accepted == model.not_accepted
        assert (found.standing_did and names[found.standing_did]) == model.standing
        assert [(names[one.by_did], one.price, one.delivery_s, one.quality, one.custom) for one in rounds] == [
            (by, said.price, said.delivery_s, said.quality, said.custom) for by, said in model.rounds
        ]
        assert account.available == model.funds
        assert account.reserved == (0 if model.settled else model.held)

    def teardown(self):
        """The next example's sweep finds nothing of this one."""
        if self.ident and self.model.state in {"initiated", "proposed", "counter_proposed"}:
            self.moved("expires_at")
            with self.db.transaction() as tx:
                commands.expire_stale(tx)


def agree(db, owner, keys, *, examples, steps):
    run_state_machine_as_test(
        lambda: OneNegotiation(db, owner, keys),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with db.transaction() as tx:
        assert books.reconcile(tx) == []


def test_a_negotiation_does_what_its_rules_say(db, owner, services_keys):
    agree(db, owner, services_keys, examples=40, steps=15)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_negotiation_does_what_its_rules_say_in_many_tries(db, owner, services_keys):
    agree(db, owner, services_keys, examples=300, steps=25)
