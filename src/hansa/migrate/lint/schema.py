"""What a schema holds, as far as the lint asks: read from statements here, or from a server in `server`.

It is one flat map from objects to facts, so that two of them can be compared, and so that a table takes what is of it
along when it is dropped or renamed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hansa.migrate.lint.ddl import (
    Action,
    AddColumn,
    AddConstraint,
    AlterTable,
    Column,
    Constraint,
    ConstraintKind,
    CreateIndex,
    CreateObject,
    CreateRoutine,
    CreateTable,
    CreateView,
    Drop,
    DropColumn,
    DropConstraint,
    Name,
    ObjectKind,
    Parsed,
    Rename,
    RenameColumn,
    RenameConstraint,
    SetNotNull,
    Tokens,
    ValidateConstraint,
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Object:
    """Something that can be created and dropped."""

    kind: ObjectKind
    name: Name
    """Of a column, a constraint, a trigger or a policy: that of its table."""
    part: str = ""
    """Name of a column, a constraint, a trigger or a policy within its table."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}{'.' if self.part else ''}{self.part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What some rule wants to know of an object; most kinds use few of these."""

    not_null: bool = False
    """A column is never NULL; or a constraint says so of its column, once it is validated."""
    generated: bool = False
    """A column is computed."""
    table: Name | None = None
    """Whose index it is."""
    keys: tuple[str, ...] = ()
    """Of an index: column names, or expressions as text."""
    columns: frozenset[str] = frozenset()
    """Columns that an index or a constraint is about."""
    unique: bool = False
    proves_not_null: frozenset[str] = frozenset()
    """Columns that a CHECK keeps from being NULL."""
    validated: bool = True
    volatile: bool = False
    """A routine may answer differently each time."""
    mentions: frozenset[str] = frozenset()
    """Names that a view or a trigger depends on, among others."""


class Schema:
    """All objects of a database at one moment."""

    def __init__(self, objects: Mapping[Object, Facts] | None = None) -> None:
        self.objects: dict[Object, Facts] = dict(objects or {})

    def copy(self) -> "Schema":
        return Schema(self.objects)

    def knows(self, table: Name) -> bool:
        """Whether the table was made by what was read; else nothing is known of it."""
        return Object(kind=ObjectKind.TABLE, name=table) in self.objects

    def column(self, table: Name, column: str) -> Facts | None:
        return self.objects.get(Object(kind=ObjectKind.COLUMN, name=table, part=column))

    def constraints(self, table: Name) -> dict[str, Facts]:
        """By name."""
        return {
            key.part: facts
            for key, facts in self.objects.items()
            if key.kind is ObjectKind.CONSTRAINT and key.name == table
        }

    def indexes(self, table: Name) -> dict[str, Facts]:
        """By name."""
        return {
            key.name.name: facts
            for key, facts in self.objects.items()
            if key.kind is ObjectKind.INDEX and facts.table == table
        }

    def schemas(self) -> frozenset[str]:
        return frozenset(key.name.name for key in self.objects if key.kind is ObjectKind.SCHEMA)

    def proves_not_null(self, table: Name, column: str) -> bool:
        """Whether a validated CHECK says that the column is never NULL, so that SET NOT NULL need not look."""
        return any(facts.validated and column in facts.proves_not_null for facts in self.constraints(table).values())

    def is_volatile(self, routine: str) -> bool:
        """Whether a routine of the folder by this name may answer differently each time."""
        return any(
            facts.volatile
            for key, facts in self.objects.items()
            if key.kind is ObjectKind.ROUTINE and key.name.name == routine
        )


def applied(schema: Schema, statements: Iterable[Parsed]) -> Schema:
    """The schema after these statements; the given one is left as it is."""
    after = schema.copy()
    for statement in statements:
        apply(after, statement)
    return after


def apply(schema: Schema, statement: Parsed) -> None:
    """Change the schema as the statement does."""
    change = _CHANGES.get(type(statement.what))
    if change is not None:
        change(schema, statement.what)


# --- tables -----------------------------------------------------------------------------------------------------------


def _create_table(schema: Schema, what: CreateTable) -> None:
    key = Object(kind=ObjectKind.TABLE, name=what.name)
    if what.temporary or (what.if_not_exists and key in schema.objects):
        return
    schema.objects[key] = Facts()
    for column in what.columns:
        _add_column(schema, what.name, column)
    for constraint in what.constraints:
        _add_constraint(schema, what.name, constraint)


def _add_column(schema: Schema, table: Name, column: Column) -> None:
    schema.objects[Object(kind=ObjectKind.COLUMN, name=table, part=column.name)] = Facts(
        not_null=column.not_null, generated=column.generated
    )
    for constraint in column.constraints:
        _add_constraint(schema, table, constraint)


