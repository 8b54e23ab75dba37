"""Reads the folder of revisions: one sub-folder each, plain SQL and a small meta.toml.

Everything a folder can have wrong is found here, before a database is touched.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hansa.migrate.errors import (
    BadMeta,
    BadRevisionName,
    DirectoryMissing,
    DownMissing,
    EmptyScript,
    UnknownFile,
    UpMissing,
)
from hansa.migrate.graph import in_order
from hansa.migrate.online.operation import Operation
from hansa.migrate.online.specification import MAP, operations_of
from hansa.migrate.splitter import Statement, split

META = "meta.toml"
SCRIPTS = ("up.sql", "down.sql", "verify.sql", "seed.sql")
REPEATABLE = "repeatable"
"""A folder beside the revisions, for views and routines that are frozen into revisions when they change."""
HOOKS = ("post.sql", "post.py")
"""Run after the application has committed, until they succeed."""
ID = re.compile(r"\d{8}T\d{6}_[A-Za-z0-9][A-Za-z0-9_-]*")
DOWN_KEEPS = re.compile(r"\s*--\s*down:\s*loses nothing\s*(\n|$)")
"""First line of a down.sql that takes tables or columns away whose data it has put elsewhere."""
VERIFY_WRITES = re.compile(r"\s*--\s*verify:\s*writes\s*(\n|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One SQL file of a revision, split."""

    name: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One step in the history of a schema."""

    id: str
    """The folder's name, for example `20261120T000100_credits`."""
    description: str
    requires: tuple[str, ...]
    """Ids of the revisions that must be applied before."""
    transactional: bool
    """False: each statement stands alone, as CREATE INDEX CONCURRENTLY must."""
    irreversible: str | None
    """Why there is no way back; None when down.sql is the way."""
    operations: tuple[Operation, ...]
    """Online operations, run after up.sql in this order, and undone before down.sql in reverse."""
    settings: Mapping[str, str]
    """What is set for the time of the operations, for example who acts, where row-level security asks for it."""
    up: Script | None
    """None only beside operations."""
    down: Script | None
    down_keeps: bool
    """Whether down.sql says that it loses nothing, though it takes tables or columns away."""
    verify: Script | None
    verify_writes: bool
    """Whether verify.sql needs to write; what it writes is rolled back."""
    seed: Script | None
    hooks: tuple[str, ...]
    """Files that run after the application."""
    files: Mapping[str, str]
    """sha256 of each file, in hexadecimal, after `normalised`."""
    replaces: tuple[str, ...] = ()
    """Ids of the revisions that were squashed into this one; a database that has them all has this one too."""

    @property
    def checksum(self) -> str:
        """sha256 over the names and digests of all files, in hexadecimal."""
        listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.files.items()))
        return _sha256(listing)


def load(directory: Path) -> tuple[Revision, ...]:
    """The revisions of a folder, each after those it requires, ties by id.

    Files beside the revisions, hidden folders, `__pycache__` and `repeatable` are left alone.
    Raises a named refusal for the first thing wrong, with the revision and the file.
    """
    if not directory.is_dir():
        raise DirectoryMissing(f"{directory} is not a folder; give the folder of revisions")
    folders = sorted(
        path for path in directory.iterdir() if path.is_dir() and path.name[0] not in "._" and path.name != REPEATABLE
    )
    return in_order(_with_replaced([_read(folder) for folder in folders]))


