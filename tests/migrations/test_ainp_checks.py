"""The checks of AINP's migration guide: fourteen, ten and ten, by name, each true and each able to fail."""

import json
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typer.testing import CliRunner

from given import deals
from hansa import migrate
from hansa.infra.database import embedded
from hansa.infra.db import Actor, Db
from hansa.migrate import testing
from hansa.migrate.cli import app
from hansa.migrations import DIRECTORY
from hansa.negotiation import commands
from hansa.proof import commands as proof

NEGOTIATION = "20261120T008000_negotiation"
USEFULNESS = "20261121T004000_usefulness"
CREDITS = "20261120T003000_credits"
REVISIONS = {"negotiations": NEGOTIATION, "usefulness": USEFULNESS, "credits": CREDITS}
COUNTS = {"negotiations": 14, "usefulness": 10, "credits": 10}


@pytest.fixture
def dsn(postgres, database):
    return postgres.dsn(role="postgres", database=database)


def run(dsn, *words):
    return CliRunner().invoke(app, [*words, "--dir", str(DIRECTORY), "--dsn", dsn])


def verify(dsn, *words):
    """Exit code, and check -> whether it passed."""
    answer = run(dsn, "verify", "-o", "json", *words)
    return answer.exit_code, {check["name"]: check["ok"] for check in json.loads(answer.stdout)["checks"]}


def failures(dsn, revision):
    """Exit code, and the numbers of the guide's checks that failed."""
    code, checks = verify(dsn, "--only", revision)
    return code, sorted(number(name) for name, ok in checks.items() if not ok and number(name))


def number(name):
    head, _, rest = name.partition(":")
    return head if rest and head.partition(" ")[0] in COUNTS else ""


def contents(owner):
    """Every row of every table but the ledger of migrations, which says when it was verified."""
    tables = owner.execute(
        """
        SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'mig')
        """
    ).fetchall()
    return {
        table: sorted(row[0] for row in owner.execute(sql.SQL("SELECT t::text FROM {} AS t").format(named(table))))
        for table in tables
    }


def named(table):
    return sql.Identifier(*table)


def test_the_checks_of_the_guide_are_printed_by_name_and_all_pass(dsn):
    answer = run(dsn, "verify")

    assert answer.exit_code == 0
    for guide, count in COUNTS.items():
        lines = [line for line in answer.stdout.splitlines() if f"  {guide} " in line and REVISIONS[guide] in line]
        assert [line.split()[0] for line in lines] == ["PASS"] * count
        assert [line.split()[2:4] for line in lines] == [[guide, f"{n:02}:"] for n in range(1, count + 1)]


def test_verifying_changes_no_row_of_a_house_at_work(dsn, db, owner):
    with db.transaction() as tx:
        buyer, seller = deals.pair(tx)
        deals.accepted(tx, buyer, seller)
        stale = deals.opened(tx, buyer, seller)
    owner.execute("UPDATE negotiation.negotiations SET expires_at = now() - %s WHERE id = %s", [timedelta(1), stale.id])
    before = contents(owner)

    code, checks = verify(dsn)

    assert code == 0, [name for name, ok in checks.items() if not ok]
    assert contents(owner) == before
    assert sum(map(len, before.values())) > 20
    state = owner.execute("SELECT state FROM negotiation.negotiations WHERE id = %s", [stale.id]).fetchone()
    assert state == ("initiated",)
    assert owner.execute("SELECT count(*) FROM pg_proc WHERE proname = 'refusal'").fetchone() == (0,)


