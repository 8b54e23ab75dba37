"""Opening what a process works with: database, chain, keys, HTTP; and closing it again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from hansa.chain.client import ChainRpc
from hansa.infra import http
from hansa.infra.database import Database, check_version, open_db, resolve
from hansa.infra.keys import AgentKey, KeyFileExists
from hansa.infra.seal import LocalKeyRing
from hansa.infra.services import Services
from hansa.infra.settings import Settings

CHAIN_URL_FILE = "chain.url"


@contextmanager
def open_services(settings: Settings, *, name: str, database: Database | None = None) -> Generator[Services]:
    """Everything a process needs, open; closed at the end. Raises what resolving the database raises."""
    found = database or resolve(settings)
    check_version(found.app_dsn)
    db = open_db(found, settings, name=name)
    try:
        with http.client() as client, ChainRpc(chain_url(settings)) as chain:
            yield Services(db=db, settings=settings, http=client, chain=chain, keys=key_ring(settings.home))
    finally:
        db.close()


def chain_url(settings: Settings) -> str:
    """The chain's RPC: the configured one, else the local chain of this home."""
    if settings.solana_rpc_url:
        return settings.solana_rpc_url
    noted = settings.home / CHAIN_URL_FILE
    return noted.read_text().strip() if noted.exists() else "http://127.0.0.1:8899"


def key_ring(home: Path) -> LocalKeyRing:
    """The keys that seal fields at rest; made on first use."""
    path = home / "keys" / "ring.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        with suppress(FileExistsError):  # another process of the house was quicker; its ring is ours too
            return LocalKeyRing.create(path)
    return LocalKeyRing(path)


def house_key(home: Path, name: str) -> AgentKey:
    """A key of the house itself (issuer of credentials, facilitator); made on first use."""
    path = home / "keys" / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(KeyFileExists):
            AgentKey.generate().save(path)
    return AgentKey.load(path)
