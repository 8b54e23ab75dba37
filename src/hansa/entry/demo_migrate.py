"""`hansa demo migrate`: a dirty database is changed under its users, and back, on a temporary server.

It begins with what years of careless writing left, and with what the improvement plan's own SQL would make of it. Then
the same plan goes the way this house goes: rehearsed on a copy, up while clients write, verified, down, up again. Every
number is measured in the run, and each promise is checked: the first that does not hold ends it, by name.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from hansa import migrate
from hansa.entry import demo_migrate_report as shown
from hansa.entry.demo_migrate_report import Stage, numbered
from hansa.entry.demo_migrate_rows import (
    IN_FORCE,
    POWER,
    UNSENT,
    Connection,
    Contents,
    Ids,
    Key,
    Shelf,
    columns_of,
    contents,
    damage_of,
    differing,
    dirt_of,
    in_the_way,
    quarantine,
)
from hansa.examples import legacy
from hansa.infra.embedded import EmbeddedPostgres, EmbeddedRefused
from hansa.migrate.catalog import Snapshot, differences, snapshot
from hansa.migrate.online.kinds.convert_to_enum import IN_PLACE, SWAPPED, ConvertToEnum
from hansa.migrate.rehearsal import Certificate, Probe, ProbeReport, Probes, load_probes
from hansa.migrate.rehearsal.probing import keys_of, probing
from hansa.migrate.revisions import load
from hansa.migrate.splitter import split

T = TypeVar("T")

SCALE = 20_000
"""Role agents. From 20 000 rows on a table is converted step by step; a smaller one in one short transaction."""
SEED = 1
CLIENTS = 2
REHEARSED_WITHIN_S = 3600.0
UNHURRIED = migrate.Pace(batch_s=0.25, rest=0.0)
"""On a copy nobody waits, and a rehearsal looks at every statement, which takes longer than a small batch does."""
OUTAGES_SHOWN = 3
STRANGE = "On Holiday"
"""A status that nobody thought of."""
STRANGERS = 3
LITERAL = legacy.FOLDER / "literal"
"""The plan as it was written, as a revision."""
NOT_FOLLOWED = frozenset({"assignment of a retired agent ended", "policy archived, policy in force again"})
"""Statements that the clients do not send: one picks its row anew each time, and the rows of the other may be set aside
under it, so what they wrote could not be told from what the migration did."""


class DemoFailed(Exception):
    """Something does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The old database, before anything happened to it."""

    catalog: Snapshot
    contents: Contents
    columns: Mapping[str, Ids]
    power: frozenset[Key]
    unsent: frozenset[Key]
    in_force: frozenset[Key]

    @property
    def rows(self) -> int:
        return sum(map(len, self.contents.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the clients wrote while the database changed under them, by table."""

    followed: Mapping[str, Ids]
    """Rows that were there before and may hold something else now."""
    added: Mapping[str, Ids]

    def rows(self, table: str) -> Ids:
        return self.followed.get(table, frozenset()) | self.added.get(table, frozenset())

    @property
    def new(self) -> int:
        return sum(map(len, self.added.values()))


