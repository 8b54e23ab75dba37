"""The dirty database goes through all revisions and back: nobody gains by it, nothing is reset, nothing is lost."""

from __future__ import annotations

import csv
import shutil
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import psycopg
import pytest

from given.online import World
from hansa import migrate
from hansa.examples import legacy
from hansa.migrate import testing
from hansa.migrate.catalog import snapshot
from hansa.migrate.digests import table_digests
from hansa.migrate.online.errors import UnmappedValues
from hansa.migrate.online.values import read_map
from hansa.migrate.rehearsal.probes import load_probes

SCALE = 400
BASELINE, TYPES, VALUES, CONSTRAINTS, CONTRACT = sorted(folder.name for folder in legacy.REVISIONS.iterdir())
IN_PLACE, STEPWISE = "in place", "step by step"
FORCED = 'kind = "convert_to_enum"\nin_place_below_rows = 0'
PROBES = load_probes(legacy.PROBES).probes
MAPS = {name: read_map(name, table) for name, table in tomllib.loads(legacy.MAP.read_text()).items()}
MAP_OF = {
    "role_agents": {"status": "role_agent_status"},
    "blockchain_transactions": {"status": "blockchain_tx_status"},
    "mcp_policies": {"status": "policy_status"},
    "loa_policies": {"artifactType": "artifact_type", "requiredFacets": "approval_facet"},
    "approvals": {"artifactType": "artifact_type", "facet": "approval_facet", "decision": "approval_decision"},
}
VOTE = ("artifactId", "artifactType", "reviewerId", "facet")
POLICY = ("organizationId", "name", "version")
SPACE = " \t\n\r\f\v"

Row = dict[str, str | None]
Rows = dict[str, dict[str | None, Row]]
"""By table and id."""


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """A row in the quarantine."""

    revision: str
    operation: int
    table: str
    row: Row


@dataclass(frozen=True, kw_only=True)
class Story:
    """One way through all revisions and back, and what was there at each place."""

    form: str
    census: legacy.Census
    worlds: dict[str, World]
    """By what had happened."""
    before: Rows
    """What the generator made, before anything else happened."""
    after: Rows
    aside: list[SetAside]
    broken: list[str]
    """Statements of the old application that failed, with the place."""
    checks: migrate.Verification

    @cached_property
    def of_values(self) -> dict[str, list[Row]]:
        return self._aside_by(VALUES)

    @cached_property
    def of_constraints(self) -> dict[str, list[Row]]:
        return self._aside_by(CONSTRAINTS)

    def _aside_by(self, revision: str) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for each in self.aside:
            if each.revision == revision:
                found.setdefault(each.table, []).append(each.row)
        return found


