"""All contexts, low to high: importing this module makes their refusals, reactions and jobs known.

In this order, so that reactions to one event run from low to high; an import list sorted by name would not keep it.
"""

from importlib import import_module
from types import ModuleType

ORDER = (
    "identity",
    "registry",
    "credits",
    "proof",
    "governance",
    "payments",
    "autopay",
    "negotiation",
    "market",
    "discovery",
)
"""Low to high: each may call those before it."""


def part(context: str, name: str) -> ModuleType:
    return import_module(f"hansa.{context}.{name}")


REACTIONS = [part(context, "reactions") for context in ORDER]
JOBS = [*(part(context, "jobs") for context in ORDER), import_module("hansa.infra.backup.ticks")]
ROUTES = [part(context, "routes") for context in reversed(ORDER)]
"""High to low: /api/agents/search of discovery comes before /api/agents/{ref} of the registry."""
