"""One file of a spool: appended to by the process that locked it, or read by the one that adopted it."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..canonical import quoted
from .spool_records import LARGEST_PAYLOAD, encoded, pieces, whole

__all__ = ["HEADER", "Entry", "SpoolFile", "lock_file"]

HEADER = "header"
"""Kind of a file's first record."""

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_ROOMY = 1 << 20
_SPARSE = 4


class Entry:
    """A record that is not settled yet: its kind, the id that it is about, and where it stands."""

    __slots__ = ("direct", "file", "key", "kind", "length", "offset", "retry_at")

    def __init__(self, file: SpoolFile, kind: str, key: str, offset: int, length: int) -> None:
        self.file, self.kind, self.key, self.offset, self.length = file, kind, key, offset, length
        self.direct = False
        """True while something else is writing the same to the database."""
        self.retry_at = 0.0
        """Not to be sent again before this time of the event loop."""

    def read(self) -> dict[str, Any]:
        """The record's document; ``OSError`` where the file does not have it any more."""
        return self.file.document(self.offset, self.length)


class SpoolFile:
    """An open, locked file; ``entries`` are its records that are not settled, in order.

    ``header`` : the first record, which names the bandit and holds the spec that made the decisions; empty
    where it could not be read.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor
        self.header: dict[str, Any] = {}
        self.entries: dict[Entry, None] = {}
        self.size = self.damaged_bytes = self._live_bytes = 0

    @classmethod
    def create(cls, path: Path, header: Mapping[str, Any]) -> SpoolFile:
        """Make a file that begins with this header; ``OSError`` where that cannot be."""
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        file = cls(path, descriptor)
        try:
            if not lock_file(descriptor, path):
                raise OSError(f"another process took {path}")  # noqa: TRY301 (closed below like any other)
            file.header = dict(header)
            file._write(_record(HEADER, "", header))
        except OSError:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return file

    @classmethod
    def adopt(cls, path: Path) -> SpoolFile | None:
        """Open the file of a process that has ended; None where it lives, or another one adopted it.

        What cannot be read in it is put aside, into a file beside it that ends in ``.damaged``.
        """
        try:
            descriptor = os.open(path, _FLAGS)
        except FileNotFoundError:
            return None
        file = cls(path, descriptor)
        try:
            if lock_file(descriptor, path):
                file._scan()
                return file
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def append(self, kind: str, key: str, document: Mapping[str, Any] | str) -> Entry:
        """Add a record behind the others; ``OSError`` where there is no room, and nothing was added.

        document : a text is members of a JSON object in ASCII that are spelled already.
        """
        record = _record(kind, key, document)
        entry = Entry(self, kind, key, self._write(record), len(record))
        self.entries[entry] = None
        self._live_bytes += entry.length
        return entry

    def document(self, offset: int, length: int) -> dict[str, Any]:
        """The document of the record that stands there."""
        payload = whole(os.pread(self._descriptor, length, offset), 0, length)
        if payload is None:
            raise OSError(f"{self.path} has no record at byte {offset:,} any more")
        return dict(json.loads(payload))

    def settle(self, entry: Entry) -> None:
        """Forget a record: what it says is stored elsewhere. Space that this frees is used again."""
        if entry in self.entries:
            del self.entries[entry]
            self._live_bytes -= entry.length
            if self.size > _ROOMY and self._live_bytes * _SPARSE < self.size:
                with suppress(OSError):  # no room to rewrite: it stays as long as it is
                    self._shrink()

    def sync(self) -> None:
        """Bring everything to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Give the file up, and remove it where nothing is left to do; again, it does nothing."""
        if self._descriptor >= 0:
            if not self.entries:
                self.path.unlink(missing_ok=True)
            self.release()

    def release(self) -> None:
        """Give the file up as it is."""
        os.close(self._descriptor)
        self._descriptor = -1

    def _write(self, record: bytes) -> int:
        offset, view = self.size, memoryview(record)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, offset)  # half a record must not stand in front of the next
            raise
        self.size += len(record)
        return offset

    def _shrink(self) -> None:
        """Put a file with the entries alone in the place of this one, in one step."""
        beside = self.path.with_suffix(".new")
        fresh = SpoolFile.create(beside, self.header)
        try:
            moved = [fresh._write(os.pread(self._descriptor, e.length, e.offset)) for e in self.entries]  # noqa: SLF001 (another one of ours)
            fresh.sync()
            beside.rename(self.path)
        except OSError:
            fresh.close()
            raise
        os.close(self._descriptor)
        self._descriptor, self.size = fresh._descriptor, fresh.size  # noqa: SLF001
        for entry, offset in zip(self.entries, moved, strict=True):
            entry.offset = offset

    def _scan(self) -> None:
        self.size = os.fstat(self._descriptor).st_size
        if not self.size:
            return
        damaged = []
        with mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ) as data:
            for piece in pieces(data):
                document = _document(piece.payload)
                if document is None:
                    damaged.append(bytes(data[piece.begin : piece.end]))
                elif document["kind"] == HEADER:
                    self.header = document
                else:
                    entry = Entry(
                        self, document["kind"], document["key"], piece.begin, piece.end - piece.begin
                    )
                    self.entries[entry] = None
                    self._live_bytes += entry.length
        if damaged:
            self.damaged_bytes = sum(map(len, damaged))
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(self.path.with_suffix(".damaged"), flags, 0o600), "wb") as aside:  # noqa: PTH123 (a descriptor)
                aside.write(b"".join(damaged))


def lock_file(descriptor: int, path: Path) -> bool:
    """Lock an open file until it is closed; False where another process has it, or removed or replaced it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        opened, named = os.fstat(descriptor), path.stat()
    except (BlockingIOError, FileNotFoundError):
        return False
    return (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)


def _record(kind: str, key: str, document: Mapping[str, Any] | str) -> bytes:
    if isinstance(document, str):
        text = f'{{"kind":{quoted(kind)},"key":{quoted(key)},{document}}}'
    else:
        text = _encode({"kind": kind, "key": key, **document})
    payload = text.encode("ascii")
    if len(payload) > LARGEST_PAYLOAD:
        raise OSError(f"a record of {len(payload):,} bytes is beyond {LARGEST_PAYLOAD:,}")
    return encoded(payload)


def _document(payload: bytes | None) -> dict[str, Any] | None:
    """What a payload says; None where it is no record of a spool."""
    try:
        document = None if payload is None else json.loads(payload)
    except ValueError:
        return None
    if isinstance(document, dict) and {type(document.get(name)) for name in ("kind", "key")} == {str}:
        return document
    return None
