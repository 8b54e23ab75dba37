r"""Splits an SQL script into its statements, as psql would, keeping line numbers.

Statements have to be sent one by one: a string of several is one implicit transaction to the server, in which
CREATE INDEX CONCURRENTLY is refused, and an error in it names no statement.

A semicolon ends a statement unless it stands inside quotes, a comment, a dollar-quoted body, parentheses (CREATE RULE)
or the BEGIN ATOMIC ... END body of a routine. Lines by which psql only talks (`\echo`) are skipped; every other psql
command is refused, because skipping it would silently change what the script does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from hansa.migrate.errors import CopyStream, PsqlCommand, TransactionControl, Unterminated

LEADING_WORDS = 6
CHATTER = frozenset({"echo", "qecho", "warn", "restrict", "unrestrict"})

_IDENTIFIER_START = r"A-Za-z_\u0080-\U0010ffff"
_TOKEN = re.compile(
    rf"""
      (?P<line_comment>--[^\n]*)
    | (?P<block_comment>/\*)
    | (?P<escape_string>[eE]')
    | (?P<quote>['"])
    | (?P<dollar_quote>\$(?:[{_IDENTIFIER_START}][{_IDENTIFIER_START}0-9]*)?\$)
    | (?P<word>[{_IDENTIFIER_START}][{_IDENTIFIER_START}0-9$]*)
    | (?P<number>[0-9][A-Za-z0-9_.]*)
    | (?P<backslash>\\)
    | (?P<space>\s+)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPE_STRING_REST = re.compile(r"(?:[^'\\]|\\.|'')*'", re.DOTALL)
# A string literal goes on after white space that holds a newline, and an E'' string stays one: its \' still escapes.
_CONTINUATION = re.compile(r"(?:[ \t\f\v]|--[^\n]*)*\n(?:\s|--[^\n]*\n)*'")
_PSQL = re.compile(r"\\([A-Za-z!?.]*)[^\n]*")
_COPY_STREAM = re.compile(r"\b(?:FROM\s+STDIN|TO\s+STDOUT)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One SQL statement, without its semicolon."""

    number: int
    """1 for the first of the script."""
    line: int
    """Line of the script on which its first word stands, from 1."""
    text: str
    words: tuple[str, ...]
    """Its first words in upper case: enough to tell what kind of statement it is."""


def split(text: str, *, source: str = "script") -> tuple[Statement, ...]:
    """The statements of a script in order; comments between them are dropped.

    `source` names the script in refusals. Raises Unterminated, PsqlCommand, TransactionControl, CopyStream.
    """
    statements = tuple(_Splitter(text, source).statements())
    for statement in statements:
        _refuse_transaction_control(statement, source)
        _refuse_copy_stream(statement, source)
    return statements


class _Splitter:
    """Walks over a script token by token."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.position = 0
        self.counted = (0, 1)
        self._begin()

    def statements(self) -> Iterator[Statement]:
        number = 0
        while self.position < len(self.text):
            ended = self._step()
            if ended is not None and self.start is not None:
                number += 1
                yield self._statement(number, ended)
            if ended is not None:
                self._begin()
        if self.start is not None:
            yield self._statement(number + 1, len(self.text))

    def _begin(self) -> None:
        """Forget the statement before."""
        self.start: int | None = None
        self.words: list[str] = []
        self.last_word = ""
        self.parentheses = 0
        self.body_depth = 0

    def _statement(self, number: int, end: int) -> Statement:
        assert self.start is not None
        return Statement(
            number=number,
            line=self._line(self.start),
            text=self.text[self.start : end].rstrip(),
            words=tuple(self.words),
        )

    def _step(self) -> int | None:
        """Consume one token; where a statement ends with it, the offset of that end."""
        token = _TOKEN.match(self.text, self.position)
        assert token is not None
        kind, value = token.lastgroup, token.group()
        offset, self.position = self.position, token.end()
        if kind in ("space", "line_comment"):
            return None
        if kind == "block_comment":
            self._skip_block_comment(offset)
            return None
        if kind == "backslash":
            self._skip_psql(offset)
            return None
        if value == ";" and not self.parentheses and not self.body_depth:
            return offset
        if self.start is None:
            self.start = offset
        self._consume(kind, value, offset)
        return None

    def _consume(self, kind: str | None, value: str, offset: int) -> None:
        match kind:
            case "word":
                self._word(value.upper())
            case "escape_string":
                self._skip_escape_string(offset)
            case "quote" | "dollar_quote":
                self._skip_to(value, offset)
            case _:
                self._count_parentheses(value)

    def _count_parentheses(self, value: str) -> None:
        if value == "(":
            self.parentheses += 1
        elif value == ")":
            self.parentheses = max(0, self.parentheses - 1)

    def _word(self, word: str) -> None:
        if len(self.words) < LEADING_WORDS:
            self.words.append(word)
        if self.body_depth:
            self.body_depth += {"CASE": 1, "END": -1}.get(word, 0)
        elif word == "ATOMIC" and self.last_word == "BEGIN" and self._creates_routine():
            self.body_depth = 1
        self.last_word = word

    def _creates_routine(self) -> bool:
        return self.words[0] == "CREATE" and not {"FUNCTION", "PROCEDURE"}.isdisjoint(self.words[1:4])

    def _skip_to(self, closing: str, offset: int) -> None:
        """A doubled quote needs no care: it closes the string and opens the next one."""
        end = self.text.find(closing, self.position)
        if end < 0:
            raise Unterminated(f"{self._place(offset)}: {closing} is opened and never closed")
        self.position = end + len(closing)

    def _skip_escape_string(self, offset: int) -> None:
        while True:
            rest = _ESCAPE_STRING_REST.match(self.text, self.position)
            if rest is None:
                raise Unterminated(f"{self._place(offset)}: E' is opened and never closed")
            self.position = rest.end()
            continued = _CONTINUATION.match(self.text, self.position)
            if continued is None:
                return
            self.position = continued.end()

    def _skip_block_comment(self, offset: int) -> None:
        depth = 1
        while depth:
            edge = _COMMENT_EDGE.search(self.text, self.position)
            if edge is None:
                raise Unterminated(f"{self._place(offset)}: /* is opened and never closed")
            depth += 1 if edge.group() == "/*" else -1
            self.position = edge.end()

    def _skip_psql(self, offset: int) -> None:
        command = _PSQL.match(self.text, offset)
        assert command is not None
        if self.start is not None or command.group(1) not in CHATTER:
            raise PsqlCommand(f"{self._place(offset)}: only psql can run {command.group().strip()!r}; write plain SQL")
        self.position = command.end()

    def _place(self, offset: int) -> str:
        return f"{self.source} line {self._line(offset)}"

    def _line(self, offset: int) -> int:
        """Line of an offset, counted onwards from the last one asked for, so that a script is counted once."""
        before, line = self.counted
        if offset < before:
            before, line = 0, 1
        self.counted = (offset, line + self.text.count("\n", before, offset))
        return self.counted[1]


def _refuse_transaction_control(statement: Statement, source: str) -> None:
    first, *rest = statement.words or ("",)
    opens_or_closes = first in {"BEGIN", "COMMIT", "END", "ABORT"}
    opens_or_closes |= first in {"START", "PREPARE"} and rest[:1] == ["TRANSACTION"]
    opens_or_closes |= first == "ROLLBACK" and "TO" not in rest  # back to a savepoint stays inside
    if opens_or_closes:
        raise TransactionControl(
            f"{source} line {statement.line}: {first} is the engine's to say; remove it "
            "(`transactional = false` in meta.toml makes each statement stand alone)"
        )


def _refuse_copy_stream(statement: Statement, source: str) -> None:
    if statement.words[:1] == ("COPY",) and _COPY_STREAM.search(statement.text):
        raise CopyStream(f"{source} line {statement.line}: COPY from or to the client cannot run here; write INSERT")
