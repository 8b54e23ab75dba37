"""Running the PostgreSQL programs that come with Hansa, without a secret on a command line."""

import os
import subprocess
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hansa.infra.backup.errors import BackupDiskFull
from hansa.infra.embedded.binaries import find_binaries
from hansa.kernel.errors import Refusal

# Where libpq looks for passwords and services that a connection string leaves out.
_INHERITED = ("HOME", "PGPASSFILE", "PGSERVICEFILE", "PGSYSCONFDIR")
_LINES_KEPT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How the programs get into a server: everybody on the machine can read a command line, so it has no password."""

    conninfo: str
    environment: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, dsn: str) -> "Login":
        parameters = conninfo_to_dict(dsn)
        password = parameters.pop("password", None)
        # What these programs do anyway, said openly: a server that insists on more refuses at once.
        parameters |= {"sslmode": "disable", "application_name": "hansa backup"}
        return cls(
            conninfo=make_conninfo("", **parameters),
            environment={"PGPASSWORD": str(password)} if password is not None else {},
        )


def run(
    program: str,
    arguments: Sequence[str | Path],
    *,
    refusal: type[Refusal],
    login: Login | None = None,
    hear: Callable[[str], None] = lambda _: None,
    held: Collection[int] = (),
) -> None:
    """Run a program to its end; raises `refusal` with its last words when it fails, BackupDiskFull when that is why.

    `hear` gets each line of what it says. `held` are locks that it keeps for us: should we be killed, nobody takes
    them for free before it has noticed too, at its next word to nobody.
    """
    with start(program, arguments, login=login, held=held) as process:
        try:
            said: deque[str] = deque(maxlen=_LINES_KEPT)
            assert process.stderr is not None, "a pipe was asked for"
            for raw in process.stderr:
                line = raw.decode(errors="replace").rstrip()
                hear(line)
                said.append(line)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise failure(program, said, refusal)


def start(
    program: str,
    arguments: Sequence[str | Path],
    *,
    login: Login | None = None,
    held: Collection[int] = (),
    taking: int = subprocess.DEVNULL,
    giving: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """A running program whose words (standard error) can be read; `taking` and `giving` are for what goes in and out."""
    binaries = find_binaries()
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    connection = ["--no-password", "--dbname", login.conninfo] if login else []
    return subprocess.Popen(
        [binaries.bin / program, *connection, *arguments],
        env={**binaries.env, **inherited, **(login.environment if login else {})},
        stdin=taking,
        stdout=giving,
        stderr=subprocess.PIPE,
        pass_fds=tuple(held),
    )


def failure(program: str, said: Collection[str], refusal: type[Refusal]) -> Refusal:
    """The refusal that fits a program's last words."""
    text = "\n  ".join(line for line in said if line.strip())
    if "No space left on device" in text:
        return BackupDiskFull(f"{program}: {text}")
    return refusal(f"{program} failed:\n  {text}")
