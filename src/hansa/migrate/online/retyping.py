"""A change of a column's type by expressions of the user: what was decided, its values as SQL, and its triggers.

The old column and the one of the new type live side by side, each following the other by trigger. An expression that
raises never fails a client: the following column gets NULL, and the step that relies on it refuses by name.

The expressions stand in the triggers as they are, because whoever writes the table may not look into schema mig; only
the engine itself uses the two functions there, which tell what a value becomes, or why it does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from hansa.migrate.online.conversion import Plan
from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import OURS, InTheWay, Relation, spelled_out, verbatim

FORTH, BACK = "forth", "back"


class BadExpression(OperationRefused):
    """PostgreSQL does not take an expression of the operation, or what it makes of a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retyping:
    """What becomes of which column."""

    plan: Plan
    """Table, names, and everything that hangs on the column; its map stays empty."""
    using: str
    """The new value, in terms of the column's name."""
    back: str
    """The old value, in terms of the column's name."""
    default: str | None
    """Expression; None for a column without one."""

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"plan": self.plan.facts(), "using": self.using, "back": self.back, "default": self.default}

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Retyping":
        """The value that `facts` came from."""
        return cls(plan=Plan.read(facts["plan"]), using=facts["using"], back=facts["back"], default=facts["default"])

    def becomes(self, direction: str, value: sql.Composable) -> sql.Composed:
        """What a value becomes, as text; NULL when the expression raises."""
        return sql.SQL("(mig.{}({})).becomes").format(self._function(direction), value)

    def problem(self, direction: str, value: sql.Composable) -> sql.Composed:
        """Why a value becomes nothing; NULL when it becomes something."""
        return sql.SQL("(mig.{}({})).problem").format(self._function(direction), value)

    def unconverted(self) -> sql.Composed:
        """Rows that a look must be taken at before the swap; most are just NULL."""
        return sql.SQL("{} IS NULL").format(sql.Identifier(self.plan.new))

    def _function(self, direction: str) -> sql.Identifier:
        return sql.Identifier(self.plan.name(direction))

    def expression(self, direction: str) -> tuple[str, str, str]:
        """Expression, type it takes, type it makes."""
        before, after = self.plan.before.type, self.plan.type
        return (self.using, before, after) if direction == FORTH else (self.back, after, before)

    def computed(self, direction: str, value: sql.Composable, into: str) -> sql.Composed:
        """The plpgsql statement that computes what a value becomes; it raises what an INSERT would raise."""
        expression, _, _ = self.expression(direction)
        return sql.SQL("SELECT ({expression}) INTO {into} FROM (SELECT {value} AS {column}) AS r;").format(
            expression=verbatim(expression), into=verbatim(into), value=value, column=sql.Identifier(self.plan.column)
        )


def make_functions(run: Run, retyping: Retyping) -> None:
    """The functions of schema mig that tell what a value becomes. Can be repeated."""
    for direction in (FORTH, BACK):
        _, takes, makes = retyping.expression(direction)
        body = sql.SQL("""
DECLARE
  v_becomes {makes};
BEGIN
  {computed}
  becomes := v_becomes::text;
EXCEPTION WHEN OTHERS THEN
  problem := SQLERRM;
END""").format(makes=verbatim(makes), computed=retyping.computed(direction, sql.SQL("p_value"), "v_becomes"))
        run.execute(
            sql.SQL("""
              CREATE OR REPLACE FUNCTION mig.{}(p_value {}, OUT becomes text, OUT problem text)
              LANGUAGE plpgsql STABLE SET search_path = '' AS {}
            """).format(
                sql.Identifier(retyping.plan.name(direction)),
                verbatim(takes),
                sql.Literal(body.as_string(run.connection)),
            )
        )


def drop_functions(run: Run, retyping: Retyping) -> None:
    for direction in (FORTH, BACK):
        run.execute(sql.SQL("DROP FUNCTION IF EXISTS mig.{}").format(sql.Identifier(retyping.plan.name(direction))))


def follow_old(run: Run, retyping: Retyping, table: Relation) -> None:
    """From now on the new column follows the old one."""
    new, old = sql.Identifier("new", retyping.plan.new), sql.Identifier("new", retyping.plan.column)
    body = sql.SQL("""
BEGIN
  BEGIN
    {computed}
  EXCEPTION WHEN OTHERS THEN
    {new} := NULL;
  END;
  RETURN NEW;
END""").format(computed=retyping.computed(FORTH, old, new.as_string(None)), new=new)
    _trigger(run, table, retyping.plan.name("forward"), body)


