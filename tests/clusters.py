"""Postgres clusters of a test's own, to fill, kill and promote: without supervisor, with any settings."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from nyx_learning.persistence.embedded.account import server_account
from nyx_learning.persistence.embedded.binaries import find_binaries, readable_binaries

__all__ = ["Cluster", "Site"]

_READY_S = 60.0
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "16MB",
    "fsync": "off",
    "wal_level": "replica",
    "hot_standby": "on",
    "synchronous_commit": "on",
    "jit": "off",
}


class Site:
    """A folder of clusters, and who runs them; what still runs at the end is killed."""

    def __init__(self, programs: Path | None) -> None:
        # For root, pytest's own folder is closed to the account that runs Postgres.
        self.folder = Path(tempfile.mkdtemp(prefix="nyx-clusters-", dir="/tmp"))
        self.folder.chmod(0o711)
        self.account = server_account([])
        self.binaries = readable_binaries(find_binaries(programs), self.account, self.folder)
        self._clusters: list[Cluster] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for cluster in self._clusters:
            cluster.kill()
        shutil.rmtree(self.folder)

    def run(self, *command: str) -> None:
        """Run a program as the account, to its end."""
        subprocess.run(command, check=True, capture_output=True, **self.account.popen_arguments())

    def new_folder(self, name: str) -> Path:
        """A folder that belongs to the account."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        if self.account.drops:
            os.chown(folder, self.account.uid, self.account.gid)
        return folder

    def primary(self, *options: str, **settings: str) -> Cluster:
        """A fresh cluster, not started; ``options`` are initdb's."""
        folder = self.new_folder(f"cluster-{len(self._clusters)}")
        initdb = str(self.binaries.initdb)
        self.run(initdb, "-D", str(folder), "-U", "nyx", "--auth=trust", "--no-sync", "-E", "UTF8", *options)
        return self._added(folder, settings)

    def standby(self, of: Cluster, **settings: str) -> Cluster:
        """A standby of a cluster that is stopped: a cold copy, not started."""
        folder = self.new_folder(f"cluster-{len(self._clusters)}")
        self.run("/bin/cp", "-a", f"{of.folder}/.", str(folder))
        self.run("/usr/bin/touch", str(folder / "standby.signal"))
        source = f"host=127.0.0.1 port={of.port} user=nyx"
        return self._added(folder, {"primary_conninfo": source, **settings})

    def _added(self, folder: Path, settings: Mapping[str, str]) -> Cluster:
        cluster = Cluster(self, folder, settings)
        self._clusters.append(cluster)
        return cluster


class Cluster:
    """One cluster on a port of its own."""

    def __init__(self, site: Site, folder: Path, settings: Mapping[str, str]) -> None:
        self._site, self.folder = site, folder
        self.settings = {**_SETTINGS, **settings}
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """Address of this cluster alone."""
        return f"postgresql://nyx@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        settings = {
            **self.settings,
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._site.folder / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._site.binaries.postgres), "-D", str(self.folder), *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                **self._site.account.popen_arguments(),
            )
        deadline = time.monotonic() + _READY_S
        status = self.folder / "postmaster.pid"
        while not (status.exists() and status.read_text().rstrip().endswith(("ready", "standby"))):
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def log(self) -> str:
        """What the server has logged."""
        return (self._site.folder / f"{self.folder.name}.log").read_text(errors="replace")

    def promote(self) -> None:
        """Make a standby the primary: it takes writes soon."""
        trigger = self.folder / "promote"
        trigger.touch()
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def limit_files(self, size: int | None) -> None:
        """Let no file of the server grow beyond ``size`` bytes, from now on; None: as it was."""
        assert self._process is not None
        limit = "unlimited" if size is None else str(size)
        for process in (self._process.pid, *processes_below(self._process.pid)):
            self._site.run("/usr/bin/prlimit", "--pid", str(process), f"--fsize={limit}:unlimited")

    def stop(self) -> None:
        """Stop the server in good order."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the postmaster; its children end when they notice."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            children = processes_below(process.pid)
            process.send_signal(how)
            process.wait(_READY_S)
            for child in children if how == signal.SIGKILL else ():
                _kill(child)


def processes_below(parent: int) -> list[int]:
    """The children of a process."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True)
    pairs = (line.split() for line in listed.stdout.splitlines())
    return [int(child) for child, of in pairs if int(of) == parent]


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
