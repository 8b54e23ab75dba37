"""Each rule finds the literal it is for, at its line, and leaves what only looks like it alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hansa.migrate.lint import RULES

LONG = "role_agents_whose_standing_was_computed_from_evidence_of_the_past"
CONVERSION = """\
ALTER TABLE "role_agents" ADD COLUMN "status_new" "RoleAgentStatus" DEFAULT 'active';

UPDATE "role_agents" SET "status_new" =
    CASE
        WHEN "status" = 'active' THEN 'active'::"RoleAgentStatus"
        WHEN "status" = 'suspended' THEN 'suspended'::"RoleAgentStatus"
        ELSE 'active'::"RoleAgentStatus"
    END;
ALTER TABLE "role_agents" DROP COLUMN "status";
ALTER TABLE "role_agents" RENAME COLUMN "status_new" TO "status";
"""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A script, and where the rule is broken in it: (file, line, severity) each."""

    rule: str
    what: str
    up: str
    down: str = "SELECT 1;"
    transactional: bool = True
    places: list[tuple[str, int, str]] = field(default_factory=list)


def found(rule, what, up, *places, **more):
    return Example(rule=rule, what=what, up=up, places=[p if len(p) == 3 else ("up.sql", *p) for p in places], **more)


def clean(rule, what, up, **more):
    return Example(rule=rule, what=what, up=up, **more)


