"""The history of the schema: one folder for each step, never edited after it landed."""

from functools import cache
from pathlib import Path

DIRECTORY = Path(__file__).parent


@cache
def names() -> list[str]:
    """All steps, sorted by name."""
    return sorted(folder.name for folder in DIRECTORY.iterdir() if (folder / "meta.toml").exists())
