"""The numbers of a soak of the deals machine: as JSON, and as the tables of its page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from campaigns.report import between
from properties.deals_machine import Result
from properties.invariants import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "robustness.md"
BEGIN, END = "<!-- deals: begin -->", "<!-- deals: end -->"


def report(results: Sequence[Result]) -> dict[str, Any]:
    """All numbers of some runs; the page shows some of them."""
    outcomes: Counter[tuple[str, str]] = sum((result.outcomes for result in results), Counter())
    refusals: Counter[str] = Counter()
    for (_, outcome), times in outcomes.items():
        if outcome != "done":
            refusals[outcome] += times
    kinds = sorted({kind for kind, _ in outcomes})
    return {
        "seeds": [result.seed for result in results],
        "sessions": results[0].sessions,
        "steps": sum(result.steps for result in results),
        "seconds": round(sum(result.seconds for result in results), 1),
        "met": sum(result.met for result in results),
        "checks": len(CHECKS),
        "times_checked": sum(result.checks for result in results),
        "findings": [finding for result in results for finding in result.findings],
        "kinds": {
            kind: {
                "done": outcomes[kind, "done"],
                "refused": sum(n for (one, out), n in outcomes.items() if one == kind and out != "done"),
            }
            for kind in kinds
        },
        "refusals": dict(sorted(refusals.items(), key=lambda one: (-one[1], one[0]))),
    }


def table(numbers: dict[str, Any]) -> str:
    """The part of the page that a soak writes."""
    refused = sum(numbers["refusals"].values())
    lines = [
        f"Seeds {', '.join(map(str, numbers['seeds']))}: {numbers['steps']} steps of {numbers['sessions']} sessions,",
        f"{numbers['steps'] / numbers['seconds']:.0f} a second with all checks. {refused} steps were refused, for {len(numbers['refusals'])} different reasons.",
        f"{numbers['met']} steps began while another session was at work on the same negotiation, group or account.",
        f"Everything was checked {numbers['times_checked']} times; findings: {len(numbers['findings'])}.",
        "",
        "| step | done | refused |",
        "|---|---:|---:|",
        *(f"| {kind} | {row['done']} | {row['refused']} |" for kind, row in numbers["kinds"].items()),
        "",
        "| refused with | times |",
        "|---|---:|",
        *(f"| `{code}` | {times} |" for code, times in numbers["refusals"].items()),
    ]
    return "\n".join(lines)


def write_report(results: Sequence[Result], path: Path) -> None:
    """The numbers as JSON, and the tables in the page beside it."""
    numbers = report(results)
    path.write_text(json.dumps(numbers, indent=1) + "\n")
    PAGE.write_text(between(PAGE.read_text(), BEGIN, END, table(numbers)))
