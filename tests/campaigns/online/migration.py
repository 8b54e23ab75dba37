"""The migration under fire: a table of transfers with years of spellings in its status, and two revisions for it.

The first makes the status an enum step by step and builds an index over it, the second drops the old column. Clients
may change the rows that `touchable` lists, and add new ones; all others must end as they end without kills.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from psycopg import sql

from hansa.examples.legacy import MAP
from hansa.examples.legacy.dealing import deal
from hansa.examples.legacy.spelling import BLOCKCHAIN_TX_STATUS
from hansa.migrate.online.values import read_map

CONVERSION, CONTRACT = "20260101T000000_status", "20260102T000000_contract"
MAP_NAME = "blockchain_tx_status"
TABLE = "books.transfers"
LABELS = ("pending", "confirmed", "failed")
TOUCHABLE_EACH = 10
"""Of so many rows one is for clients to change."""

_ENTRY = tomllib.loads(MAP.read_text(encoding="utf-8"))[MAP_NAME]
WORDS = read_map(MAP_NAME, tomllib.loads(MAP.read_text(encoding="utf-8"))[MAP_NAME])
"""What becomes of each old word."""
SPELLINGS = ("Confirmed", "success", " failed", "REVERTED", "submitted ")
"""Words of old clients that mean a label and are none."""
STRAY = " Unknown"
"""A word of old clients for which the new type has no place."""

TABLES = """
    CREATE SCHEMA books;
    CREATE TABLE books.transfers (
      id         bigint      CONSTRAINT transfers_pkey PRIMARY KEY,
      status     text        NOT NULL DEFAULT 'pending' CONSTRAINT transfer_status_is_said CHECK (status <> ''),
      writes     bigint      NOT NULL DEFAULT 0,
      reference  text        NOT NULL DEFAULT '',
      changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    COMMENT ON COLUMN books.transfers.status IS 'What became of it.';
    CREATE TABLE books.entries (
      id       bigint CONSTRAINT entries_pkey PRIMARY KEY,
      transfer bigint NOT NULL CONSTRAINT entry_of_a_transfer REFERENCES books.transfers,
      amount   bigint NOT NULL
    );
    CREATE FUNCTION books.keep_changed_at() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      NEW.changed_at := clock_timestamp();
      RETURN NEW;
    END $$;
"""
LATER = """
    CREATE INDEX transfers_by_status ON books.transfers (status);
    CREATE INDEX entries_by_transfer ON books.entries (transfer);
    CREATE TRIGGER transfers_changed_at BEFORE UPDATE ON books.transfers
      FOR EACH ROW EXECUTE FUNCTION books.keep_changed_at();
"""
META = f"""
description = "The status of a transfer becomes a value of its type while clients go on."

[[operation]]
kind = "convert_to_enum"
table = "{TABLE}"
column = "status"
type = "books.transfer_status"
map = "{MAP_NAME}"
in_place_below_rows = 0

[[operation]]
kind = "create_index"
table = "{TABLE}"
name = "transfers_to_follow"
definition = "(id) WHERE status = 'pending'"
"""
META_OF_CONTRACT = f"""
description = "Nobody reads the old column any more."
requires = ["{CONVERSION}"]

[[operation]]
kind = "contract"
of = "{CONVERSION}"
"""
VERIFY = """
SELECT 'the status is of its type', pg_typeof(status) = 'books.transfer_status'::regtype FROM books.transfers LIMIT 1;
SELECT 'transfers to follow are indexed', indisvalid FROM pg_index
 WHERE indexrelid = to_regclass('books.transfers_to_follow');
"""


def fill(connection: psycopg.Connection[Any], *, rows: int, seed: int) -> None:
    """Make the tables with so many transfers, a third of which have entries; equal seeds make equal rows."""
    dealt = deal(BLOCKCHAIN_TX_STATUS, rows, Random(f"transfers {seed}"))
    with connection.transaction():
        connection.execute(TABLES)
        connection.execute(
            sql.SQL(
                """
                INSERT INTO books.transfers (id, status, reference, changed_at)
                SELECT n + 1, CASE WHEN {touchable} AND word = {stray} THEN 'Failed ' ELSE word END, md5(n::text),
                       timestamptz '2025-02-01' + n * interval '1 second'
                FROM generate_series(0, {rows} - 1) AS n CROSS JOIN LATERAL (SELECT {word} AS word) AS dealt
                """
            ).format(
                touchable=sql.SQL("(n + 1) % {} = 0").format(sql.Literal(TOUCHABLE_EACH)),
                stray=sql.Literal(WORDS.quarantine[0]),
                rows=sql.Literal(rows),
                word=dealt.expression,
            )
        )
        connection.execute(
            "INSERT INTO books.entries SELECT n, n * 3, n %% 1000 FROM generate_series(1, %s / 3) AS n", [rows]
        )
        connection.execute(LATER)
    connection.execute("VACUUM ANALYZE")


def touchable(rows: int) -> Sequence[int]:
    """Ids of the rows that clients change."""
    return range(TOUCHABLE_EACH, rows + 1, TOUCHABLE_EACH)


def write_revisions(directory: Path) -> Path:
    """The folder of both revisions."""
    for name, texts in {
        CONVERSION: {
            "up.sql": f"CREATE TYPE books.transfer_status AS ENUM {LABELS};\n",
            "down.sql": "DROP TYPE books.transfer_status;\n",
            "meta.toml": META,
            "map.toml": "\n".join(_map_lines(_ENTRY)),
            "verify.sql": VERIFY,
        },
        CONTRACT: {"meta.toml": META_OF_CONTRACT},
    }.items():
        (directory / name).mkdir(parents=True)
        for file, text in texts.items():
            (directory / name / file).write_text(text, encoding="utf-8")
    return directory


def _map_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    yield f"[{MAP_NAME}]"
    yield f"fold = {json.dumps(entry['fold'])}"
    yield f"quarantine = {json.dumps(entry['quarantine'])}"
    yield f"[{MAP_NAME}.values]"
    for old, new in entry["values"].items():
        yield f"{json.dumps(old)} = {json.dumps(new)}"
