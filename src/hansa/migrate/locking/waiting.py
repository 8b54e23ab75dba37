"""Who waits for whom in a database at this moment."""

from dataclasses import dataclass

from psycopg.rows import class_row

from hansa.migrate.session import looking


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A session that waits for a lock, and one of those that keep it waiting."""

    pid: int
    statement: str
    waited_s: float
    lock: str
    """What it waits for, such as `ACCESS EXCLUSIVE on shop.orders`."""
    user: str
    application: str
    blocked_by: int
    """The other session: it holds the lock, or asked for it earlier. 0 stands for a prepared transaction."""
    blocking_statement: str
    """What it runs, or ran last; empty when this user may not see it."""
    blocking_state: str
    """Such as `active` or `idle in transaction`."""
    blocking_since_s: float | None
    """Age of its transaction; None when this user may not see it."""
    blocking_application: str


def waiting(dsn: str) -> tuple[Waiting, ...]:
    """Who waits for whom right now, the longest first. Statements of others are told to those who may see them."""
    with looking(dsn) as connection:
        cursor = connection.cursor(row_factory=class_row(Waiting))
        return tuple(
            cursor.execute("""
                SELECT waiting.pid, coalesce(waiting.query, '') AS statement,
                       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - wanted.waitstart), 0)::float8 AS waited_s,
                       coalesce(upper(trim(regexp_replace(replace(wanted.mode, 'Lock', ''), '([A-Z])', ' \\1', 'g')))
                         || ' on ' || coalesce(wanted.relation::regclass::text, wanted.locktype), '') AS lock,
                       coalesce(waiting.usename, '') AS user, coalesce(waiting.application_name, '') AS application,
                       blocker.pid AS blocked_by, coalesce(blocking.query, '') AS blocking_statement,
                       coalesce(blocking.state, '') AS blocking_state,
                       extract(epoch FROM pg_catalog.clock_timestamp() - blocking.xact_start)::float8 AS blocking_since_s,
                       coalesce(blocking.application_name, '') AS blocking_application
                FROM pg_catalog.pg_stat_activity AS waiting
                CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(waiting.pid)) AS blocker (pid)
                LEFT JOIN pg_catalog.pg_stat_activity AS blocking ON blocking.pid = blocker.pid
                LEFT JOIN pg_catalog.pg_locks AS wanted ON wanted.pid = waiting.pid AND NOT wanted.granted
                WHERE waiting.datname = current_database()
                ORDER BY waited_s DESC, waiting.pid, blocked_by
            """)
        )
