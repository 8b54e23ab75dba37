import psycopg
import pytest

from given.online import Killed
from hansa.migrate.online.constraints import NoSuchConstraint, RowsInTheWay
from hansa.migrate.online.errors import BadOperation, OperationRefused
from hansa.migrate.online.kinds.add_foreign_key import AddForeignKey

TASKS = """
    CREATE TABLE agents (org int, id int, PRIMARY KEY (org, id), did int UNIQUE);
    INSERT INTO agents SELECT n % 5, n, n FROM generate_series(1, 20) AS n;
    CREATE TABLE tasks (id int PRIMARY KEY, org int, agent int, did int);
    INSERT INTO tasks SELECT n, a.org, a.id, a.did FROM generate_series(1, 1200) AS n JOIN agents AS a ON a.id = 1 + n % 20;
"""
OLD = """
    ALTER TABLE tasks ADD CONSTRAINT task_agent FOREIGN KEY (did) REFERENCES agents (did) ON DELETE CASCADE;
    COMMENT ON CONSTRAINT task_agent ON tasks IS 'goes with its agent';
"""
ORPHANS = "UPDATE tasks SET did = 100 + id WHERE id % 4 = 0"
BY_KEY = AddForeignKey(table="tasks", name="task_has_agent", columns=("org", "agent"), references="agents")
BY_DID = AddForeignKey(
    table="tasks",
    name="task_has_did",
    columns=("did",),
    references="agents",
    referenced_columns=("did",),
    orphans="null",
)


def keys(bench):
    return bench.ask("""
        SELECT conname, pg_get_constraintdef(oid), convalidated
        FROM pg_constraint WHERE contype = 'f' AND conrelid = 'tasks'::regclass ORDER BY 1
    """)


def test_a_foreign_key_is_the_same_however_often_its_run_dies(bench):
    bench.ask(TASKS)

    bench.survives(BY_KEY)

    assert keys(bench) == [("task_has_agent", "FOREIGN KEY (org, agent) REFERENCES agents(org, id)", True)]


@pytest.mark.parametrize("name", ["task_agent", "task_keeps_agent"])
def test_it_takes_the_place_of_another_one_and_gives_it_back_however_often_its_run_dies(bench, name):
    bench.ask(TASKS)
    bench.ask(OLD)
    operation = AddForeignKey(
        table="tasks",
        name=name,
        columns=("did",),
        references="agents",
        referenced_columns=("did",),
        on_delete="RESTRICT",
        on_update="CASCADE",
        replaces="task_agent",
    )

    bench.survives(operation)

    definition = "FOREIGN KEY (did) REFERENCES agents(did) ON UPDATE CASCADE ON DELETE RESTRICT"
    assert keys(bench) == [(name, definition, True)]


def test_one_that_was_never_valid_comes_back_as_it_was(bench):
    bench.ask(TASKS)
    bench.ask("ALTER TABLE tasks ADD CONSTRAINT task_agent FOREIGN KEY (did) REFERENCES agents (did) NOT VALID")
    operation = AddForeignKey(
        table="tasks",
        name="better",
        columns=("did",),
        references="agents",
        referenced_columns=("did",),
        replaces="task_agent",
    )

    bench.survives(operation)
    bench.down(operation)

    assert keys(bench) == [("task_agent", "FOREIGN KEY (did) REFERENCES agents(did) NOT VALID", False)]


def test_orphans_are_counted_and_ten_of_them_shown_and_nothing_is_changed(bench):
    bench.ask(TASKS)
    bench.ask("UPDATE tasks SET agent = 99 WHERE id <= 30; UPDATE tasks SET org = NULL WHERE id > 1000")
    before = bench.world()

    with pytest.raises(RowsInTheWay, match=r"30 rows of public\.tasks refer to nothing in public\.agents") as refusal:
        bench.up(BY_KEY)

    assert "(id) = (1), (2), (3), (4), (5), (6), (7), (8), (9), (10); nothing" in str(refusal.value)
    assert before.sentences(bench.world()) == []


def test_orphans_become_null_and_come_back_however_often_the_run_dies(bench):
    bench.ask(TASKS)
    bench.ask(ORPHANS)

    bench.survives(BY_DID)

    assert bench.one("SELECT count(*) FROM tasks WHERE did IS NULL") == 300


def test_an_orphan_that_got_a_parent_since_keeps_it(bench):
    bench.ask(TASKS)
    bench.ask(ORPHANS)

    bench.up(BY_DID)
    bench.ask("UPDATE tasks SET did = 7 WHERE id = 4")
    bench.down(BY_DID)

    assert bench.ask("SELECT id, did FROM tasks WHERE id IN (4, 8) ORDER BY 1") == [(4, 7), (8, 108)]


def test_no_orphan_can_come_while_the_old_ones_are_cleared(bench):
    bench.ask(TASKS)
    bench.ask(ORPHANS)
    with pytest.raises(Killed):
        bench.up(BY_DID, die_in="clear")

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        bench.ask("UPDATE tasks SET did = 99 WHERE id = 1")


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"name": "tasks_pkey"}, "tasks_pkey already"),
        ({"references": "nowhere"}, "no table nowhere"),
        ({"columns": ("nothing",)}, 'column "nothing" .* does not exist'),
        ({"columns": ("agent",), "referenced_columns": ("id",)}, "no unique constraint matching"),
        ({"columns": ("note",), "referenced_columns": ("did",)}, "cannot be implemented"),
        ({"replaces": "nothing"}, "no foreign key nothing to replace"),
        ({"replaces": "tasks_pkey"}, "no foreign key tasks_pkey to replace"),
        ({"columns": ("id",), "referenced_columns": ("did",), "orphans": "null"}, "takes no NULL"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_changed(bench, changed, refusal):
    bench.ask(TASKS)
    bench.ask("ALTER TABLE tasks ADD note text")
    before = bench.world()
    entries = {"table": "tasks", "name": "x", "columns": ("org", "agent"), "references": "agents"} | changed

    with pytest.raises(OperationRefused, match=refusal) as refused:
        bench.up(AddForeignKey(**entries))
    bench.down(AddForeignKey(**entries))

    assert isinstance(refused.value, NoSuchConstraint) == ("replaces" in changed)
    assert before.sentences(bench.world()) == []


@pytest.mark.parametrize(
    "changed",
    [{"on_delete": "EXPLODE"}, {"orphans": "adopt"}, {"columns": ("a", "b"), "orphans": "null"}, {"triggers": "maybe"}],
)
def test_entries_say_what_they_may(changed):
    with pytest.raises(BadOperation):
        AddForeignKey(**({"table": "t", "name": "n", "columns": ("a",), "references": "p"} | changed))
