import pytest

from hansa import migrate
from hansa.migrate import errors

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))


def gauges(dsn, directory):
    """Values by name; those with labels under their whole name."""
    lines = [line for line in migrate.metrics(dsn, directory).splitlines() if not line.startswith("#")]
    return {
        name.removeprefix("hansa_migrate_"): float(value) for name, value in (line.rsplit(" ", 1) for line in lines)
    }


def test_an_empty_database_has_only_pending_revisions_and_is_left_untouched(folder, dsn, ask):
    folder.table(A, "a")

    found = gauges(dsn, folder.path)

    assert found == {
        "applied": 0,
        "pending": 1,
        "failed": 0,
        "problems": 0,
        "hooks_waiting": 0,
        "hooks_failed": 0,
        "quarantined_rows": 0,
    }
    assert ask("SELECT to_regnamespace('mig')") == [(None,)]


def test_every_number_follows_what_happened(folder, dsn, ask):
    path = folder.table(A, "a")
    (path / "post.sql").write_text("SELECT 1/0;")
    folder.table(B, "b", meta=f'requires = ["{A}"]', up="SELECT 1/0;")
    with pytest.raises(errors.StatementFailed):
        migrate.up(dsn, folder.path)
    ask(
        "INSERT INTO mig.quarantine (revision, operation, relation, reason, columns, contents) VALUES (%s, 1, 'a', 'x', '{}', '{}')",
        A,
    )

    waiting = gauges(dsn, folder.path)
    migrate.run_hooks(dsn, folder.path)
    failing = gauges(dsn, folder.path)

    assert (waiting["applied"], waiting["pending"], waiting["failed"], waiting["quarantined_rows"]) == (1, 1, 1, 1)
    assert (waiting["hooks_waiting"], waiting["hooks_failed"]) == (1, 0)
    assert (failing["hooks_waiting"], failing["hooks_failed"]) == (0, 1)
    assert ask("SELECT extract(epoch FROM applied_at)::float8 FROM mig.revisions") == [
        (waiting["last_applied_timestamp_seconds"],)
    ]
    (folder.path / B / "up.sql").write_text("CREATE TABLE b (n int);")
    migrate.up(dsn, folder.path)
    assert gauges(dsn, folder.path)["failed"] == 0
    (folder.path / A / "down.sql").write_text("SELECT 2;")
    assert gauges(dsn, folder.path)["problems"] == 1


def test_an_unfinished_operation_is_told_with_its_labels(folder, dsn, ask):
    folder.table(A, "a")
    migrate.up(dsn, folder.path)
    ask(
        """
        INSERT INTO mig.operations (revision, number, kind, direction, step, rows_done, rows_total, updated_at, finished)
        VALUES (%s, 1, 'convert', 'up', 'x', 5, 9, clock_timestamp() - interval '1 hour', false),
               (%s, 2, 'convert', 'up', NULL, 0, NULL, clock_timestamp(), false),
               (%s, 3, 'convert', 'up', 'x', 9, 9, clock_timestamp(), true)
        """,
        *[B] * 3,
    )

    found = gauges(dsn, folder.path)

    one, two, three = (f'{{kind="convert",operation="{n}",revision="{B}"}}' for n in (1, 2, 3))
    assert found[f"operation_rows_done{one}"] == 5
    assert found[f"operation_rows_total{one}"] == 9
    assert 3600 <= found[f"operation_idle_seconds{one}"] < 3700
    assert found[f"operation_rows_done{two}"] == 0
    assert f"operation_rows_total{two}" not in found
    assert not any(name.endswith(three) for name in found)


def test_metrics_are_refused_like_status_where_there_is_nothing_to_tell(folder, dsn):
    folder.table(A, "a")

    with pytest.raises(errors.DirectoryMissing):
        migrate.metrics(dsn, folder.path / "nowhere")
    with pytest.raises(errors.Unreachable):
        migrate.metrics("host=/nowhere", folder.path)
