"""The supervisor: a small process of its own that keeps one server, and ends it after its last user.

Run as a script (standard library only) by whoever starts a server; nobody talks to it but
through file locks (`layout.py` lists them).

- It waits for `users.lock` *alone*. Every user holds that lock shared, and the kernel gives
  it up for a user that dies, even by `kill -9`. So the moment the supervisor gets it, nobody
  uses the server any more: it stops the server and leaves. Keeping the lock until then makes
  a new user wait for the end of the old server. An `atexit` hook cannot do this (it does not
  run after a kill), and nothing inside Postgres knows of users that hold no connection.
- Every process of Postgres inherits `server.lock`, held. It is free only when the last of
  them is gone: a proof that needs no process id, so a recycled id is never taken for a server.
- If Postgres dies (killed, out of memory), it is started again, up to `_RESTARTS_MAX` times in a row.
- If the *supervisor* dies, the server goes on; the next one that starts or closes sees that
  `supervisor.lock` is free and starts a new supervisor, which adopts the server.
- SIGTERM (the machine goes down) stops the server and then itself.

Argument: one JSON object {home, cluster, socket, command, uid, gid}; `command` may be empty
(adopt only), `uid` is null unless privileges are dropped.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

__all__ = ["KILLED", "Supervisor", "answers", "is_ready", "postmaster_pid"]

KILLED = 2
"""Exit code where a signal ended the server before it was ready: starting again may well succeed."""

_RESTARTS_MAX = 5
_HEALTHY_S = 60.0
_RESTART_PAUSE_S = 0.2
_STOP_STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
_SIGNAL_AGAIN_S = 1.0
_STATUS_LINE = 7
_ANSWER_S = 5.0
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
"""The shortest question of the protocol: may this be encrypted? Every server answers, with one byte."""
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


def answers(path: Path) -> bool:
    """Whether a living server answers on the socket.

    That it can be connected to is not enough: a server that is being killed still accepts for a
    moment, after its process id is gone, and resets the connection then.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_S)
        try:
            probe.connect(str(path))
            probe.sendall(_SSL_REQUEST)
            return probe.recv(1) in {b"N", b"S"}
        except OSError:
            return False


def is_ready(cluster: Path, path: Path) -> bool:
    """Whether the server says that it is ready, and answers."""
    lines = _pid_lines(cluster)
    return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready" and answers(path)


def postmaster_pid(cluster: Path) -> int | None:
    """Id of the living postmaster of `cluster`; None where the file is stale or its id was recycled."""
    lines = _pid_lines(cluster)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    if Path("/proc/self/cwd").exists():
        # A postmaster works in its own cluster; a link that cannot be read belongs to another account.
        try:
            return pid if Path(f"/proc/{pid}/cwd").samefile(cluster) else None
        except OSError:
            return None
    listed = subprocess.run(  # noqa: S603 - a fixed program and a number
        ["/bin/ps", "-o", "comm=", "-p", str(pid)], check=False, stdout=subprocess.PIPE, text=True
    )
    return pid if "postgres" in listed.stdout else None


def _pid_lines(cluster: Path) -> list[str]:
    try:
        return (cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


class Supervisor:
    """One run: start or adopt the server, wait for its end or its last user's."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._home = Path(order["home"])
        self._cluster = Path(order["cluster"])
        self._process: subprocess.Popen[bytes] | None = None
        self._mutex = threading.Lock()
        self._leaving = False
        self._killed = False
        self._gone = threading.Event()

    def run(self) -> int:
        """Exit code: 0 after an ordered end, 1 when the server could not be kept running, or `KILLED`."""
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=self._leave, daemon=True).start())
        alone = self._lock("supervisor.lock")
        users = self._open("users.lock")
        threading.Thread(target=self._await_users, args=(users,), daemon=True).start()
        try:
            code = self._keep()
        except FileNotFoundError:
            # The folder was removed. A server that was adopted sees that itself, within a minute.
            code = 0
        self._gone.set()
        # Before users.lock, which ends with the process: who gets that one must not find this one taken.
        os.close(alone)
        return code

    def _keep(self) -> int:
        deaths = 0
        while deaths <= _RESTARTS_MAX:
            begin = time.monotonic()
            if not self._running() and not self._spawn():
                return 0 if self._leaving else 1
            served = self._await_end()
            if self._leaving:
                return 0
            if not served:
                return KILLED if self._killed else 1
            deaths = 1 if time.monotonic() - begin > _HEALTHY_S else deaths + 1
            sys.stderr.write(f"supervisor: the server has died ({deaths} in a row)\n")
            sys.stderr.flush()
            time.sleep(_RESTART_PAUSE_S)
        return 1

    def _running(self) -> bool:
        """Whether there is a server to adopt; waits for the rests of one that has died."""
        while True:
            descriptor = self._try_lock("server.lock")
            if descriptor is not None:
                os.close(descriptor)
                return False
            if postmaster_pid(self._cluster) is not None:
                return True
            if self._leaving:
                return False
            time.sleep(0.01)

    def _spawn(self) -> bool:
        if self._leaving or not self._order["command"]:
            return False
        inherited = self._lock("server.lock")
        try:
            if postmaster_pid(self._cluster) is None:
                # Postgres would believe a recycled id in these. server.lock proves that no server of ours
                # lives, and the id is not that of a postmaster which somebody started by hand.
                listening = Path(self._order["socket"])
                for stale in (
                    self._cluster / "postmaster.pid",
                    listening.with_name(f"{listening.name}.lock"),
                ):
                    stale.unlink(missing_ok=True)
            dropped: dict[str, Any] = {}
            if self._order["uid"] is not None:
                dropped = {"user": self._order["uid"], "group": self._order["gid"], "extra_groups": []}
            with self._mutex:
                if self._leaving:
                    return False
                self._process = subprocess.Popen(  # noqa: S603 - the order comes from our own parent
                    self._order["command"],
                    stdin=subprocess.DEVNULL,
                    cwd="/",
                    env=_ENVIRONMENT,
                    pass_fds=(inherited,),
                    **dropped,
                )
        finally:
            os.close(inherited)
        return True

    def _await_end(self) -> bool:
        """Wait until no process of the server is left; whether it was ever ready."""
        served = self._process is None
        while self._process is not None and not served and self._process.poll() is None:
            served = is_ready(self._cluster, Path(self._order["socket"]))
            time.sleep(0.01)
        if self._process is not None:
            self._killed = self._process.wait() < 0
        os.close(self._lock("server.lock"))
        with self._mutex:
            self._process = None
        return served

    def _await_users(self, users: int) -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        self._leave()

    def _leave(self) -> None:
        with self._mutex:
            self._leaving = True
        for step, patience_s in _STOP_STEPS:
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline:
                # Again and again: an adopted server may not have had its handlers, or its pid file, before.
                with self._mutex:
                    if self._process is not None:
                        self._process.send_signal(step)
                    elif (pid := postmaster_pid(self._cluster)) is not None:
                        os.kill(pid, step)
                if self._gone.wait(_SIGNAL_AGAIN_S):
                    return

    def _lock(self, name: str) -> int:
        descriptor = self._open(name)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def _try_lock(self, name: str) -> int | None:
        descriptor = self._open(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _open(self, name: str) -> int:
        return os.open(self._home / name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)


if __name__ == "__main__":
    os.umask(0o077)
    # At once: a thread may still wait for a lock that it will never get.
    os._exit(Supervisor(json.loads(sys.argv[1])).run())
