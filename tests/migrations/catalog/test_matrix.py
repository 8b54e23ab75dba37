"""Every kind of drift, alone and all at once, and none where there is none."""

import pytest

from hansa.migrate.catalog import Snapshot, differences, snapshot
from migrations.catalog.matrix import DRIFTS, FINER


@pytest.fixture(scope="module")
def clean(trade) -> Snapshot:
    return snapshot(trade)


def reported(found):
    return sorted((one.object, one.aspect, one.sentence) for one in found)


def expected(named, *kinds):
    return sorted((named(kind.object), kind.aspect, named(kind.sentence)) for kind in kinds)


def test_the_matrix_has_forty_eight_kinds_of_drift_each_under_its_own_name():
    assert (
        len(DRIFTS) == len({kind.name for kind in DRIFTS}) == len({(kind.object, kind.aspect) for kind in DRIFTS}) == 48
    )


@pytest.mark.parametrize("kind", DRIFTS + FINER, ids=lambda kind: kind.name)
def test_a_drift_is_reported_by_name_and_nothing_besides(kind, clean, changed, named):
    with changed(kind.sql) as connection:
        found = differences(clean, snapshot(connection))

    assert reported(found) == expected(named, kind)
    assert not any(one.soft for one in found)


def test_all_forty_eight_at_once_are_reported_together(clean, changed, named):
    with changed(*(kind.sql for kind in DRIFTS)) as connection:
        found = differences(clean, snapshot(connection))

    assert reported(found) == expected(named, *DRIFTS)


def test_ten_snapshots_of_an_unchanged_database_are_one_and_the_same(clean, trade):
    again = [snapshot(trade) for _ in range(10)]

    assert again == [clean] * 10
    assert {one.digest for one in again} == {clean.digest}
    assert [differences(clean, one) for one in again] == [()] * 10
