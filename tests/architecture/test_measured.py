"""Numbers in the documentation are those of the kept run, and the kept run meets its bar."""

import importlib.util
import json
import sys

from architecture.source import ROOT

PAGE, NUMBERS = (ROOT / "docs" / "explanation" / f"online-operations.{end}" for end in ("md", "json"))


def benchmark():
    spec = importlib.util.spec_from_file_location("online_enum", ROOT / "benchmarks" / "online_enum.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_online_conversion_is_that_of_the_kept_run():
    results = json.loads(NUMBERS.read_text())

    table = benchmark().rendered(results)

    assert table in PAGE.read_text(), "run benchmarks/online_enum.py --render"


def test_the_kept_run_of_the_online_conversion_is_a_full_one_and_meets_its_bar():
    results = json.loads(NUMBERS.read_text())
    ours = [run for run in results["runs"] if run["variant"] == "ours"]

    assert results["rows"] >= 5_000_000
    assert len(ours) == 2
    assert all(run["worst_ms"] <= 500 for run in ours)
    assert [(run["failed"], run["lost_writes"], run["down"]) for run in ours] == [(0, 0, "lossless")] * 2
