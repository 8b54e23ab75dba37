"""What must hold of every table, constraint, routine and right. Each test reads the catalog of a migrated database."""

from __future__ import annotations

import ast
import importlib
import re
from enum import StrEnum

from architecture import catalog
from architecture.catalog import LEVEL, Connection
from architecture.rules import nobody_breaks
from architecture.source import modules
from hansa.kernel.errors import REFUSALS

PERSONAL = {"identity.users", "identity.user_dids", "identity.sessions", "discovery.agent_queries"}
"""Rows about one person or one caller; beside them every table that belongs to an organization or a role agent."""
TENANT = {"organization_id", "role_agent_id"}

DEFINERS: dict[str, str] = {}
"""Routine that runs with its owner's rights -> why it must. There is none: the application has what it needs."""

SPOKEN_IN_SQL_ALONE = {"credits.account_kind": "only the books tell system accounts from agents'"}
"""Closed sets that no statement gives or takes, so Python needs no word for them."""

RIGHTS_OF_NO_USE = ("TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")


def test_foreign_keys_point_down(schema: Connection):
    found = catalog.rows(
        schema,
        """
        SELECT k.conname AS name, n.nspname AS source, tn.nspname AS target
          FROM pg_constraint AS k
          JOIN pg_namespace AS n ON n.oid = k.connamespace
          JOIN pg_class AS t ON t.oid = k.confrelid
          JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
         WHERE k.contype = 'f'
           AND n.nspname = ANY (%(ours)s)
        """,
    )

    upward = [key for key in found if LEVEL[key["target"]] > LEVEL[key["source"]]]

    assert found
    nobody_breaks("a lower row names a higher thing by an opaque (kind, id), without a foreign key", upward)


def constraints(schema: Connection) -> list[str]:
    """Every named rule that PostgreSQL can report: constraints, and unique indexes that are none."""
    return catalog.names(
        schema,
        """
        SELECT k.conname::text
          FROM pg_constraint AS k
          JOIN pg_namespace AS n ON n.oid = k.connamespace
         WHERE n.nspname = ANY (%(ours)s)
           AND k.contype IN ('c', 'u', 'p', 'f', 'x')
           AND k.conparentid = 0
           AND k.coninhcount = 0
         UNION ALL
        SELECT i.relname::text
          FROM pg_index AS x
          JOIN pg_class AS i ON i.oid = x.indexrelid
          JOIN pg_namespace AS n ON n.oid = i.relnamespace
         WHERE n.nspname = ANY (%(ours)s)
           AND x.indisunique
           AND NOT i.relispartition
           AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype IN ('u', 'p', 'x'))
        """,
    )


def raised(schema: Connection) -> set[str]:
    """Names that routines give to what they refuse."""
    return {name for routine in catalog.routines(schema) for name in routine.raises}


def test_every_rule_of_the_database_has_a_refusal(schema: Connection):
    nameless = sorted({*constraints(schema), *raised(schema)} - set(REFUSALS))

    nobody_breaks("name each in `constraint = ...` of a refusal in the context's errors.py", nameless)


def test_every_refusal_speaks_for_a_rule_that_exists(schema: Connection):
    invented = {name: REFUSALS[name].__qualname__ for name in set(REFUSALS) - {*constraints(schema), *raised(schema)}}

    nobody_breaks("a refusal names constraints, or what a RAISE ... USING CONSTRAINT names", invented)


def test_every_exception_of_a_routine_has_a_name(schema: Connection):
    nameless = [
        f"{routine.name}: {' '.join(raising.split())}"
        for routine in catalog.routines(schema)
        for raising in re.findall(r"RAISE\s+EXCEPTION\b[^;]*;", routine.body)
        if not re.search(r"CONSTRAINT\s*=\s*''", raising)
    ]

    nobody_breaks("RAISE ... USING CONSTRAINT = 'a_literal_name', so that a refusal can speak for it", nameless)


def test_the_name_of_a_constraint_is_unique_over_the_whole_database(schema: Connection):
    found = constraints(schema)

    twice = {name for name in found if found.count(name) > 1}

    nobody_breaks("an error carries the constraint's name only, so two of one name cannot be told apart", twice)


def test_partitions_report_the_names_of_their_table(schema: Connection):
    """A unique violation names the partition's own index, which no refusal can speak for."""
    found = catalog.names(
        schema,
        """
        SELECT i.relname::text
          FROM pg_index AS x
          JOIN pg_class AS i ON i.oid = x.indexrelid
          JOIN pg_namespace AS n ON n.oid = i.relnamespace
         WHERE n.nspname = ANY (%(ours)s)
           AND x.indisunique
           AND i.relispartition
        """,
    )

    assert set(found) <= set(REFUSALS)


