"""`hansa audit`: the trail, and whether it is still what it was. For operators, on the database."""

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated, Protocol, cast

import typer
from pydantic_core import to_json

from hansa.governance import commands, queries
from hansa.governance.models import AuditReport, AuditRow
from hansa.infra.db import Actor
from hansa.infra.services import Services
from hansa.kernel.ids import OrganizationId

OPERATOR = Actor(kind="operator", did="governance.cli")

app = typer.Typer(
    name="audit", help="The audit trail: read it, and verify that nobody changed it.", no_args_is_help=True
)


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


class Opener(Protocol):
    """What the command line hands to every command: it opens the services when they are needed."""

    def services(self) -> AbstractContextManager[Services]: ...


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the answer.")]


@app.command("verify")
def verify(
    ctx: typer.Context,
    anchor: Annotated[
        str | None, typer.Option(help="Head (hex) noted earlier; the chain must still contain it.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Seal what waits, recompute the chain, and name what was edited, removed or moved. Exit code 1: it is broken."""
    with cast("Opener", ctx.obj).services() as services:
        seal_all(services)
        with services.db.transaction(OPERATOR) as tx:
            report = queries.verify_audit(tx, anchor=anchor)
    typer.echo(to_json(report, indent=2).decode() if output is Output.JSON else report_text(report))
    if not report.whole:
        raise typer.Exit(1)


@app.command("ls")
def ls(
    ctx: typer.Context,
    *,
    organization: Annotated[str | None, typer.Option(help="Only rows that concern this organization.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, e.g. hire.denied.")] = None,
    entity: Annotated[str | None, typer.Option(help="Only things of this kind, e.g. role_agent.")] = None,
    before: Annotated[str | None, typer.Option(help="Only rows older than the row of this id.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Rows to show.")] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the audit trail, newest first."""
    with cast("Opener", ctx.obj).services() as services, services.db.transaction(OPERATOR) as tx:
        page = queries.audit_rows(
            tx,
            organization=OrganizationId(organization) if organization else None,
            action=action,
            entity=entity,
            before=before,
            limit=limit,
        )
    if output is Output.JSON:
        typer.echo(to_json(page, indent=2).decode())
        return
    for row in page.items:
        typer.echo(row_text(row))


def seal_all(services: Services) -> None:
    """Chain everything that waits, in transactions of one batch each."""
    sealed = commands.SEAL_BATCH
    while sealed == commands.SEAL_BATCH:
        with services.db.transaction(OPERATOR) as tx:
            sealed = commands.seal(tx)


def report_text(report: AuditReport) -> str:
    """A report for people: the verdict, then each finding on its line."""
    verdict = "whole" if report.whole else f"BROKEN in {len(report.broken)} places"
    lines = [f"The audit trail is {verdict}: {report.sealed} rows sealed, head {report.head}."]
    lines += [f"  {found.n or '-'}  {found.audit_id or '-'}  {found.finding}" for found in report.broken]
    lines += [f"  waits for its seal: {audit}" for audit in report.unsealed]
    return "\n".join(lines)


def row_text(row: AuditRow) -> str:
    place = "unsealed" if row.n is None else f"#{row.n}"
    return f"{row.created_at:%Y-%m-%d %H:%M:%S} {place:>9} {row.action:<24} {row.entity} {row.entity_id} by {row.by}"
