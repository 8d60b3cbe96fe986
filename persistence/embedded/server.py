"""Start, share and close the embedded server.

Any number of processes may call `start` on the same data folder; the first one makes and
starts the server, the others join it, and it ends with the last of them: by `close`, at the
end of the interpreter, or by whatever kills it (`supervisor.py` says how).
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from ...errors import DatabaseSetupFailed, DatabaseUnavailable
from . import supervisor
from .account import CLEAN_ENVIRONMENT, Account, server_account
from .binaries import find_binaries, readable_binaries
from .cluster import DATABASE, ROLE, cluster_major, make_cluster, make_durable, server_settings, write_access
from .layout import Layout, candidate_homes, prepare_layout
from .locks import LOCK_POLL_S, acquire, exclusive, is_held, nobody_holds, open_lock

__all__ = ["EmbeddedServer", "start"]

_GATE_TIMEOUT_S = 180.0
_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 60.0
_LAUNCHES_MAX = 3
_LOG_BYTES_MAX = 1 << 20
_LOG_LINES_SHOWN = 6


class EmbeddedServer:
    """The share of one process in the embedded server of one data folder; made by `start`.

    Attributes
    ----------
    data_folder : the folder that was asked for.
    home : the folder that holds the cluster and the log; another one only in the case that `layout.py` tells.
    dsn : for asyncpg; a unix socket that only this user (and root) may connect to.
    version : major version of Postgres.
    """

    def __init__(self, data_folder: Path, layout: Layout, account: Account, version: int, users: int) -> None:
        self.data_folder = data_folder
        self.home = layout.home
        self.dsn = _dsn(layout, DATABASE)
        self.version = version
        self._layout, self._account, self._users = layout, account, users
        self._process_id = os.getpid()
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._closed = False
        atexit.register(self.close)

    def dsn_of(self, database: str) -> str:
        """Like `dsn`, for another database of the same server."""
        return _dsn(self._layout, database)

    def close(self) -> None:
        """Give up this share; with the last one, stop the server and wait for its end. Idempotent.

        Raises
        ------
        DatabaseUnavailable : the server does not stop.
        """
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        # Never LOCK_UN: a forked child shares this open file, and so keeps the parent's share.
        os.close(self._users)
        if self._process_id != os.getpid():
            return
        try:
            with exclusive(self._layout.gate, timeout_s=_GATE_TIMEOUT_S):
                if _is_unused(self._layout):
                    self._await_stop()
        except FileNotFoundError:
            # Somebody removed the data folder. The supervisor has its locks open and leaves all the same.
            if self._supervisor is not None:
                self._supervisor.wait(_STOP_TIMEOUT_S)
        finally:
            _disown(self._supervisor)

    def _await_stop(self) -> None:
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        lock = self._layout.server_lock
        while is_held(lock) or _is_alive(self._supervisor, self._layout):
            if not _is_alive(self._supervisor, self._layout):
                self._supervisor = _launch_supervisor(self._layout, self._account, [])
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    "the embedded server does not stop",
                    expected=f"its end within {_STOP_TIMEOUT_S:.0f} s",
                    found=f"processes that still hold {lock}",
                    fix=f"read {self._layout.log}",
                )
            time.sleep(LOCK_POLL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<EmbeddedServer Postgres {self.version} in {self.home}, {state}>"


def start(data_folder: Path, *, binaries: Path | None = None, durable: bool = True) -> EmbeddedServer:
    """Start the server of `data_folder`, or join the one that runs; safe for many racing processes.

    Blocks (about a second when the cluster is made, a tenth for an existing one, milliseconds to join);
    an event loop calls it in a thread.

    Parameters
    ----------
    data_folder : on a local file system; made if missing (mode 0700), and refused if it holds other things.
    binaries : folder of Postgres's programs; otherwise `find_binaries` looks for them.
    durable : False turns fsync off: committed data survives every process, but not a power cut.

    Raises
    ------
    DatabaseSetupFailed : no programs, a folder of another version, owner or use, a full or read-only disk.
    DatabaseUnavailable : another process kept the lock too long, or the server does not get ready in time.
    """
    folder = Path(data_folder).resolve()
    try:
        account = server_account([home / "cluster" for home in candidate_homes(folder)])
        layout = prepare_layout(folder, account)
        with exclusive(layout.gate, timeout_s=_GATE_TIMEOUT_S) as gate:
            return _start_alone(folder, layout, account, gate, binaries, durable=durable)
    except (OSError, subprocess.SubprocessError) as error:
        raise DatabaseSetupFailed(
            f"the data folder {folder} cannot be used",
            expected="a folder on a local disk with room, where this user may write and start programs",
            found=f"{type(error).__name__}: {error}",
            fix="make room or give this user the right to write there, or choose another data folder",
        ) from error


def _start_alone(
    folder: Path, layout: Layout, account: Account, gate: int, programs: Path | None, *, durable: bool
) -> EmbeddedServer:
    users = open_lock(layout.users)
    child: subprocess.Popen[bytes] | None = None
    try:
        # Waits for a supervisor that has begun to stop the server after its last user.
        acquire(users, fcntl.LOCK_SH, name=str(layout.users), timeout_s=_STOP_TIMEOUT_S)
        if supervisor.is_ready(layout.cluster, layout.socket):
            _check_durable(layout, durable=durable)

        def prepare() -> list[str]:
            return _prepare(layout, account, gate, programs, durable=durable)

        child = _await_ready(layout, account, prepare)
        # Again: a supervisor that was already there may have restarted its own kind of server meanwhile.
        _check_durable(layout, durable=durable)
        server = EmbeddedServer(folder, layout, account, cluster_major(layout) or 0, users)
        server._supervisor = child  # noqa: SLF001 - the other half of the constructor
    except BaseException:
        _disown(child)
        os.close(users)
        raise
    return server


def _prepare(
    layout: Layout, account: Account, gate: int, programs: Path | None, *, durable: bool
) -> list[str]:
    """Make what is missing, and say with which command the server starts."""
    major = cluster_major(layout)
    found = readable_binaries(find_binaries(programs, major=major), account, layout.home)
    if major is None:
        make_cluster(layout, found, account, gate=gate)
    write_access(layout, account)
    if durable:
        make_durable(layout, found, account)
    else:
        layout.unsynced.touch()
    return _command(found.postgres, layout, server_settings(durable=durable, major=found.version[0]))


def _await_ready(
    layout: Layout, account: Account, prepare: Callable[[], list[str]]
) -> subprocess.Popen[bytes] | None:
    """Wait until the server answers and a supervisor keeps it; the supervisor, where it is our child."""
    child: subprocess.Popen[bytes] | None = None
    launches = 0
    log_start = layout.log.stat().st_size if layout.log.exists() else 0
    deadline = time.monotonic() + _READY_TIMEOUT_S
    try:
        while not (supervisor.is_ready(layout.cluster, layout.socket) and is_held(layout.supervisor)):
            if launches >= _LAUNCHES_MAX or not _was_killed(child):
                _check_starting(child, layout, log_start, deadline)
            if not _is_alive(child, layout):
                launches += 1
                # With the command even where a server seems to run: it may be about to die.
                child = _launch_supervisor(layout, account, prepare())
                deadline = time.monotonic() + _READY_TIMEOUT_S
            time.sleep(LOCK_POLL_S)
    except BaseException:
        _disown(child)
        raise
    return child


def _check_starting(
    child: subprocess.Popen[bytes] | None, layout: Layout, log_start: int, deadline: float
) -> None:
    if child is not None and child.poll() is not None:
        raise DatabaseSetupFailed(
            "the embedded server does not start",
            expected="Postgres to get ready",
            found=_log_tail(layout, log_start),
            fix=f"read {layout.log}; often the disk is full or read-only, or memory is short",
        )
    if time.monotonic() > deadline:
        raise DatabaseUnavailable(
            "the embedded server is not ready in time",
            expected=f"an answer on {layout.socket} within {_READY_TIMEOUT_S:.0f} s",
            found=_log_tail(layout, log_start),
            fix=f"try again (it may be recovering after a crash), and read {layout.log}",
        )


def _launch_supervisor(layout: Layout, account: Account, command: list[str]) -> subprocess.Popen[bytes]:
    order = {
        "home": str(layout.home),
        "cluster": str(layout.cluster),
        "socket": str(layout.socket),
        "command": command,
        "uid": account.uid if account.drops else None,
        "gid": account.gid,
    }
    if layout.log.exists() and layout.log.stat().st_size > _LOG_BYTES_MAX:
        layout.log.replace(layout.log.with_suffix(".log.old"))
    for lock in (layout.supervisor, layout.server_lock):
        os.close(open_lock(lock))  # the supervisor makes no files: it must not bring back a removed folder
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    log = os.open(layout.log, flags, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter on our own file
            [sys.executable, "-I", "-S", supervisor.__file__, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=CLEAN_ENVIRONMENT,
            start_new_session=True,  # Ctrl-C in a terminal is for the user, not for the server
        )
    finally:
        os.close(log)


def _command(postgres: Path, layout: Layout, settings: dict[str, str]) -> list[str]:
    settings = settings | {
        "unix_socket_directories": str(layout.socket_folder),
        "hba_file": str(layout.hba),
        "ident_file": str(layout.ident),
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [str(postgres), "-D", str(layout.cluster), *options]


def _dsn(layout: Layout, database: str) -> str:
    return f"postgresql://{ROLE}@/{quote(database)}?host={quote(str(layout.socket_folder))}&port=5432"


def _check_durable(layout: Layout, *, durable: bool) -> None:
    options = (layout.cluster / "postmaster.opts").read_text(encoding="utf-8", errors="replace")
    if durable and '"fsync=off"' in options:
        raise DatabaseSetupFailed(
            "the embedded server runs without fsync",
            expected="a durable server",
            found="one that was started with durable=False",
            fix="close its other users first, or ask for durable=False",
        )


def _was_killed(child: subprocess.Popen[bytes] | None) -> bool:
    """Whether a signal from outside ended the supervisor or the server that it was starting."""
    return (
        child is not None and (code := child.poll()) is not None and (code < 0 or code == supervisor.KILLED)
    )


def _is_unused(layout: Layout) -> bool:
    """Whether no user is left: the lock is free, or a supervisor has it (alone)."""
    return nobody_holds(layout.users) or is_held(layout.users)


def _is_alive(child: subprocess.Popen[bytes] | None, layout: Layout) -> bool:
    # A child that was just launched may not have its lock yet.
    return (child is not None and child.poll() is None) or is_held(layout.supervisor)


def _disown(child: subprocess.Popen[bytes] | None) -> None:
    """Leave a supervisor to the other users; without this, Popen would warn that it still runs."""
    if child is not None and child.poll() is None:
        child.returncode = 0


def _log_tail(layout: Layout, log_start: int) -> str:
    with suppress(OSError), layout.log.open("rb") as log:
        log.seek(log_start)
        lines = log.read().decode(errors="replace").strip().splitlines()
        if lines:
            return " / ".join(lines[-_LOG_LINES_SHOWN:])
    return "nothing in its log"
