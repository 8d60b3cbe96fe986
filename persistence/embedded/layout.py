"""Which folder holds what: one data folder always maps to the same cluster and the same socket.

    home/                 0700; with root 0710 and the group of the server's account
      gate.lock           held alone while somebody starts or closes
      users.lock          held shared by every process that uses the server
      supervisor.lock     held by the supervisor for its life
      server.lock         inherited by every process of Postgres: held = the server, or a rest of it, lives
      server.log          what Postgres says (warnings and worse)
      pg_hba.conf, pg_ident.conf   who may connect; root's, so that the server's account cannot widen it
      unsynced            there while the cluster has been written with fsync off
      cluster/            0700, PGDATA, of the server's account
      run/                0700, the socket, of the server's account
      binaries/           a copy of the programs, where the account cannot read the original

`home` is the data folder itself, with one exception. Root's data folder often lies where the
unprivileged account cannot go (root's home is 0700). Ancestors are never opened up for it;
the cluster then lives in `/var/lib/nyx-learning/<hash of the data folder's real path>`, which
like the data folder survives a restart of the machine, and `WHERE.txt` in the data folder
says so. A cluster that exists wins over that rule, so that changed permissions never make a
second, empty database. A place under the temp folder is never chosen for data.

The socket alone moves to `/tmp/nyx-<uid>-<hash>` where the path of `run/` is too long for a
socket address, or has characters that Postgres or a DSN would split it at. `/tmp` and not
`$TMPDIR`: two processes with different environments have to meet there.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DatabaseSetupFailed

if TYPE_CHECKING:
    from .account import Account

__all__ = ["SYSTEM_FOLDER", "Layout", "candidate_homes", "prepare_layout"]

SYSTEM_FOLDER = Path("/var/lib/nyx-learning")

_SHORT_FOLDER = Path("/tmp")  # noqa: S108 - the folder in it is private, and its owner and mode are checked
_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES_MAX = 103  # sockaddr_un: 104 bytes with the final 0 on macOS, 108 on Linux
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+@~-]+")
_MARK = "gate.lock"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files of one embedded server; `home` holds all of them but perhaps the socket."""

    home: Path
    socket_folder: Path

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.home / "cluster"

    @property
    def gate(self) -> Path:
        """Lock of whoever starts or closes."""
        return self.home / _MARK

    @property
    def users(self) -> Path:
        """Lock that every user shares."""
        return self.home / "users.lock"

    @property
    def supervisor(self) -> Path:
        """Lock of the supervisor."""
        return self.home / "supervisor.lock"

    @property
    def log(self) -> Path:
        """What the server and the supervisor say."""
        return self.home / "server.log"

    @property
    def hba(self) -> Path:
        """Who may connect."""
        return self.home / "pg_hba.conf"

    @property
    def ident(self) -> Path:
        """Which system user is which role."""
        return self.home / "pg_ident.conf"

    @property
    def server_lock(self) -> Path:
        """Lock that every process of Postgres inherits."""
        return self.home / "server.lock"

    @property
    def unsynced(self) -> Path:
        """Mark of a cluster that may not be on the disk yet."""
        return self.home / "unsynced"

    @property
    def socket(self) -> Path:
        """The server's socket."""
        return self.socket_folder / _SOCKET_NAME


def candidate_homes(data_folder: Path) -> list[Path]:
    """Where the cluster of `data_folder` may be, the likelier first."""
    homes = [data_folder]
    if os.geteuid() == 0:
        homes.append(SYSTEM_FOLDER / _hash(data_folder))
    return homes


def prepare_layout(data_folder: Path, account: Account) -> Layout:
    """Make the folders of `data_folder` (absolute) and say where everything is.

    Raises
    ------
    DatabaseSetupFailed : the folder belongs to somebody else or holds something else.
    OSError : a folder cannot be made.
    """
    home = _home(data_folder, account)
    run = home / "run"
    length = len(os.fsencode(run / _SOCKET_NAME))
    if length <= _SOCKET_PATH_BYTES_MAX and _PLAIN_PATH.fullmatch(str(run)):
        socket_folder = run
    else:
        socket_folder = _SHORT_FOLDER / f"nyx-{account.uid}-{_hash(home)}"
    _private(socket_folder, account)
    return Layout(home, socket_folder)


def _home(data_folder: Path, account: Account) -> Path:
    for home in candidate_homes(data_folder):
        if (home / "cluster").exists():
            _own(home, account)
            return home
    _own(data_folder, account)
    if account.reaches(data_folder):
        return data_folder
    SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    home = SYSTEM_FOLDER / _hash(data_folder)
    _own(home, account)
    (data_folder / "WHERE.txt").write_text(
        f"The account {account.name}, which runs the embedded Postgres for root, cannot enter this folder.\n"
        f"Its data is in {home}\n",
        encoding="utf-8",
    )
    (home / "origin").write_bytes(os.fsencode(data_folder) + b"\n")
    return home


def _own(folder: Path, account: Account) -> None:
    """Make `folder` ours: it has to be new, empty, or made by this function before."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.geteuid():
        raise DatabaseSetupFailed(
            f"the data folder {folder} belongs to another user",
            expected=f"a folder of user id {os.geteuid()}",
            found=f"owner {status.st_uid}",
            fix="run as that user (sudo -u), or choose another data folder",
        )
    names = sorted(entry.name for entry in folder.iterdir())
    if names and _MARK not in names:
        raise DatabaseSetupFailed(
            f"{folder} is not a data folder of the embedded server",
            expected="a new or empty folder, or one that an embedded server was started in before",
            found=f"{len(names)} entries, among them {names[0]!r}",
            fix="choose another data folder",
        )
    mode = 0o710 if account.drops else 0o700
    if account.drops and status.st_gid != account.gid:
        os.chown(folder, -1, account.gid, follow_symlinks=False)
    if stat.S_IMODE(status.st_mode) != mode:
        folder.chmod(mode)
    # First of all files, so that a process that comes a moment later sees whose folder this is.
    (folder / _MARK).touch(mode=0o600)


def _private(folder: Path, account: Account) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if account.drops:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    status = folder.lstat()
    # Another process may be between its mkdir and its chown: root's own folder is taken over.
    if account.drops and status.st_uid == 0 and stat.S_ISDIR(status.st_mode):
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
        status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700
    if not private or status.st_uid != account.uid:
        raise DatabaseSetupFailed(
            f"the socket's folder {folder} is not private",
            expected=f"a folder (no link) of {account.name} with mode 0700",
            found=f"owner {status.st_uid}, {stat.filemode(status.st_mode)}",
            fix="remove it if nothing uses it, or choose another (shorter) data folder",
        )


def _hash(folder: Path) -> str:
    return blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()
