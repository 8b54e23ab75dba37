"""Whether PostgreSQL computes a default once for all rows, or for each row anew."""

from psycopg import sql

from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import verbatim


def is_constant(run: Run, type_: str, default: str) -> bool:
    """Whether a column with this default could be added without touching a row: tried on a table of one row.

    Also False for types whose every value has to be checked. Raises psycopg.Error for what is no default of the type.
    """
    with run.connection.transaction(force_rollback=True):
        run.execute("CREATE TEMP TABLE one_row AS SELECT 1 AS n")
        run.execute(sql.SQL("ALTER TABLE pg_temp.one_row ADD COLUMN c {}").format(verbatim(type_)))
        # Separately, because NULL needs no touching either.
        run.execute(
            sql.SQL("ALTER TABLE pg_temp.one_row ADD COLUMN d {} DEFAULT {}").format(verbatim(type_), verbatim(default))
        )
        return bool(
            run.one("""
              SELECT a.atthasmissing OR t.d IS NULL
              FROM pg_catalog.pg_attribute AS a, pg_temp.one_row AS t
              WHERE a.attrelid = 'pg_temp.one_row'::pg_catalog.regclass AND a.attname = 'd'
            """)
        )
