"""Our own revisions, one by one: each can be taken back, and stands on nothing but what it says it requires."""

from decimal import Decimal

import psycopg
import pytest

from given import deals
from hansa import migrate
from hansa.credits import queries as books
from hansa.kernel.money import Credits
from hansa.migrate import Options, testing
from hansa.migrate.catalog import differences, snapshot
from hansa.migrate.graph import with_requirements
from hansa.migrate.losses import DataWouldBeLost
from hansa.migrate.revisions import load
from hansa.migrations import DIRECTORY
from hansa.negotiation.models import Split, Terms

TERMS = Terms(price=Credits(90_000), delivery_s=60, quality=Decimal("0.90"), split=Split())
"""All that a proposal could say before its parts became optional."""
LOSING = Options(lose_data=True)
"""Some revisions bring rows of their own, such as the ten domains."""
REVISIONS = load(DIRECTORY)
ORDER = [revision.id for revision in REVISIONS]
ASIDE = [
    revision.id
    for number, revision in enumerate(REVISIONS, start=1)
    if len(with_requirements(REVISIONS, revision.id)) < number
]
"""Revisions that do not require everything before them."""


@pytest.mark.parametrize("revision", ASIDE)
def test_a_revision_stands_on_nothing_but_what_it_requires(server_dsn, revision):
    with testing.scratch(server_dsn, "aside") as dsn:
        report = migrate.up(dsn, DIRECTORY, to=revision)

        assert report.revisions[-1] == revision
        assert migrate.verify(dsn, DIRECTORY).ok


def test_every_revision_is_taken_back_without_a_trace_and_applied_again(server_dsn):
    """The staircase: down to nothing, one step at a time, comparing the catalog with the one before each step up."""
    with testing.scratch(server_dsn, "staircase") as dsn, psycopg.connect(dsn, autocommit=True) as look:
        catalogs = [snapshot(look)]
        for revision in ORDER:
            migrate.up(dsn, DIRECTORY, to=revision)
            catalogs.append(snapshot(look))
        left = {}
        for number in range(len(ORDER), 0, -1):
            migrate.down(dsn, DIRECTORY, steps=1, options=LOSING)
            found = differences(catalogs[number - 1], snapshot(look))
            left[ORDER[number - 1]] = [one.sentence for one in found if not one.soft]
        again = migrate.up(dsn, DIRECTORY)
        end = differences(catalogs[-1], snapshot(look))

    assert left == {revision: [] for revision in ORDER}
    assert list(again.revisions) == ORDER
    assert [one.sentence for one in end if not one.soft] == []


@pytest.mark.parametrize(
    ("revision", "lost"),
    [
        ("20261120T007000_autopay", ("negotiation.negotiations", "negotiation.rounds", "negotiation.intents")),
        ("20261120T002000_registry", ("credits.postings", "credits.holds", "credits.credit_transactions")),
    ],
)
def test_with_a_deal_in_place_no_way_back_loses_it(db, database, postgres, revision, lost):
    with db.transaction() as tx:
        deal = deals.accepted(tx, *deals.pair(tx), terms=TERMS)
    dsn = postgres.dsn(role="postgres", database=database)
    migrate.down(dsn, DIRECTORY, to="20261120T010000_discovery")
    before = migrate.status(dsn, DIRECTORY)

    with pytest.raises(DataWouldBeLost) as refused:
        migrate.down(dsn, DIRECTORY, to=revision)

    assert [name for name in lost if f"{name} (" not in str(refused.value)] == []
    assert migrate.status(dsn, DIRECTORY) == before
    migrate.up(dsn, DIRECTORY)
    with db.transaction() as tx:
        assert books.hold_of(tx, deal.hold_id).amount == deal.price
        assert books.reconcile(tx) == []
