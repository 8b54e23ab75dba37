"""The Python source as a graph: every name at the top of a module, and the names that it uses.

Approximations, all towards "used": a class uses whatever its methods use; a function uses whatever is named inside
it, called or not; what is reached only through an instance's attribute is not seen.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import hansa

SOURCE = Path(hansa.__file__).parent
ROOT = SOURCE.parents[1]
MODULES = ("errors", "models", "events", "queries", "commands", "reactions", "jobs", "routes", "cli")
"""What every context has, each a file or a package."""
SQL_FILES = ("tables", "routines", "views", "policies")
EDGES = ("routes", "jobs", "reactions", "cli")

Name = tuple[str, str]
"""A module, and a name at its top."""


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed module."""

    name: str
    tree: ast.Module
    is_package: bool
    imports: dict[str, Name] = field(default_factory=dict[str, Name])
    """Local name -> where it comes from; an empty second part means the module itself."""
    definitions: dict[str, ast.stmt] = field(default_factory=dict[str, ast.stmt])

    @property
    def context(self) -> str:
        """The first part below `hansa`: a context, infra, entry, ..."""
        return self.name.split(".")[1] if "." in self.name else ""


def load_everything() -> None:
    """Import every module of Hansa, so that all statements, refusals, events and jobs are known."""
    for module in pkgutil.walk_packages([str(SOURCE)], "hansa."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@cache
def modules() -> dict[str, Module]:
    """All modules of Hansa, parsed."""
    parsed = (parse(path) for path in sorted(SOURCE.rglob("*.py")))
    return {module.name: module for module in parsed}


def parse(path: Path) -> Module:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    module = Module(".".join(parts[:-1] if is_package else parts), ast.parse(path.read_text()), is_package)
    module.imports.update(imports_of(module))
    for statement in module.tree.body:
        module.definitions.update(dict.fromkeys(bound_by(statement), statement))
    return module


def imports_of(module: Module) -> Iterator[tuple[str, Name]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, (alias.name, "")) if alias.asname else (alias.name.split(".")[0], ("hansa", ""))
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, (node.module, alias.name)


def bound_by(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target.id]
    return []


def resolve(name: Name) -> Name | None:
    """Where a name is really defined: follows imports, also through the `__init__` of a package."""
    module, attribute = name
    for _ in range(10):
        if f"{module}.{attribute}" in modules():
            return f"{module}.{attribute}", ""
        found = modules().get(module)
        if found is None or not attribute:
            return (module, "") if found else None
        if attribute in found.definitions:
            return module, attribute
        if attribute not in found.imports:
            return None
        origin, original = found.imports[attribute]
        module, attribute = (origin, original) if original else (origin, "")
    return None


@cache
def uses(name: Name) -> frozenset[Name]:
    """The names of Hansa that a definition uses, wherever they are defined."""
    module = modules()[name[0]]
    found: set[Name] = set()
    for node in ast.walk(module.definitions[name[1]]):
        if isinstance(node, (ast.Name, ast.Attribute)) and (target := target_of(module, node)):
            found.add(target)
    return frozenset(found - {name})


@cache
def users() -> dict[Name, set[Name]]:
    """Definition -> the definitions that use it directly."""
    found: dict[Name, set[Name]] = {}
    for module in modules().values():
        for name in module.definitions:
            for used in uses((module.name, name)):
                found.setdefault(used, set()).add((module.name, name))
    return found


def target_of(module: Module, node: ast.Name | ast.Attribute) -> Name | None:
    """What `name`, `module.name` or `hansa.context.module.name` stands for; None: nothing at the top of a module."""
    if isinstance(node, ast.Name):
        if node.id in module.definitions:
            return module.name, node.id
        found = resolve(module.imports[node.id]) if node.id in module.imports else None
        return found if found and found[1] else None
    if not isinstance(node.value, (ast.Name, ast.Attribute)):
        return None
    parent = module_of(module, node.value)
    found = resolve((parent, node.attr)) if parent else None
    return found if found and found[1] else None


def module_of(module: Module, node: ast.expr) -> str | None:
    """The module that an expression stands for, if it stands for one."""
    if isinstance(node, ast.Name) and node.id in module.imports:
        found = resolve(module.imports[node.id])
        return found[0] if found and not found[1] else None
    if isinstance(node, ast.Attribute):
        parent = module_of(module, node.value)
        return f"{parent}.{node.attr}" if parent and f"{parent}.{node.attr}" in modules() else None
    return None


@cache
def reached_from(name: Name) -> frozenset[Name]:
    """Everything that a definition uses, directly or on the way; itself included."""
    seen, todo = {name}, [name]
    while todo:
        for used in uses(todo.pop()) - seen:
            seen.add(used)
            todo.append(used)
    return frozenset(seen)


@cache
def doors() -> dict[str, Name]:
    """The ways into Hansa from outside, by what they are called there: routes, jobs, ticks, reactions, commands."""
    return {
        label: (module.name, name)
        for module in modules().values()
        if module.context in {"entry", "examples"} or any(f".{edge}" in module.name for edge in EDGES)
        for name, statement in module.definitions.items()
        if (label := label_of(module, statement))
    }


def label_of(module: Module, statement: ast.stmt) -> str | None:
    """What a door is called outside: `POST /api/tasks`, `tick market.expire`, `on CardChanged`, `hansa jobs ls`."""
    if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    if module.context == "examples" and statement.name == "main":
        return f"python -m {module.name}"
    calls = [decorator for decorator in statement.decorator_list if isinstance(decorator, ast.Call)]
    labels = (label_of_decorator(module, statement.name, call) for call in calls)
    return next((label for label in labels if label), None)


def label_of_decorator(module: Module, function: str, call: ast.Call) -> str | None:
    kind = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    argument = call.args[0] if call.args else ast.Constant("")
    text = str(argument.value) if isinstance(argument, ast.Constant) else ast.unparse(argument)
    if kind in {"get", "post", "put", "patch", "delete"}:
        return f"{kind.upper()} {prefix_of(module)}{text}"
    if kind in {"job", "tick"}:
        return f"{kind} {text}"
    if kind == "on":
        return f"on {text} ({module.context})"
    if kind in {"command", "callback"}:
        group = module.context if module.context != "entry" else ast.unparse(call.func).partition(".")[0]
        return f"hansa {'' if group == 'app' else group + ' '}{text or function.replace('_', '-')}"
    return None


def prefix_of(module: Module) -> str:
    """The prefix of a module's router."""
    router = module.definitions.get("router", ast.Pass())
    keywords = [node for node in ast.walk(router) if isinstance(node, ast.keyword) and node.arg == "prefix"]
    return next((str(node.value.value) for node in keywords if isinstance(node.value, ast.Constant)), "")
