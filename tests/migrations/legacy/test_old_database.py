"""The old database is what its census says, its maps leave no value out, and its application goes on working."""

from __future__ import annotations

import tomllib

import pytest

from hansa import migrate
from hansa.examples import legacy
from hansa.migrate.online.values import ValueMap, read_map
from hansa.migrate.rehearsal.probes import load_probes

SCALE = 400
MAP_OF = {
    "role_agents.status": "role_agent_status",
    "blockchain_transactions.status": "blockchain_tx_status",
    "mcp_policies.status": "policy_status",
    "loa_policies.artifactType": "artifact_type",
    "approvals.artifactType": "artifact_type",
    "approvals.facet": "approval_facet",
    "approvals.decision": "approval_decision",
}
LABELS = {
    "role_agent_status": ("active", "inactive", "suspended", "retired"),
    "blockchain_tx_status": ("pending", "confirmed", "failed"),
    "policy_status": ("draft", "active", "archived"),
    "artifact_type": ("RoleAgent", "MCP"),
    "approval_facet": ("security", "compliance", "policy", "risk"),
    "approval_decision": ("approve", "reject"),
}


@pytest.fixture(scope="module")
def maps() -> dict[str, ValueMap]:
    tables = tomllib.loads(legacy.MAP.read_text())
    return {name: read_map(name, table) for name, table in tables.items()}


@pytest.fixture
def census(old) -> legacy.Census:
    """The old database filled with a few hundred agents."""
    old.execute(legacy.SCHEMA.read_text())
    return legacy.generate(old, seed=7, scale=SCALE)


def one(connection, query):
    return connection.execute(query).fetchone()[0]


def digests(connection):
    """Of each table: rows and a digest over all of them."""
    return {
        table: connection.execute(
            f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY "id")) FROM "{table}" AS t'
        ).fetchone()
        for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    }


def test_the_census_counts_what_is_there(old, census):
    rows = {table: count for table, (count, _) in digests(old).items()}
    values = {
        name: dict(
            old.execute('SELECT "{1}"::text, count(*) FROM "{0}" GROUP BY 1'.format(*name.split("."))).fetchall()
        )
        for name in census.values
    }

    assert rows == census.rows
    assert values == census.values
    assert min(min(counts.values()) for counts in census.values.values()) >= 1


def test_the_census_counts_what_stands_in_the_way_of_keys(old, census):
    repeated = "SELECT coalesce(sum(n - 1), 0)::int FROM (SELECT count(*) AS n FROM {} GROUP BY {}) AS g"
    orphans = """
        SELECT count(*) FROM "audit_logs" AS a
         WHERE "entity" = '{}' AND NOT EXISTS (SELECT FROM "{}" AS t WHERE t."id" = a."entityId")
    """
    votes = '"artifactId", "artifactType", "reviewerId"'
    policies = '"name", "version"'

    assert one(old, repeated.format('"approvals"', f'{votes}, "facet"')) == census.repeated_votes > 0
    assert one(old, repeated.format('"approvals"', f'{votes}, lower(trim("facet"))')) == (
        census.repeated_votes + census.votes_repeated_when_folded
    )
    assert census.votes_repeated_when_folded > 0
    owned, house = '"mcp_policies" WHERE "organizationId" {} NULL'.format, '"organizationId", ' + policies
    assert one(old, repeated.format(owned("IS NOT"), house)) == census.repeated_policies > 0
    assert one(old, repeated.format(owned("IS"), policies)) == census.repeated_house_policies > 0
    assert one(old, f"SELECT count(*) FROM {owned('IS')}") == census.house_policies
    assert one(old, orphans.format("RoleAgent", "role_agents")) == census.audits_of_unknown_agents > 0
    assert one(old, orphans.format("Organization", "organizations")) == census.audits_of_unknown_organizations > 0
    assert (
        one(
            old,
            """
            SELECT count(*) FROM "mcp_policy_tests" AS t
             WHERE NOT EXISTS (SELECT FROM "mcp_policies" AS p WHERE p."id" = t."policyId")
            """,
        )
        == census.orphan_policy_tests
        > 0
    )


def test_ids_have_the_shapes_of_three_generations(old, census):
    shapes = old.execute(
        r"""
        SELECT CASE WHEN "id" ~ '^c[0-9a-z]{24}$' THEN 'cuid'
                    WHEN "id" ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN 'uuid'
                    WHEN "id" ~ '^agent-\d+$' THEN 'slug'
               END, count(*)
          FROM "role_agents"
         GROUP BY 1
        """
    ).fetchall()

    assert dict(shapes) == census.id_shapes


def test_those_who_changed_their_mind_said_something_else_later(old, census):
    changed = one(
        old,
        """
        SELECT count(*)
          FROM (SELECT "decision", lag("decision") OVER w AS before
                  FROM "approvals"
                WINDOW w AS (PARTITION BY "artifactId", "artifactType", "reviewerId", "facet" ORDER BY "createdAt")
               ) AS votes
         WHERE before IS NOT NULL AND "decision" <> before
        """,
    )

    assert 0 < changed <= census.repeated_votes


