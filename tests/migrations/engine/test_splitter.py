import pytest

from hansa.migrate.errors import CopyStream, PsqlCommand, TransactionControl, Unterminated
from hansa.migrate.splitter import split


def texts(script: str) -> list[str]:
    return [statement.text for statement in split(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(" ;; -- only this\n/* and this */ ;", [], id="only comments and empty statements"),
        pytest.param("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"], id="the last semicolon may be missing"),
        pytest.param("SELECT ';', 'it''s;'; SELECT 2;", ["SELECT ';', 'it''s;'", "SELECT 2"], id="quotes"),
        pytest.param('SELECT 1 AS "a;""b"; SELECT 2;', ['SELECT 1 AS "a;""b"', "SELECT 2"], id="quoted names"),
        pytest.param(r"SELECT E'\';'; SELECT 2;", [r"SELECT E'\';'", "SELECT 2"], id="escape strings"),
        pytest.param(r"SELECT e'\\'; SELECT 2;", [r"SELECT e'\\'", "SELECT 2"], id="an escaped backslash ends it"),
        pytest.param(r"SELECT '\'; SELECT 2;", [r"SELECT '\'", "SELECT 2"], id="a plain string escapes nothing"),
        pytest.param("SELECT E'a'\n '\\';'; SELECT 2;", ["SELECT E'a'\n '\\';'", "SELECT 2"], id="continued string"),
        pytest.param(r"SELECT type'\'; SELECT 2;", [r"SELECT type'\'", "SELECT 2"], id="a word that ends in e"),
        pytest.param(r"SELECT U&'\0041;'; SELECT 2;", [r"SELECT U&'\0041;'", "SELECT 2"], id="unicode strings"),
        pytest.param('SELECT 1 AS U&"d;x"; SELECT 2;', ['SELECT 1 AS U&"d;x"', "SELECT 2"], id="unicode names"),
        pytest.param("DO $$ BEGIN; $$; SELECT 2;", ["DO $$ BEGIN; $$", "SELECT 2"], id="dollar quotes"),
        pytest.param("DO $a$ $$;$b$; $a$; SELECT 2;", ["DO $a$ $$;$b$; $a$", "SELECT 2"], id="dollar quotes with tags"),
        pytest.param("DO $ä_1$ ; $ä_1$; SELECT 2;", ["DO $ä_1$ ; $ä_1$", "SELECT 2"], id="tags beyond ASCII"),
        pytest.param("SELECT a$b$; SELECT c$b$;", ["SELECT a$b$", "SELECT c$b$"], id="a dollar inside a name"),
        pytest.param("SELECT $1; SELECT $2;", ["SELECT $1", "SELECT $2"], id="parameters are no quotes"),
        pytest.param("SELECT 1 -- ; '\n; SELECT 2;", ["SELECT 1 -- ; '", "SELECT 2"], id="line comments"),
        pytest.param("SELECT /* ; /* ' */ ; */ 1; SELECT 2;", ["SELECT /* ; /* ' */ ; */ 1", "SELECT 2"], id="nested"),
        pytest.param("SELECT 10 %3; -- 100%", ["SELECT 10 %3"], id="percent signs"),
        pytest.param(
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3;",
            ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"],
            id="rules of several statements",
        ),
        pytest.param("SELECT ')'; SELECT 2;", ["SELECT ')'", "SELECT 2"], id="a quoted parenthesis"),
        pytest.param("\\echo it's; here\nSELECT 1;\n\\echo done", ["SELECT 1"], id="psql chatter"),
        pytest.param("SAVEPOINT a; ROLLBACK TO a;", ["SAVEPOINT a", "ROLLBACK TO a"], id="savepoints stay inside"),
    ],
)
def test_a_script_is_split_where_psql_would_split_it(script, expected):
    assert texts(script) == expected


def test_the_body_of_an_sql_standard_routine_stays_whole():
    function = """CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql
    BEGIN ATOMIC
      INSERT INTO log VALUES (a);
      SELECT CASE WHEN a > 0 THEN CASE a WHEN 1 THEN 2 END ELSE 0 END;
    END"""
    procedure = "CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1; SELECT 2; END"

    statements = texts(f"{function};\n{procedure}; SELECT 3;")

    assert statements == [function, procedure, "SELECT 3"]


def test_a_statement_knows_its_number_and_the_line_of_its_first_word():
    script = "-- head\n\nSELECT 1;\n/* two\nlines */\nSELECT\n  2;\n\\echo x\nSELECT 'a\nb'; SELECT 4;"

    found = [(statement.number, statement.line) for statement in split(script)]

    assert found == [(1, 3), (2, 6), (3, 9), (4, 10)]


@pytest.mark.parametrize(
    ("script", "refusal", "message"),
    [
        ("SELECT 1;\nSELECT 'a", Unterminated, "up.sql line 2"),
        ("SELECT E'a\\'", Unterminated, "E'"),
        ('SELECT "a', Unterminated, '"'),
        ("DO $x$ $y$", Unterminated, r"\$x\$"),
        ("/* /* */", Unterminated, r"/\*"),
        ("SELECT 1;\n\\i other.sql", PsqlCommand, r"line 2.*other\.sql"),
        ("SELECT 1 \\gexec", PsqlCommand, "gexec"),
        ("SELECT 1\n\\echo inside\n;", PsqlCommand, "echo"),
        ("BEGIN;", TransactionControl, "BEGIN"),
        ("SELECT 1;\n\n/* x */ commit;", TransactionControl, "line 3"),
        ("ROLLBACK;", TransactionControl, "ROLLBACK"),
        ("START TRANSACTION;", TransactionControl, "START"),
        ("PREPARE TRANSACTION 'x';", TransactionControl, "PREPARE"),
        ("COPY t (a) FROM STDIN;", CopyStream, "COPY"),
        ("COPY t TO stdout;", CopyStream, "COPY"),
    ],
)
def test_what_cannot_run_is_refused_with_its_line(script, refusal, message):
    with pytest.raises(refusal, match=message):
        split(script, source="up.sql")