@pytest.fixture(
    scope="module",
    params=[(1, IN_PLACE), (2, STEPWISE), (3, STEPWISE)],
    ids=lambda param: f"{param[0]} {param[1]}",
)
def story(request, server_dsn, tmp_path_factory) -> Story:
    seed, form = request.param
    folder = tmp_path_factory.mktemp("legacy") / "revisions"
    shutil.copytree(legacy.REVISIONS, folder)
    if form == STEPWISE:
        meta = folder / VALUES / "meta.toml"
        meta.write_text(meta.read_text().replace('kind = "convert_to_enum"', FORCED))
    with (
        testing.scratch(server_dsn, "dirty") as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        return told(dsn, connection, folder, seed, form)


def told(dsn, connection, folder, seed, form) -> Story:
    """Go there, half-way back, to the end, and all the way back, looking round everywhere."""
    worlds: dict[str, World] = {}
    broken: list[str] = []

    def look(place):
        worlds[place] = World(catalog=snapshot(connection), data=dict(table_digests(connection)))
        broken.extend(f"{place}: {problem}" for probe in PROBES if (problem := refused(connection, probe)))

    migrate.up(dsn, folder, to=BASELINE)
    census = legacy.generate(connection, seed=seed, scale=SCALE)
    before = rows_of(connection)
    look("filled")
    migrate.up(dsn, folder, to=TYPES)
    connection.execute(AUDITS_TOLD_WHOM)
    look("typed")
    migrate.up(dsn, folder, to=VALUES)
    look("converted")
    migrate.up(dsn, folder, to=CONSTRAINTS)
    look("constrained")
    migrate.down(dsn, folder, to=TYPES)
    look("typed again")
    migrate.up(dsn, folder)
    look("contracted")
    checks = migrate.verify(dsn, folder)
    after, aside = rows_of(connection), quarantine(connection)
    migrate.down(dsn, folder, to=TYPES)
    look("typed after the contract")
    migrate.up(dsn, folder)
    look("contracted again")
    migrate.down(dsn, folder, to=BASELINE)
    look("filled again")
    return Story(
        form=form,
        census=census,
        worlds=worlds,
        before=before,
        after=after,
        aside=aside,
        broken=broken,
        checks=checks,
    )


AUDITS_TOLD_WHOM = """
    UPDATE "audit_logs"
       SET "roleAgentId" = CASE "entity" WHEN 'RoleAgent' THEN "entityId" END,
           "organizationId" = CASE "entity" WHEN 'Organization' THEN "entityId" END
"""
"""As an application does that begins to use the new columns, also about those who are gone."""


def rows_of(connection) -> Rows:
    """Every row as texts, written as the quarantine writes them."""
    columns = connection.execute(
        """
        SELECT table_name, array_agg(column_name::text ORDER BY column_name)
          FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1
        """
    ).fetchall()
    found: Rows = {}
    for table, names in columns:
        texts = ", ".join(f"""CASE WHEN "{name}" IS NOT NULL THEN format('%s', "{name}") END""" for name in names)
        rows = (dict(zip(names, row, strict=True)) for row in connection.execute(f'SELECT {texts} FROM "{table}"'))
        found[table] = {row["id"]: row for row in rows}
    return found


def quarantine(connection) -> list[SetAside]:
    rows = connection.execute(
        "SELECT revision, operation, relation, columns, contents FROM mig.quarantine ORDER BY id"
    ).fetchall()
    return [
        SetAside(
            revision=revision,
            operation=operation,
            table=relation.removeprefix("public."),
            row=dict(zip(columns, contents, strict=True)),
        )
        for revision, operation, relation, columns, contents in rows
    ]


def refused(connection, probe) -> str:
    """What the old application hears when it sends this; empty when all is well. Leaves nothing behind."""
    keys = connection.execute(probe.keys).fetchall() if probe.keys else [(None,)]
    try:
        for value in probe.values or (None,):
            with connection.transaction(force_rollback=True):
                given = {"key": keys[0][0], "value": value} if probe.keys else None
                cursor = connection.execute(probe.sql, given)
                if cursor.description is None and cursor.rowcount != 1:
                    return f"{probe.name} changed {cursor.rowcount} rows"
                if probe.read is not None and connection.execute(probe.read, given).fetchone() != (value,):
                    return f"{probe.name} did not write {value}"
    except psycopg.Error as error:
        return f"{probe.name}: {error}"
    return ""


def folded(text: str | None) -> str:
    """Without what years of careless writing add; not by the maps, which are on trial here."""
    return (text or "").strip(SPACE).lower()


def ids(rows: dict[str | None, Row], column: str, *values: str) -> set[str | None]:
    return {key for key, row in rows.items() if folded(row[column]) in values}


def elements(array: str | None) -> list[str | None]:
    """Of an array as PostgreSQL writes it."""
    found = list(csv.reader([(array or "{}")[1:-1]]))
    return [None if each == "NULL" else each for each in found[0]] if found else []


NOTHING: Row = dict.fromkeys(column for columns in MAP_OF.values() for column in columns)


def homeless(table: str, row: Row) -> bool:
    """Whether the reviewed maps have no place for a row."""
    for column, name in MAP_OF.get(table, {}).items():
        found = elements(row[column]) if column == "requiredFacets" else [row[column]]
        if any(text is not None and MAPS[name].new(text) is None for text in found):
            return True
    return False


# --- power, money, force ----------------------------------------------------------------------------------------------


def test_exactly_those_who_were_active_are_active(story):
    before, after = story.before["role_agents"], story.after["role_agents"]

    active = {key for key, row in after.items() if row["status"] == "active"}

    counted = story.census.values["role_agents.status"]
    assert active == ids(before, "status", "active")
    assert len(active) == counted["active"] + counted["Active"] + counted["ACTIVE "]
    assert after.keys() == before.keys()


def test_who_was_revoked_banned_or_suspended_in_whatever_spelling_stays_so(story):
    after = story.after["role_agents"]

    became = {
        spelled: {after[key]["status"] for key, row in story.before["role_agents"].items() if row["status"] == spelled}
        for spelled in ("Revoked", "revoked ", "banned", "SUSPENDED ", " suspended", "pending_approval", "deactivated")
    }

    assert became == {
        "Revoked": {"retired"},
        "revoked ": {"retired"},
        "banned": {"suspended"},
        "SUSPENDED ": {"suspended"},
        " suspended": {"suspended"},
        "pending_approval": {"inactive"},
        "deactivated": {"inactive"},
    }


def test_no_transaction_that_was_settled_waits_to_be_sent_again(story):
    before, after = story.before["blockchain_transactions"], story.after["blockchain_transactions"]

    waiting = {key for key, row in after.items() if row["status"] == "pending"}

    counted = story.census.values["blockchain_transactions.status"]
    assert waiting == ids(before, "status", "pending", "submitted")
    assert len(waiting) == counted["pending"] + counted["submitted"]
    assert ids(before, "status", "confirmed", "success") == ids(after, "status", "confirmed")
    assert ids(before, "status", "failed", "reverted") == ids(after, "status", "failed")


def test_every_policy_in_force_is_in_force(story):
    def in_force(rows, *words):
        return {tuple(row[name] for name in POLICY) for row in rows.values() if folded(row["status"]) in words}

    before, after = story.before["mcp_policies"], story.after["mcp_policies"]

    assert in_force(before, "active", "published") == in_force(after, "active")


# --- odd rows ---------------------------------------------------------------------------------------------------------


def test_every_value_that_stays_is_what_the_reviewed_map_says(story):
    for table, columns in MAP_OF.items():
        for key, row in story.after[table].items():
            for column, name in columns.items():
                old = story.before[table][key][column]
                if column == "requiredFacets":
                    assert elements(row[column]) == [
                        None if each is None else MAPS[name].new(each) for each in elements(old)
                    ]
                else:
                    assert row[column] == MAPS[name].new(old), f"{table}.{column}: {old!r}"


def test_what_has_no_place_is_in_quarantine_whole_and_nothing_else(story):
    for table in MAP_OF:
        kept = {row["id"]: row for row in story.of_values.get(table, [])}

        assert kept.keys() == {key for key, row in story.before[table].items() if homeless(table, row)}, table
        for key, row in kept.items():
            before = story.before[table][key]
            assert {
                name for name, text in before.items() if row[name] not in (text, converted(table, name, text))
            } == set()
    assert set(story.of_values) == {"blockchain_transactions", "loa_policies", "approvals"}


def converted(table: str, column: str, text: str | None) -> str | None:
    """What an earlier conversion of the same revision had made of a value."""
    name = MAP_OF[table].get(column)
    return text if name is None or text is None or column == "requiredFacets" else MAPS[name].new(text)


def test_the_quarantine_counts_what_the_census_counted(story):
    for table, columns in MAP_OF.items():
        for column in columns:
            kept = Counter(row[column] for row in story.of_values.get(table, []))
            counted = story.census.values[f"{table}.{column}"]
            without_place = {
                text: count for text, count in counted.items() if homeless(table, {**NOTHING, column: text})
            }

            assert {text: kept[text] for text in without_place} == without_place, f"{table}.{column}"
    for table, count in story.census.rows.items():
        aside = len(story.of_values.get(table, [])) + len(story.of_constraints.get(table, []))
        assert len(story.after[table]) + aside == count, table


def test_of_several_words_of_a_reviewer_the_last_counts_and_the_others_are_kept(story):
    placed = {key: row for key, row in story.before["approvals"].items() if not homeless("approvals", row)}
    last: dict[tuple[str | None, ...], Row] = {}
    for row in placed.values():
        word = tuple(MAPS[MAP_OF["approvals"][n]].new(row[n]) if n in MAP_OF["approvals"] else row[n] for n in VOTE)
        last[word] = max(last.get(word, row), row, key=lambda one: (one["createdAt"], one["id"]))

    kept = {row["id"] for row in story.of_constraints["approvals"]}

    assert kept == placed.keys() - {row["id"] for row in last.values()}
    assert 0 < len(kept) <= story.census.repeated_votes + story.census.votes_repeated_when_folded


def test_of_several_rows_of_a_version_one_stays_also_where_no_organization_is_named(story):
    def repeated(rows, *, house):
        keys = Counter(tuple(row[name] for name in POLICY) for row in rows if (row["organizationId"] is None) == house)
        return sum(keys.values()) - len(keys)

    before, after = story.before["mcp_policies"].values(), story.after["mcp_policies"].values()
    kept = story.of_constraints["mcp_policies"]

    assert repeated(before, house=False) == story.census.repeated_policies
    assert repeated(before, house=True) == story.census.repeated_house_policies
    assert repeated(after, house=False) == repeated(after, house=True) == 0
    assert len(kept) == story.census.repeated_policies + story.census.repeated_house_policies
    assert sum(row["organizationId"] is None for row in kept) == story.census.repeated_house_policies


def test_tests_of_policies_that_are_not_there_are_kept_beside_them(story):
    tests = story.before["mcp_policy_tests"]
    there = story.before["mcp_policies"].keys()
    aside = {row["id"] for row in story.of_constraints["mcp_policies"]}

    kept = {row["id"] for row in story.of_constraints["mcp_policy_tests"]}

    orphans = {key for key, row in tests.items() if row["policyId"] not in there}
    assert len(orphans) == story.census.orphan_policy_tests
    assert kept == orphans | {key for key, row in tests.items() if row["policyId"] in aside}


def test_an_audit_row_outlives_its_subject(story):
    census, audits = story.census, story.after["audit_logs"].values()

    told = [row for row in audits if row["roleAgentId"] or row["organizationId"]]
    silent = Counter(row["entity"] for row in audits if not (row["roleAgentId"] or row["organizationId"]))

    assert len(audits) == census.rows["audit_logs"]
    assert silent["RoleAgent"] == census.audits_of_unknown_agents
    assert silent["Organization"] == census.audits_of_unknown_organizations
    assert all(row["entityId"] in (row["roleAgentId"], row["organizationId"]) for row in told)


def test_who_asked_for_no_facets_still_asks_for_none(story):
    was_null = {key for key, row in story.before["loa_policies"].items() if row["requiredFacets"] is None}

    became = {row["requiredFacets"] for key, row in story.after["loa_policies"].items() if key in was_null}

    assert len(was_null) == story.census.values["loa_policies.requiredFacets"][None]
    assert became == {"{}"}


# --- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "place"),
    [
        ("typed again", "typed"),
        ("typed after the contract", "typed"),
        ("contracted again", "contracted"),
        ("filled again", "filled"),
    ],
)
def test_the_way_back_and_the_second_way_lose_nothing(story, place, again):
    assert story.worlds[again].data == story.worlds[place].data
    assert story.worlds[place].sentences(story.worlds[again]) == []