def test_every_table_view_and_routine_says_what_it_is(schema: Connection):
    silent = [name for name, row in catalog.relations(schema).items() if not row["comment"]]
    silent += [f"{routine.name}()" for routine in catalog.routines(schema) if not routine.comment]

    nobody_breaks("COMMENT ON ... IS 'one sentence with its unit'", silent)


def test_every_closed_set_is_the_same_in_python(schema: Connection):
    found = catalog.enums(schema)

    different = {
        name: labels
        for name, labels in found.items()
        if name not in SPOKEN_IN_SQL_ALONE and labels not in closed_sets_in_python(name.partition(".")[0])
    }

    assert found
    nobody_breaks("a type of closed values is a StrEnum of its context or the kernel, label for label", different)


def closed_sets_in_python(context: str) -> list[list[str]]:
    """The labels of every StrEnum that a context or the kernel defines, in the order of the alphabet."""
    defined = (
        getattr(importlib.import_module(module.name), name)
        for module in modules().values()
        for name, statement in module.definitions.items()
        if module.context in {context, "kernel"} and isinstance(statement, ast.ClassDef)
    )
    return [sorted(found) for found in defined if issubclass(found, StrEnum)]


def test_the_application_owns_nothing_and_bypasses_nothing(schema: Connection):
    role = catalog.rows(
        schema,
        """
        SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
               EXISTS (SELECT FROM pg_auth_members AS m WHERE m.member = r.oid) AS belongs_to_a_role,
               EXISTS (SELECT FROM pg_shdepend AS d
                        WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o') AS owns,
               has_database_privilege(r.oid, current_database(), 'CREATE') AS creates_schemas,
               EXISTS (SELECT FROM pg_namespace AS n
                        WHERE n.nspname NOT LIKE 'pg\\_%%'
                          AND has_schema_privilege(r.oid, n.oid, 'CREATE')) AS creates_tables
          FROM pg_roles AS r
         WHERE r.rolname = 'hansa_app'
        """,
    )

    assert [name for name, granted in role[0].items() if granted] == []


def test_the_application_has_no_right_that_it_has_no_use_for(schema: Connection):
    found = catalog.rows(
        schema,
        """
        SELECT n.nspname || '.' || c.relname AS relation, g.privilege_type AS right,
               CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS role
          FROM pg_class AS c
          JOIN pg_namespace AS n ON n.oid = c.relnamespace,
               aclexplode(c.relacl) AS g
         WHERE n.nspname = ANY (%(ours)s)
           AND g.grantee <> c.relowner
        """,
    )

    excess = [row for row in found if row["role"] != "hansa_app" or row["right"] in RIGHTS_OF_NO_USE]

    assert found
    nobody_breaks("what is not granted cannot be misused; change the context's policies.sql", excess)


def test_personal_and_tenant_tables_are_shut_for_everybody_else(schema: Connection):
    found = catalog.relations(schema)
    tenant = {
        name
        for name, row in found.items()
        if row["schema"] == "governance" and row["kind"] in "rp" and TENANT & set(row["columns"])
    }

    open_ones = [name for name in sorted(PERSONAL | tenant) if not (found[name]["rls"] and found[name]["forced"])]
    half_shut = [name for name, row in found.items() if row["rls"] and not (row["forced"] and row["has_policies"])]

    nobody_breaks("ENABLE and FORCE ROW LEVEL SECURITY in the context's policies.sql", open_ones)
    nobody_breaks("without FORCE the owner sees everything, without a policy nobody sees anything", half_shut)


def test_views_look_with_the_rights_of_who_asks(schema: Connection):
    found = catalog.relations(schema)

    with_owners_rights = [
        name
        for name, row in found.items()
        if row["kind"] == "v" and not {"security_invoker=true", "security_invoker=on"} & set(row["options"] or [])
    ]

    nobody_breaks("CREATE VIEW ... WITH (security_invoker): else it leaks what row security hides", with_owners_rights)


def test_routines_with_their_owners_rights_are_listed_with_a_reason(schema: Connection):
    definers = {routine.name for routine in catalog.routines(schema) if routine.definer}

    assert definers == set(DEFINERS)


def test_every_routine_has_an_empty_search_path(schema: Connection):
    loose = [
        routine.name
        for routine in catalog.routines(schema)
        if not {'search_path=""', "search_path=pg_catalog"} & set(routine.settings)
    ]

    nobody_breaks("SET search_path = '': else the caller decides what a name in the body means", loose)


def test_no_routine_composes_statements(schema: Connection):
    """What a statement touches must be readable in it: by people, by the planner, and by the tests beside this one."""
    dynamic = [
        routine.name
        for routine in catalog.routines(schema)
        if re.search(
            r"\bEXECUTE\b|\bRETURN\s+QUERY\s+EXECUTE\b|\bOPEN\s+\w+\s+FOR\s+EXECUTE\b", routine.body, re.IGNORECASE
        )
    ]

    nobody_breaks("write the statement out; dynamic SQL hides what it touches", dynamic)
