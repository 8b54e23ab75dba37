"""The command for partitions that the clock makes and retires, to be run by a scheduler once a day."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hansa.migrate.cli.arguments import EXIT_PENDING, Defaults, Dsn, Out, answering, leave
from hansa.migrate.cli.showing import Output, write
from hansa.migrate.errors import BadRequest
from hansa.migrate.partitions import (
    Retired,
    ensure_partitions,
    partition_alarms,
    partitions_of,
    policies,
    retire_partitions,
)
from hansa.migrate.session import connect


def add(app: typer.Typer, defaults: Defaults) -> None:
    """Mount it."""

    @app.command()
    def partitions(
        *,
        dsn: Dsn = None,
        make: Annotated[bool, typer.Option("--make", help="Make the partitions that should be there ahead.")] = False,
        retire: Annotated[bool, typer.Option("--retire", help="Archive and drop those whose time is over.")] = False,
        archive_to: Annotated[Path | None, typer.Option(help="Folder of the archives of retired partitions.")] = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Show tables that are partitioned by the clock. Exit code 2: one is running out of partitions."""
        with answering(output), connect(dsn or defaults.dsn()) as connection:
            at = datetime.now(UTC)
            if retire and archive_to is None:
                raise BadRequest("say where retired partitions go: --archive-to FOLDER")
            made = ensure_partitions(connection, at=at) if make else ()
            gone = retire_partitions(connection, at=at, archive_to=archive_to) if retire and archive_to else ()
            alarms = partition_alarms(connection, at=at)
            kept = [
                (policy.parent, partition.label, partition.start, partition.end)
                for policy in policies(connection)
                for partition in partitions_of(connection, policy)
            ]
            rows: list[tuple[str, ...]] = [("made", name) for name in made]
            rows += [("retired", one.partition, f"{one.rows:,} rows", _where(one)) for one in gone]
            rows += [("kept", name, f"{start:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}") for _, name, start, end in kept]
            rows += [("running out", alarm.parent, alarm.sentence) for alarm in alarms]
            value = {
                "made": made,
                "retired": [_retired(one) for one in gone],
                "partitions": [
                    {"parent": parent, "partition": name, "start": start, "end": end}
                    for parent, name, start, end in kept
                ],
                "alarms": [dataclasses.asdict(alarm) for alarm in alarms],
            }
            write(output, value, rows or [("no table is partitioned by the clock",)])
            leave(EXIT_PENDING if alarms else 0)


def _where(one: Retired) -> str:
    return str(one.archive.path) if one.archive is not None else "not archived"


def _retired(one: Retired) -> dict[str, object]:
    return {
        "parent": one.parent,
        "partition": one.partition,
        "rows": one.rows,
        "archive": str(one.archive.path) if one.archive else None,
        "sha256": one.archive.sha256 if one.archive else None,
    }
