"""Kills at a chosen step: the deployer is stopped every few milliseconds as it comes near, until it stands in it.

A stopped deployer can send no COMMIT. So what its session has open when it is seen is open when the kill arrives.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg

from campaigns.online.ground import Ground, send
from campaigns.online.places import LOOK, Place, Position, Way

ENGINE, SERVER, CLIENT = "engine", "server", "client"
SETTLING_S, STEP_S, LOOKING_S = 0.003, 0.001, 0.002
"""What was on its way has arrived; how long a run may go on between two looks; how often it is looked at from afar."""
NEAR = 3
"""So many places before its aim a run is no longer left to itself."""
SAME_PLACE_MAX = 300
"""So many times a place is looked at for an open transaction, then it is taken without one."""

# A single statement has its transaction too, but nobody holds back its end: only blocks count, and index builds.
SESSIONS = """
    SELECT pid, state, backend_xid::text, regexp_replace(left(ltrim(query, E' \\n'), 90), '\\s+', ' ', 'g'),
           extract(epoch FROM clock_timestamp() - xact_start)::float8 * 1000,
           xact_start IS NOT NULL
           AND (state LIKE 'idle in transaction%%' OR (state = 'active' AND query !~* '^(commit|begin|rollback)')),
           xact_start < query_start OR state LIKE 'idle in transaction%%'
      FROM pg_stat_activity
     WHERE datname = %s AND application_name = %s AND backend_type = 'client backend'
     ORDER BY xact_start NULLS LAST
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The session of a victim, as it stood when the kill was sent."""

    pid: int
    state: str
    xid: str | None
    """Of its transaction, once that has written something."""
    query: str
    """Head of its last statement."""
    age_ms: float | None
    """Of the transaction; None: there was none."""
    open: bool
    """Whether a transaction was open (xact_start is not null) and its end not on its way."""
    block: bool
    """Whether that was a block, which only its client could end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is killed, and when."""

    victim: str
    direction: str
    index: int | None = None
    """Of the place in its way; None: after a delay."""
    share: float = 0.0
    """How much of a step of batches is to be done first."""
    delay_s: float = 0.0
    patient: bool = True
    """Whether a transaction is awaited at the place; some are through it too quickly."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment."""

    position: Position
    sessions: Sequence[Sighting]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A victim that is dead."""

    aim: Aim
    index: int
    share: float
    sighting: Sighting | None
    """Of the victim's session; for the server that of the deployer. None: it had none."""
    aborted: bool | None
    """What PostgreSQL calls the transaction that was open; None: it had written nothing, or the server died with it."""


