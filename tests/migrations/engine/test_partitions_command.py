"""The command that a scheduler runs once a day."""

import json

from typer.testing import CliRunner

from hansa.migrate.cli import app

LOGS = """
    CREATE TABLE logs (id bigint, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
"""


def partitions(dsn, *arguments):
    return CliRunner().invoke(app, ["partitions", "--dsn", dsn, *arguments])


def test_partitions_run_out_until_they_are_made(folder, dsn, ask):
    folder.revision("20260101T000000_logs", up=LOGS, down="DROP TABLE logs;")
    CliRunner().invoke(app, ["up", "--dsn", dsn, "--dir", str(folder.path)])
    ask("INSERT INTO mig.partition_policies (parent, step, ahead, keep) VALUES ('public.logs', '1 day', 3, '90 days')")

    alarmed = partitions(dsn)
    made = partitions(dsn, "--make", "-o", "json")

    assert alarmed.exit_code == 2
    assert "running out" in alarmed.output
    assert made.exit_code == 0
    assert len(json.loads(made.output)["made"]) == 4
    assert json.loads(made.output)["alarms"] == []


def test_what_is_older_than_its_policy_keeps_is_archived_and_gone(folder, dsn, ask, tmp_path):
    folder.revision("20260101T000000_logs", up=LOGS, down="DROP TABLE logs;")
    CliRunner().invoke(app, ["up", "--dsn", dsn, "--dir", str(folder.path)])
    ask("INSERT INTO mig.partition_policies (parent, step, ahead, keep) VALUES ('public.logs', '1 day', 1, '90 days')")
    ask("CREATE TABLE logs_old PARTITION OF logs FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')")
    ask("INSERT INTO logs SELECT n, '2020-01-01 12:00' FROM generate_series(1, 10) AS n")

    nowhere = partitions(dsn, "--retire")
    gone = partitions(dsn, "--make", "--retire", "--archive-to", str(tmp_path), "-o", "json")

    assert nowhere.exit_code == 1
    assert "--archive-to" in nowhere.stderr
    (retired,) = json.loads(gone.output)["retired"]
    assert retired["rows"] == 10
    assert (tmp_path / retired["archive"]).is_file()
    assert ask("SELECT count(*), to_regclass('logs_old') FROM logs") == [(0, None)]


def test_without_a_policy_there_is_nothing_to_say(folder, dsn):
    folder.table("20260101T000000_a", "a")
    CliRunner().invoke(app, ["up", "--dsn", dsn, "--dir", str(folder.path)])

    answer = partitions(dsn)

    assert (answer.exit_code, answer.output) == (0, "no table is partitioned by the clock\n")
