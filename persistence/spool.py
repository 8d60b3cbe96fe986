"""The local spool: what a process decided and heard while the database was away, until it is there.

A folder (mode 0700) for one bandit of one database holds a file for each process, locked as long as the
process lives. Each record is written in one go before its decision or receipt is returned; it is *settled*
when the database has what it says. A file whose lock is free belongs to a process that has ended: whoever
finds it adopts it. Sending a record twice changes nothing, so nothing needs to be noted about what was sent.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .spool_file import Entry, SpoolFile, lock_file

__all__ = ["FORMAT", "Spool"]

_LOG = logging.getLogger("nyx_learning")

FORMAT = 1
"""Version of what records say; files of a later one are left alone."""


class Spool:
    """The spool of one process in one folder.

    Parameters
    ----------
    folder : made where it is missing, with mode 0700. header : what the file's first record says, see
        ``SpoolFile``. sync : bring each record to the disk, so that it survives a power cut, and not only the
        end of the process. bytes_max : a file takes no records beyond.

    Raises
    ------
    OSError : the folder cannot be used.
    """

    def __init__(
        self, folder: Path, header: Mapping[str, Any], *, sync: bool = False, bytes_max: int = 1 << 30
    ) -> None:
        self.folder, self.sync, self._bytes_max = folder, sync, bytes_max
        _make_private(folder)
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.spool"
        self._own = SpoolFile.create(path, {"format": FORMAT, **header})
        self._adopted: list[SpoolFile] = []
        self._left_alone: set[Path] = set()
        self._decided: dict[str, Entry] = {}
        self._reported: dict[str, int] = {}
        self.damaged_bytes = 0
        """Bytes of adopted files that no record could be read from; they are kept beside them."""

    def __len__(self) -> int:
        return sum(len(file.entries) for file in self._files())

    @property
    def bytes(self) -> int:
        """Size of the files that this process has locked."""
        return sum(file.size for file in self._files())

    def entries(self) -> Iterator[Entry]:
        """The records that are not settled: the adopted ones first, each file's in their order."""
        for file in self._files():
            yield from file.entries

    def decision(self, key: str) -> Entry | None:
        """The record of the decision with this id; None where the spool has none."""
        return self._decided.get(key)

    def reports(self, key: str) -> int:
        """How many records about this decision are there that are no decision."""
        return self._reported.get(key, 0)

    def append(self, kind: str, key: str, document: Mapping[str, Any] | str) -> Entry:
        """Write a record of kind ``decision`` or another; ``OSError`` where there is no room.

        document : see ``SpoolFile.append``.
        """
        if self._own.size > self._bytes_max:
            raise OSError(f"{self._own.path} has {self._own.size:,} bytes, the most that a spool may have")
        entry = self._own.append(kind, key, document)
        if self.sync:
            self._own.sync()
        self._note(entry)
        return entry

    def settle(self, entry: Entry) -> None:
        """Forget a record: the database has what it says. A file without any goes away."""
        file = entry.file
        if entry not in file.entries:
            return
        file.settle(entry)
        if entry.kind != "decision":
            self._reported[entry.key] -= 1
            if not self._reported[entry.key]:
                del self._reported[entry.key]
        elif self._decided.get(entry.key) is entry:
            del self._decided[entry.key]
        if file is not self._own and not file.entries:
            self._adopted.remove(file)
            file.close()

    def find(self) -> list[SpoolFile]:
        """Lock and read the files of processes that have ended, for ``adopt``; may run in a thread.

        What they left half-made is removed, and a file without records too.
        """
        paths = sorted(self.folder.iterdir())
        for path in paths:
            if path.suffix == ".new":
                _remove_unlocked(path)
        mine = {file.path for file in self._files()} | self._left_alone
        found = []
        for path in paths:
            ours = path.suffix != ".spool" or path in mine
            file = None if ours else SpoolFile.adopt(path)
            if file is None:
                continue
            self.damaged_bytes += file.damaged_bytes
            if file.damaged_bytes:
                aside = path.with_suffix(".damaged")
                _LOG.error("%d bytes of %s cannot be read: kept in %s", file.damaged_bytes, path, aside)
            if file.header.get("format", FORMAT) != FORMAT:
                _LOG.error("the spool %s was written by a later version, and is left to it", path)
                self._left_alone.add(path)
                file.release()
            elif file.entries:
                found.append(file)
            else:
                file.close()
        return found

    def adopt(self, file: SpoolFile) -> None:
        """Take over the records of a file that ``find`` returned."""
        self._adopted.append(file)
        for entry in file.entries:
            self._note(entry)

    def close(self) -> None:
        """Give up the files; those with records stay for whoever opens the folder next."""
        for file in self._files():
            file.close()
        self._adopted = []

    def _files(self) -> list[SpoolFile]:
        return [*self._adopted, self._own]

    def _note(self, entry: Entry) -> None:
        if entry.kind == "decision":
            self._decided.setdefault(entry.key, entry)
        else:
            self._reported[entry.key] = self._reported.get(entry.key, 0) + 1


def _make_private(folder: Path) -> None:
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.mkdir(mode=0o700, exist_ok=True)  # of all bandits; one that was there stays as it is
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError(f"{folder} is no folder of this user")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def _remove_unlocked(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    if lock_file(descriptor, path):
        path.unlink(missing_ok=True)
    os.close(descriptor)
