"""Cuts SQL into tokens, so that a rule never takes the inside of a literal or a comment for SQL."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    """A keyword or a name without quotes."""
    QUOTED = "quoted"
    """A name in double quotes."""
    STRING = "string"
    BODY = "body"
    """A dollar-quoted string: the body of a routine or of DO."""
    NUMBER = "number"
    MARK = "mark"
    COMMENT = "comment"


_IDENTIFIER = r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*"
_TOKEN = re.compile(
    rf"""
      (?P<comment>--[^\n]*)
    | (?P<block_comment>/\*)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<body>\$(?P<tag>(?:{_IDENTIFIER})?)\$.*?\$(?P=tag)\$)
    | (?P<word>{_IDENTIFIER}(?:[$A-Za-z0-9_\u0080-\U0010ffff]*))
    | (?P<number>[0-9][A-Za-z0-9_]*(?:\.[0-9][A-Za-z0-9_]*)?)
    | (?P<psql>\\[^\n]*)
    | (?P<space>\s+)
    | (?P<mark>::|:=|=>|<>|!=|<=|>=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_DOLLAR_TAG = re.compile(r"\$[^$]*\$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One piece of SQL, as it stands."""

    kind: Kind
    text: str
    line: int
    """Of its first character, from 1."""

    @property
    def word(self) -> str:
        """In upper case when it can be a keyword; empty for anything else."""
        return self.text.upper() if self.kind is Kind.WORD else ""

    @property
    def name(self) -> str | None:
        """As PostgreSQL keeps it when it can be a name: folded unless it is quoted; None for anything else."""
        if self.kind is Kind.WORD:
            return self.text.lower()
        if self.kind is Kind.QUOTED:
            return self.text[1:-1].replace('""', '"')
        return None

    @property
    def literal(self) -> str | None:
        """What a string literal says; None for anything else."""
        if self.kind is Kind.BODY:
            return self.body
        if self.kind is not Kind.STRING:
            return None
        return self.text[self.text.index("'") + 1 : -1].replace("''", "'")

    @property
    def body(self) -> str:
        """What stands between the dollar quotes."""
        tag = _DOLLAR_TAG.match(self.text)
        assert tag is not None
        return self.text[tag.end() : -len(tag.group())]


def tokenize(text: str, *, line: int = 1) -> tuple[Token, ...]:
    """All tokens of a text with its comments, without white space and psql's chatter. `line` is that of its start."""
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None
        kind = match.lastgroup or ""
        end = _end_of_block_comment(text, position) if kind == "block_comment" else match.end()
        piece = text[position:end]
        if kind not in ("space", "psql"):
            tokens.append(Token(kind=Kind(kind.removeprefix("block_")), text=piece, line=line))
        line += piece.count("\n")
        position = end
    return tuple(tokens)


def without_comments(tokens: Iterable[Token]) -> tuple[Token, ...]:
    """What the server acts on."""
    return tuple(token for token in tokens if token.kind is not Kind.COMMENT)


def as_text(tokens: Iterable[Token]) -> str:
    """The tokens on one line, names as PostgreSQL keeps them: equal for what differs only in layout and case."""
    return " ".join(token.name or token.text for token in tokens)


def _end_of_block_comment(text: str, position: int) -> int:
    """Comments nest. One that is never closed reaches to the end; the splitter has refused that script before."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    return len(text)
