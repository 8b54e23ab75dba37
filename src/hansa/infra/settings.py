"""Settings: read once from the environment, each with the sentence that `hansa doctor` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator can set. Names are those of the environment, case does not matter."""

    model_config = SettingsConfigDict(env_prefix="HANSA_", extra="ignore", populate_by_name=True)

    home: Path = Field(default_factory=lambda: Path.home() / ".hansa")
    """Folder of the embedded database, the local chain, keys and logs."""
    env: Literal["development", "production"] = "development"
    """production switches the faucet off and refuses seed data."""
    host: str = "127.0.0.1"
    """Address on which the API listens."""
    port: int = 8420
    """Port on which the API listens; 0 takes a free one."""
    public_url: str = ""
    """URL under which clients reach the API, when it is not host and port."""
    url: str = ""
    """API that user commands of the CLI talk to; empty means the one that `hansa up` started in this home."""
    key: Path | None = None
    """Key file with which user commands of the CLI sign; the default is `default.json` in the home's keys."""
    database_url: str = Field(default="", validation_alias="DATABASE_URL")
    """PostgreSQL to use; empty means the embedded one."""
    migrate_database_url: str = Field(default="", validation_alias="MIGRATE_DATABASE_URL")
    """Direct connection of the owner for migrations, beside a pooled DATABASE_URL; empty means the same."""
    solana_rpc_url: str = ""
    """Solana JSON-RPC; empty means the local chain that `hansa up` starts."""
    environment: Literal["local", "devnet", "mainnet"] = "local"
    """Which chain payments are made on; compared with the chain itself at the start."""
    database_pool: int = 16
    """Connections that one process keeps at most."""
    facilitator_fee_lamports_max: int = 20_000
    """Most that our facilitator pays as network fee for one payment."""
    faucet_credits: int = 1_000_000
    """Opening credits (units of 1/1000) that the development faucet gives to each agent once."""
    broker_did: str = ""
    """DID that earns the broker's share; empty lets the share go to the pool."""
    clock_skew_s: int = 30
    """Seconds by which the clocks of a signing agent and this server may differ."""
    requests_per_minute: int = Field(default=600, ge=0)
    """Signed requests that one agent or person may make per minute, and as many at once; 0 sets no limit."""
    body_bytes_max: int = 1_048_576
    """Largest request body that is read."""

    @property
    def production(self) -> bool:
        return self.env == "production"


def settings() -> Settings:
    return Settings()
