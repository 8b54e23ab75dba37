"""Conditions that say the same, whatever PostgreSQL remembers of how they were written.

`x BETWEEN a AND b AND c` and `x IN (y, z) OR c` are kept as conditions within conditions and are written that way, but
what is written is read again as one flat list. So the copy of a constraint by pg_dump is not, word for word, the same.
"""

from collections.abc import Sequence

from hansa.migrate.lint.tokens import Token, tokenize, without_comments

CONNECTIVES = ("AND", "OR")
_Tree = list["Token | _Tree"]


def same_condition(one: str | None, other: str | None) -> bool:
    """Whether two definitions differ only in how ANDs are nested in ANDs, and ORs in ORs."""
    return one is not None and other is not None and (one == other or _flat(one) == _flat(other))


def _flat(text: str) -> list[str]:
    return _written(_flattened(_tree(without_comments(tokenize(text)))))


def _tree(tokens: Sequence[Token]) -> _Tree:
    """What stands in parentheses is a branch."""
    stack: list[_Tree] = [[]]
    for token in tokens:
        if token.text == "(":
            stack.append([])
        elif token.text == ")" and len(stack) > 1:
            branch = stack.pop()
            stack[-1].append(branch)
        else:
            stack[-1].append(token)
    return stack[0]


def _flattened(tree: _Tree) -> _Tree:
    """Without the parentheses around an AND within an AND, or around an OR within an OR."""
    nodes: _Tree = [_flattened(node) if isinstance(node, list) else node for node in tree]
    connective = _connective(nodes)
    found: _Tree = []
    for index, node in enumerate(nodes):
        is_operand = _is_edge(nodes, index - 1, connective) and _is_edge(nodes, index + 1, connective)
        if isinstance(node, list) and connective and is_operand and _connective(node) == connective:
            found += node
        else:
            found.append(node)
    return found


def _connective(tree: _Tree) -> str:
    """What a condition is made with; empty for anything else, and for BETWEEN, whose AND is another one."""
    words = {node.word for node in tree if isinstance(node, Token)}
    found = [word for word in CONNECTIVES if word in words]
    return found[0] if len(found) == 1 and "BETWEEN" not in words else ""


def _is_edge(tree: _Tree, index: int, connective: str) -> bool:
    """Whether an operand may end here: at an end of the condition, or at its connective."""
    if not 0 <= index < len(tree):
        return True
    node = tree[index]
    return isinstance(node, Token) and node.word == connective


def _written(tree: _Tree) -> list[str]:
    words: list[str] = []
    for node in tree:
        words += ["(", *_written(node), ")"] if isinstance(node, list) else [node.text]
    return words
