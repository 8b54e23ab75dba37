"""What commands at the edge and jobs work with: opened once by the process, handed to everybody who needs it."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from hansa.chain.client import ChainRpc
from hansa.infra.db import Db
from hansa.infra.seal import KeyRing
from hansa.infra.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The open resources of one process."""

    db: Db
    settings: Settings
    http: httpx.Client
    chain: ChainRpc
    keys: KeyRing
