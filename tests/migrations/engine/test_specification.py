"""Everything that can be wrong in `[[operation]]` and map.toml, found before a database is touched."""

from dataclasses import dataclass, field
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from hansa.migrate import errors
from hansa.migrate.online import kinds
from hansa.migrate.online.errors import BadMap, BadOperation
from hansa.migrate.online.values import FOLDS, ValueMap, read_map
from hansa.migrate.revisions import load

A = "20260101T000000_online"
MAP = '[status]\n[status.values]\nactive = "active"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One entry of each type that there is."""

    kind: ClassVar[str] = "sample"
    table: str
    columns: tuple[str, ...] = ()
    rows: int = 10
    fast: bool = False
    map: ValueMap | None = None
    note: str | None = None
    words: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if self.rows < 1:
            raise BadOperation("rows must be at least 1")


@pytest.fixture(autouse=True)
def _sample(monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "sample", Sample)


def read(folder, meta, maps=None):
    path = folder.revision(A, up=None, down=None, meta=meta)
    if maps is not None:
        (path / "map.toml").write_text(maps)
    (revision,) = load(folder.path)
    return revision.operations


def sample(entries):
    return f'[[operation]]\nkind = "sample"\n{entries}\n'


def test_every_type_of_entry_is_read(folder):
    entries = 'table = "a"\ncolumns = ["b", "c"]\nrows = 3\nfast = true\nmap = "status"\nnote = "100%"'
    meta = sample(entries) + sample('table = "d"')

    first, second = read(folder, meta, MAP)

    assert first == Sample(
        table="a", columns=("b", "c"), rows=3, fast=True, map=ValueMap(values={"active": "active"}), note="100%"
    )
    assert second == Sample(table="d")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ('[[operation]]\ntable = "a"', "operation 1: kind = None is none of"),
        ('[[operation]]\nkind = "simple"', "kind = 'simple' is none of .*sample"),
        ("[[operation]]\nkind = 3", "kind = 3 is none of"),
        ('[[operation]]\nkind = ["sample"]', r"kind = \['sample'\] is none of"),
        (sample(""), "operation 1: sample needs table"),
        (sample('table = "a"') + sample(""), "operation 2: sample needs table"),
        (sample('table = "a"\ncolour = "red"'), "sample knows no entry colour; it takes table, columns"),
        (sample("table = 3"), "table = 3 is not of the right kind"),
        (sample('table = "a"\nrows = true'), "rows = True is not of the right kind"),
        (sample('table = "a"\nrows = 1.5'), "rows = 1.5 is not"),
        (sample('table = "a"\nfast = 1'), "fast = 1 is not"),
        (sample('table = "a"\ncolumns = "b"'), "columns = 'b' is not"),
        (sample('table = "a"\ncolumns = []'), r"columns = \[\] is not"),
        (sample('table = "a"\ncolumns = ["b", 1]'), "columns = "),
        (sample('table = "a"\nnote = 2026-01-01'), "note = "),
        (sample('table = "a"\nrows = 0'), f"{A}/meta.toml, operation 1: rows must be at least 1"),
        (sample('table = "a"\nmap = "status"'), "map.toml has no map 'status'"),
        (sample('table = "a"\nmap = ["status"]'), "map.toml has no map"),
    ],
)
def test_a_wrong_operation_is_refused_by_revision_number_and_entry(folder, meta, message):
    with pytest.raises(BadOperation, match=message) as refused:
        read(folder, meta)

    assert str(refused.value).startswith(f"{A}/meta.toml, operation ")


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ("= 3", r"map\.toml: Invalid"),
        ("status = 3", "write .status.values."),
        ("[status]", "write .status.values."),
        ("[status]\nvalues = 3", "write .status.values."),
        ("[status.values]\nactive = 3", "write .status.values."),
        ('[status]\ndefault = "x"\n[status.values]\nactive = "a"', "default is unknown.*no default"),
        ('[status]\nfold = "trim"\n[status.values]\nactive = "a"', "fold lists trim and lower"),
        ('[status]\nfold = ["upper"]\n[status.values]\nactive = "a"', "fold lists"),
        ('[status]\nfold = [["trim"]]\n[status.values]\nactive = "a"', "fold lists"),
        ('[status]\nquarantine = "x"\n[status.values]\nactive = "a"', "quarantine lists old values"),
        ('[status]\nquarantine = [1]\n[status.values]\nactive = "a"', "quarantine lists old values"),
        ('[status]\nfold = ["lower"]\n[status.values]\nActive = "a"', "'Active' can never match.*'active'"),
        ('[status]\nfold = ["trim"]\nquarantine = [" x"]\n[status.values]\na = "a"', "' x' can never match"),
        ('[status]\nquarantine = ["a"]\n[status.values]\na = "a"', "'a' is both mapped and quarantined"),
        (MAP + '[other.values]\na = "b"', "no operation uses the map other"),
    ],
)
def test_a_wrong_map_is_refused_by_file_and_name(folder, maps, message):
    with pytest.raises(BadMap, match=message) as refused:
        read(folder, sample('table = "a"\nmap = "status"'), maps)

    assert str(refused.value).startswith(f"{A}/map.toml")


def test_a_map_without_an_operation_is_refused(folder):
    path = folder.revision(A)
    (path / "map.toml").write_text(MAP)

    with pytest.raises(BadMap, match="no operation uses the map status"):
        load(folder.path)


@pytest.mark.parametrize(
    "meta",
    ['operation = "x"', "[operation]", "operation = []", "operation = [3]", "[settings]\nx = 3", "settings = 3"],
)
def test_entries_of_another_shape_are_refused(folder, meta):
    folder.revision(A, meta=meta)

    with pytest.raises(errors.BadMeta, match=f"{A}/meta.toml: (operation|settings) = "):
        load(folder.path)


def test_a_map_says_what_becomes_of_each_value_and_nothing_of_others():
    found = read_map(
        "map", {"fold": ["trim", "lower"], "quarantine": ["unknown"], "values": {"active": "on", "revoked": "off"}}
    )

    assert [found.new(old) for old in ("active", " Active\n", "REVOKED", "Unknown ")] == ["on", "on", "off", None]
    with pytest.raises(KeyError):
        found.new("retired")


@pytest.fixture(scope="module")
def connection(server_dsn):
    with psycopg.connect(make_conninfo(server_dsn, dbname="template1"), autocommit=True) as connection:
        yield connection


texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    | st.sampled_from(" \t\n\r\f\vAZ\u0130\u0131\u1e9e\u00a0\u2003")
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(olds=st.lists(texts, min_size=1, max_size=40), fold=st.permutations(list(FOLDS)))
def test_python_and_postgresql_fold_every_text_to_the_same(connection, olds, fold):
    made = ValueMap(values={}, fold=tuple(fold))

    rows = connection.execute(f"SELECT {made.folded_sql('old')} FROM unnest(%s::text[]) AS old", [olds]).fetchall()

    assert [row[0] for row in rows] == [made.folded(old) for old in olds]
