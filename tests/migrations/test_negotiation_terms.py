"""Taking back the terms of negotiation: what the old schema can say stays, what it cannot is refused by its name."""

from decimal import Decimal

import psycopg
import pytest

from given import deals
from hansa import migrate
from hansa.migrate.errors import StatementFailed
from hansa.migrations import DIRECTORY, names
from hansa.negotiation import commands
from hansa.negotiation.models import Split, Terms

REVISION = "20261121T010000_negotiation_terms"
BEFORE = names()[names().index(REVISION) - 1]
FULL = Terms(price=90_000, delivery_s=3600, quality=Decimal("0.90"), split=Split())


@pytest.fixture
def dsn(postgres, database):
    return postgres.dsn(role="postgres", database=database)


def rows(owner):
    """Negotiations and their rounds, as far as the old schema knows them."""
    columns = "id, state, round, current_proposal, final_proposal, incentive_split, rounds, updated_at, hold_id"
    return (
        owner.execute(f"SELECT {columns} FROM negotiation.negotiations ORDER BY id").fetchall(),
        owner.execute("SELECT * FROM negotiation.rounds ORDER BY negotiation_id, n").fetchall(),
    )


def test_what_the_old_schema_can_say_goes_down_and_up_unharmed(dsn, db, owner):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        deals.accepted(tx, buyer, seller, terms=FULL)
        opened = deals.opened(tx, buyer, seller, terms=FULL)
    db.close()
    before = rows(owner)

    migrate.down(dsn, DIRECTORY, to=BEFORE)
    between = rows(owner)
    with owner.transaction():
        # The old routines work on the old rows.
        owner.execute("SELECT negotiation.reject(%s, %s)", [opened.id, seller])
    migrate.up(dsn, DIRECTORY)

    assert between == before
    assert len(before[0]) == len(before[1]) == 2
    found = owner.execute("SELECT state, ended_by FROM negotiation.negotiations WHERE id = %s", [opened.id]).fetchone()
    assert found == ("rejected", None), "a rejection that nobody signed stays without a name"
    assert migrate.verify(dsn, DIRECTORY).ok


KINDS = {
    "every_proposal_states_all_terms": {"terms": Terms(price=90_000, delivery_s=3600, quality=Decimal("0.90"))},
    "no_standing_acceptance_is_lost": {"terms": FULL, "accepts_at": Decimal("0.90")},
    "no_round_time_is_lost": {"terms": FULL, "round_s": 60},
    "no_rejection_is_lost": {"terms": FULL},
}


@pytest.mark.parametrize("name", KINDS)
def test_what_the_old_schema_cannot_say_is_refused_by_name_before_anything_changes(dsn, db, owner, name):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        opened = deals.opened(tx, buyer, seller, **KINDS[name])
        if name == "no_rejection_is_lost":
            commands.reject(tx, opened.id, by=seller, reason="too dear")
    before = rows(owner)

    with pytest.raises(StatementFailed) as refused:
        migrate.down(dsn, DIRECTORY, to=BEFORE)

    cause = refused.value.__cause__
    assert isinstance(cause, psycopg.errors.CheckViolation)
    assert cause.diag.constraint_name == name
    assert rows(owner) == before
