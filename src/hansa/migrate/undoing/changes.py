"""Changes back what is still there and not as it was, aspect by aspect."""

import re
from collections.abc import Callable, Iterator, Mapping

from hansa.migrate.catalog import Difference, DifferenceKind
from hansa.migrate.catalog.snapshot import PART_OF, Aspects
from hansa.migrate.undoing.creations import Former, constraint, options, sequence
from hansa.migrate.undoing.things import Thing, alter, drop, reference, thing

_GRANT = re.compile(r"grant on (?P<object>.+) to (?P<grantee>.+)", re.DOTALL)
_STATES = {
    "enabled": "ENABLE",
    "disabled": "DISABLE",
    "enabled on replicas only": "ENABLE REPLICA",
    "enabled always": "ENABLE ALWAYS",
}
_REPLICA = {"default": "DEFAULT", "nothing": "NOTHING", "full": "FULL"}


def back(difference: Difference, former: Former, now: Aspects) -> Iterator[str]:
    """Statements that undo a change, each trying the same; nothing when there is no way.

    `now` is what the object is by now.
    """
    name = difference.object
    if name.startswith("grant on "):
        yield from _grant(difference, former)
        return
    what = thing(name)
    if what is None or difference.aspect is None:
        return
    before = former.catalog.objects[name]
    if difference.aspect == "comment":
        value = "NULL" if difference.before is None else _literal(difference.before)
        yield f"COMMENT ON {reference(what, before)} IS {value}"
    elif difference.aspect == "owner":
        yield f"{alter(what, before)} OWNER TO {difference.before}"
    elif what.kind in _ASPECTS:
        yield from _ASPECTS[what.kind](what, difference, before, now)
    elif what.kind in ("function", "procedure"):
        definition = former.routine(what.name)
        if definition is not None:
            yield definition
    else:
        yield from _anew(what, former, name, now)


def remade(difference: Difference, former: Former, now: Aspects) -> Iterator[str]:
    """The same by dropping the object and making it again, where nothing it holds gets lost by that."""
    what = thing(difference.object)
    if what is not None and what.kind in ("view", "function", "procedure"):
        yield from _anew(what, former, difference.object, now)


def _anew(what: Thing, former: Former, name: str, now: Aspects) -> Iterator[str]:
    statement = former.create(name)
    if statement is not None and what.kind not in ("table", "sequence", "schema", "extension", "enum", "type", "range"):
        yield f"{drop(what, now)};\n{statement}"


def _table(what: Thing, difference: Difference, _before: Aspects, _now: Aspects) -> Iterator[str]:
    value, table = difference.before, f"ALTER TABLE {what.name}"
    match difference.aspect or "":
        case "row-level security":
            yield f"{table} {'ENABLE' if value == 'on' else 'DISABLE'} ROW LEVEL SECURITY"
        case "forced row-level security":
            yield f"{table} {'FORCE' if value == 'on' else 'NO FORCE'} ROW LEVEL SECURITY"
        case "persistence":
            yield f"{table} SET {'UNLOGGED' if value == 'unlogged' else 'LOGGED'}"
        case "replica identity" if value in _REPLICA:
            yield f"{table} REPLICA IDENTITY {_REPLICA[value]}"
        case "replica identity" if value is not None and value.startswith("index "):
            yield f"{table} REPLICA IDENTITY USING {value.replace('index ', 'INDEX ', 1)}"
        case "tablespace":
            yield f"{table} SET TABLESPACE {value or 'pg_default'}"
        case "partition of" if value is not None:
            parent, _, bound = value.partition(" ")
            yield f"ALTER TABLE {parent} ATTACH PARTITION {what.name} {bound}"
        case "partition of" if difference.after is not None:
            yield f"ALTER TABLE {difference.after.partition(' ')[0]} DETACH PARTITION {what.name}"
        case aspect if aspect.startswith("option "):
            yield _option(table, difference)
        case _:
            return


def _column(what: Thing, difference: Difference, before: Aspects, now: Aspects) -> Iterator[str]:
    value, beginning = difference.before, f"ALTER TABLE {what.of} ALTER COLUMN {what.name}"
    match difference.aspect:
        case "type" | "collation":
            yield from _column_type(what, before, beginning)
        case "null":
            yield f"{beginning} {'DROP' if value == 'allowed' else 'SET'} NOT NULL"
            named = re.search(r", by constraint (.+)$", value or "")
            if named:
                added = f"ALTER TABLE {what.of} ADD CONSTRAINT {named[1]} NOT NULL {what.name}"
                yield f"{beginning} DROP NOT NULL;\n{added}"
        case "default":
            yield f"{beginning} " + ("DROP DEFAULT" if value is None else f"SET DEFAULT {value}")
        case "identity":
            yield f"{beginning} {_identity(value, difference.after)}"
        case "generated value" if value is None and now.get("generated value") is not None:
            yield f"{beginning} DROP EXPRESSION"
        case "storage" | "compression":
            yield f"{beginning} SET {difference.aspect.upper()} {(value or 'default').upper()}"
        case "statistics target":
            yield f"{beginning} SET STATISTICS {value or -1}"
        case _:
            return


def _column_type(what: Thing, before: Aspects, beginning: str) -> Iterator[str]:
    """As it can be cast, or else by way of text, or else without the default meanwhile."""
    collation = f" COLLATE {before['collation']}" if before.get("collation") else ""
    to = before["type"]
    by_text = f"{beginning} TYPE {to}{collation} USING {what.name}::text::{to}"
    default = f";\n{beginning} SET DEFAULT {before['default']}" if before.get("default") is not None else ""
    yield f"{beginning} TYPE {to}{collation} USING {what.name}::{to}"
    yield by_text
    yield f"{beginning} DROP DEFAULT;\n{by_text}{default}"


