"""What the lint understands of a statement: the parts of it that some rule asks about.

A statement that is none of these is `Other`; the lint says nothing about what it does not understand.
"""

from dataclasses import dataclass
from enum import StrEnum

from hansa.migrate.lint.tokens import Token

Tokens = tuple[Token, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Name:
    """Name of a table or the like; one without a schema is in the first schema of the search path."""

    schema: str
    name: str

    def __str__(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"


class ObjectKind(StrEnum):
    """What can be created and dropped."""

    SCHEMA = "schema"
    TABLE = "table"
    COLUMN = "column"
    CONSTRAINT = "constraint"
    INDEX = "index"
    VIEW = "view"
    TYPE = "type"
    ROUTINE = "routine"
    SEQUENCE = "sequence"
    TRIGGER = "trigger"
    POLICY = "policy"
    EXTENSION = "extension"


# --- parts ------------------------------------------------------------------------------------------------------------


class ConstraintKind(StrEnum):
    """Kinds of constraints, with the suffix that PostgreSQL gives to the name of one without a name."""

    CHECK = "check"
    UNIQUE = "key"
    PRIMARY_KEY = "pkey"
    FOREIGN_KEY = "fkey"
    EXCLUDE = "excl"
    NOT_NULL = "not_null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A constraint of a table or a column."""

    kind: ConstraintKind
    name: str | None
    """None: PostgreSQL makes one up."""
    columns: tuple[str, ...] = ()
    expression: Tokens = ()
    """Of a CHECK."""
    not_valid: bool = False
    nulls_not_distinct: bool = False
    using_index: str | None = None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as CREATE TABLE or ADD COLUMN says it."""

    name: str
    type: Tokens
    not_null: bool
    default: Tokens
    generated: bool
    """GENERATED ALWAYS AS (expression)."""
    stored: bool
    identity: bool
    constraints: tuple[Constraint, ...]
    line: int


# --- tables -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTable:
    """CREATE TABLE, also AS a query or as a partition."""

    name: Name
    if_not_exists: bool
    temporary: bool
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddColumn:
    """ALTER TABLE ... ADD COLUMN."""

    column: Column
    if_not_exists: bool
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DropColumn:
    """ALTER TABLE ... DROP COLUMN."""

    column: str
    cascade: bool
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameColumn:
    """ALTER TABLE ... RENAME COLUMN."""

    column: str
    to: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNotNull:
    """ALTER TABLE ... ALTER COLUMN ... SET NOT NULL, or DROP NOT NULL."""

    column: str
    not_null: bool
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeType:
    """ALTER TABLE ... ALTER COLUMN ... TYPE."""

    column: str
    using: Tokens
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddConstraint:
    """ALTER TABLE ... ADD CONSTRAINT."""

    constraint: Constraint
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DropConstraint:
    """ALTER TABLE ... DROP CONSTRAINT."""

    constraint: str
    cascade: bool
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateConstraint:
    """ALTER TABLE ... VALIDATE CONSTRAINT."""

    constraint: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameConstraint:
    """ALTER TABLE ... RENAME CONSTRAINT."""

    constraint: str
    to: str
    line: int


Action = (
    AddColumn
    | DropColumn
    | RenameColumn
    | SetNotNull
    | ChangeType
    | AddConstraint
    | DropConstraint
    | ValidateConstraint
    | RenameConstraint
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterTable:
    """ALTER TABLE with those of its actions that are understood."""

    name: Name
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIndex:
    """CREATE INDEX."""

    name: str | None
    """None: PostgreSQL makes one up."""
    table: Name
    keys: tuple[str, ...]
    """Column names, or expressions as text."""
    columns: frozenset[str]
    """Every name that occurs in a key."""
    unique: bool
    concurrently: bool
    nulls_not_distinct: bool
    where: Tokens


# --- other objects ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateView:
    """CREATE VIEW, materialized or not."""

    name: Name
    materialized: bool
    temporary: bool
    options: Tokens
    """What WITH (...) says."""
    mentions: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetViewOptions:
    """ALTER VIEW ... SET (...)."""

    name: Name
    options: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRoutine:
    """CREATE FUNCTION, PROCEDURE or AGGREGATE."""

    name: Name
    volatile: bool
    """Neither STABLE nor IMMUTABLE."""
    search_path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateObject:
    """CREATE of anything else that is known by name only."""

    kind: ObjectKind
    name: Name
    of: Name | None = None
    """Table of a trigger or a policy."""
    mentions: frozenset[str] = frozenset()
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """DROP of anything."""

    kind: ObjectKind | None
    """None: something the lint does not follow."""
    names: tuple[Name, ...]
    of: Name | None
    cascade: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """ALTER ... RENAME TO, or SET SCHEMA."""

    kind: ObjectKind
    name: Name
    to: Name
    of: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEnumValue:
    """ALTER TYPE ... ADD VALUE."""

    type: Name
    value: str


# --- data and settings ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One `column = expression` of an UPDATE."""

    column: str
    expression: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """UPDATE."""

    table: Name
    assignments: tuple[Assignment, ...]
    sources: Tokens
    """What FROM says."""
    where: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """DELETE."""

    table: Name
    where: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """TRUNCATE."""

    cascade: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSearchPath:
    """SET search_path, also for a role or a database."""

    schemas: tuple[str, ...]
    session: bool
    """False: for later sessions of a role or a database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Anything else."""


Ddl = (
    CreateTable
    | AlterTable
    | CreateIndex
    | CreateView
    | SetViewOptions
    | CreateRoutine
    | CreateObject
    | Drop
    | Rename
    | AddEnumValue
    | Update
    | Delete
    | Truncate
    | SetSearchPath
    | Other
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A statement as the lint sees it; each one inside a DO block is one of its own."""

    what: Ddl
    line: int
    tokens: Tokens
    """Without comments."""
