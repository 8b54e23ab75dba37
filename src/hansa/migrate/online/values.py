"""Value maps: for each old value what it becomes, without a word for `everything else`.

    [role_agent_status]
    fold = ["trim", "lower"]                # how an old value is made comparable; none when absent
    quarantine = ["unknown"]                # rows with these values have no place and are set aside whole
    [role_agent_status.values]
    active = "active"
    revoked = "retired"

There is no default on purpose: a value that nobody thought of stops the operation before it starts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hansa.migrate.online.errors import BadMap

SPACE = " \t\n\r\f\v"
_LOWER = {ordinal: ordinal + 32 for ordinal in range(ord("A"), ord("Z") + 1)}
FOLDS: Mapping[str, Callable[[str], str]] = {
    "trim": lambda text: text.strip(SPACE),
    "lower": lambda text: text.translate(_LOWER),
}
"""Only what SQL does exactly the same, on every server: see FOLDS_SQL."""
FOLDS_SQL = {
    "trim": "pg_catalog.btrim({}, E' \\t\\n\\r\\f\\v')",
    "lower": 'pg_catalog.lower(({}) COLLATE "C")',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueMap:
    """What each old value becomes. Old values are compared after folding."""

    values: Mapping[str, str]
    quarantine: tuple[str, ...] = ()
    fold: tuple[str, ...] = ()

    def folded(self, old: str) -> str:
        for name in self.fold:
            old = FOLDS[name](old)
        return old

    def folded_sql(self, expression: str) -> str:
        """The same in SQL: an expression of type text over one of type text."""
        for name in self.fold:
            expression = FOLDS_SQL[name].format(expression)
        return expression

    def new(self, old: str) -> str | None:
        """The new value; None when the row has no place. Raises KeyError for a value nobody thought of."""
        found = self.folded(old)
        return None if found in self.quarantine else self.values[found]


def read_map(where: str, table: object) -> ValueMap:
    """A map from its table. Raises BadMap."""
    match table:
        case {"values": dict(values), **rest} if all(isinstance(new, str) for new in values.values()):
            pass
        case _:
            raise BadMap(f'{where}: write [{where.rpartition(" ")[2]}.values] with an old value = "new value" a line')
    fold, quarantine = rest.pop("fold", []), rest.pop("quarantine", [])
    if rest:
        raise BadMap(f"{where}: {next(iter(rest))} is unknown; a map has values, quarantine and fold, and no default")
    if not isinstance(fold, list) or not all(isinstance(name, str) and name in FOLDS for name in fold):
        raise BadMap(f"{where}: fold lists {' and '.join(FOLDS)}")
    if not isinstance(quarantine, list) or not all(isinstance(old, str) for old in quarantine):
        raise BadMap(f"{where}: quarantine lists old values")
    made = ValueMap(values=values, quarantine=tuple(quarantine), fold=tuple(fold))
    for old in (*values, *quarantine):
        if made.folded(old) != old:
            raise BadMap(f"{where}: {old!r} can never match, because values are folded to {made.folded(old)!r} first")
    if twice := sorted(set(values) & set(quarantine)):
        raise BadMap(f"{where}: {twice[0]!r} is both mapped and quarantined")
    return made