EXAMPLES = [
    # --- data
    found("else-coercion", "the literal plan", CONVERSION, (7, "error")),
    found(
        "else-coercion",
        "USING with a simple CASE",
        "ALTER TABLE role_agents ALTER COLUMN status TYPE kind\n USING (CASE lower(status) WHEN 'x' THEN 'a' ELSE 'b' END)::kind;",
        (2, "error"),
    ),
    found(
        "else-coercion",
        "COALESCE around a CASE without ELSE",
        "UPDATE role_agents SET name = coalesce(CASE status WHEN 'x' THEN 'a' END, 'b') WHERE level = 1;",
        (1, "error"),
    ),
    found(
        "else-coercion",
        "inside a DO block",
        "DO $$\nBEGIN\n  UPDATE role_agents SET name = CASE WHEN status IN ('x') THEN 'a'\n  ELSE CAST('b' AS text) END;\nEND $$;",
        (4, "error"),
    ),
    found(
        "else-coercion",
        "on the way back",
        "SELECT 1;",
        ("down.sql", 1, "error"),
        down="UPDATE role_agents SET status = CASE level WHEN 1 THEN 'low' ELSE 'high' END WHERE name IS NULL;",
    ),
    clean(
        "else-coercion",
        "an ELSE that keeps the value",
        "UPDATE role_agents SET status = CASE status WHEN 'todo' THEN 'cancelled' ELSE status END WHERE level = 1;",
    ),
    clean(
        "else-coercion",
        "a CASE without ELSE",
        "UPDATE role_agents SET status = CASE status WHEN 'Active' THEN 'active' END WHERE level = 1;",
    ),
    clean(
        "else-coercion",
        "a computation with a bound, which knows every number",
        "UPDATE role_agents SET level = CASE WHEN level > 0 THEN level ELSE 0 END WHERE name IS NULL;",
    ),
    clean(
        "else-coercion",
        "sizes, of which there are no unknown ones",
        "UPDATE role_agents SET name = CASE WHEN level >= 3 THEN 'high' ELSE 'low' END WHERE name IS NULL;",
    ),
    clean(
        "else-coercion",
        "a CASE in a query, in a comment and in a literal",
        "-- UPDATE role_agents SET name = CASE status WHEN 'x' THEN 'a' ELSE 'b' END\n"
        "SELECT CASE status WHEN 'x' THEN 'a' ELSE 'b' END FROM role_agents;\n"
        "COMMENT ON TABLE role_agents IS 'UPDATE role_agents SET name = CASE status WHEN 1 THEN 2 ELSE 3 END';",
    ),
    found("drop-after-update", "the literal plan, in a transaction", CONVERSION, (9, "warning")),
    found(
        "drop-after-update", "the literal plan, statement by statement", CONVERSION, (9, "error"), transactional=False
    ),
    found(
        "drop-after-update",
        "a cast into the new column",
        'UPDATE role_agents SET "level_new" = "level"::text WHERE id > \'\';\nALTER TABLE role_agents\n  DROP COLUMN "level";',
        (3, "warning"),
    ),
    found(
        "drop-after-update",
        "a table that the values came from",
        "UPDATE role_agents AS a SET name = o.id FROM organizations AS o WHERE o.id = a.id;\nDROP TABLE organizations;",
        (2, "warning"),
    ),
    clean(
        "drop-after-update",
        "a column that the UPDATE did not read",
        "UPDATE role_agents SET name = lower(name) WHERE level = 1; ALTER TABLE role_agents DROP COLUMN status;",
    ),
    clean(
        "drop-after-update",
        "the same column of another table",
        "UPDATE role_agents SET name = id WHERE level = 1; ALTER TABLE organizations DROP COLUMN id;",
    ),
    found("lost-not-null", "the literal plan", CONVERSION, (10, "error")),
    found(
        "lost-not-null",
        "a table of somebody else, where it can only be guessed",
        "ALTER TABLE mcp.policies ADD COLUMN status_new text;\nALTER TABLE mcp.policies DROP COLUMN status;\n"
        "ALTER TABLE mcp.policies RENAME COLUMN status_new TO status;",
        (3, "warning"),
    ),
    clean(
        "lost-not-null",
        "the new column is NOT NULL before it takes the name over",
        "ALTER TABLE role_agents ADD COLUMN status_new text NOT NULL DEFAULT 'x';"
        "ALTER TABLE role_agents DROP COLUMN status; ALTER TABLE role_agents RENAME COLUMN status_new TO status;",
    ),
    clean(
        "lost-not-null",
        "the new column becomes NOT NULL under the old name",
        CONVERSION + "ALTER TABLE role_agents ALTER COLUMN status SET NOT NULL;",
    ),
    clean(
        "lost-not-null",
        "a column that could be NULL before",
        "ALTER TABLE role_agents ADD COLUMN n text; ALTER TABLE role_agents DROP COLUMN name;"
        "ALTER TABLE role_agents RENAME COLUMN n TO name;",
    ),
    clean(
        "lost-not-null",
        "a plain rename",
        "ALTER TABLE role_agents RENAME COLUMN status TO state;",
    ),
    found("lost-index", "the literal plan", CONVERSION, (10, "error")),
    found(
        "lost-index",
        "columns that change places",
        "ALTER TABLE role_agents RENAME COLUMN status TO status_old;\n"
        "ALTER TABLE role_agents RENAME COLUMN name TO status;",
        (2, "error"),
    ),
    found(
        "lost-index",
        "a table of somebody else, where it can only be guessed",
        "ALTER TABLE theirs DROP COLUMN status;\nALTER TABLE theirs RENAME COLUMN status_new TO status;",
        (2, "warning"),
    ),
    clean(
        "lost-index",
        "the index is built on the new column",
        CONVERSION.replace("UPDATE", "CREATE INDEX by_new ON role_agents (status_new);\nUPDATE"),
    ),
    clean("lost-index", "the index is built again", CONVERSION + "CREATE INDEX again ON role_agents (status);"),
    clean("lost-index", "the index is given up by name", "DROP INDEX idx_role_agents_status;\n" + CONVERSION),
    found("unbatched-update", "the literal plan", CONVERSION, (3, "warning")),
    found(
        "unbatched-update",
        "a condition that always holds",
        "UPDATE role_agents SET level = 1 WHERE true;",
        (1, "warning"),
    ),
    found(
        "unbatched-update",
        "behind a common table expression",
        "WITH x AS (SELECT id FROM organizations WHERE id = 'a')\nUPDATE role_agents SET level = 1 FROM x;",
        (1, "warning"),
    ),
    found("unbatched-update", "DELETE of everything", "SELECT 1;\nDELETE FROM role_agents;", (2, "error")),
    clean(
        "unbatched-update",
        "some rows",
        "UPDATE role_agents SET level = 1 WHERE id = 'a'; DELETE FROM role_agents WHERE id = 'b';",
    ),
    clean("unbatched-update", "a table of its own", "CREATE TABLE t (n int); UPDATE t SET n = 1; DROP TABLE t;"),
    clean(
        "unbatched-update",
        "what a routine will do later",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ UPDATE role_agents SET level = 1 $$;"
        "CREATE RULE r AS ON DELETE TO role_agents DO INSTEAD (UPDATE role_agents SET level = 0);",
    ),
    clean(
        "unbatched-update",
        "an upsert",
        "INSERT INTO organizations (id) VALUES ('a') ON CONFLICT (id) DO UPDATE SET id = excluded.id;",
    ),
    found(
        "enum-add-value-used",
        "a default with the new label",
        "ALTER TYPE kind ADD VALUE 'c';\nALTER TABLE role_agents ADD COLUMN kind kind\n  DEFAULT 'c';",
        (3, "error"),
    ),
    clean(
        "enum-add-value-used", "another label", "ALTER TYPE kind ADD VALUE 'c'; CREATE TABLE t (k kind DEFAULT 'a');"
    ),
    clean(
        "enum-add-value-used", "only a comment says it", "ALTER TYPE kind ADD VALUE 'c'; COMMENT ON TYPE kind IS 'c';"
    ),
    clean(
        "enum-add-value-used",
        "statement by statement",
        "ALTER TYPE kind ADD VALUE 'c'; CREATE TABLE t (k kind DEFAULT 'c');",
        transactional=False,
    ),
    clean(
        "enum-add-value-used",
        "a type of its own",
        "CREATE TYPE own AS ENUM ('a'); ALTER TYPE own ADD VALUE 'c'; CREATE TABLE t (k own DEFAULT 'c');",
    ),
    # --- meaning
    found(
        "if-not-exists-table",
        "a second table of one name",
        "SELECT 1;\nCREATE TABLE IF NOT EXISTS trust_scores (did text PRIMARY KEY);",
        (2, "error"),
    ),
    clean(
        "if-not-exists-table",
        "other things that may be there",
        "CREATE TEMP TABLE IF NOT EXISTS t (n int); CREATE SCHEMA IF NOT EXISTS s; CREATE TABLE u (n int);",
    ),
    found(
        "if-not-exists-column",
        "a second column of one name",
        "ALTER TABLE role_agents\n  ADD COLUMN IF NOT EXISTS selection_seed uuid;",
        (2, "error"),
    ),
    clean("if-not-exists-column", "a new column", "ALTER TABLE role_agents ADD selection_seed uuid;"),
    found(
        "search-path-missing-schema",
        "a schema that nobody makes",
        "SET search_path TO missing, public;",
        (1, "error"),
    ),
    found(
        "search-path-missing-schema",
        "a schema that is only made afterwards",
        "SET LOCAL search_path = late;\nCREATE SCHEMA late;",
        (1, "error"),
    ),
    found(
        "search-path-missing-schema",
        "one literal for a whole list",
        "CREATE SCHEMA app;\nSET search_path = 'app, public';",
        (2, "error"),
    ),
    found(
        "search-path-missing-schema",
        "set_config()",
        "SELECT pg_catalog.set_config('search_path', 'public, gone', true);",
        (1, "error"),
    ),
    found(
        "search-path-missing-schema",
        "a routine's own",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = nowhere, pg_temp AS 'SELECT 1';",
        (1, "error"),
    ),
    clean(
        "search-path-missing-schema",
        "what is always there, and what was made",
        "CREATE SCHEMA app; SET search_path = app, public; SET search_path = '';"
        'SET SESSION search_path TO "$user", public, pg_catalog; SET search_path TO DEFAULT;'
        "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql SET search_path = '' AS 'SELECT 1';"
        "SELECT set_config('search_path', 'app, public', true), set_config('work_mem', 'gone', true);",
    ),
    clean(
        "search-path-missing-schema",
        "a routine that runs once its schema is there",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = late AS 'SELECT 1'; CREATE SCHEMA late;",
    ),
    found("name-too-long", "65 letters", f"CREATE TABLE {LONG} (n int);\nCREATE INDEX ON {LONG} (n);", (1, "error")),
    found("name-too-long", "quoted", f'SELECT 1;\nALTER TABLE role_agents ADD "{LONG}" int;', (2, "error")),
    found("name-too-long", "two bytes a letter", f"CREATE TABLE {'ä' * 32} (n int);", (1, "error")),
    clean("name-too-long", "63 letters", f"CREATE TABLE {LONG[:63]} (n int);"),
    clean("name-too-long", "a long literal", f"COMMENT ON TABLE role_agents IS '{LONG}';"),
    found("cascade-drop", "in up.sql", "SELECT 1;\nDROP TABLE role_agents CASCADE;", (2, "error")),
    found(
        "cascade-drop",
        "parts of a table",
        "ALTER TABLE role_agents\n  DROP COLUMN status CASCADE,\n  DROP CONSTRAINT role_agents_pkey CASCADE;",
        (2, "error"),
        (3, "error"),
    ),
    found("cascade-drop", "TRUNCATE", "TRUNCATE organizations CASCADE;", (1, "error")),
    found("cascade-drop", "in down.sql", "CREATE SCHEMA s;", ("down.sql", 1, "warning"), down="DROP SCHEMA s CASCADE;"),
    clean(
        "cascade-drop",
        "a foreign key that follows its row",
        "CREATE TABLE t (o text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE); DROP TABLE t RESTRICT;",
    ),
    found(
        "unique-nullable",
        "a key with an optional part",
        'CREATE TABLE "mcp" ("organizationId" TEXT, "name" TEXT NOT NULL);\n'
        'ALTER TABLE "mcp" ADD CONSTRAINT "k"\n    UNIQUE ("organizationId", "name");',
        (3, "warning"),
    ),
    found(
        "unique-nullable",
        "behind a column",
        "CREATE TABLE t (\n  a int UNIQUE,\n  b int PRIMARY KEY UNIQUE\n);",
        (2, "warning"),
    ),
    found(
        "unique-nullable", "an index", "CREATE UNIQUE INDEX ON role_agents (organization_id, status);", (1, "warning")
    ),
    clean("unique-nullable", "columns that are never NULL", "CREATE UNIQUE INDEX ON role_agents (status, level);"),
    clean(
        "unique-nullable", "NULLs that are equal", "CREATE TABLE t (a int, b int, UNIQUE NULLS NOT DISTINCT (a, b));"
    ),
    clean(
        "unique-nullable",
        "an index that leaves NULL out",
        "CREATE UNIQUE INDEX ON role_agents (name) WHERE name IS NOT NULL;",
    ),
    clean("unique-nullable", "a CHECK against NULL", "CREATE TABLE t (a int CHECK (a IS NOT NULL), UNIQUE (a));"),
    clean(
        "unique-nullable",
        "a computed column",
        "CREATE TABLE t (a int NOT NULL, b int GENERATED ALWAYS AS (a + 1) STORED, UNIQUE (b));",
    ),
    found(
        "view-without-security-invoker",
        "a view",
        "SELECT 1;\nCREATE OR REPLACE VIEW v AS SELECT id FROM role_agents;",
        (2, "warning"),
    ),
    clean(
        "view-without-security-invoker",
        "views that say so, and what cannot",
        "CREATE VIEW v WITH (security_invoker) AS SELECT 1;"
        "CREATE VIEW w AS SELECT 1; ALTER VIEW w SET (security_invoker = on);"
        "CREATE VIEW x WITH (security_barrier, security_invoker = false) AS WITH a AS (SELECT 1) SELECT * FROM a;"
        "CREATE MATERIALIZED VIEW m AS SELECT 1; CREATE TEMP VIEW t AS SELECT 1;",
    ),
    # --- locks
    found(
        "not-null-with-drop-check",
        "one command",
        "ALTER TABLE role_agents ADD CONSTRAINT named CHECK (name IS NOT NULL) NOT VALID;"
        "ALTER TABLE role_agents VALIDATE CONSTRAINT named;\n"
        "ALTER TABLE role_agents ALTER COLUMN name SET NOT NULL, DROP CONSTRAINT named;",
        (2, "warning"),
    ),
    clean(
        "not-null-with-drop-check",
        "two commands",
        "ALTER TABLE role_agents ADD CONSTRAINT named CHECK (name IS NOT NULL);"
        "ALTER TABLE role_agents ALTER COLUMN name SET NOT NULL; ALTER TABLE role_agents DROP CONSTRAINT named;",
    ),
    clean(
        "not-null-with-drop-check",
        "a constraint that proves something else",
        "ALTER TABLE role_agents ADD CONSTRAINT positive CHECK (level > 0);"
        "ALTER TABLE role_agents ALTER COLUMN name SET NOT NULL, DROP CONSTRAINT positive;",
    ),
    found(
        "set-not-null-scan", "without a proof", "ALTER TABLE role_agents\n  ALTER name SET NOT NULL;", (2, "warning")
    ),
    found(
        "set-not-null-scan",
        "a proof that is not validated",
        "ALTER TABLE role_agents ADD CHECK (name IS NOT NULL) NOT VALID;\nALTER TABLE role_agents ALTER name SET NOT NULL;",
        (2, "warning"),
    ),
    found(
        "set-not-null-scan",
        "a proof with a way out",
        "ALTER TABLE role_agents ADD CHECK (name IS NOT NULL OR level = 0);\nALTER TABLE role_agents ALTER name SET NOT NULL;",
        (2, "warning"),
    ),
    found(
        "set-not-null-scan",
        "as a constraint",
        "ALTER TABLE role_agents ADD CONSTRAINT n NOT NULL name;",
        (1, "warning"),
    ),
    clean(
        "set-not-null-scan",
        "with a validated proof",
        "ALTER TABLE role_agents ADD CONSTRAINT n CHECK (name IS NOT NULL AND level > 0) NOT VALID;"
        "ALTER TABLE role_agents VALIDATE CONSTRAINT n; ALTER TABLE role_agents ALTER name SET NOT NULL;",
    ),
    clean(
        "set-not-null-scan",
        "a constraint to be validated later",
        "ALTER TABLE role_agents ADD CONSTRAINT n NOT NULL name NOT VALID; ALTER TABLE role_agents VALIDATE CONSTRAINT n;",
    ),
    clean(
        "set-not-null-scan",
        "what is new, or so already",
        "CREATE TABLE t (n int); ALTER TABLE t ALTER n SET NOT NULL; ALTER TABLE role_agents ALTER status SET NOT NULL;",
    ),
    found(
        "index-not-concurrent",
        "on an old table",
        "SELECT 1;\nCREATE UNIQUE INDEX i ON role_agents (level);",
        (2, "warning"),
    ),
    clean(
        "index-not-concurrent",
        "concurrently",
        "CREATE INDEX CONCURRENTLY i ON role_agents (level);",
        transactional=False,
    ),
    clean(
        "index-not-concurrent",
        "on what is new",
        "CREATE TABLE app.t (n int); CREATE INDEX ON app.t (n);"
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS n; CREATE UNIQUE INDEX ON m (n);",
    ),
    found(
        "fk-not-valid-missing",
        "the literal plan",
        'ALTER TABLE "role_agents" ADD CONSTRAINT "role_agents_organizationId_fkey"\n'
        '    FOREIGN KEY ("organization_id") REFERENCES "organizations"("id") ON DELETE SET NULL ON UPDATE CASCADE;',
        (2, "warning"),
    ),
    clean(
        "fk-not-valid-missing",
        "to be validated later",
        "ALTER TABLE role_agents ADD FOREIGN KEY (organization_id) REFERENCES organizations (id) NOT VALID;",
    ),
    clean(
        "fk-not-valid-missing",
        "of a new table",
        "CREATE TABLE t (o text); ALTER TABLE t ADD FOREIGN KEY (o) REFERENCES organizations;",
    ),
    *(
        found("volatile-default-rewrite", column, f"ALTER TABLE role_agents\n  ADD COLUMN {column};", (2, "warning"))
        for column in (
            "at timestamptz NOT NULL DEFAULT clock_timestamp()",
            "key uuid DEFAULT gen_random_uuid()",
            "key text DEFAULT uuidv7()::text",
            "n bigserial",
            "n int GENERATED BY DEFAULT AS IDENTITY",
            "n int GENERATED ALWAYS AS (level + 1) STORED",
        )
    ),
    found(
        "volatile-default-rewrite",
        "a routine of the folder",
        "CREATE FUNCTION next_key() RETURNS text LANGUAGE sql AS 'SELECT 1';\n"
        "ALTER TABLE role_agents ADD COLUMN key text DEFAULT next_key();",
        (2, "warning"),
    ),
    *(
        clean("volatile-default-rewrite", column, f"ALTER TABLE role_agents ADD COLUMN {column};")
        for column in (
            '"updatedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP',
            "at timestamptz NOT NULL DEFAULT now()",
            "at timestamptz",
            "name2 text DEFAULT 'uuidv7()'",
            "n int GENERATED ALWAYS AS (level + 1) VIRTUAL",
        )
    ),
    clean(
        "volatile-default-rewrite",
        "a default for new rows, and a stable routine",
        "ALTER TABLE role_agents ADD COLUMN key uuid; ALTER TABLE role_agents ALTER key SET DEFAULT gen_random_uuid();"
        "CREATE FUNCTION zone() RETURNS text LANGUAGE sql STABLE AS 'SELECT 1';"
        "ALTER TABLE role_agents ADD COLUMN zone text DEFAULT zone();",
    ),
    # --- the way back
    found(
        "down-does-not-undo",
        "things left behind",
        "CREATE TABLE t (n int);\nCREATE TYPE u AS ENUM ('a');\nALTER TABLE role_agents\n  ADD COLUMN extra text;\n"
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\nCREATE INDEX i ON role_agents (level);\n"
        "CREATE TRIGGER tr BEFORE UPDATE ON role_agents FOR EACH ROW EXECUTE FUNCTION f();",
        (1, "warning"),
        (2, "warning"),
        (4, "warning"),
        (5, "warning"),
        (6, "warning"),
        (7, "warning"),
    ),
    found(
        "down-does-not-undo",
        "things not brought back",
        "SELECT 1;\nDROP INDEX idx_role_agents_status;\nALTER TABLE role_agents DROP COLUMN name;",
        (2, "warning"),
        (3, "warning"),
    ),
    clean(
        "down-does-not-undo",
        "everything undone",
        "CREATE SCHEMA s; CREATE TABLE s.t (n int PRIMARY KEY, m int REFERENCES s.t (n)); CREATE INDEX ON s.t (m);"
        "CREATE TYPE u AS ENUM ('a'); CREATE FUNCTION f(a int, b text) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE TRIGGER tr BEFORE UPDATE ON role_agents FOR EACH ROW EXECUTE FUNCTION f();"
        "ALTER TABLE role_agents ADD CHECK (level > 0); ALTER TABLE role_agents RENAME TO actors;"
        "CREATE VIEW v AS SELECT 1; CREATE EXTENSION IF NOT EXISTS vector;",
        down="DROP VIEW v; ALTER TABLE actors RENAME TO role_agents; DROP TRIGGER tr ON role_agents;"
        "ALTER TABLE role_agents DROP CONSTRAINT role_agents_level_check; DROP FUNCTION f(int, text); DROP TYPE u;"
        "DROP TABLE s.t; DROP SCHEMA s;",
    ),
    clean(
        "down-does-not-undo",
        "a schema with all that is in it",
        "CREATE SCHEMA s; SET LOCAL search_path = s; CREATE TABLE t (n int); CREATE SEQUENCE q;",
        down="DROP SCHEMA s CASCADE;",
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.rule}: {example.what}")
def test_a_rule_finds_its_literals_and_nothing_that_only_looks_like_them(project, example):
    findings = project.found(example.rule, example.up, down=example.down, transactional=example.transactional)

    assert [(each.file, each.line, each.severity.value) for each in findings] == example.places
    assert all(each.message and each.hint for each in findings)


def test_every_rule_has_a_literal_and_a_near_miss_here_and_says_why_it_exists():
    names = [rule.name for rule in RULES]
    literals = {example.rule for example in EXAMPLES if example.places}
    near_misses = {example.rule for example in EXAMPLES if not example.places}

    assert literals == near_misses == set(names)
    assert len(names) == len(set(names))
    assert all(len(rule.reason) > 60 for rule in RULES)


def test_messages_name_the_value_the_column_and_the_index_that_are_at_stake(project):
    project.change(CONVERSION)

    said = {finding.rule: finding.message for finding in project.lint().findings}

    assert said["else-coercion"] == "every value that no WHEN names becomes 'active' in column status_new"
    assert (
        said["drop-after-update"] == "column status of role_agents is dropped by the script that converted its values"
    )
    assert said["lost-not-null"] == "role_agents.status was NOT NULL, and what takes its name is not"
    assert said["lost-index"] == "index idx_role_agents_status on role_agents (status) goes with the old status"