def test_each_revision_changes_something_or_the_above_would_prove_nothing(story):
    worlds = [story.worlds[place] for place in ("filled", "typed", "converted", "constrained")]

    assert all(before.sentences(after) for before, after in pairwise(worlds))
    contract = story.worlds["constrained"].sentences(story.worlds["contracted"])
    assert bool(contract) == (story.form == STEPWISE)


def test_the_map_that_the_revisions_use_is_the_reviewed_one():
    assert (legacy.REVISIONS / VALUES / "map.toml").read_text() == legacy.MAP.read_text()


def test_every_fact_that_the_revisions_state_holds(story):
    assert story.checks.ok, story.checks.failed
    assert not story.checks.unverified


def test_the_old_application_works_in_every_phase(story):
    assert story.broken == []


# --- what nobody thought of -------------------------------------------------------------------------------------------


@pytest.fixture
def filled(server_dsn):
    """The old database with the plan's types, and a connection."""
    with testing.scratch(server_dsn, "dirty") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        migrate.up(dsn, legacy.REVISIONS, to=BASELINE)
        legacy.generate(connection, seed=4, scale=100)
        migrate.up(dsn, legacy.REVISIONS, to=TYPES)
        yield dsn, connection


def plant(connection, table, column, value, where, rows):
    connection.execute(
        f'UPDATE "{table}" SET "{column}" = %s'
        f' WHERE "id" IN (SELECT "id" FROM "{table}" WHERE {where} ORDER BY "id" LIMIT {rows})',
        [value],
    )