def test_one_seed_makes_one_database_and_another_seed_another(old):
    made = []
    for seed in (7, 7, 8):
        with old.transaction(force_rollback=True):
            old.execute(legacy.SCHEMA.read_text())
            census = legacy.generate(old, seed=seed, scale=legacy.generator.SCALE_MIN)
            made.append((census, digests(old)))

    first, same, other = made
    assert first == same
    assert first[0].rows == other[0].rows
    assert {table for table, digest in first[1].items() if digest == other[1][table]} == set()


def test_with_too_few_agents_nothing_is_made(old):
    old.execute(legacy.SCHEMA.read_text())

    with pytest.raises(legacy.ScaleTooSmall, match="scale is 99"):
        legacy.generate(old, seed=7, scale=99)

    assert one(old, 'SELECT count(*) FROM "organizations"') == 0


def test_every_value_is_mapped_to_a_label_or_quarantined(census, maps):
    for column, name in MAP_OF.items():
        became = {maps[name].new(value) for value in census.values[column]}  # KeyError: a value nobody thought of

        assert became - {None} <= set(LABELS[name]), column
    facets = maps["approval_facet"]
    for array in census.values["loa_policies.requiredFacets"]:
        elements = (array or "{}").strip("{}").replace('"', "").split(",")
        assert {facets.new(facet) for facet in elements if facet not in ("", "NULL")} <= {
            None,
            *LABELS["approval_facet"],
        }
    assert set(maps) == set(LABELS)


def test_nobody_regains_power_by_being_migrated(old, census, maps):
    powerful = {
        status for status in census.values["role_agents.status"] if maps["role_agent_status"].new(status) == "active"
    }
    to_mint = {
        s for s in census.values["blockchain_transactions.status"] if maps["blockchain_tx_status"].new(s) == "pending"
    }

    assert powerful == {"active", "Active", "ACTIVE "}
    assert to_mint == {"pending", "submitted"}


def test_the_adoption_history_begins_with_exactly_this_schema():
    baseline = legacy.REVISIONS / "20250820T000000_baseline"

    assert (baseline / "up.sql").read_text() == legacy.SCHEMA.read_text()


def test_the_adoption_history_goes_over_a_full_database_and_back_without_a_trace(old_dsn):
    baseline = "20250820T000000_baseline"
    migrate.up(old_dsn, legacy.REVISIONS, to=baseline)
    with migrate.session.connect(old_dsn) as connection:
        legacy.generate(connection, seed=7, scale=SCALE)
        before = digests(connection)

        up = migrate.up(old_dsn, legacy.REVISIONS)
        verified = migrate.verify(old_dsn, legacy.REVISIONS)
        down = migrate.down(old_dsn, legacy.REVISIONS, to=baseline)

        assert up.revisions
        assert verified.ok, verified.failed
        assert down.revisions == up.revisions[::-1]
        assert digests(connection) == before
    migrate.down(old_dsn, legacy.REVISIONS, everything=True, options=migrate.Options(lose_data=True))


@pytest.mark.parametrize("probe", load_probes(legacy.PROBES).probes, ids=lambda probe: probe.name)
def test_the_old_application_works_before_and_after(old, census, maps, probe):
    keys = [key for (key,) in old.execute(probe.keys).fetchall()] if probe.keys else [None]
    for convert in (lambda: None, lambda: to_enums(old, maps)):
        convert()
        for value in probe.values or (None,):
            with old.transaction(force_rollback=True):
                given = {"key": keys[0], "value": value} if probe.keys else None
                cursor = old.execute(probe.sql, given)
                assert cursor.description is not None or cursor.rowcount == 1
                assert probe.read is None or old.execute(probe.read, given).fetchone() == (value,)


def to_enums(connection, maps):
    """The columns as the plan wants them, the short way: everybody waits, and what has no place is dropped."""
    for name, labels in LABELS.items():
        connection.execute(f"CREATE TYPE {name} AS ENUM ({', '.join(map(repr, labels))})")
    for column, name in MAP_OF.items():
        table, field = column.split(".")
        folded, known = maps[name].folded_sql(f'"{field}"'), maps[name].values
        cases = " ".join(f"WHEN '{value}' THEN '{new}'" for value, new in known.items())
        connection.execute(f'DELETE FROM "{table}" WHERE {folded} NOT IN ({", ".join(map(repr, known))})')
        connection.execute(f'ALTER TABLE "{table}" ALTER "{field}" DROP DEFAULT')
        connection.execute(
            f'ALTER TABLE "{table}" ALTER "{field}" TYPE {name} USING (CASE {folded} {cases} END)::{name}, '
            f"ALTER \"{field}\" SET DEFAULT '{LABELS[name][0]}'"
        )
    connection.execute(
        """
        ALTER TABLE "loa_policies" ALTER "requiredFacets" TYPE approval_facet[]
        USING (CASE WHEN 'security' = ANY ("requiredFacets") THEN '{security}' ELSE '{}' END)::approval_facet[]
        """
    )
