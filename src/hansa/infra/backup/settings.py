"""What an operator can set about backups."""

from datetime import time
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from hansa.infra.settings import Settings


class BackupSettings(BaseSettings):
    """Names are those of the environment, with HANSA_BACKUP_ before them; case does not matter."""

    model_config = SettingsConfigDict(env_prefix="HANSA_BACKUP_", extra="ignore")

    folder: Path | None = None
    """Where backups go; empty means `backups` in the home. Another disk survives the loss of this one."""
    automatic: bool | None = None
    """Whether the worker takes backups by itself; empty means in production only."""
    database_url: str = ""
    """Direct connection of a role that may replicate; empty means the owner's."""
    full_at: time = time(2)
    """When a full backup is due every day, in UTC."""
    incremental_every_h: int = Field(default=6, ge=1, le=24)
    """Hours from one incremental backup to the next, counted from the full one."""
    keep_days: int = Field(default=7, ge=1)
    """Days to which one can go back; what only serves an earlier time is pruned."""
    keep_full: int = Field(default=2, ge=1)
    """Full backups that are kept however old they are."""
    rate_mb_s_max: int = Field(default=0, ge=0, le=1024)
    """Most megabytes a second that a backup reads from the server; 0 means as fast as it goes."""

    def folder_of(self, settings: Settings) -> Path:
        return (self.folder or settings.home / "backups").absolute()

    def runs_by_itself(self, settings: Settings) -> bool:
        return settings.production if self.automatic is None else self.automatic