def world(connection) -> World:
    return World(catalog=snapshot(connection), data=dict(table_digests(connection)))


def test_a_value_that_nobody_thought_of_stops_everything_before_anything_changed(filled):
    dsn, connection = filled
    plant(connection, "role_agents", "status", "On Holiday", "true", 3)
    before = world(connection)

    with pytest.raises(UnmappedValues, match=r"role_agents.status: the map says nothing about 'On Holiday' \(3\)"):
        migrate.up(dsn, legacy.REVISIONS)

    assert before.sentences(world(connection)) == []
    assert connection.execute("SELECT count(*) FROM mig.quarantine").fetchone() == (0,)


@pytest.mark.parametrize(
    ("table", "column", "value", "where", "told"),
    [
        ("loa_policies", "requiredFacets", ["security", "ethics"], "\"artifactType\" = 'MCP'", "'ethics' (3)"),
        ("approvals", "decision", "maybe", "\"artifactType\" = 'MCP' AND \"facet\" = 'security'", "'maybe' (3)"),
    ],
)
def test_a_value_that_nobody_thought_of_in_a_later_column_stops_everything_too(
    filled, table, column, value, where, told
):
    dsn, connection = filled
    plant(connection, table, column, value, where, 3)
    before = world(connection)

    with pytest.raises(UnmappedValues) as refusal:
        migrate.up(dsn, legacy.REVISIONS)

    assert f"{table}.{column}: the map says nothing about {told}" in str(refusal.value).replace('"', "")
    assert before.sentences(world(connection)) == []
