"""Who may import whom. The contracts stand in `.importlinter`."""

from __future__ import annotations

import ast
import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from architecture.rules import nobody_breaks
from architecture.source import ROOT, SOURCE, modules
from hansa.entry.contexts import ORDER

LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def lint_imports(source: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts for the package in a folder."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """The Python source once more, to plant a mistake in."""
    shutil.copytree(SOURCE, tmp_path / "hansa", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_imports_keep_the_contracts():
    answer = lint_imports(SOURCE.parent)

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("credits/commands.py", "import hansa.market.events", "hansa.credits is not allowed to import hansa.market"),
        ("kernel/money.py", "import hansa.infra.log", "hansa.kernel is not allowed to import hansa.infra"),
        ("credits/models.py", "import hansa.credits.queries", "hansa.credits.models is not allowed to import"),
        ("market/reactions.py", "import hansa.credits.jobs", "Illegal imports of protected package hansa.credits.jobs"),
        ("credits/utils.py", "", "hansa.credits.utils"),
    ],
)
def test_a_planted_import_breaks_its_contract(copied_tree: Path, file: str, line: str, told: str):
    with (copied_tree / "hansa" / file).open("a") as module:
        module.write(f"\n{line}\n")

    answer = lint_imports(copied_tree)

    assert answer.returncode == 1
    assert told in " ".join(answer.stdout.split())


def test_the_contracts_and_the_entry_know_the_same_order():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")

    layers = contracts["importlinter:contract:contexts"]["layers"].split()
    containers = contracts["importlinter:contract:inside"]["containers"].split()

    assert [layer for layer in reversed(layers) if layer in ORDER] == list(ORDER)
    assert {container.removeprefix("hansa.") for container in containers} == set(ORDER)


def test_the_kernel_stands_on_the_standard_library_alone():
    foreign = {
        f"{module.name} imports {imported}"
        for module in modules().values()
        if module.context == "kernel"
        for node in ast.walk(module.tree)
        for imported in imported_by(node)
        if imported.split(".")[0] not in sys.stdlib_module_names and not imported.startswith("hansa.kernel")
    }

    nobody_breaks("the kernel is pure values; what needs a library belongs into infra", foreign)


def imported_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []
