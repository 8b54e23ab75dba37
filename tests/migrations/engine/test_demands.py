from dataclasses import dataclass
from typing import ClassVar

import pytest

from hansa import migrate
from hansa.migrate.demands import BackupMissing
from hansa.migrate.online import kinds
from hansa.migrate.online.operation import Transaction
from hansa.migrate.rehearsal.errors import NotRehearsed

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))
HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Stands for every operation that drops what an earlier revision kept."""

    kind: ClassVar[str] = "contract"
    target: ClassVar[str] = "column a.m"

    def up(self):
        return (Transaction("drop", lambda run: run.execute("ALTER TABLE a DROP m") and None),)

    def down(self):
        return ()


@pytest.fixture
def contracting(folder, monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "contract", Drop)
    folder.table(A, "a", up="CREATE TABLE a (n int, m int);")
    folder.revision(B, up=None, down=None, meta=f'requires = ["{A}"]\n[[operation]]\nkind = "contract"\n')
    return folder


@pytest.mark.parametrize(("age", "said"), [(None, "there is none"), (25 * HOUR, "the latest is 25.0 h old")])
def test_nothing_is_contracted_without_a_fresh_backup(contracting, dsn, ask, age, said):
    migrate.up(dsn, contracting.path, to=A)

    with pytest.raises(BackupMissing, match=f"{B} drops old columns.*24 h: {said}"):
        migrate.up(dsn, contracting.path, conditions=[migrate.backed_up(24 * HOUR, lambda: age)])

    assert ask("SELECT count(*) FROM information_schema.columns WHERE table_name = 'a'") == [(2,)]
    fresh = migrate.backed_up(24 * HOUR, lambda: 24 * HOUR)
    assert migrate.up(dsn, contracting.path, conditions=[fresh]).revisions == (B,)


def test_nobody_asks_for_a_backup_where_nothing_is_contracted_or_nothing_was_there(contracting, dsn):
    def never():
        raise AssertionError("asked for the age of a backup")

    new_database = migrate.up(dsn, contracting.path, conditions=[migrate.backed_up(HOUR, never)])
    contracting.table(C, "c")
    plain = migrate.up(dsn, contracting.path, conditions=[migrate.backed_up(HOUR, never)])

    assert (new_database.revisions, plain.revisions) == ((A, B), (C,))


def test_only_what_was_rehearsed_on_the_database_as_it_is_may_run(folder, dsn, ask):
    folder.table(A, "a")
    demand = [migrate.rehearsed(HOUR)]
    with pytest.raises(NotRehearsed, match="never rehearsed"):
        migrate.up(dsn, folder.path, conditions=demand)
    assert ask("SELECT to_regclass('a')") == [(None,)]

    assert migrate.rehearse(dsn, folder.path).ok
    ask("CREATE TABLE theirs (n int)")
    with pytest.raises(NotRehearsed, match="changed since"):
        migrate.up(dsn, folder.path, conditions=demand)
    ask("DROP TABLE theirs")
    with pytest.raises(NotRehearsed, match="too old"):
        migrate.up(dsn, folder.path, conditions=[migrate.rehearsed(0.0)])
    report = migrate.up(dsn, folder.path, conditions=demand)

    assert report.revisions == (A,)
    assert migrate.up(dsn, folder.path, conditions=demand).revisions == ()
