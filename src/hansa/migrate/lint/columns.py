"""Understands CREATE TABLE and ALTER TABLE: columns, constraints, and what is done to them."""

from collections.abc import Sequence

from hansa.migrate.lint.ddl import (
    Action,
    AddColumn,
    AddConstraint,
    AlterTable,
    ChangeType,
    Column,
    Constraint,
    ConstraintKind,
    CreateTable,
    Ddl,
    DropColumn,
    DropConstraint,
    Name,
    ObjectKind,
    Rename,
    RenameColumn,
    RenameConstraint,
    SetNotNull,
    Tokens,
    ValidateConstraint,
)
from hansa.migrate.lint.reader import Reader, by_comma, has_words
from hansa.migrate.lint.tokens import Token, as_text

_TABLE_CONSTRAINTS = ("CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN", "EXCLUDE", "NOT")
_AFTER_TYPE = (
    *("CONSTRAINT", "NOT", "NULL", "CHECK", "DEFAULT", "GENERATED", "UNIQUE", "PRIMARY", "REFERENCES"),
    *("COLLATE", "STORAGE", "COMPRESSION", "DEFERRABLE", "INITIALLY"),
)
_SERIAL = frozenset(("SERIAL", "BIGSERIAL", "SMALLSERIAL", "SERIAL2", "SERIAL4", "SERIAL8"))
_ORDER = frozenset(("ASC", "DESC", "NULLS", "FIRST", "LAST"))


# --- CREATE TABLE -----------------------------------------------------------------------------------------------------


def create_table(reader: Reader, *, temporary: bool) -> CreateTable:
    """After CREATE TABLE."""
    if_not_exists = reader.accept("IF", "NOT", "EXISTS")
    name = reader.name()
    items = by_comma(reader.group()) if reader.next.text == "(" else ()
    columns: list[Column] = []
    constraints: list[Constraint] = []
    for item in items:
        if item[0].word in _TABLE_CONSTRAINTS:
            constraints.append(_table_constraint(reader.inside(item)))
        elif item[0].word != "LIKE":
            columns.append(_column(reader.inside(item)))
    return CreateTable(
        name=name,
        if_not_exists=if_not_exists,
        temporary=temporary,
        columns=tuple(columns),
        constraints=tuple(constraints),
    )


def index_keys(group: Sequence[Token]) -> tuple[str, ...]:
    """Keys of an index: names, or expressions as text, without the order in which they are sorted."""
    return tuple(as_text(token for token in part if token.word not in _ORDER) for part in by_comma(group))


def _column(reader: Reader) -> Column:
    line = reader.next.line
    name = reader.identifier()
    kind = reader.until(*_AFTER_TYPE)
    parts = _ColumnParts(reader, name)
    while not reader.at_end:
        parts.read()
    serial = bool(kind) and kind[0].word in _SERIAL
    return Column(
        name=name,
        type=kind,
        not_null=parts.not_null or parts.identity or serial,
        default=parts.default,
        generated=parts.generated,
        stored=parts.stored,
        identity=parts.identity or serial,
        constraints=tuple(parts.constraints),
        line=line,
    )