@pytest.fixture
def of_the_owner(postgres, server_dsn):
    """DSN of the owner of an embedded house, who is no superuser: row security binds it as it does in use."""
    with testing.scratch(server_dsn, "owned") as scratch:
        name = conninfo_to_dict(scratch)["dbname"]
        with psycopg.connect(scratch, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO hansa_owner").format(sql.Identifier(name)))
        dsn = make_conninfo(embedded(postgres).owner_dsn, dbname=name)
        migrate.up(dsn, DIRECTORY)
        yield dsn


def test_the_owner_who_verifies_a_house_with_settled_deals_sees_their_evidence(of_the_owner, services_keys):
    with Db(of_the_owner) as db, db.transaction(Actor(kind="system", did="tests")) as tx:
        buyer, seller = deals.pair(tx)
        settled = commands.settle(tx, services_keys, deals.accepted(tx, buyer, seller).id, by=buyer)
        proof.fold_reputation(tx, f"negotiation:{settled.paid.negotiation_id}", at=tx.at)
        proof.fold_trust(tx, f"negotiation:{settled.paid.negotiation_id}")

    code, checks = verify(of_the_owner)

    assert [name for name, ok in checks.items() if not ok] == []
    assert code == 0


TOUCH = """
    CREATE OR REPLACE FUNCTION negotiation.update_negotiations_timestamp() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN NEW.updated_at := {}; RETURN NEW; END $$
"""
STATES = "ALTER TABLE negotiation.negotiations DROP CONSTRAINT negotiation_state_known"
EXPIRY = "DROP INDEX negotiation.idx_negotiations_expires; "
EXPIRE = "CREATE OR REPLACE FUNCTION negotiation.{} LANGUAGE sql AS $$ {} $$"


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        ("ALTER TABLE negotiation.negotiations ALTER max_rounds TYPE bigint", "02"),
        ("ALTER TABLE negotiation.negotiations DROP CONSTRAINT negotiations_pkey CASCADE", "03"),
        ("ALTER TABLE negotiation.negotiations DROP CONSTRAINT negotiation_participants_different", "04"),
        ("ALTER TABLE negotiation.negotiations DROP CONSTRAINT convergence_score_is_a_share", "04"),
        ("ALTER TABLE negotiation.negotiations DROP CONSTRAINT max_rounds_within_bounds", "04"),
        ("ALTER TABLE negotiation.negotiations ADD CHECK (max_rounds < 20)", "04"),
        ("DROP INDEX negotiation.idx_negotiations_responder", "05"),
        (EXPIRY + "CREATE INDEX idx_negotiations_expires ON negotiation.negotiations (created_at)", "05 06"),
        (EXPIRY + "CREATE INDEX idx_negotiations_expires ON negotiation.negotiations (expires_at)", "06"),
        (
            EXPIRY + "CREATE INDEX idx_negotiations_expires ON negotiation.negotiations (expires_at) "
            "WHERE state <> 'accepted'",
            "06",
        ),
        (
            "ALTER TABLE negotiation.negotiations DISABLE TRIGGER trigger_update_negotiations_timestamp",
            "07 12",
        ),
        ("DROP FUNCTION negotiation.update_negotiations_timestamp CASCADE", "07 08 12"),
        ("DROP FUNCTION negotiation.expire_stale_negotiations()", "09 13"),
        ("ALTER TABLE negotiation.negotiations ALTER rounds SET DEFAULT '{}'", "10"),
        ("ALTER TABLE negotiation.negotiations ALTER max_rounds SET DEFAULT 5", "11"),
        (TOUCH.format("NEW.created_at"), "12"),
        (EXPIRE.format("expire_stale_negotiations() RETURNS integer", "SELECT 7"), "13"),
        (STATES, "04 14"),
        (f"{STATES}; ALTER TABLE negotiation.negotiations ADD CHECK (state NOT IN ('expired', 'settled'))", "13 14"),
    ],
)
def test_what_is_broken_in_negotiations_fails_the_check_that_speaks_of_it(dsn, owner, broken, failed):
    owner.execute(broken)

    code, found = failures(dsn, NEGOTIATION)

    assert code == 4
    assert found == [f"negotiations {n}" for n in failed.split()]


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        ("ALTER TABLE proof.usefulness_proofs ALTER trace_id TYPE varchar(200)", "02"),
        ("ALTER TABLE proof.usefulness_proofs RENAME COLUMN attestations TO vouchers", "02"),
        ("DROP INDEX proof.idx_usefulness_trace", "03"),
        ("ALTER TABLE proof.usefulness_proofs DROP CONSTRAINT useful_work_by_a_registered_agent", "04"),
        (
            (
                "ALTER TABLE proof.usefulness_proofs DROP CONSTRAINT useful_work_by_a_registered_agent, "
                "ADD FOREIGN KEY (agent_did) REFERENCES registry.agents (did) ON DELETE CASCADE"
            ),
            "04",
        ),
        ("ALTER TABLE proof.usefulness_proofs DROP CONSTRAINT work_type_known", "05"),
        ("ALTER TABLE proof.usefulness_proofs ADD CHECK (work_type <> 'learning')", "05"),
        ("ALTER TABLE proof.usefulness_proofs DROP CONSTRAINT usefulness_score_within_100", "06"),
        ("ALTER TABLE registry.agents RENAME COLUMN usefulness_score_cached TO usefulness", "07 09"),
        ("ALTER TABLE registry.agents RENAME COLUMN usefulness_last_updated TO usefulness_at", "08"),
        ("DROP INDEX registry.idx_agents_usefulness", "09"),
        (
            (
                "DROP INDEX proof.idx_usefulness_metrics; "
                "CREATE INDEX idx_usefulness_metrics ON proof.usefulness_proofs USING hash (metrics)"
            ),
            "10",
        ),
        ("DROP TABLE proof.usefulness_proofs CASCADE", "01 02 03 04 05 06 10"),
    ],
)
def test_what_is_broken_in_usefulness_fails_the_check_that_speaks_of_it(dsn, owner, broken, failed):
    owner.execute(broken)

    code, found = failures(dsn, USEFULNESS)

    assert code == 4
    assert found == [f"usefulness {n}" for n in failed.split()]


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        ("ALTER TABLE credits.credit_accounts ALTER spent DROP NOT NULL", "01"),
        ("ALTER TYPE credits.tx_type RENAME VALUE 'pou_routing' TO 'pou_walking'", "02"),
        ("ALTER TABLE credits.credit_accounts DROP CONSTRAINT credit_accounts_pkey CASCADE", None),
        ("DROP INDEX credits.postings_by_account", "04"),
        ("ALTER TABLE credits.postings DROP CONSTRAINT posting_on_an_account", "05"),
        (
            (
                "ALTER TABLE credits.postings DROP CONSTRAINT posting_of_a_movement, ADD FOREIGN KEY (transaction_id) "
                "REFERENCES credits.credit_transactions (id) ON DELETE CASCADE"
            ),
            "05",
        ),
        ("DISARM", "06"),
        ("HALVE", "07"),
        (
            (
                "ALTER TABLE credits.credit_accounts DROP CONSTRAINT agent_balance_not_negative, "
                "DROP CONSTRAINT reserved_within_balance"
            ),
            "09 10",
        ),
        ("ALTER TABLE credits.credit_accounts DROP CONSTRAINT reserved_within_balance", "10"),
    ],
)
def test_what_is_broken_in_credits_fails_the_check_that_speaks_of_it(dsn, owner, broken, failed):
    body = owner.execute("SELECT pg_get_functiondef('credits.post'::regproc)").fetchone()[0]
    disarmed = body.replace("updated_at = clock_timestamp()", "updated_at = changed.updated_at")
    halved = body.replace("balance = changed.balance + delta.balance", "balance = changed.balance + delta.balance / 2")
    owner.execute({"DISARM": disarmed, "HALVE": halved}.get(broken, broken))

    code, found = failures(dsn, CREDITS)

    assert code == 4
    assert found == [f"credits {n}" for n in failed.split()] if failed else "credits 03" in found


