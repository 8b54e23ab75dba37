"""Finds CASE expressions, and tells which of them map every unknown value to one literal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hansa.migrate.lint.ddl import Tokens
from hansa.migrate.lint.reader import Reader, by_comma
from hansa.migrate.lint.tokens import Kind, Token

_COMPARING = frozenset(("IN", "LIKE", "ILIKE", "SIMILAR"))
_COMPARING_MARKS = frozenset(("=", "~"))


@dataclass(slots=True, kw_only=True)
class Case:
    """A CASE expression."""

    subject: list[Token] = field(default_factory=list[Token])
    """What a simple CASE compares; empty for one with conditions."""
    conditions: list[list[Token]] = field(default_factory=list[list[Token]])
    results: list[list[Token]] = field(default_factory=list[list[Token]])
    otherwise: list[Token] | None = None
    """What ELSE says; None without one."""
    part: list[Token] = field(default_factory=list[Token])
    """The one being read."""
    line: int
    """Of ELSE, or of CASE without one."""

    def __post_init__(self) -> None:
        self.part = self.subject

    def begin(self, token: Token) -> None:
        """Begin the part that this WHEN, THEN or ELSE opens."""
        self.part = []
        if token.word == "WHEN":
            self.conditions.append(self.part)
        elif token.word == "THEN":
            self.results.append(self.part)
        else:
            self.otherwise, self.line = self.part, token.line

    @property
    def maps_values(self) -> bool:
        """Whether it translates one set of literals into another, rather than computes or compares sizes."""
        chosen = all(_is_constant(result) or _is_null(result) for result in self.results)
        if self.subject:
            return chosen and all(_is_constant(condition) for condition in self.conditions)
        return chosen and any(_names_values(condition) for condition in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coercion:
    """A literal that stands in for every value nobody thought of."""

    literal: str
    line: int


def coercions(expression: Tokens) -> Iterator[Coercion]:
    """Every such literal in an expression: the ELSE of a CASE, or the end of a COALESCE around one without ELSE."""
    for case in _cases(expression):
        if case.maps_values and case.otherwise is not None and _is_constant(case.otherwise):
            yield Coercion(literal=_shown(case.otherwise), line=case.line)
    for i, token in enumerate(expression[:-1]):
        if token.word == "COALESCE" and expression[i + 1].text == "(":
            inside = Reader(expression[i + 1 :], "").group()
            parts = by_comma(inside)
            unfinished = any(case.maps_values and case.otherwise is None for case in _cases(inside))
            if unfinished and parts and _is_constant(parts[-1]):
                yield Coercion(literal=_shown(parts[-1]), line=parts[-1][0].line)


def _cases(tokens: Sequence[Token]) -> Iterator[Case]:
    """Inner ones before outer ones."""
    open_cases: list[Case] = []
    for token in tokens:
        if token.word == "END" and open_cases:
            yield open_cases.pop()
        opens_part = bool(open_cases) and token.word in ("WHEN", "THEN", "ELSE")
        for case in open_cases[:-1] if opens_part else open_cases:
            case.part.append(token)
        if opens_part:
            open_cases[-1].begin(token)
        elif token.word == "CASE":
            open_cases.append(Case(line=token.line))


def _names_values(condition: Sequence[Token]) -> bool:
    """Whether it compares something with a string: a set of values, of which there may be more than it names."""
    compares = any(token.word in _COMPARING or token.text in _COMPARING_MARKS for token in condition)
    return compares and any(token.kind is Kind.STRING for token in condition)


def _is_null(tokens: Sequence[Token]) -> bool:
    return bool(tokens) and tokens[0].word == "NULL"


def _is_constant(tokens: Sequence[Token]) -> bool:
    """A literal, also with a cast: 'x', 'x'::type, type 'x', CAST('x' AS type), 1, true."""
    if not tokens:
        return False
    first, *rest = tokens
    if first.text == "(" and tokens[-1].text == ")":
        return _is_constant(tokens[1:-1])
    if first.word == "CAST" and len(tokens) > 2:
        inner = Reader(tokens[2:], "")
        return _is_constant(inner.until("AS"))
    if first.text in ("-", "+"):
        return _is_constant(rest)
    if first.kind in (Kind.STRING, Kind.NUMBER) or first.word in ("TRUE", "FALSE"):
        return not rest or rest[0].text == "::"
    return tokens[-1].kind is Kind.STRING and all(token.name or token.text == "." for token in tokens[:-1])


def _shown(tokens: Sequence[Token]) -> str:
    """The literal itself, without its cast."""
    literals = [token.text for token in tokens if token.kind in (Kind.STRING, Kind.NUMBER)]
    return literals[0] if literals else tokens[0].text