def follow_new(run: Run, retyping: Retyping, table: Relation) -> None:
    """From now on the old column follows the new one where that changes.

    Only a client that inserts by position, without naming columns, still writes the old one; its value counts.
    """
    new, old = sql.Identifier("new", retyping.plan.column), sql.Identifier("new", retyping.plan.old)
    body = sql.SQL("""
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF {new}::text IS NOT DISTINCT FROM {before}::text THEN RETURN NEW; END IF;
  ELSIF {old} IS NOT NULL THEN
    {forth}
    RETURN NEW;
  END IF;
  BEGIN
    {back}
  EXCEPTION WHEN OTHERS THEN
    {old} := NULL;
  END;
  RETURN NEW;
END""").format(
        new=new,
        old=old,
        before=sql.Identifier("old", retyping.plan.column),
        forth=retyping.computed(FORTH, old, new.as_string(None)),
        back=retyping.computed(BACK, new, old.as_string(None)),
    )
    _trigger(run, table, retyping.plan.name("reverse"), body)


def refuse_expressions(run: Run, retyping: Retyping) -> None:
    """Raises BadExpression with what PostgreSQL says of an expression, without a look at any row."""
    for direction in (FORTH, BACK):
        expression, takes, makes = retyping.expression(direction)
        query = sql.SQL("INSERT INTO pg_temp.trial SELECT ({}) FROM (SELECT NULL::{} AS {}) AS r WHERE false").format(
            verbatim(expression), verbatim(takes), sql.Identifier(retyping.plan.column)
        )
        try:
            with spelled_out(run):
                run.execute(sql.SQL("CREATE TEMP TABLE trial (v {})").format(verbatim(makes)))
                run.execute(query)
        except psycopg.Error as error:
            raise BadExpression(
                f"{'using' if direction == FORTH else 'back'} = {expression!r}: {error.diag.message_primary}; "
                "names are written with their schema"
            ) from error


def refuse_unfit(run: Run, retyping: Retyping, table: Relation) -> None:
    """Raises InTheWay when an index, a CHECK or the default does not go with the new type: tried on an empty copy."""
    plan, column = retyping.plan, sql.Identifier(retyping.plan.column)
    copy = Relation(
        oid=0, schema="pg_temp", name=table.name, label=table.label, rows=0, size=0, hides_rows=table.hides_rows
    )
    alter = sql.SQL("ALTER TABLE {} ").format(copy.identifier)
    trials: list[tuple[str, sql.Composed]] = [
        (
            f"index {index.name}",
            index.definition(plan.name(f"trial {index.name}"), copy, plan.column, retyped=True, concurrently=False),
        )
        for index in plan.indexes
    ]
    trials += [
        (
            check.name,
            alter + sql.SQL("ADD CONSTRAINT {} {}").format(sql.Identifier(check.name), verbatim(check.definition)),
        )
        for check in plan.checks
    ]
    if retyping.default is not None:
        default = sql.SQL("ALTER {} SET DEFAULT {}").format(column, verbatim(retyping.default))
        trials.append((f"default = {retyping.default!r}", alter + default))
    with spelled_out(run):
        run.execute(sql.SQL("CREATE TEMP TABLE {} (LIKE {})").format(sql.Identifier(table.name), table.identifier))
        run.execute(alter + sql.SQL("DROP COLUMN {}").format(column))
        run.execute(alter + sql.SQL("ADD COLUMN {} {}").format(column, verbatim(plan.type)))
        for what, statement in trials:
            try:
                with run.connection.transaction():
                    run.execute(statement)
            except psycopg.Error as error:
                raise InTheWay(f"{what} does not go with {plan.type}: {error.diag.message_primary}") from error


def _trigger(run: Run, table: Relation, name: str, body: sql.Composed) -> None:
    """Run `body` for every row that is written, also by replication, after all other triggers of that kind."""
    text = body.as_string(run.connection).lstrip()
    identifier, trigger = sql.Identifier("mig", name), sql.Identifier(OURS + name)
    run.execute(
        sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS {}").format(
            identifier, sql.Literal(text)
        )
    )
    run.execute(
        sql.SQL("CREATE OR REPLACE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()").format(
            trigger, table.identifier, identifier
        )
    )
    run.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table.identifier, trigger))