def _add_constraint(schema: Schema, table: Name, constraint: Constraint) -> None:
    if constraint.kind is ConstraintKind.NOT_NULL:
        _set_not_null(schema, table, constraint.columns[0], not_null=not constraint.not_valid)
    if constraint.kind is ConstraintKind.PRIMARY_KEY:
        for column in constraint.columns:
            _set_not_null(schema, table, column, not_null=True)
    name = constraint.name or constraint.using_index or _made_up(schema, table, constraint)
    schema.objects[Object(kind=ObjectKind.CONSTRAINT, name=table, part=name)] = Facts(
        columns=frozenset(constraint.columns) | _mentioned(constraint.expression),
        proves_not_null=_proven(constraint),
        validated=not constraint.not_valid,
        not_null=constraint.kind is ConstraintKind.NOT_NULL,
    )
    if constraint.kind in (ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE) and not constraint.using_index:
        schema.objects[Object(kind=ObjectKind.INDEX, name=Name(schema=table.schema, name=name))] = Facts(
            table=table, keys=constraint.columns, columns=frozenset(constraint.columns), unique=True
        )


def _made_up(schema: Schema, table: Name, constraint: Constraint) -> str:
    """The name that PostgreSQL gives to a constraint without one; a CHECK is named for its column if it has but one."""
    if constraint.kind is ConstraintKind.PRIMARY_KEY:
        return f"{table.name}_pkey"
    columns = constraint.columns
    if constraint.kind is ConstraintKind.CHECK and not columns:
        mentioned = [name for name in _mentioned(constraint.expression) if schema.column(table, name)]
        columns = tuple(mentioned) if len(mentioned) == 1 else ()
    return "_".join((table.name, *columns, constraint.kind.value))


def _proven(constraint: Constraint) -> frozenset[str]:
    """Columns that are not NULL where the constraint holds: each `column IS NOT NULL`, unless there is an OR."""
    if constraint.kind is ConstraintKind.NOT_NULL:
        return frozenset(constraint.columns)
    tokens = constraint.expression
    if any(token.word == "OR" for token in tokens):
        return frozenset()
    return frozenset(
        tokens[i].name or ""
        for i in range(len(tokens) - 3)
        if tuple(token.word for token in tokens[i + 1 : i + 4]) == ("IS", "NOT", "NULL")
    ) - {""}


def _mentioned(tokens: Tokens) -> frozenset[str]:
    return frozenset(token.name for token in tokens if token.name is not None)


def _set_not_null(schema: Schema, table: Name, column: str, *, not_null: bool) -> None:
    key = Object(kind=ObjectKind.COLUMN, name=table, part=column)
    if key in schema.objects:  # else a column of a table that the folder did not make
        schema.objects[key] = replace(schema.objects[key], not_null=not_null)


def _alter_table(schema: Schema, what: AlterTable) -> None:
    for action in what.actions:
        _act(schema, what.name, action)


def _act(schema: Schema, table: Name, action: Action) -> None:
    match action:
        case AddColumn():
            if not (action.if_not_exists and schema.column(table, action.column.name)):
                _add_column(schema, table, action.column)
        case DropColumn():
            _drop_column(schema, table, action.column)
        case RenameColumn():
            _rename_column(schema, table, action.column, action.to)
        case SetNotNull():
            _set_not_null(schema, table, action.column, not_null=action.not_null)
        case AddConstraint():
            _add_constraint(schema, table, action.constraint)
        case DropConstraint():
            _drop_constraint(schema, table, action.constraint)
        case ValidateConstraint():
            _validate(schema, table, action.constraint)
        case RenameConstraint():
            _rename_constraint(schema, table, action.constraint, action.to)
        case _:
            pass  # a change of type changes nothing that a rule asks for


def _drop_column(schema: Schema, table: Name, column: str) -> None:
    """Indexes and constraints about it go with it."""
    gone = [Object(kind=ObjectKind.COLUMN, name=table, part=column)]
    for key, facts in schema.objects.items():
        if (
            table in (key.name, facts.table)
            and key.kind in (ObjectKind.INDEX, ObjectKind.CONSTRAINT)
            and column in facts.columns
        ):
            gone.append(key)
    for key in gone:
        schema.objects.pop(key, None)


def _rename_column(schema: Schema, table: Name, column: str, to: str) -> None:
    for key, facts in list(schema.objects.items()):
        if key == Object(kind=ObjectKind.COLUMN, name=table, part=column):
            schema.objects[replace(key, part=to)] = schema.objects.pop(key)
        elif column in facts.columns and table in (key.name, facts.table):
            schema.objects[key] = replace(
                facts,
                keys=tuple(to if name == column else name for name in facts.keys),
                columns=facts.columns - {column} | {to},
                proves_not_null=_renamed(facts.proves_not_null, column, to),
            )


