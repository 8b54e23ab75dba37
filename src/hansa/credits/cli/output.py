"""How commands of `hansa credits` read amounts and write results."""

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from getpass import getuser
from typing import Annotated, Any, Protocol, Self, cast

import typer
from pydantic_core import to_jsonable_python

from hansa.credits.models import ESCROW, POOL, TREASURY
from hansa.infra.db import Actor
from hansa.infra.services import Services
from hansa.kernel.dids import InvalidDid, parse_did
from hansa.kernel.money import DECIMALS, Asset, Credits, Money, units_of


class Output(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How results are written.")]


class Client(Protocol):
    """The API as the user's agent."""

    http: Any  # an httpx.Client that signs; what is too large for one answer is read from it in pieces

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def get(self, path: str, **params: object) -> Any: ...  # Any: whatever JSON the route answers
    def post(self, path: str, body: object = None, *, once: str | None = None) -> Any: ...  # Any: as in `get`


class Console(Protocol):
    """What the command line hands to every command."""

    def services(self) -> AbstractContextManager[Services]: ...
    def client(self, *, signed: bool = True) -> Client: ...


def console(context: typer.Context) -> Console:
    return cast("Console", context.obj)


def operator() -> Actor:
    """Who sits at this machine: movements and limits say it."""
    try:
        name = getuser()
    except (KeyError, OSError):  # an account without a name, as containers have
        name = "unknown"
    return Actor(kind="operator", did=f"operator:{name}")


def amount(text: str) -> Credits:
    """An amount as people write it. A wrong one is wrong usage."""
    try:
        return Credits(units_of(text, DECIMALS[Asset.CREDIT]))
    except ValueError as strange:
        raise typer.BadParameter(str(strange)) from strange


def positive_amount(text: str) -> Credits:
    """An amount that can be paid. A wrong one is wrong usage."""
    units = amount(text)
    if units == 0:
        raise typer.BadParameter("an amount to pay is greater than zero")
    return units


def did(text: str) -> str:
    """A DID in its canonical spelling. A wrong one is wrong usage."""
    try:
        return parse_did(text)
    except InvalidDid as strange:
        raise typer.BadParameter(strange.detail) from strange


def account_name(text: str) -> str:
    """A DID, or a system account that can be given money. A wrong one is wrong usage."""
    return text if text in {TREASURY, POOL, ESCROW} else did(text)


def credits_text(units: int) -> str:
    """An amount with its unit, e.g. `12.345 CREDIT`."""
    return str(Money(units=units, asset=Asset.CREDIT))


def moment(text: str) -> str:
    """A time of the API as people read it, in UTC."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")


def print_json(value: object) -> None:
    print(json.dumps(to_jsonable_python(value), indent=2, ensure_ascii=False))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Columns as wide as what is in them; amounts to the right."""
    lines = [[*columns], *([*row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        aligned = (
            cell.rjust(width) if cell.endswith(" CREDIT") else cell.ljust(width)
            for cell, width in zip(line, widths, strict=True)
        )
        print("  ".join(aligned).rstrip())
