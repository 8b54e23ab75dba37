"""The whole API on a database of its own, on a free port, and agents that talk to it with signed requests."""

import socket
import threading

import httpx
import pytest

from given import registry
from hansa.client import Hansa
from hansa.entry.api import create_app
from hansa.entry.serving import Server
from hansa.infra.keys import AgentKey


@pytest.fixture
def server(services):
    """The API, listening on 127.0.0.1 in a thread of its own; `url` says where, `thread` is over when it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(create_app(services))
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        server.thread.start()
        yield server
        server.should_exit = True
        server.thread.join()


@pytest.fixture
def api(server):
    """A client without any key."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
def agent(api, services):
    """Makes an agent: registered unless told otherwise, with its own signed connection."""

    opened = []

    def make(name=None, *, registered=True, key=None):
        key = key or AgentKey.generate()
        hansa = Hansa(str(api.base_url), key, patience_s=0)
        opened.append(hansa)
        if registered:
            with services.db.transaction() as tx:
                registry.agent(tx, key, **({"name": name} if name else {}))
            hansa.faucet()
        return hansa

    yield make
    for hansa in opened:
        hansa.close()


@pytest.fixture
def written(owner):
    """How many rows each table has, without what a refusal may leave: nonces, audit and decisions."""
    evidence = {"identity.nonces", "governance.audit_logs", "governance.audit_unsealed", "governance.decisions"}
    evidence |= {"ops.rate_limits"}

    def count():
        tables = owner.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname NOT IN "
            "('pg_catalog', 'information_schema', 'mig', 'jobs')"
        ).fetchall()
        return {
            table: owner.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for (table,) in tables
            if table not in evidence
        }

    return count
