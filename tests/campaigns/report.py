"""The numbers of a campaign: as JSON, and as the tables of its page."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from campaigns.killer import TARGETS, Kill
from campaigns.plan import STEPS, Plan
from campaigns.record import Json, Reader
from campaigns.verdict import Check

BEGIN, END = "<!-- campaign: begin -->", "<!-- campaign: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A campaign that is over."""

    plan: Plan
    reader: Reader
    kills: list[Kill]
    checks: list[Check]
    driver_starts: int
    seconds: float

    @property
    def problems(self) -> list[str]:
        return [f"{check.title}: {finding}" for check in self.checks for finding in check.findings]

    @property
    def inside(self) -> list[Kill]:
        """The kills that hit an open transaction."""
        return [kill for kill in self.kills if kill.open]

    def in_flight(self) -> Counter[str]:
        """How often each step was under way when something was killed."""
        return Counter(step for kill in self.kills for step in self.reader.in_flight_at(kill.at))


def report(result: Result) -> Json:
    """All numbers of a campaign; the page shows some of them."""
    seen = result.reader.seen()
    return {
        "seed": result.plan.seed,
        "deals": result.plan.size,
        "steps": result.plan.size * len(STEPS),
        "seconds": round(result.seconds, 1),
        "kills": len(result.kills),
        "kills_inside_open_transactions": len(result.inside),
        "open_transactions_hit": sum(len(kill.open) for kill in result.kills),
        "open_transactions_aborted": sum(kill.aborted or 0 for kill in result.kills),
        "open_transactions_asked_for": sum(len(kill.open) for kill in result.kills if kill.aborted is not None),
        "driver_starts": result.driver_starts,
        "replays": seen["replayed"],
        "wire": dict(sorted(seen.items())),
        "targets": {target: target_numbers(result, target) for target in TARGETS},
        "in_flight": {step: result.in_flight()[step] for step in STEPS},
        "checks": {check.title: check.findings for check in result.checks},
        "every_kill": [
            {**asdict(kill), "in_flight": result.reader.in_flight_at(kill.at), "at": round(kill.at, 3)}
            for kill in result.kills
        ],
    }


def target_numbers(result: Result, target: str) -> Json:
    kills = [kill for kill in result.kills if kill.target == target]
    times = [kill.recovered_s for kill in kills]
    return {
        "kills": len(kills),
        "inside": sum(bool(kill.open) for kill in kills),
        "recovered_s_median": round(statistics.median(times), 2) if times else None,
        "recovered_s_max": round(max(times), 2) if times else None,
    }


NAMES = {
    "api": "API process",
    "worker": "worker process",
    "postmaster": "PostgreSQL, the postmaster",
    "backend": "PostgreSQL, one backend",
    "chain": "local chain",
    "driver": "the clients themselves",
    "supervisor": "the supervisor, `hansa up`",
    "everything": "all of the house at once",
}


def table(numbers: Json) -> str:
    """The part of the page that a campaign writes."""
    minutes, inside = numbers["seconds"] / 60, numbers["kills_inside_open_transactions"]
    lines = [
        f"Seed {numbers['seed']}: {numbers['deals']} deals of {len(STEPS)} steps each,",
        f"{numbers['kills']} kills in {minutes:.1f} minutes, {inside} of them inside open transactions.",
        "",
        "| killed | times | inside an open transaction | back after, median | at most |",
        "|---|---:|---:|---:|---:|",
    ]
    for target, row in numbers["targets"].items():
        median, most = (f"{row[name]:.1f} s" if row[name] else "" for name in ("recovered_s_median", "recovered_s_max"))
        lines.append(f"| {NAMES[target]} | {row['kills']} | {row['inside'] or ''} | {median} | {most} |")
    lines += ["", "| step | under way at a kill |", "|---|---:|"]
    lines += [f"| {step} | {times} |" for step, times in numbers["in_flight"].items()]
    lines += ["", "| what | number |", "|---|---:|"]
    lines += [f"| {what} | {number} |" for what, number in sums(numbers)]
    lines += ["", "| checked at the end | findings |", "|---|---:|"]
    lines += [f"| {title} | {len(findings)} |" for title, findings in numbers["checks"].items()]
    lines += ["", "Some of the transactions that were open when a kill was sent:", ""]
    lines += ["| killed | client | its last statement | open for | state |", "|---|---|---|---:|---|"]
    return "\n".join([*lines, *examples(numbers)])


def sums(numbers: Json) -> list[tuple[str, object]]:
    asked, aborted = numbers["open_transactions_asked_for"], numbers["open_transactions_aborted"]
    return [
        ("open transactions hit", numbers["open_transactions_hit"]),
        ("of those whose server lived on, called aborted by PostgreSQL", f"{aborted} of {asked}"),
        ("answers that were replays of an answer that had been lost", numbers["replays"]),
        (
            "connections refused, broken or timed out",
            sum(n for what, n in numbers["wire"].items() if what[0].isalpha() and what != "replayed"),
        ),
        ("answers 503", numbers["wire"].get("503", 0)),
        ("answers 500", numbers["wire"].get("500", 0)),
    ]


def examples(numbers: Json) -> list[str]:
    """Open transactions at different statements, in the order in which they were hit."""
    hit: dict[str, tuple[str, Json]] = {}
    for kill in numbers["every_kill"]:
        for one in kill["open"]:
            hit.setdefault(one["query"], (kill["target"], one))
    return [
        f"| {target} | {one['application']} | `{one['query'][:70]}` | {one['age_ms']:.0f} ms | {one['state']} |"
        for target, one in list(hit.values())[:10]
    ]


def write_report(result: Result, path: Path) -> None:
    """The numbers as JSON, and the table in the page beside it."""
    numbers = report(result)
    path.write_text(json.dumps(numbers, indent=1) + "\n")
    page = path.with_suffix(".md")
    page.write_text(between(page.read_text(), BEGIN, END, table(numbers)))


def between(page: str, begin: str, end: str, text: str) -> str:
    """The page with this text between its two marks, and everything else as it was."""
    before, _, rest = page.partition(begin)
    after = rest.partition(end)[2]
    assert after, f"the page has the marks {begin} and {end}, and goes on after them"
    return f"{before}{begin}\n{text}\n{end}{after}"
