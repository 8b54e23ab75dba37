import psycopg
import pytest

from hansa.migrate.catalog import snapshot
from hansa.migrate.rehearsal import NotRehearsed, certified, pending_digest, require_rehearsal
from hansa.migrate.revisions import load

HOUR = 3600


@pytest.fixture
def connection(rehearsed):
    """A connection to the rehearsed database; what a test does on it is undone."""
    with psycopg.connect(rehearsed[0]) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def pending(rehearsed):
    return load(rehearsed[1].path)[1:]


def test_a_certificate_covers_the_revisions_and_the_catalog_that_were_rehearsed(connection, pending):
    found = certified(connection, pending_digest(pending), snapshot(connection).digest, within_s=HOUR)

    assert found is not None
    assert found == require_rehearsal(connection, pending, within_s=HOUR)
    assert (found.ok, found.report["revisions"], found.report["ok"]) == (True, [pending[0].id], True)
    assert require_rehearsal(connection, [], within_s=HOUR) is None


def test_an_edited_revision_voids_it(connection, rehearsed, pending):
    script = rehearsed[1].path / pending[0].id / "up.sql"
    original = script.read_text()
    script.write_text("CREATE TABLE b (n int);")
    edited = load(rehearsed[1].path)[1:]
    script.write_text(original)

    with pytest.raises(NotRehearsed, match="are not those that were rehearsed; rehearse first"):
        require_rehearsal(connection, edited, within_s=HOUR)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("CREATE INDEX by_visits ON people (visits)", "the catalog of the database changed since the rehearsal"),
        ("UPDATE mig.rehearsals SET at = at - interval '2 hours'", "UTC is too old"),
        (
            """
            INSERT INTO mig.rehearsals (actor, pending, catalog_digest, ok, report)
            SELECT 'somebody', pending, catalog_digest, false, '{}' FROM mig.rehearsals
            """,
            "was not good",
        ),
        ("DELETE FROM mig.rehearsals", "never rehearsed"),
    ],
)
def test_what_happened_since_voids_it(connection, pending, change, reason):
    connection.execute(change)

    with pytest.raises(NotRehearsed, match=reason):
        require_rehearsal(connection, pending, within_s=HOUR)


def test_another_order_of_columns_does_not_void_it(connection, pending):
    connection.execute("ALTER TABLE visits ADD m int")
    wider = snapshot(connection)
    connection.execute("ALTER TABLE visits DROP n, DROP m; ALTER TABLE visits ADD m int, ADD n int")

    assert snapshot(connection).digest == wider.digest