def normalised(text: str) -> str:
    """The text without what editors and Git change on their own: byte order mark, line ends, trailing newlines."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").rstrip("\n") + "\n"


def _with_replaced(revisions: Sequence[Revision]) -> Iterator[Revision]:
    """Those that require a replaced revision require the one in its place: their own files stay as they were applied."""
    places: dict[str, str] = {}
    known = {revision.id for revision in revisions}
    for revision in revisions:
        for name in revision.replaces:
            if name in known or name in places:
                there = f"so does {places[name]}" if name in places else "which is still there"
                raise BadMeta(f"{revision.id}/{META}: replaces {name}, {there}")
            places[name] = revision.id
    for revision in revisions:
        requires = tuple(dict.fromkeys(places.get(name, name) for name in revision.requires))
        yield replace(revision, requires=requires)


def _read(folder: Path) -> Revision:
    if not ID.fullmatch(folder.name):
        raise BadRevisionName(f"{folder.name}: name the folder <timestamp>_<name>, as in 20261120T000100_credits")
    texts = _texts(folder)
    meta = _Meta.read(folder.name, texts)
    scripts = {name: _script(folder.name, name, texts[name]) for name in SCRIPTS if name in texts}
    operations = operations_of(folder.name, meta.operations, texts.get(MAP))
    if "up.sql" not in scripts and not operations:
        raise UpMissing(f"{folder.name} has no up.sql")
    if "down.sql" not in scripts and "up.sql" in scripts and meta.irreversible is None:
        raise DownMissing(f'{folder.name} has no down.sql; write it, or say `irreversible = "why"` in meta.toml')
    if "down.sql" in scripts and meta.irreversible is not None:
        raise BadMeta(f"{folder.name}: meta.toml says irreversible, but there is a down.sql; drop one of them")
    return Revision(
        id=folder.name,
        description=meta.description,
        requires=meta.requires,
        transactional=meta.transactional and not operations,
        operations=operations,
        settings=meta.settings,
        irreversible=meta.irreversible,
        up=scripts.get("up.sql"),
        down=scripts.get("down.sql"),
        down_keeps=DOWN_KEEPS.match(texts.get("down.sql", "")) is not None,
        verify=scripts.get("verify.sql"),
        verify_writes=bool(VERIFY_WRITES.match(texts.get("verify.sql", ""))),
        seed=scripts.get("seed.sql"),
        hooks=tuple(name for name in HOOKS if name in texts),
        files={name: _sha256(text) for name, text in texts.items()},
        replaces=meta.replaces,
    )


def _texts(folder: Path) -> dict[str, str]:
    known = {META, *SCRIPTS, *HOOKS}
    strangers = sorted(path.name for path in folder.iterdir() if path.suffix == ".sql" and path.name not in known)
    if strangers:
        raise UnknownFile(f"{folder.name}: {strangers[0]} would never run; the scripts are {', '.join(SCRIPTS)}")
    return {name: _text(folder / name) for name in (META, MAP, *SCRIPTS, *HOOKS) if (folder / name).is_file()}


def _text(path: Path) -> str:
    try:
        return normalised(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UnknownFile(f"{path.parent.name}: {path.name} is not UTF-8 text ({error.reason})") from error


def _script(revision: str, name: str, text: str) -> Script:
    source = f"{revision}/{name}"
    statements = split(text, source=source)
    if not statements:
        raise EmptyScript(f"{source} holds no statement; write it or delete the file")
    return Script(name=name, statements=statements)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meta:
    """meta.toml, checked."""

    description: str = ""
    requires: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    transactional: bool = True
    irreversible: str | None = None
    operations: tuple[Mapping[str, object], ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def read(cls, revision: str, texts: Mapping[str, str]) -> "_Meta":
        if META not in texts:
            raise BadMeta(f"{revision} has no {META}")
        try:
            entries = tomllib.loads(texts[META])
        except tomllib.TOMLDecodeError as error:
            raise BadMeta(f"{revision}/{META}: {error}") from error
        renamed = {"operation": "operations"}
        return cls(**{renamed.get(key, key): _entry(revision, key, value) for key, value in entries.items()})


def _entry(revision: str, key: str, value: object) -> Any:  # of the type of the field it is for
    match key, value:
        case "description", str():
            return value
        case "irreversible", str() if value.strip():
            return value
        case "transactional", bool():
            return value
        case "requires" | "replaces", list() if all(isinstance(item, str) for item in value):
            return tuple(dict.fromkeys(value))
        case "operation", list() if value and all(isinstance(item, dict) for item in value):
            return tuple(value)
        case "settings", dict() if all(isinstance(item, str) for item in value.values()):
            return value
        case "description" | "irreversible" | "transactional" | "requires" | "replaces" | "operation" | "settings", _:
            raise BadMeta(f"{revision}/{META}: {key} = {value!r} is not of the right kind")
        case _:
            raise BadMeta(f"{revision}/{META}: {key} is not an entry the engine knows")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