def _identity(before: str | None, after: str | None) -> str:
    if before is None:
        return "DROP IDENTITY"
    return f"ADD GENERATED {before.upper()} AS IDENTITY" if after is None else f"SET GENERATED {before.upper()}"


def _constraint(what: Thing, _difference: Difference, before: Aspects, now: Aspects) -> Iterator[str]:
    yield f"{drop(what, now)};\n{constraint(what, before)}"


def _trigger(what: Thing, difference: Difference, before: Aspects, now: Aspects) -> Iterator[str]:
    state = f"ALTER TABLE {what.of} {_STATES[before['state'] or 'enabled']} TRIGGER {what.name}"
    if difference.aspect == "state":
        yield state
    else:
        yield f"{drop(what, now)};\n{(before['definition'] or '').rstrip(';')}"


def _index(what: Thing, difference: Difference, before: Aspects, now: Aspects) -> Iterator[str]:
    table = (before.get(PART_OF) or "").rpartition(" ")[2]
    if difference.aspect == "clustered":
        yield f"ALTER TABLE {table} " + (
            f"CLUSTER ON {what.name.rpartition('.')[2]}" if difference.before == "yes" else "SET WITHOUT CLUSTER"
        )
    elif (difference.aspect or "").startswith("option "):
        yield _option(f"ALTER INDEX {what.name}", difference)
    elif difference.aspect == "definition" and before.get("definition"):
        yield f"{drop(what, now)};\n{before['definition']}"


def _view(what: Thing, difference: Difference, before: Aspects, _now: Aspects) -> Iterator[str]:
    if (difference.aspect or "").startswith("option "):
        yield _option(f"ALTER VIEW {what.name}", difference)
    elif difference.aspect == "definition":
        chosen = options(before)
        chosen = f" WITH ({chosen})" if chosen else ""
        yield f"CREATE OR REPLACE VIEW {what.name}{chosen} AS\n{(before['definition'] or '').rstrip(';')}"


def _sequence(what: Thing, difference: Difference, before: Aspects, _now: Aspects) -> Iterator[str]:
    if difference.aspect == "owning column":
        yield f"ALTER SEQUENCE {what.name} OWNED BY {difference.before or 'NONE'}"
    elif difference.aspect != "persistence":
        yield f"ALTER SEQUENCE {what.name} {sequence(before)}"


def _domain(what: Thing, difference: Difference, _before: Aspects, _now: Aspects) -> Iterator[str]:
    value = difference.before
    if difference.aspect == "default":
        yield f"ALTER DOMAIN {what.name} " + ("DROP DEFAULT" if value is None else f"SET DEFAULT {value}")
    elif difference.aspect == "null":
        yield f"ALTER DOMAIN {what.name} {'DROP' if value == 'allowed' else 'SET'} NOT NULL"


def _nothing(_what: Thing, _difference: Difference, _before: Aspects, _now: Aspects) -> Iterator[str]:
    """Labels of an enum cannot be taken back, and of the rest too little is known."""
    yield from ()


def _option(beginning: str, difference: Difference) -> str:
    name = (difference.aspect or "").removeprefix("option ")
    if difference.before is None:
        return f"{beginning} RESET ({name})"
    return f"{beginning} SET ({name} = {_literal(difference.before)})"


def _grant(difference: Difference, former: Former) -> Iterator[str]:
    """Grants are objects of their own in a snapshot, and each of their aspects is a privilege."""
    match = _GRANT.fullmatch(difference.object)
    what = thing(match["object"]) if match is not None else None
    if match is None or what is None:
        return
    target = match["object"]
    above = former.catalog.objects.get(target, {})
    keyword = reference(what, above).replace("MATERIALIZED VIEW ", "").removeprefix("VIEW ")
    grantee = match["grantee"] if match["grantee"] != "its owner" else above.get("owner") or "CURRENT_USER"
    given_up = match["grantee"] == "its owner"
    before = former.catalog.objects.get(difference.object, {})
    wanted = {aspect: how for aspect, how in before.items() if aspect.isupper()}
    if what.kind == "column":
        table, column = what.of, what.name
        revoke = f"REVOKE ALL ({column}) ON {table} FROM {grantee}"
        grants = [
            f"GRANT {privilege} ({column}) ON {table} TO {grantee}{_pass_on(how)}" for privilege, how in wanted.items()
        ]
    elif given_up:
        revoke = f"GRANT ALL ON {keyword} TO {grantee}"
        grants = [f"REVOKE {privilege} ON {keyword} FROM {grantee}" for privilege in wanted]
    else:
        revoke = f"REVOKE ALL ON {keyword} FROM {grantee}"
        grants = [f"GRANT {privilege} ON {keyword} TO {grantee}{_pass_on(how)}" for privilege, how in wanted.items()]
    yield ";\n".join([*([] if difference.kind is DifferenceKind.REMOVED else [revoke]), *grants])


def _pass_on(how: str | None) -> str:
    return " WITH GRANT OPTION" if how is not None and "passed on" in how else ""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_ASPECTS: Mapping[str, Callable[[Thing, Difference, Aspects, Aspects], Iterator[str]]] = {
    "column": _column,
    "constraint": _constraint,
    "domain": _domain,
    "enum": _nothing,
    "index": _index,
    "range": _nothing,
    "sequence": _sequence,
    "table": _table,
    "trigger": _trigger,
    "type": _nothing,
    "view": _view,
}
