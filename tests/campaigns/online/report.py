"""The numbers of a campaign of migrations: as JSON, and as the tables of its part of the page about robustness."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaigns.online.places import Place
from campaigns.online.striker import CLIENT, ENGINE, SERVER, Sighting, Strike
from campaigns.record import Json
from campaigns.report import between

if TYPE_CHECKING:
    from campaigns.online.campaign import Reference

BEGIN, END = "<!-- online: begin -->", "<!-- online: end -->"
PAGE = "robustness.md"

CHECKS = {
    "undisturbed": "the run without kills: down gives the beginning, up again the same",
    "catalog": "the catalog has the digest of the run without kills; after `down` that of the beginning",
    "digests": "so has every table that clients do not touch",
    "rows": "so have the rows that clients do not touch",
    "accounts": "rows that clients wrote hold what was acknowledged last",
    "clients": "no statement of a client failed",
    "preimages": "the same old values are kept",
    "quarantine": "the same rows are set aside",
    "operations": "the operations are at the same step",
    "helpers": "no trigger, function or index of the engine is left",
    "invalid": "no index is INVALID",
    "unfinished": "nothing is under way",
    "sessions": "no session of a deployer is left",
    "status": "`status` finds no problem, the event log is whole",
    "drift": "`drift` finds nothing",
    "verify": "`verify` finds nothing",
    "deployer": "a deployer that lived on ended well, or refused by name",
}
NAMES = {ENGINE: "the deployer", SERVER: "PostgreSQL, all of its processes", CLIENT: "a writing client"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One kill, and where it met the migration."""

    round: int
    victim: str
    direction: str
    place: str
    share: float
    """How much of the step was done."""
    aimed: bool
    """At this place; otherwise it was a random moment."""
    sighting: Sighting | None
    aborted: bool | None

    @classmethod
    def of(cls, strike: Strike, in_round: int, place: Place) -> Kill:
        return cls(
            round=in_round,
            victim=strike.aim.victim,
            direction=strike.aim.direction,
            place=place.name,
            share=strike.share,
            aimed=strike.aim.index is not None,
            sighting=strike.sighting,
            aborted=strike.aborted,
        )

    @property
    def inside(self) -> bool:
        """Whether the session had a transaction open."""
        return self.sighting is not None and self.sighting.open

    @property
    def wrote(self) -> bool:
        """Whether that transaction had written something already."""
        return self.inside and self.sighting is not None and self.sighting.xid is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A campaign that is over."""

    seed: int
    rows: int
    rounds: int
    kills: list[Kill]
    places: Sequence[str]
    places_back: Sequence[str]
    findings: Mapping[str, list[str]]
    outcomes: Counter[str]
    """How the clients' transactions ended."""
    reference: Reference
    seconds: float

    @property
    def problems(self) -> list[str]:
        return [f"{title}: {finding}" for title, found in self.findings.items() for finding in found]

    @property
    def inside(self) -> list[Kill]:
        """The kills that hit an open transaction."""
        return [kill for kill in self.kills if kill.inside]


def report(result: Result) -> Json:
    """All numbers of a campaign; the page shows some of them."""
    up = [kill for kill in result.kills if kill.direction == "up"]
    down = [kill for kill in result.kills if kill.direction == "down"]
    return {
        "seed": result.seed,
        "rows": result.rows,
        "rounds": result.rounds,
        "seconds": round(result.seconds, 1),
        "kills": len(up),
        "kills_inside_open_transactions": sum(kill.inside for kill in up),
        "kills_on_the_way_back": len(down),
        "kills_on_the_way_back_inside_open_transactions": sum(kill.inside for kill in down),
        "open_transactions_that_had_written": sum(kill.wrote for kill in result.kills),
        "aborted": [
            sum(kill.aborted is not None and kill.aborted for kill in result.kills),
            sum(kill.aborted is not None for kill in result.kills),
        ],
        "victims": {victim: _victim(result.kills, victim) for victim in NAMES},
        "steps": _steps(up, result.places),
        "steps_on_the_way_back": _steps(down, result.places_back),
        "transactions_of_clients": dict(sorted(result.outcomes.items())),
        "kept": {"preimages": len(result.reference.up.preimages), "quarantine": len(result.reference.up.quarantine)},
        "catalog_digest": result.reference.up.catalog.digest,
        "checks": {CHECKS[title]: result.findings.get(title, []) for title in CHECKS},
        "every_kill": [asdict(kill) for kill in result.kills],
    }


