"""A running server as its clients see it."""

import hmac
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An embedded server that answered a connection."""

    data: Path
    socket_dir: Path
    port: int
    pid: int
    """Of the postmaster, the parent of all server processes."""
    password: str = field(repr=False)
    """Of the superuser `postgres`; other roles have their own, see `password_of`."""

    @property
    def socket(self) -> Path:
        """The file that local clients connect to."""
        return self.socket_dir / f".s.PGSQL.{self.port}"

    def dsn(self, *, role: str, database: str) -> str:
        """A URL over the unix socket, or over TCP when a cleaner of temporary folders took the socket away."""
        if not self.socket.exists():
            return self.tcp_dsn(role=role, database=database)
        return f"{self._login(role)}@/{_part(database)}?host={_part(str(self.socket_dir))}&port={self.port}"

    def tcp_dsn(self, *, role: str, database: str) -> str:
        """A URL over 127.0.0.1, for clients that know no unix sockets."""
        return f"{self._login(role)}@127.0.0.1:{self.port}/{_part(database)}?sslmode=disable"

    def password_of(self, role: str) -> str:
        """The password to create `role` with, and the one its URLs carry.

        Derived from the superuser's, so that nothing more has to be stored and a URL of the application's role
        that leaks into a log does not open the superuser's door.
        """
        if role == SUPERUSER:
            return self.password
        return hmac.digest(self.password.encode(), role.encode(), "sha256").hex()

    def _login(self, role: str) -> str:
        return f"postgresql://{_part(role)}:{_part(self.password_of(role))}"


def _part(text: str) -> str:
    return quote(text, safe="")
