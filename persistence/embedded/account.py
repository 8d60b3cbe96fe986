"""The account that the server runs as.

Postgres refuses to run as root. An ordinary user runs it as itself; root hands it to an
existing unprivileged account: the owner of the cluster if there is one, else `postgres`,
else `nobody`. No account is made and no folder above the data folder is changed.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import DatabaseSetupFailed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CLEAN_ENVIRONMENT", "Account", "server_account"]

CLEAN_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
"""What Postgres's programs are given: nothing of PGDATA, PGPORT, TZ ... may reach them."""

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server; `drops` where that is another account than the caller's."""

    name: str
    uid: int
    gid: int
    drops: bool

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments with which `subprocess` runs a program as this account."""
        shared: dict[str, Any] = {"cwd": "/", "env": CLEAN_ENVIRONMENT}
        if self.drops:
            shared |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return shared

    def reaches(self, folder: Path) -> bool:
        """Whether the account may enter `folder`: asked of the kernel, so that ACLs count too."""
        if not self.drops:
            return os.access(folder, os.X_OK)
        return self.runs("/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder))

    def runs(self, *command: str) -> bool:
        """Whether the command can be started as the account and succeeds."""
        try:
            finished = subprocess.run(  # noqa: S603 - a fixed program, no shell text from outside
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **self.popen_arguments(),
            )
        except PermissionError:
            return False
        return finished.returncode == 0


def server_account(clusters: list[Path]) -> Account:
    """Choose the account; `clusters` are the folders where an existing cluster may be.

    Raises
    ------
    DatabaseSetupFailed : the user has no name, or root finds nobody to hand the server to.
    """
    if os.geteuid() != 0:
        entry = _entry(os.geteuid())
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, drops=False)
    for cluster in clusters:
        if cluster.exists():
            entry = _entry(cluster.stat().st_uid)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, drops=True)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid, drops=True)
    raise DatabaseSetupFailed(
        "root has no unprivileged account to run Postgres as",
        expected=f"one of the accounts {', '.join(_CANDIDATES)}",
        found="none of them in the password database",
        fix="run as an ordinary user, or name a database of your own (NYX_DATABASE_URL)",
    )


def _entry(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise DatabaseSetupFailed(
            "Postgres needs a user that has a name",
            expected=f"an entry for user id {uid} in the password database",
            found="none",
            fix="add the user to /etc/passwd, run as another one, or name a database of your own "
            "(NYX_DATABASE_URL)",
        ) from None