@dataclass
class Striker:
    """Watches one run of the deployer and kills in it."""

    ground: Ground
    way: Way
    database: str
    deployer: subprocess.Popen[bytes]
    watched: psycopg.Connection[Any]
    """A connection to the database that is migrated."""
    seen: Callable[[Place | None, Position], None]
    """Hears of every look."""

    def run(self, aim: Aim, victim: subprocess.Popen[bytes]) -> Strike | None:
        """Kill as aimed; None: the run was past it, or over."""
        look = self.delayed(aim) if aim.index is None else self.approach(aim)
        if look is None:
            return None
        return self.kill(aim, look, victim)

    def watch(self, enough: Callable[[], bool]) -> None:
        """Look on until that is enough, or the run is over."""
        while self.deployer.poll() is None and not enough():
            self.look()
            time.sleep(LOOKING_S)

    def delayed(self, aim: Aim) -> Look | None:
        until = time.monotonic() + aim.delay_s
        while time.monotonic() < until:
            if self.deployer.poll() is not None:
                return None
            self.look()
            time.sleep(LOOKING_S)
        look = self.pause()
        if self.deployer.poll() is None and look.position.index < len(self.way.places):
            return look
        send(self.deployer.pid, signal.SIGCONT)
        return None

    def approach(self, aim: Aim) -> Look | None:
        """Stop the deployer at its aim, in a transaction if it can be had."""
        assert aim.index is not None, "this aim is a place"
        position, tried = self.look().position, 0
        while self.deployer.poll() is None and position.index <= aim.index:
            if position.index < aim.index - NEAR:
                time.sleep(LOOKING_S)
                position = self.look().position
                continue
            look = self.pause()
            position = look.position
            tried += position.index == aim.index
            if self.deployer.poll() is None and _is_there(aim, look, patient=aim.patient and tried < SAME_PLACE_MAX):
                return look
            send(self.deployer.pid, signal.SIGCONT)
            time.sleep(STEP_S)
        return None

    def pause(self) -> Look:
        """What is seen once the deployer is stopped, and what it had sent has arrived."""
        send(self.deployer.pid, signal.SIGSTOP)
        time.sleep(SETTLING_S)
        return self.look()

    def look(self) -> Look:
        try:
            rows = self.watched.execute(LOOK.encode()).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            rows = [None]
        position = self.way.position(rows[0])
        places = self.way.places
        self.seen(places[position.index] if position.index < len(places) else None, position)
        return Look(position, self.sessions("migrate"))

    def sessions(self, application: str) -> list[Sighting]:
        rows = self.watched.execute(SESSIONS.encode(), [self.database, application]).fetchall()
        return [
            Sighting(
                pid=pid,
                state=state or "",
                xid=xid,
                query=query or "",
                age_ms=None if age is None else round(age, 1),
                open=bool(opened),
                block=bool(block),
            )
            for pid, state, xid, query, age, opened, block in rows
        ]

    def kill(self, aim: Aim, look: Look, victim: subprocess.Popen[bytes]) -> Strike:
        """The deployer stands still. Kill, and let go whoever lives on."""
        sighting = look.sessions[0] if look.sessions else None
        if aim.victim == SERVER:
            self.ground.kill_server()
        elif aim.victim == CLIENT:
            sighting = self.client(victim)
            victim.kill()
            victim.wait()
        else:
            victim.kill()
            victim.wait()
        send(self.deployer.pid, signal.SIGCONT)
        return Strike(
            aim=aim,
            index=look.position.index,
            share=round(look.position.share, 3),
            sighting=sighting,
            aborted=self.is_aborted(sighting) if aim.victim != SERVER else None,
        )

    def client(self, victim: subprocess.Popen[bytes]) -> Sighting | None:
        """A client, stopped in the middle of a transaction if one turns up soon."""
        found = None
        for _ in range(SAME_PLACE_MAX):
            send(victim.pid, signal.SIGSTOP)
            time.sleep(SETTLING_S)
            found = next(iter(self.sessions(name_of(victim))), None)
            if found is not None and found.open and found.block:
                break
            send(victim.pid, signal.SIGCONT)
            time.sleep(STEP_S)
        return found

    def is_aborted(self, sighting: Sighting | None) -> bool | None:
        """What PostgreSQL says of a transaction that had written something and lost its client."""
        if sighting is None or sighting.xid is None or not (sighting.open and sighting.block):
            return None
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            # In a cluster this young the wide number of a transaction is the short one.
            with suppress(psycopg.OperationalError):
                [(status,)] = self.watched.execute("SELECT pg_xact_status(%s::text::xid8)", [sighting.xid]).fetchall()
                if status != "in progress":
                    return status == "aborted"
            time.sleep(0.01)
        return False


def _is_there(aim: Aim, look: Look, *, patient: bool) -> bool:
    """Whether the deployer stands where it is aimed at, in a transaction as long as there is patience for that."""
    there = look.position.index == aim.index and look.position.share >= aim.share
    return there and (not patient or any(one.open for one in look.sessions))


def name_of(victim: subprocess.Popen[bytes]) -> str:
    """What a client calls its connections."""
    arguments = victim.args
    assert isinstance(arguments, list), "clients are started with lists"
    return f"writer {arguments[arguments.index('--number') + 1]}"
