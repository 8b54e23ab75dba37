"""New labels for an enum type.

    [[operation]]
    kind = "extend_enum"
    type = "governance.role_agent_status"
    values = ["suspended"]
    after = "active"

PostgreSQL adds labels in an instant and never takes one away, so the way back makes the type again without them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from psycopg import sql

from hansa.migrate.online import enum_types
from hansa.migrate.online.enum_types import Use
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.operation import Alone, Run, Step, Transaction
from hansa.migrate.online.relations import NoSuchType, enum, refuse_hidden_rows, verbatim

WANTED, ANALYZE = "wanted", "analyze"
MB = 1024 * 1024


class LabelExists(OperationRefused):
    """The type has that label already."""


class RewriteTooLarge(OperationRefused):
    """The way back would rewrite more under a lock than the operation allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendEnum:
    """Adds them one by one; nobody waits.

    The way back refuses while a row, a default or a constraint uses one of them. Else it makes the type again and
    rewrites the tables with columns of it under a lock, which is why it has a bound.
    """

    kind: ClassVar[str] = "extend_enum"
    type: str
    values: tuple[str, ...]
    before: str | None = None
    """A label that the new ones come before; without it and `after` they come last."""
    after: str | None = None
    """A label that the new ones follow."""
    rewrite_mb_max: int = 64
    """The way back refuses to rewrite more than this: the tables with columns of the type are locked meanwhile."""

    def __post_init__(self) -> None:
        if self.before is not None and self.after is not None:
            raise BadOperation("say where the new labels go by `before` or by `after`, not by both")
        if len(set(self.values)) < len(self.values):
            raise BadOperation("values has a label twice")
        if self.rewrite_mb_max < 0:
            raise BadOperation("rewrite_mb_max must not be negative")

    @property
    def target(self) -> str:
        return f"type {self.type}"

    def up(self) -> Sequence[Step]:
        return (Transaction("preflight", self._preflight), Alone("add", self._add))

    def down(self) -> Sequence[Step]:
        return (
            Transaction("look back", self._look_back),
            Transaction("rebuild", self._rebuild),
            Alone("analyze", self._analyze),
        )

    def _preflight(self, run: Run) -> None:
        if run.facts.get(WANTED):
            return  # a way back was begun and given up
        name, labels = enum(run, self.type)
        for place in (self.before, self.after):
            if place is not None and place not in labels:
                raise NoSuchType(f"{name} has no label {place}; it has {', '.join(labels)}")
        if there := [value for value in self.values if value in labels]:
            raise LabelExists(f"{name} has {', '.join(there)} already")
        run.facts[WANTED] = True

    def _add(self, run: Run) -> None:
        name, _ = enum(run, self.type)
        last = self.after
        for value in self.values:
            place = sql.SQL("")
            if self.before is not None:
                place = sql.SQL(" BEFORE {}").format(sql.Literal(self.before))
            elif last is not None:
                place = sql.SQL(" AFTER {}").format(sql.Literal(last))
                last = value
            run.execute(
                sql.SQL("ALTER TYPE {} ADD VALUE IF NOT EXISTS {}{}").format(verbatim(name), sql.Literal(value), place)
            )

    def _look_back(self, run: Run) -> None:
        use, _ = self._to_take_back(run)
        if use is not None and use.size > self.rewrite_mb_max * MB:
            raise RewriteTooLarge(
                f"taking labels from {self.type} rewrites {use.size // MB} MB under a lock, more than rewrite_mb_max = "
                f"{self.rewrite_mb_max}; leave them, or do it when nobody needs those tables"
            )

    def _rebuild(self, run: Run) -> None:
        use, labels = self._to_take_back(run)
        if use is None:
            return
        enum_types.lock(run, use)
        enum_types.refuse_used(run, use, self.values)  # again: nobody writes any more
        enum_types.rebuild(run, use, labels)
        run.facts[ANALYZE] = [column.table for column in use.columns]

    def _analyze(self, run: Run) -> None:
        """The planner knows nothing of columns that were rewritten."""
        for table in run.facts.pop(ANALYZE, ()):
            run.execute(sql.SQL("ANALYZE {}").format(verbatim(table)))
        run.facts.pop(WANTED, None)

    def _to_take_back(self, run: Run) -> tuple[Use | None, tuple[str, ...]]:
        """Where the type is used, found fit to be rebuilt, and the labels that stay; None when none was added."""
        if not run.facts.get(WANTED):
            return None, ()
        name, labels = enum(run, self.type)
        if not set(labels) & set(self.values):
            return None, ()
        use = enum_types.use_of(run, name)
        refuse_hidden_rows(run, [column.oid for column in use.columns])
        enum_types.refuse_used(run, use, self.values)
        return use, tuple(label for label in labels if label not in self.values)
