"""Statements of account: lines, totals of a month, and the whole of it as a file for a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import AwareDatetime

from hansa.credits import queries
from hansa.credits.models import Filters, StatementLine, Summary, TxType
from hansa.infra.db import Page
from hansa.infra.web import Call, SignedCall
from hansa.kernel.money import DECIMALS, Asset, Credits, decimal_text

router = APIRouter()

LINES_PER_PAGE = 1000
COLUMNS = ("at", "movement", "line", "tx_type", "bucket", "amount_credits", "balance_after_credits", "reason", "intent")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""With one of these a spreadsheet begins to calculate, or begins a new cell."""


@router.get(
    "/api/credits/statement",
    response_model=Page[StatementLine],
    responses={200: {"content": {"text/csv": {}}, "description": "A page as JSON, or everything that fits as CSV."}},
)
def my_statement(
    call: SignedCall,
    tx_type: TxType | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    intent: UUID | None = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    format: Literal["json", "csv"] | None = None,  # noqa: A002 - what clients call it
    accept: Annotated[str, Header()] = "",
) -> Response:
    """The signing agent's postings, newest first; ask again with `after` for the next page.

    Each line says what the balance was after it, whatever is filtered. With `Accept: text/csv` or `format=csv` all
    lines that fit come as one file, amounts in credits.
    """
    filters = Filters(tx_type=tx_type, since=since, until=until, intent=intent)
    if format == "csv" or (format is None and wants_csv(accept)):
        return as_csv(call, filters, after)
    return call.query(lambda tx: queries.statement(tx, call.did, filters=filters, before=after, limit=limit))


@router.get("/api/credits/statement/summary", response_model=Summary)
def my_summary(
    call: SignedCall,
    month: Annotated[str, Query(pattern=r"^2[0-9]{3}-(0[1-9]|1[0-2])$", description="A month of UTC: 2026-11.")],
) -> Response:
    """A month of the signing agent in totals: opening balance, what came and went, closing balance, and by type."""
    since, until = queries.month(month)
    return call.query(lambda tx: queries.summary(tx, call.did, since=since, until=until))


def wants_csv(accept: str) -> bool:
    """Whether CSV is asked for by name, and JSON is not."""
    asked = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return "text/csv" in asked and "application/json" not in asked


def as_csv(call: Call, filters: Filters, after: UUID | None) -> Response:
    """All lines as a file; the first page is read before the answer begins, so that a refusal is still an answer."""
    texts = csv_pages(call, filters, after)
    first = next(texts)

    def whole() -> Iterator[str]:
        yield first
        yield from texts

    headers = {"content-disposition": 'attachment; filename="statement.csv"'}
    return StreamingResponse(whole(), media_type="text/csv; charset=utf-8; header=present", headers=headers)


def csv_pages(call: Call, filters: Filters, before: UUID | None) -> Iterator[str]:
    """The file in pieces, a short transaction for each: a slow reader holds nothing open."""
    balance: Credits | None = None
    header = True
    while header or before:
        with call.services.db.transaction(call.actor) as tx:
            page = queries.statement(
                tx, call.did, filters=filters, before=before, balance=balance, limit=LINES_PER_PAGE
            )
            after = UUID(page.after) if page.after else None
            if after:
                balance = queries.balance_before(tx, call.did, after, before=before, balance=balance)
        yield csv_text([COLUMNS, *map(cells, page.items)] if header else map(cells, page.items))
        before, header = after, False


def csv_text(rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """Rows as RFC 4180 wants them."""
    out = io.StringIO()
    csv.writer(out).writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def cells(line: StatementLine) -> tuple[str, ...]:
    decimals = DECIMALS[Asset.CREDIT]
    return (
        line.at.isoformat(),
        str(line.movement),
        str(line.line),
        line.tx_type,
        line.bucket,
        decimal_text(line.amount, decimals),
        decimal_text(line.balance_after, decimals),
        line.reason,
        str(line.intent or ""),
    )


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe says that it is text. Numbers stay numbers.

    >>> harmless("=HYPERLINK(A1)"), harmless("-12.345"), harmless("-12+3")
    ("'=HYPERLINK(A1)", '-12.345', "'-12+3")
    """
    return f"'{cell}" if cell.startswith(FORMULA) and not NUMBER.fullmatch(cell) else cell