ADDITIONS = {
    NEGOTIATION: "negotiation.negotiations",
    USEFULNESS: "proof.usefulness_proofs",
    CREDITS: "credits.credit_accounts",
}


@pytest.mark.parametrize("revision", sorted(ADDITIONS))
def test_what_we_add_fails_no_check_of_the_guide(dsn, owner, revision):
    table = ADDITIONS[revision]
    owner.execute(
        f"""
        ALTER TABLE {table} ADD COLUMN house integer NOT NULL DEFAULT 1, ADD COLUMN note text,
            ADD CONSTRAINT a_house_of_its_own CHECK (house > 0);
        CREATE INDEX added_by_house ON {table} (house, note) WHERE note IS NOT NULL;
        CREATE FUNCTION public.looks_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
        CREATE TRIGGER added BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION public.looks_on();
        """
    )

    code, checks = verify(dsn, "--only", revision)

    assert (code, [name for name, ok in checks.items() if not ok]) == (0, [])


def test_the_rollback_of_usefulness_is_its_down_and_can_be_taken_back(dsn, owner):
    assert run(dsn, "down", "--to", "20261120T010000_discovery").exit_code == 0
    gone = owner.execute("SELECT to_regclass('proof.usefulness_proofs')").fetchone()
    assert run(dsn, "up").exit_code == 0

    assert gone == (None,)
    assert failures(dsn, USEFULNESS) == (0, [])