def _victim(kills: Sequence[Kill], victim: str) -> Json:
    own = [kill for kill in kills if kill.victim == victim]
    return {
        "up": sum(kill.direction == "up" for kill in own),
        "down": sum(kill.direction == "down" for kill in own),
        "inside": sum(kill.inside for kill in own),
    }


def _steps(kills: Sequence[Kill], places: Sequence[str]) -> dict[str, Json]:
    return {
        name: {
            **{victim: sum(kill.victim == victim for kill in hit) for victim in NAMES},
            "inside": sum(kill.inside for kill in hit),
        }
        for name in dict.fromkeys(places)
        for hit in [[kill for kill in kills if kill.place == name]]
    }


def table(numbers: Json) -> str:
    """The part of the page that a campaign writes."""
    lines = [
        _headline(numbers),
        "",
        "| killed | on the way up | on the way down | inside an open transaction |",
        "|---|---:|---:|---:|",
    ]
    for victim, row in numbers["victims"].items():
        lines.append(f"| {NAMES[victim]} | {row['up']} | {row['down'] or ''} | {row['inside']} |")
    lines += _step_table("step on the way up", numbers["steps"])
    lines += _step_table("step on the way down", numbers["steps_on_the_way_back"])
    lines += ["", "| what | number |", "|---|---:|"]
    lines += [f"| {what} | {number} |" for what, number in _sums(numbers)]
    lines += ["", "| checked after each way | findings |", "|---|---:|"]
    lines += [f"| {title} | {len(findings)} |" for title, findings in numbers["checks"].items()]
    return "\n".join(lines)


def _headline(numbers: Json) -> str:
    return f"""Seed {numbers["seed"]}: {numbers["rounds"]} migrations of {numbers["rows"]} rows, in {numbers["seconds"] / 60:.1f} minutes.
{numbers["kills"]} kills on the ways up, {numbers["kills_inside_open_transactions"]} of them inside open transactions,
and {numbers["kills_on_the_way_back"]} on the ways down, {numbers["kills_on_the_way_back_inside_open_transactions"]} of them inside."""


def _step_table(title: str, steps: Mapping[str, Any]) -> list[str]:
    lines = ["", f"| {title} | deployer | server | client | inside |", "|---|---:|---:|---:|---:|"]
    for name, row in steps.items():
        cells = [row[victim] or "" for victim in (ENGINE, SERVER, CLIENT)]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {row['inside'] or ''} |")
    return lines


def _sums(numbers: Json) -> list[tuple[str, object]]:
    ends = numbers["transactions_of_clients"]
    aborted, asked = numbers["aborted"]
    return [
        ("open transactions that had written something already", numbers["open_transactions_that_had_written"]),
        (
            "of those whose server lived on and whose client alone could end them, called aborted by PostgreSQL",
            f"{aborted} of {asked}",
        ),
        ("transactions of clients that were acknowledged", ends.get("acknowledged", 0)),
        ("transactions of clients whose answer was never heard", ends.get("lost", 0)),
        ("transactions of clients refused, because the new type does not know the old word", ends.get("refused", 0)),
        ("old values kept, clients' aside", numbers["kept"]["preimages"]),
        ("rows set aside, clients' aside", numbers["kept"]["quarantine"]),
    ]


def write_report(result: Result, path: Path) -> None:
    """The numbers as JSON, and the tables in the page beside it."""
    numbers = report(result)
    path.write_text(json.dumps(numbers, indent=1) + "\n")
    page = path.with_name(PAGE)
    page.write_text(between(page.read_text(), BEGIN, END, table(numbers)))