@dataclass
class MigrationDemo:
    """One run. `revisions` and `tamper`, called before the way back, let a test show that the checks can fail."""

    scale: int = SCALE
    as_json: bool = False
    revisions: Path = legacy.REVISIONS
    tamper: Callable[[str], None] | None = None
    stage: Stage = field(init=False)
    dsn: str = field(init=False)

    def __post_init__(self) -> None:
        self.stage = Stage(as_json=self.as_json)
        self.options = migrate.Options(notify=self.stage.notice)

    def run(self) -> int:
        """Exit status: 0 when everything happened and every promise held."""
        folder = Path(tempfile.mkdtemp(prefix="hansa-demo-"))
        folder.chmod(0o755)  # the account that runs the server for root must reach its data
        server = EmbeddedPostgres(folder / "home")
        problem: str | None = None
        self.stage.head(
            "A dirty database is changed under its users, and back",
            "On a temporary server; nothing of yours is touched, and nothing stays.",
        )
        try:
            self.play(server)
        except (DemoFailed, migrate.Refusal) as failure:
            problem = str(failure)
        except psycopg.Error as error:
            problem = f"PostgreSQL: {' '.join(str(error).split())}"
        finally:
            with suppress(EmbeddedRefused, OSError):
                server.destroy()
            shutil.rmtree(folder, ignore_errors=True)
        self.stage.end(problem)
        return 1 if problem else 0

    def play(self, server: EmbeddedPostgres) -> None:
        """All of it, in its order. Raises DemoFailed with the first thing that does not hold."""
        baseline = load(self.revisions)[0].id
        before = self.build(server, baseline)
        self.show_dirt()
        self.try_the_plan(before)
        self.show_plan()
        self.stop_at_a_stranger(before)
        self.rehearse()
        written = self.up_under_traffic(before)
        self.verify()
        self.judge(before, written)
        self.show_quarantine(before, written)
        after = self.look(but_for_the_time)
        if self.tamper:
            self.tamper(self.dsn)
        self.go_back(before, written, baseline)
        self.go_again(after)

    # --- the old database ---------------------------------------------------------------------------------------------

    def build(self, server: EmbeddedPostgres, baseline: str) -> Before:
        with self.stage.step("An old database, with the dirt of its years") as done:
            with quiet("hansa.infra.embedded"):
                running = server.start()
            admin = running.dsn(role="postgres", database="postgres")
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute("CREATE DATABASE governance")
            self.dsn = make_conninfo(admin, dbname="governance")
            before = self.fill(baseline)
            done(
                f"{before.rows:,} rows in {len(before.contents)} tables: role agents, their votes, policies, mints, audit"
            )
            self.stage.facts["rows"] = before.rows
        return before

    def fill(self, baseline: str) -> Before:
        """Make the old schema and its rows in an empty database."""
        migrate.up(self.dsn, self.revisions, to=baseline, options=self.options)
        self.look(lambda connection: legacy.generate(connection, seed=SEED, scale=self.scale))
        return self.look(seen)

    def show_dirt(self) -> None:
        with self.stage.step("What is wrong with it") as done:
            dirt = self.look(lambda connection: dirt_of(connection, conversions(self.revisions)))
            stumbles = self.look(in_the_way)
            done(shown.odd_texts(dirt), "", shown.obstacles(stumbles))
            self.stage.facts["odd_texts"] = {each.column: each.rows for each in dirt}
            self.stage.facts["in_the_way"] = stumbles
            hold(any(each.rows for each in dirt), "the old database is clean, so there is nothing to show")

    def try_the_plan(self, before: Before) -> None:
        with self.stage.step("What the SQL of the improvement plan would do, run and undone") as done:
            [plan] = LITERAL.iterdir()
            report = self.lint(plan)
            script = split((plan / "up.sql").read_text(encoding="utf-8"))
            damage = self.look(lambda connection: damage_of(connection, [statement.text for statement in script]))
            done(f"lint: {len(report.errors)} errors, {len(report.warnings)} warnings; the first error of each kind:")
            done(shown.worst_findings(report), "", "measured:", *shown.consequences(damage))
            self.stage.facts["plan_as_written"] = {
                "errors": len(report.errors),
                "warnings": len(report.warnings),
                "rules": dict(report.counts),
                "statements": damage.statements,
                "refused": damage.refused,
                "agents_active_again": damage.risen,
                "transactions_sent_again": damage.again,
                "policies_without_force": damage.unforced,
                "votes_without_decision": damage.emptied,
            }
            hold(not report.ok, "lint finds no error in the plan as it was written")
            hold(damage.risen > 0, "the plan as it was written gives nobody power back")
            self.hold_unchanged(before, "the trial of the plan")

    def lint(self, plan: Path) -> migrate.LintReport:
        """The plan as a revision, after the one that it builds on."""
        with tempfile.TemporaryDirectory(prefix="hansa-demo-") as folder:
            first = load(self.revisions)[0].id
            shutil.copytree(self.revisions / first, Path(folder) / first)
            shutil.copytree(plan, Path(folder) / plan.name)
            return migrate.lint(Path(folder), only=[plan.name])

    # --- the same plan, our way ---------------------------------------------------------------------------------------

    def show_plan(self) -> None:
        with self.stage.step("The same plan, as revisions that can go back") as done:
            plan = migrate.plan(self.dsn, self.revisions)
            done(shown.planned(plan))
            self.stage.facts["plan"] = {step.revision: list(step.operations) or step.statements for step in plan.steps}

    def stop_at_a_stranger(self, before: Before) -> None:
        with self.stage.step("A status that nobody thought of stops it on a copy, before anything changes") as done:
            strangers = self.look(plant)
            told = self.rehearsed().rounds[0].failure or "nothing"
            done(told)
            self.stage.facts["stopped_by"] = told
            hold(f"{STRANGE!r} ({len(strangers)})" in told, f"{STRANGE!r} was not listed with its count, but: {told}")
            try:
                self.up()
            except migrate.Refusal as refusal:
                done(f"up refuses: {refusal}")
            else:
                raise DemoFailed("up did not ask for a good rehearsal")
            self.look(lambda connection: weed(connection, strangers))
            self.hold_unchanged(before, "what was stopped")

    def rehearse(self) -> None:
        with self.stage.step("Rehearsed on a copy: up, verified, down, all as it was, up again") as done:
            certificate = self.rehearsed()
            done(certificate.sentences[0], *(each.sentence for each in certificate.outages[:OUTAGES_SHOWN]))
            less = len(certificate.outages) - OUTAGES_SHOWN
            if less > 0:
                done(f"and {less} shorter ones")
            self.stage.facts["rehearsal"] = {"ok": certificate.ok, "sentences": certificate.sentences}
            faults = (each for one in certificate.rounds for each in one.sentences if "(no fault)" not in each)
            hold(certificate.ok, f"the rehearsal: {next(faults, certificate.sentences[0])}")

    def up_under_traffic(self, before: Before) -> Written:
        probes = application()
        title = f"Up, while {CLIENTS} clients go on sending what the old application sends"
        with self.stage.step(title) as done:
            rows = followed(self.dsn, probes)
            began = time.monotonic()
            with probing(self.dsn, probes) as traffic:
                traffic.migrating()
                self.up()
                took = time.monotonic() - began
            reports = traffic.report()
            now = self.look(contents)
            added = {table: frozenset(ids.keys() - before.contents.get(table, {})) for table, ids in now.items()}
            lost = sum(report.lost_writes or 0 for report in reports) + lost_rows(probes, reports, added)
            failed = sum(sum(report.failed.values()) for report in reports)
            total = sum(report.during.count for report in reports)
            worst = max(report.during.worst_ms for report in reports)
            renewed = sum(report.replaced for report in reports)
            stepwise, in_place = self.look(forms)
            done(
                shown.felt(reports),
                "",
                f"{total:,} statements in {took:.1f} s: the longest waited {worst:,.0f} ms, {failed} failed, "
                f"{lost} writes were lost.",
                f"{renewed} connections were renewed, because what they had prepared was for the old columns.",
                f"{stepwise} columns were converted step by step, {in_place} of small tables in place.",
            )
            self.stage.facts["up"] = {
                "seconds": round(took, 3),
                "statements": total,
                "worst_ms": worst,
                "failed": failed,
                "lost": lost,
                "connections_renewed": renewed,
                "columns_step_by_step": stepwise,
                "columns_in_place": in_place,
            }
            broken = next((report.sentence for report in reports if report.failed or report.problem), None)
            hold(broken is None, f"up, for the clients: {broken}")
            hold(lost == 0, f"up, for the clients: {lost} confirmed writes are not there")
        return Written(followed=rows, added=added)

    def verify(self) -> None:
        with self.stage.step("Verified: what each revision says is so") as done:
            found = migrate.verify(self.dsn, self.revisions, options=self.options)
            done(shown.verified(found))
            self.stage.facts["verified"] = {check.name: check.ok for check in found.checks}
            broken = next((check.name for check in found.checks if not check.ok), None)
            hold(broken is None, f"verify: it is not so that {broken}")

    # --- what became of it --------------------------------------------------------------------------------------------

    def judge(self, before: Before, written: Written) -> None:
        with self.stage.step("Nobody regained power, and nothing was reset") as done:
            power, unsent, in_force = (
                self.look(
                    lambda connection, of=meaning: of.holders(connection, old=False, without=written.rows(of.table))
                )
                for meaning in (POWER, UNSENT, IN_FORCE)
            )
            had_power = untouched(before.power, written.rows(POWER.table))
            had_unsent = untouched(before.unsent, written.rows(UNSENT.table))
            counts = {
                "agents_risen": len(power - had_power),
                "agents_fallen": len(had_power - power),
                "transactions_reset": len(unsent - had_unsent),
                "transactions_forgotten": len(had_unsent - unsent),
                "policies_without_force": len(before.in_force - in_force),
                "policies_with_new_force": len(in_force - before.in_force),
            }
            risen, fallen, reset, forgotten, unforced, enforced = counts.values()
            done(
                numbered(len(power), f"agents are active: {risen} gained it, {fallen} lost it"),
                numbered(len(unsent), f"transactions wait to be sent: {reset} more than before, {forgotten} fewer"),
                numbered(len(in_force), f"versions of policies are in force: {enforced} gained it, {unforced} lost it"),
                "Rows that the clients wrote themselves are not counted.",
            )
            self.stage.facts["judged"] = counts
            hold(not risen, f"{risen:,} agents are active that were not")
            hold(not fallen, f"{fallen:,} agents are not active any more")
            hold(not reset, f"{reset:,} settled transactions wait to be sent again")
            hold(not forgotten, f"{forgotten:,} transactions would never be sent")
            hold(not unforced, f"{unforced:,} policies lost their force")
            hold(not enforced, f"{enforced:,} policies are in force that were not")

    def show_quarantine(self, before: Before, written: Written) -> None:
        with self.stage.step("What has no place is in quarantine, whole, and nothing is missing") as done:
            shelves = self.look(lambda connection: quarantine(connection, before.columns))
            done(shown.set_aside(shelves))
            self.stage.facts["quarantine"] = [
                {"table": shelf.table, "rows": len(shelf.ids), "reason": shelf.reason} for shelf in shelves
            ]
            partial = next((shelf.table for shelf in shelves if not shelf.whole), None)
            hold(partial is None, f"rows of {partial} are not whole in quarantine")
            self.hold_complete(before, written, shelves)

    def hold_complete(self, before: Before, written: Written, shelves: Sequence[Shelf]) -> None:
        """Every row is in its table or in quarantine, and not in both."""
        now = self.look(contents)
        for table, rows in before.contents.items():
            there = now[table].keys() - written.added.get(table, frozenset())
            aside = [key for shelf in shelves if shelf.table == table for key in shelf.ids]
            twice = len(there) + len(aside) - len(there | set(aside))
            gone = len(rows.keys() - there - set(aside))
            hold(not twice, f"{twice:,} rows of {table} are both there and in quarantine")
            hold(not gone, f"{gone:,} rows of {table} are neither there nor in quarantine")

    # --- back, and again ----------------------------------------------------------------------------------------------

    def go_back(self, before: Before, written: Written, baseline: str) -> None:
        with self.stage.step("Down: the old database again, to the last byte") as done:
            migrate.down(self.dsn, self.revisions, to=baseline, options=self.options)
            self.hold_catalog(before, "down")
            changed = differing(before.contents, self.look(contents))
            for table, ids in changed.items():
                lost = len(ids - written.rows(table))
                hold(not lost, f"down: {lost:,} rows of {table} are not as they were")
            theirs = sum(len(ids & before.contents[table].keys()) for table, ids in changed.items())
            done(
                f"{before.rows - theirs:,} of {before.rows:,} rows are equal, byte for byte; "
                f"the clients wrote to the other {theirs:,} and added {written.new:,}.",
                f"The catalog is equal: tables, types, defaults, indexes, keys, triggers ({before.catalog.digest[:12]}).",
            )
            self.stage.facts["down"] = {"rows": before.rows, "written_by_clients": theirs, "new": written.new}

    def go_again(self, after: Contents) -> None:
        with self.stage.step("Up again: the same as the first time") as done:
            migrate.up(self.dsn, self.revisions, options=self.options)
            now = self.look(but_for_the_time)
            for table, ids in differing(after, now).items():
                raise DemoFailed(f"up again: {len(ids):,} rows of {table} are not as the first time")
            pending = migrate.plan(self.dsn, self.revisions).steps
            hold(not pending, f"up again: {len(pending)} revisions are still pending")
            rows = sum(map(len, now.values()))
            done(f"{rows:,} rows in {len(now)} tables are equal, but for the time of their change.")
            self.stage.facts["again"] = {"rows": rows, "tables": len(now)}

    # --- asking and judging -------------------------------------------------------------------------------------------

    def up(self) -> migrate.Report:
        """Only what was rehearsed."""
        conditions = [migrate.rehearsed(REHEARSED_WITHIN_S)]
        return migrate.up(self.dsn, self.revisions, conditions=conditions, options=self.options)

    def rehearsed(self) -> Certificate:
        return migrate.rehearse(self.dsn, self.revisions, options=replace(self.options, online=UNHURRIED))

    def look(self, question: Callable[[Connection], T]) -> T:
        """Ask on a connection of its own: a rehearsal copies fastest while nobody is connected."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return question(connection)

    def hold_unchanged(self, before: Before, by: str) -> None:
        self.hold_catalog(before, by)
        for table, ids in differing(before.contents, self.look(contents)).items():
            raise DemoFailed(f"{by}: {len(ids):,} rows of {table} were changed")

    def hold_catalog(self, before: Before, what: str) -> None:
        for difference in differences(before.catalog, self.look(snapshot)):
            hold(difference.soft, f"{what}: {difference.sentence}")


@contextmanager
def quiet(name: str) -> Generator[None]:
    """Keep what a step says anyway out of the log."""
    log = logging.getLogger(name)
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


def hold(fact: bool, otherwise: str) -> None:
    """Raises DemoFailed."""
    if not fact:
        raise DemoFailed(otherwise)


def seen(connection: Connection) -> Before:
    """Everything that must be so again in the end."""
    power, unsent, in_force = (meaning.holders(connection, old=True) for meaning in (POWER, UNSENT, IN_FORCE))
    return Before(
        catalog=snapshot(connection),
        contents=contents(connection),
        columns=columns_of(connection),
        power=power,
        unsent=unsent,
        in_force=in_force,
    )


def but_for_the_time(connection: Connection) -> Contents:
    """Contents without the instant of the last change, which is another one each time."""
    return contents(connection, without="updatedAt")


def untouched(keys: Collection[Key], ids: Ids) -> frozenset[Key]:
    """Keys of rows that no client wrote."""
    return frozenset(key for key in keys if key[0] not in ids)


def conversions(folder: Path) -> tuple[ConvertToEnum, ...]:
    operations = (operation for revision in load(folder) for operation in revision.operations)
    return tuple(operation for operation in operations if isinstance(operation, ConvertToEnum))


def application() -> Probes:
    """What the old application sends, from each of the clients."""
    probes = load_probes(legacy.PROBES)
    return replace(
        probes,
        probes=tuple(probe for probe in probes.probes if probe.name not in NOT_FOLLOWED),
        connections=CLIENTS,
    )


def followed(dsn: str, probes: Probes) -> dict[str, Ids]:
    """Ids of the rows that the clients will write to, by table."""
    found: dict[str, Ids] = {}
    for probe in probes.probes:
        table = written_by(probe, "UPDATE")
        if table is not None:
            found[table] = found.get(table, frozenset()) | frozenset(keys_of(dsn, probes, probe))
    return found


def written_by(probe: Probe, verb: str) -> str | None:
    """The table that a statement of this kind writes to."""
    match = re.match(rf'\s*{verb}\s+"(\w+)"', probe.sql)
    return None if match is None else match[1]


def answered(report: ProbeReport) -> int:
    """How many statements succeeded."""
    return report.before.count + report.during.count - sum(report.failed.values())


def lost_rows(probes: Probes, reports: Sequence[ProbeReport], added: Mapping[str, Ids]) -> int:
    """New rows that were confirmed and are not there."""
    confirmed: dict[str, int] = {}
    for probe, report in zip(probes.probes, reports, strict=True):
        table = written_by(probe, "INSERT INTO")
        if table is not None:
            confirmed[table] = confirmed.get(table, 0) + answered(report)
    return sum(max(0, count - len(added.get(table, ()))) for table, count in confirmed.items())


def forms(connection: Connection) -> tuple[int, int]:
    """How many columns were converted step by step, and how many in place."""
    rows = connection.execute("SELECT facts ->> 'stage' FROM mig.operations WHERE kind = 'convert_to_enum'").fetchall()
    stages = [stage for (stage,) in rows]
    return stages.count(SWAPPED), stages.count(IN_PLACE)


def plant(connection: Connection) -> list[str]:
    """Write what nobody thought of into some active agents; returns their ids."""
    rows = connection.execute(
        """
        UPDATE "role_agents" SET "status" = %s
         WHERE "id" IN (SELECT "id" FROM "role_agents" WHERE "status" = 'active' ORDER BY "id" LIMIT %s)
        RETURNING "id"
        """,
        [STRANGE, STRANGERS],
    )
    return [key for (key,) in rows.fetchall()]


def weed(connection: Connection, ids: list[str]) -> None:
    """Make them active again."""
    connection.execute('UPDATE "role_agents" SET "status" = \'active\' WHERE "id" = ANY (%s)', [ids])
