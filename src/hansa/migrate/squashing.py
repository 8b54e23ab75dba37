"""Makes one revision of many that have long been applied everywhere."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from hansa.migrate.catalog import Snapshot, differences, snapshot
from hansa.migrate.commands import up
from hansa.migrate.drafts import NAME, toml_string
from hansa.migrate.errors import BadRequest, BadRevisionName, Refusal, RevisionExists, UnknownRevision
from hansa.migrate.lint.tokens import Token, tokenize, without_comments
from hansa.migrate.revisions import META, SCRIPTS, Revision, load, normalised
from hansa.migrate.session import connect
from hansa.migrate.splitter import Statement, split
from hansa.migrate.testing import scratch

SQUASHED = ".squashed"
"""Where the folders go that were replaced."""
WRITES = "-- verify: writes\n"
_FIRST_COMMENT = re.compile(r"\A\s*--\s*verify:\s*writes\s*\n")


class NotSquashable(Refusal):
    """A revision does what cannot be put into one transaction with others."""


class SquashDiffers(Refusal):
    """The squashed revision does not make what those it replaces make."""


def squash(directory: Path, *, to: str, name: str, at: datetime, scratch_dsn: str | None = None) -> Path:
    """Replace all revisions up to and including `to` by one; their folders go to `.squashed`.

    A database that has them all takes the new one as applied with its next `up`, an empty one runs it. With
    `scratch_dsn`, a server where databases may be made, both ways are run first and their catalogs compared.
    Raises UnknownRevision, NotSquashable, BadRequest when there is nothing to put together, BadRevisionName,
    RevisionExists, SquashDiffers.
    """
    revisions = load(directory)
    chosen = _up_to(revisions, to)
    for revision in chosen:
        _refuse_unsuitable(revision)
    if not NAME.fullmatch(name):
        raise BadRevisionName(f"{name!r}: use small letters, digits and underscores, as in credits_and_holds")
    if any(revision.id.split("_", 1)[1] == name for revision in revisions):
        raise RevisionExists(f"there is a revision named {name} already")
    own = f"{at:%Y%m%dT%H%M%S}_{name}"
    with tempfile.TemporaryDirectory(prefix="mig-squash-") as place:
        made = Path(place) / own
        made.mkdir()
        for file, text in _files(directory, chosen):
            (made / file).write_text(text, encoding="utf-8")
        if scratch_dsn is not None:
            _refuse_difference(scratch_dsn, [directory / revision.id for revision in chosen], made)
        aside = directory / SQUASHED
        aside.mkdir(exist_ok=True)
        for revision in chosen:
            shutil.move(directory / revision.id, aside / revision.id)
        shutil.copytree(made, directory / own)
    return directory / own


def _up_to(revisions: Sequence[Revision], to: str) -> tuple[Revision, ...]:
    """The beginning of the order, which requires nothing outside of it."""
    names = [revision.id for revision in revisions]
    if to not in names:
        raise UnknownRevision(f"there is no revision {to}")
    chosen = tuple(revisions[: names.index(to) + 1])
    if len(chosen) < 2:
        raise BadRequest(f"{to} is the first revision; there is nothing to put together")
    return chosen


def _refuse_unsuitable(revision: Revision) -> None:
    if revision.operations:
        raise NotSquashable(f"{revision.id} has online operations, which take transactions of their own")
    if not revision.transactional:
        raise NotSquashable(f"{revision.id} is not transactional: its statements stand alone")
    if revision.hooks:
        raise NotSquashable(f"{revision.id} has hooks, which belong to its own application")


def _files(directory: Path, chosen: Sequence[Revision]) -> Iterator[tuple[str, str]]:
    irreversible = [f"{revision.id}: {revision.irreversible}" for revision in chosen if revision.irreversible]
    yield META, _meta(chosen, "; ".join(irreversible))
    for script in SCRIPTS:
        if script == "down.sql" and irreversible:
            continue
        order = reversed(chosen) if script == "down.sql" else chosen
        parts = [(revision.id, directory / revision.id / script) for revision in order]
        texts = [(name, normalised(path.read_text(encoding="utf-8"))) for name, path in parts if path.is_file()]
        if texts:
            writes = script == "verify.sql" and any(revision.verify_writes for revision in chosen)
            join = _apart if script in ("up.sql", "down.sql") else _plain
            yield script, (WRITES if writes else "") + "\n".join(join(name, text) for name, text in texts)


def _meta(chosen: Sequence[Revision], irreversible: str) -> str:
    replaces = "".join(f"  {toml_string(revision.id)},\n" for revision in chosen)
    text = f"description = {toml_string(f'{len(chosen)} revisions up to {chosen[-1].id}')}\nrequires = []\n"
    text += f"transactional = true\nreplaces = [\n{replaces}]\n"
    return text + (f"irreversible = {toml_string(irreversible)}\n" if irreversible else "")


def _plain(revision: str, text: str) -> str:
    return f"-- from {revision}\n{_ended(_FIRST_COMMENT.sub('', text))}"


def _apart(revision: str, text: str) -> str:
    """What a revision sets was gone when the next one ran, and its deferred constraints were checked."""
    statements = split(text, source=revision)
    resets = dict.fromkeys(reset for statement in statements for reset in _resets(statement))
    return _plain(revision, text) + "SET CONSTRAINTS ALL IMMEDIATE;\n" + "".join(f"{reset};\n" for reset in resets)


def _resets(statement: Statement) -> Iterator[str]:
    tokens = without_comments(tokenize(statement.text))
    if statement.words[:1] == ("SET",):
        yield from _reset_of_set(tokens)
    elif statement.words[:1] == ("SELECT",):
        for position in range(len(tokens) - 3):
            function, _, setting, following = tokens[position : position + 4]
            if function.name == "set_config" and setting.literal is not None and following.text == ",":
                yield f"RESET {setting.literal}"


def _reset_of_set(tokens: Sequence[Token]) -> Iterator[str]:
    rest = [token for token in tokens[1:] if token.word not in ("LOCAL", "SESSION")]
    first = rest[0].word if rest else ""
    if any(token.word == "AUTHORIZATION" for token in rest):
        yield "RESET SESSION AUTHORIZATION"
    elif first == "SCHEMA":
        yield "RESET search_path"
    elif first not in ("CONSTRAINTS", "TRANSACTION", "CHARACTERISTICS"):
        name = "".join(token.text for token in rest[: 3 if len(rest) > 2 and rest[1].text == "." else 1])
        yield f"RESET {name}"


def _ended(text: str) -> str:
    """With a semicolon at its end, below a comment that may stand there."""
    tokens = without_comments(tokenize(text))
    return text if not tokens or tokens[-1].text == ";" else f"{text};\n"


def _refuse_difference(scratch_dsn: str, folders: Sequence[Path], made: Path) -> None:
    """Run both ways on empty databases."""
    before, after = _catalog(scratch_dsn, folders), _catalog(scratch_dsn, [made])
    found = [difference for difference in differences(before, after) if not difference.soft]
    if found:
        raise SquashDiffers(f"run as one revision, {found[0].sentence}; nothing was squashed")


def _catalog(scratch_dsn: str, folders: Sequence[Path]) -> Snapshot:
    """What these revisions make of an empty database."""
    with tempfile.TemporaryDirectory(prefix="mig-squash-") as place, scratch(scratch_dsn, "mig_squash") as dsn:
        for folder in folders:
            shutil.copytree(folder, Path(place) / folder.name)
        up(dsn, Path(place))
        with connect(dsn) as connection:
            return snapshot(connection)
