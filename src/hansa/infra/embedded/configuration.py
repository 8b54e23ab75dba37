"""The settings of an embedded server, and the file that carries them."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from hansa.infra.embedded.errors import SettingRefused

CONF = "hansa.conf"

# Modest on a laptop, and enough for every process of one machine.
_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "cluster_name": "hansa",
        "listen_addresses": "127.0.0.1",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "password_encryption": "scram-sha-256",
        # Standbys, base backups and incremental backups work without a restart.
        "wal_level": "replica",
        "summarize_wal": "on",
        # A slot keeps the log for backups until it is archived; one that nobody reads any more must not fill the disk.
        "max_slot_wal_keep_size": "4GB",
        # A statement whose client died is noticed within a second instead of running to its end.
        "client_connection_check_interval": "1000",
        "log_min_duration_statement": "1000",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_timezone": "UTC",
    }
)

# One file a weekday, overwritten a week later. The launcher reads these logs, in English, to name what went wrong.
_OURS: Mapping[str, str] = MappingProxyType(
    {
        "logging_collector": "on",
        "log_destination": "stderr",
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "lc_messages": "C",
    }
)
_RESERVED = frozenset(_OURS) | {
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "unix_socket_directories",
    "unix_socket_permissions",
}
_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")


def test_settings() -> Mapping[str, str]:
    """Settings for clusters that tests throw away: fast, and worthless after a power failure."""
    return MappingProxyType({"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})


def checked(settings: Mapping[str, str]) -> Mapping[str, str]:
    """The caller's settings, unless one of them is not the caller's to decide. Raises SettingRefused."""
    for name, value in settings.items():
        if not _NAME.fullmatch(name):
            raise SettingRefused(f"{name!r} is not the name of a PostgreSQL setting in lower case")
        if name in _RESERVED:
            raise SettingRefused(f"{name} is decided by the launcher")
        if "\0" in value:
            raise SettingRefused(f"the value of {name} contains a zero byte")
        if name == "port" and not (value.isdecimal() and 0 < int(value) < 65536):
            raise SettingRefused(f"port must be a number from 1 to 65535, not {value!r}")
    return MappingProxyType(dict(settings))


def conf_text(settings: Mapping[str, str], *, port: int, socket_dir: Path) -> str:
    """The file that `postgresql.conf` includes, written anew at every start."""
    merged = {
        **_DEFAULTS,
        **settings,
        **_OURS,
        "port": str(port),
        "unix_socket_directories": str(socket_dir),
    }
    lines = [f"{name} = {_quoted(value)}\n" for name, value in sorted(merged.items())]
    return "".join(["# Written by the launcher at every start: changes here are lost.\n", *lines])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"
