"""`hansa doctor`: what this installation found, and what to do about what is wrong."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import psycopg

from hansa import migrate
from hansa.entry.house import port_is_free, running_in
from hansa.entry.runtime import chain_url
from hansa.infra.database import VERSION_MIN, resolve
from hansa.infra.embedded import EmbeddedPostgres, EmbeddedRefused
from hansa.infra.settings import Settings
from hansa.kernel.errors import Refusal
from hansa.migrations import DIRECTORY

DISK_FREE_MIN = 500 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    advice: str = ""
    """What to do; empty when nothing is to be done."""

    def line(self) -> str:
        text = f"{'ok  ' if self.ok else 'BAD '} {self.what:<14}{self.found}"
        return f"{text}\n     -> {self.advice}" if self.advice else text

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Look at everything Hansa stands on; changes nothing and starts nothing."""
    checks: tuple[tuple[str, Callable[[Settings], Finding]], ...] = (
        ("python", python),
        ("home", home),
        ("house", house),
        ("database", database),
        ("books", books),
        ("port", port),
        ("chain", chain),
    )
    return [guarded(what, check, settings) for what, check in checks]


def guarded(what: str, check: Callable[[Settings], Finding], settings: Settings) -> Finding:
    """A check that cannot be made is a finding too."""
    try:
        return check(settings)
    except EmbeddedRefused as error:
        return Finding(what=what, ok=False, found=str(error), advice=error.hint)
    except (Refusal, migrate.Refusal, psycopg.Error, OSError) as error:
        return Finding(what=what, ok=False, found=str(error).strip(), advice="see the message")


def python(_: Settings) -> Finding:
    ok = sys.version_info >= (3, 11)
    advice = "" if ok else "install Python 3.11 or later"
    return Finding(what="python", ok=ok, found=f"{platform.python_version()} on {platform.machine()}", advice=advice)


def home(settings: Settings) -> Finding:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    ok = free > DISK_FREE_MIN
    advice = "" if ok else "free some space, or set HANSA_HOME to another disk"
    return Finding(what="home", ok=ok, found=f"{settings.home}, {free // 2**20} MiB free", advice=advice)


def house(settings: Settings) -> Finding:
    found = running_in(settings.home)
    text = f"up at {found.url}, pid {found.pid}" if found else "not running (start it with `hansa up`)"
    return Finding(what="house", ok=True, found=text)


def database(settings: Settings) -> Finding:
    """Which database it is, its version, and whether its schema is this code's."""
    if not settings.database_url and EmbeddedPostgres(settings.home).status() is None:
        return Finding(what="database", ok=True, found="embedded, stopped; `hansa up` starts it")
    found = resolve(settings)
    with psycopg.connect(found.owner_dsn, connect_timeout=5) as connection:
        major = connection.info.server_version // 10_000
    kind = "embedded" if found.embedded else "DATABASE_URL"
    if major < VERSION_MIN:
        advice = f"use PostgreSQL {VERSION_MIN} or later, or unset DATABASE_URL for the embedded one"
        return Finding(what="database", ok=False, found=f"{kind}: PostgreSQL {major}", advice=advice)
    waiting = migrate.plan(found.owner_dsn, DIRECTORY).steps
    advice = "run `hansa migrate up`, or `hansa up`, which does it" if waiting else ""
    text = f"{kind}: PostgreSQL {major}, {len(waiting)} migrations pending"
    return Finding(what="database", ok=not waiting, found=text, advice=advice)


def books(settings: Settings) -> Finding:
    """What the worker found when it last compared the credits with their postings."""
    from hansa.credits import queries
    from hansa.infra.db import Db

    if not settings.database_url and EmbeddedPostgres(settings.home).status() is None:
        return Finding(what="books", ok=True, found="in the database, which is stopped")
    with Db(resolve(settings).app_dsn, size=1, name="hansa-doctor") as db, db.transaction() as tx:
        latest = queries.reconciliations(tx, limit=1)
        at = tx.at
    if not latest:
        return Finding(what="books", ok=True, found="not compared yet; the worker does it every hour")
    wrong = len(latest[0].discrepancies)
    text = f"{wrong} discrepancies" if wrong else "balanced"
    minutes = int((at - latest[0].at).total_seconds() // 60)
    advice = "`hansa credits reconcile` names each of them" if wrong else ""
    return Finding(what="books", ok=not wrong, found=f"{text}, {minutes} minutes ago", advice=advice)


def port(settings: Settings) -> Finding:
    found = running_in(settings.home)
    if found or port_is_free(settings.host, settings.port):
        return Finding(what="port", ok=True, found=f"{settings.port} on {settings.host}")
    advice = "choose another one: `hansa up --port 0`, or HANSA_PORT"
    return Finding(what="port", ok=False, found=f"{settings.port} is in use by another program", advice=advice)


def chain(settings: Settings) -> Finding:
    """The chain answers and is the one that payments are meant for."""
    from hansa.chain.client import ChainRpc, ChainUnreachable

    if not settings.solana_rpc_url and running_in(settings.home) is None:
        return Finding(what="chain", ok=True, found="local, stopped; `hansa up` starts it")
    url = chain_url(settings)
    try:
        with ChainRpc(url, timeout_s=3) as rpc:
            slot, instance = rpc.slot(), rpc.instance()
    except ChainUnreachable as error:
        return Finding(what="chain", ok=False, found=str(error), advice=f"is {url} the right HANSA_SOLANA_RPC_URL?")
    kind = f"local chain {instance}" if instance else settings.environment
    return Finding(what="chain", ok=True, found=f"{kind} at {url}, slot {slot}")
