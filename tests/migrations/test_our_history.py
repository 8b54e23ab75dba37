"""Our own revisions, one by one: each can be taken back, and stands on nothing but what it says it requires."""

import psycopg
import pytest

from hansa import migrate
from hansa.migrate import testing
from hansa.migrate.catalog import differences, snapshot
from hansa.migrate.graph import with_requirements
from hansa.migrate.revisions import load
from hansa.migrations import DIRECTORY

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
            migrate.down(dsn, DIRECTORY, steps=1)
            found = differences(catalogs[number - 1], snapshot(look))
            left[ORDER[number - 1]] = [one.sentence for one in found if not one.soft]
        again = migrate.up(dsn, DIRECTORY)
        end = differences(catalogs[-1], snapshot(look))

    assert left == {revision: [] for revision in ORDER}
    assert list(again.revisions) == ORDER
    assert [one.sentence for one in end if not one.soft] == []
