"""Reads tokens from left to right, as a grammar does."""

from collections.abc import Sequence

from hansa.migrate.lint.ddl import Name
from hansa.migrate.lint.tokens import Kind, Token

_OPEN, _CLOSE = ("(", "["), (")", "]")
_NOTHING = Token(kind=Kind.MARK, text="", line=0)


class NotUnderstood(Exception):
    """The tokens are not what the grammar expected here; such a statement is left to the server to judge."""


class Reader:
    """A position in a sequence of tokens; names without a schema are taken to be in `schema`."""

    def __init__(self, tokens: Sequence[Token], schema: str) -> None:
        self.tokens = tokens
        self.schema = schema
        self.position = 0

    @property
    def next(self) -> Token:
        """The next token, or an empty one at the end."""
        return self.tokens[self.position] if self.position < len(self.tokens) else _NOTHING

    @property
    def at_end(self) -> bool:
        return self.position >= len(self.tokens)

    def sees(self, *words: str) -> bool:
        """Whether these words come next."""
        found = self.tokens[self.position : self.position + len(words)]
        return tuple(token.word for token in found) == words

    def accept(self, *words: str) -> bool:
        """Pass over these words if they come next."""
        if not self.sees(*words):
            return False
        self.position += len(words)
        return True

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise NotUnderstood(words)

    def accept_mark(self, text: str) -> bool:
        if self.next.text != text:
            return False
        self.position += 1
        return True

    def take(self) -> Token:
        """The next token, whatever it is."""
        token = self.next
        if token is _NOTHING:
            raise NotUnderstood
        self.position += 1
        return token

    def identifier(self) -> str:
        """A simple name."""
        name = self.take().name
        if name is None:
            raise NotUnderstood
        return name

    def name(self) -> Name:
        """A name, qualified or not; of a database's name before it nothing is kept."""
        parts = [self.identifier()]
        while self.accept_mark("."):
            parts.append(self.identifier())
        return Name(schema=parts[-2] if len(parts) > 1 else self.schema, name=parts[-1])

    def group(self) -> tuple[Token, ...]:
        """What stands inside the parentheses that come next."""
        if self.next.text != "(":
            raise NotUnderstood
        start = self.position + 1
        self.skip()
        return tuple(self.tokens[start : self.position - 1])

    def skip(self) -> None:
        """Pass over one token, or over everything in parentheses when one opens here."""
        depth = 0
        while True:
            text = self.take().text
            depth += (text in _OPEN) - (text in _CLOSE)
            if depth <= 0:
                return

    def until(self, *words: str) -> tuple[Token, ...]:
        """What comes before the first of these words outside parentheses, or before the end."""
        start = self.position
        while not self.at_end and self.next.word not in words:
            self.skip()
        return tuple(self.tokens[start : self.position])

    def rest(self) -> tuple[Token, ...]:
        found = tuple(self.tokens[self.position :])
        self.position = len(self.tokens)
        return found

    def inside(self, tokens: Sequence[Token]) -> "Reader":
        """A reader of a part, such as a group."""
        return Reader(tokens, self.schema)


def by_comma(tokens: Sequence[Token]) -> tuple[tuple[Token, ...], ...]:
    """The parts between commas that stand outside parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if token.text == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return tuple(tuple(part) for part in parts if part)


def has_words(tokens: Sequence[Token], *words: str) -> bool:
    """Whether these words follow each other somewhere."""
    found = [token.word for token in tokens]
    return any(tuple(found[i : i + len(words)]) == words for i in range(len(found)))