def _renamed(names: frozenset[str], old: str, new: str) -> frozenset[str]:
    return names - {old} | {new} if old in names else names


def _drop_constraint(schema: Schema, table: Name, constraint: str) -> None:
    schema.objects.pop(Object(kind=ObjectKind.CONSTRAINT, name=table, part=constraint), None)
    schema.objects.pop(Object(kind=ObjectKind.INDEX, name=Name(schema=table.schema, name=constraint)), None)


def _validate(schema: Schema, table: Name, constraint: str) -> None:
    key = Object(kind=ObjectKind.CONSTRAINT, name=table, part=constraint)
    if key not in schema.objects:
        return
    facts = schema.objects[key] = replace(schema.objects[key], validated=True)
    if facts.not_null:
        for column in facts.columns:
            _set_not_null(schema, table, column, not_null=True)


def _rename_constraint(schema: Schema, table: Name, constraint: str, to: str) -> None:
    _move(schema, Object(kind=ObjectKind.CONSTRAINT, name=table, part=constraint), part=to)
    index = Object(kind=ObjectKind.INDEX, name=Name(schema=table.schema, name=constraint))
    _move(schema, index, name=Name(schema=table.schema, name=to))


def _move(schema: Schema, key: Object, **to: Any) -> None:  # the fields of Object
    if key in schema.objects:
        schema.objects[replace(key, **to)] = schema.objects.pop(key)


# --- everything else --------------------------------------------------------------------------------------------------


def _create_index(schema: Schema, what: CreateIndex) -> None:
    name = what.name or "_".join((what.table.name, *what.keys, "idx"))
    schema.objects[Object(kind=ObjectKind.INDEX, name=Name(schema=what.table.schema, name=name))] = Facts(
        table=what.table, keys=what.keys, columns=what.columns, unique=what.unique
    )


def _create_view(schema: Schema, what: CreateView) -> None:
    if not what.temporary:
        schema.objects[Object(kind=ObjectKind.VIEW, name=what.name)] = Facts(mentions=what.mentions)


def _create_routine(schema: Schema, what: CreateRoutine) -> None:
    schema.objects[Object(kind=ObjectKind.ROUTINE, name=what.name)] = Facts(volatile=what.volatile)


def _create_object(schema: Schema, what: CreateObject) -> None:
    schema.objects[_key(what.kind, what.name, what.of)] = Facts(mentions=what.mentions)


def _key(kind: ObjectKind, name: Name, of: Name | None) -> Object:
    return Object(kind=kind, name=of, part=name.name) if of else Object(kind=kind, name=name)


def _drop(schema: Schema, what: Drop) -> None:
    if what.kind is None:
        return
    for name in what.names:
        if what.kind is ObjectKind.SCHEMA:
            _forget(schema, lambda key, _facts, name=name: _is_in(key, name))
        elif what.kind is ObjectKind.TABLE:
            _forget(schema, lambda key, facts, name=name: facts.table == name or _is_of(key, name))
        else:
            schema.objects.pop(_key(what.kind, name, what.of), None)
        if what.cascade:
            _forget(schema, lambda _key, facts, name=name: name.name in facts.mentions)


def _is_in(key: Object, schema: Name) -> bool:
    return key.name.schema == schema.name or (key.kind is ObjectKind.SCHEMA and key.name == schema)


def _is_of(key: Object, table: Name) -> bool:
    return key.name == table and (bool(key.part) or key.kind is ObjectKind.TABLE)


def _forget(schema: Schema, gone: Callable[[Object, Facts], bool]) -> None:
    schema.objects = {key: facts for key, facts in schema.objects.items() if not gone(key, facts)}


def _rename(schema: Schema, what: Rename) -> None:
    if what.kind is not ObjectKind.TABLE:
        key = _key(what.kind, what.name, what.of)
        _move(schema, key, **({"part": what.to.name} if what.of else {"name": what.to}))
        return
    for key, facts in list(schema.objects.items()):
        if _is_of(key, what.name):
            schema.objects[replace(key, name=what.to)] = schema.objects.pop(key)
        elif facts.table == what.name:
            schema.objects[key] = replace(facts, table=what.to)


T = TypeVar("T")


def _entry(kind: type[T], change: Callable[[Schema, T], None]) -> tuple[type[T], Callable[[Schema, Any], None]]:
    """An entry of the table below; the pair fits together, which the table's own type cannot say."""
    return kind, change


_CHANGES: Mapping[type[object], Callable[[Schema, Any], None]] = dict(
    (
        _entry(CreateTable, _create_table),
        _entry(AlterTable, _alter_table),
        _entry(CreateIndex, _create_index),
        _entry(CreateView, _create_view),
        _entry(CreateRoutine, _create_routine),
        _entry(CreateObject, _create_object),
        _entry(Drop, _drop),
        _entry(Rename, _rename),
    )
)