class _ColumnParts:
    """What follows the type of a column, gathered piece by piece."""

    def __init__(self, reader: Reader, column: str) -> None:
        self.reader = reader
        self.column = column
        self.not_null = self.generated = self.stored = self.identity = False
        self.default: Tokens = ()
        self.constraints: list[Constraint] = []

    def read(self) -> None:
        """Consume one piece."""
        reader = self.reader
        if reader.accept("NOT", "NULL"):
            self.not_null = True
        elif reader.accept("DEFAULT"):
            start = reader.position
            reader.skip()  # whatever it begins with belongs to it: DEFAULT NULL, DEFAULT NOT true
            reader.until(*_AFTER_TYPE)
            self.default = tuple(reader.tokens[start : reader.position])
        elif reader.accept("GENERATED"):
            self._generated()
        elif reader.next.word in ("CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "REFERENCES"):
            self._constraint()
        else:
            reader.skip()

    def _generated(self) -> None:
        reader = self.reader
        reader.until("AS")
        reader.expect("AS")
        if reader.accept("IDENTITY"):
            self.identity = True
            return
        reader.group()
        self.generated = True
        self.stored = reader.accept("STORED")
        reader.accept("VIRTUAL")

    def _constraint(self) -> None:
        reader = self.reader
        name = reader.identifier() if reader.accept("CONSTRAINT") else None
        if reader.next.word in ("NOT", "NULL", "DEFAULT", "GENERATED"):
            return  # named, and read by the next call
        constraint = _constraint(reader, name, self.column)
        self.not_null |= constraint.kind is ConstraintKind.PRIMARY_KEY
        self.constraints.append(constraint)


def _table_constraint(reader: Reader) -> Constraint:
    name = reader.identifier() if reader.accept("CONSTRAINT") else None
    return _constraint(reader, name, None)


def _constraint(reader: Reader, name: str | None, column: str | None) -> Constraint:
    """A constraint from its kind on; `column` is whose it is when it stands behind a column."""
    line = reader.next.line
    kind = _constraint_kind(reader)
    own = (column,) if column else ()
    expression: Tokens = ()
    nulls_not_distinct = reader.accept("NULLS", "NOT", "DISTINCT")
    using_index = None
    if kind is ConstraintKind.CHECK:
        expression = reader.group()
    elif kind is ConstraintKind.NOT_NULL:
        own = (reader.identifier(),)
    elif reader.accept("USING", "INDEX"):
        using_index = reader.identifier()
    elif column is None and kind is not ConstraintKind.EXCLUDE:
        own = tuple(reader.inside(part).identifier() for part in by_comma(reader.group()))
    rest = reader.until(*(_AFTER_TYPE if column else ()))
    if kind is ConstraintKind.FOREIGN_KEY and column:
        rest += _on_delete_set(reader)
    return Constraint(
        kind=kind,
        name=name,
        columns=own,
        expression=expression,
        not_valid=has_words(rest, "NOT", "VALID"),
        nulls_not_distinct=nulls_not_distinct,
        using_index=using_index,
        line=line,
    )


def _on_delete_set(reader: Reader) -> Tokens:
    """The rest of ON DELETE SET NULL or SET DEFAULT, whose last word looks like a piece of its own."""
    start = reader.position
    while reader.position and reader.tokens[reader.position - 1].word == "SET" and not reader.at_end:
        reader.take()
        reader.until(*_AFTER_TYPE)
    return tuple(reader.tokens[start : reader.position])


def _constraint_kind(reader: Reader) -> ConstraintKind:
    if reader.accept("CHECK"):
        return ConstraintKind.CHECK
    if reader.accept("UNIQUE"):
        return ConstraintKind.UNIQUE
    if reader.accept("PRIMARY", "KEY"):
        return ConstraintKind.PRIMARY_KEY
    if reader.accept("EXCLUDE"):
        return ConstraintKind.EXCLUDE
    if reader.accept("NOT", "NULL"):
        return ConstraintKind.NOT_NULL
    if not reader.accept("REFERENCES"):
        reader.expect("FOREIGN", "KEY")
    return ConstraintKind.FOREIGN_KEY


# --- ALTER TABLE ------------------------------------------------------------------------------------------------------


def alter_table(reader: Reader) -> Ddl:
    """After ALTER TABLE."""
    reader.accept("IF", "EXISTS")
    reader.accept("ONLY")
    name = reader.name()
    reader.accept_mark("*")
    renamed = _renamed_table(reader, name)
    if renamed is not None:
        return renamed
    actions = [_action(reader.inside(part)) for part in by_comma(reader.rest())]
    return AlterTable(name=name, actions=tuple(action for action in actions if action is not None))


def _renamed_table(reader: Reader, name: Name) -> Rename | None:
    if reader.accept("RENAME", "TO"):
        to = Name(schema=name.schema, name=reader.identifier())
    elif reader.accept("SET", "SCHEMA"):
        to = Name(schema=reader.identifier(), name=name.name)
    else:
        return None
    return Rename(kind=ObjectKind.TABLE, name=name, to=to)


def _action(reader: Reader) -> Action | None:
    line = reader.next.line
    if reader.accept("ADD"):
        return _add(reader, line)
    if reader.accept("DROP"):
        return _drop(reader, line)
    if reader.accept("RENAME"):
        return _rename(reader, line)
    if reader.accept("ALTER"):
        return _alter_column(reader, line)
    if reader.accept("VALIDATE", "CONSTRAINT"):
        return ValidateConstraint(constraint=reader.identifier(), line=line)
    return None


def _add(reader: Reader, line: int) -> Action:
    if reader.next.word in _TABLE_CONSTRAINTS:
        return AddConstraint(constraint=_table_constraint(reader), line=line)
    reader.accept("COLUMN")
    if_not_exists = reader.accept("IF", "NOT", "EXISTS")
    return AddColumn(column=_column(reader), if_not_exists=if_not_exists, line=line)


def _drop(reader: Reader, line: int) -> Action:
    constraint = reader.accept("CONSTRAINT")
    if not constraint:
        reader.accept("COLUMN")
    reader.accept("IF", "EXISTS")
    name = reader.identifier()
    cascade = reader.accept("CASCADE")
    if constraint:
        return DropConstraint(constraint=name, cascade=cascade, line=line)
    return DropColumn(column=name, cascade=cascade, line=line)


def _rename(reader: Reader, line: int) -> Action:
    constraint = reader.accept("CONSTRAINT")
    if not constraint:
        reader.accept("COLUMN")
    name = reader.identifier()
    reader.expect("TO")
    to = reader.identifier()
    if constraint:
        return RenameConstraint(constraint=name, to=to, line=line)
    return RenameColumn(column=name, to=to, line=line)


def _alter_column(reader: Reader, line: int) -> Action | None:
    if reader.accept("CONSTRAINT"):
        return None
    reader.accept("COLUMN")
    column = reader.identifier()
    if reader.accept("SET", "NOT", "NULL"):
        return SetNotNull(column=column, not_null=True, line=line)
    if reader.accept("DROP", "NOT", "NULL"):
        return SetNotNull(column=column, not_null=False, line=line)
    reader.accept("SET", "DATA")
    if not reader.accept("TYPE"):
        return None
    reader.until("USING")
    return ChangeType(column=column, using=reader.rest()[1:], line=line)
