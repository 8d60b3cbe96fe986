"""API keys: random secrets, of which the file holds only hashes.

A key reads ``nyx_<id>_<secret>``: the id finds its line; the secret has 256 random bits, so that nobody can
search for what gives its hash. The file is read again whenever it changed: a revoked key is refused at once
by every worker. Where it cannot be read any more, a server goes on with the keys that it had, and says so.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import logging
import os
import re
import secrets
import time as clock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...errors import InputInvalid, KeysUnreadable, shown

__all__ = ["ApiKey", "KeyFile", "Role"]

_LOG = logging.getLogger("nyx_learning")
_FORMAT = "nyx-learning/api-keys/1"
_MAX_NAME = 100
_ID, _HASH = re.compile(r"[0-9a-f]{1,16}"), re.compile(r"[0-9a-f]{64}")


class Role(IntEnum):
    """What a key may do; each may do what those before it may."""

    READER = 1
    WRITER = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> Role:
        """The role of a name in small letters.

        Raises
        ------
        InputInvalid : there is none.
        """
        try:
            return cls[name.upper()]
        except KeyError:
            raise InputInvalid(
                "there is no such role",
                expected="reader, writer or admin",
                found=shown(name),
                fix="name one of them",
            ) from None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A line of the file: never the secret."""

    id: str
    name: str
    role: str
    hash: str
    created_at: float

    def to_dict(self) -> dict[str, Any]:
        """What may be shown."""
        return {"id": self.id, "name": self.name, "role": self.role, "created_at": self.created_at}


class KeyFile:
    """The keys of one file; a file that is not there has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, ApiKey] = {}
        self._damage: KeysUnreadable | None = None

    def keys(self) -> Mapping[str, ApiKey]:
        """All keys by their ids.

        Raises
        ------
        KeysUnreadable : the file cannot be read, or holds something else.
        """
        self._follow()
        if self._damage is not None:
            raise self._damage
        return self._keys

    def problem(self) -> KeysUnreadable | None:
        """Why the file cannot be read now; meanwhile ``check`` and ``find`` know what it held before."""
        self._follow()
        return self._damage

    def find(self, number: str) -> ApiKey | None:
        """The key of an id, by what the file held when it could last be read."""
        self._follow()
        return self._keys.get(number)

    def _follow(self) -> None:
        """Read the file again where it has changed."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._keys, self._damage = None, {}, None
            return
        except OSError as error:
            self._damaged(self._unreadable(error))
            return
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen == self._seen:
            return
        try:
            self._keys = self._read()
        except KeysUnreadable as error:
            self._damaged(error)
        else:
            if self._damage is not None:
                _LOG.warning("the file of API keys %s can be read again", self.path)
            self._damage = None
        self._seen = seen

    def _damaged(self, error: KeysUnreadable) -> None:
        if self._damage is None:
            _LOG.error("%s: the keys that were read before hold on (%s)", error.what, error.found)
        self._damage = error

    def check(self, presented: str) -> ApiKey | None:
        """The key that was presented, or None; takes as long for a wrong secret as for a right one."""
        _, _, rest = presented.partition("nyx_")
        number, _, secret = rest.partition("_")
        key = self.find(number)
        known = key.hash if key is not None else "0" * 64
        right = hmac.compare_digest(_hash(secret), known)
        return key if right and presented.startswith("nyx_") else None

    def create(self, name: str, role: Role) -> tuple[ApiKey, str]:
        """Add a key; returns it, and the text to hand out, which is not stored and cannot be shown again."""
        if not (isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()):
            raise InputInvalid(
                "the key's name is unusable",
                expected=f"1 to {_MAX_NAME} printable characters: who uses it",
                found=shown(name),
                fix="name the program or person that gets the key",
            )
        secret = secrets.token_urlsafe(32)
        with self._changing() as keys:
            number = secrets.token_hex(4)
            while number in keys:
                number = secrets.token_hex(4)
            key = ApiKey(number, name, role.name.lower(), _hash(secret), clock.time())
            keys[number] = key
        return key, f"nyx_{number}_{secret}"

    def revoke(self, number: str) -> ApiKey:
        """Remove a key by its id.

        Raises
        ------
        InputInvalid : there is none with this id.
        """
        with self._changing() as keys:
            if number not in keys:
                raise InputInvalid(
                    "there is no such key",
                    expected="the id of a key of the file",
                    found=shown(number),
                    fix="list them: nyx-learning key list",
                )
            return keys.pop(number)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, ApiKey]]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = self._read() if self.path.exists() else {}
            yield keys
            document = {"format": _FORMAT, "keys": [asdict(key) for key in keys.values()]}
            fresh = self.path.with_name(f"{self.path.name}.new")
            file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(file, "w", encoding="utf-8") as out:
                json.dump(document, out, indent=2)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self.path)
        finally:
            os.close(lock)

    def _read(self) -> dict[str, ApiKey]:
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            if document["format"] != _FORMAT:
                raise ValueError(document["format"])  # noqa: TRY301 - one message for all that is wrong with it
            return {key.id: key for key in map(_key, document["keys"])}
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> KeysUnreadable:
        # Not the error's own words: they may quote the file.
        return KeysUnreadable(
            f"the file of API keys {self.path} cannot be read",
            expected=f"what 'nyx-learning key create' writes, format {_FORMAT}",
            found=os.strerror(error.errno or 0) if isinstance(error, OSError) else type(error).__name__,
            fix="restore it, or remove it and create the keys anew",
        )


def _key(line: Mapping[str, Any]) -> ApiKey:
    """A line of the file, as a key.

    Raises
    ------
    TypeError, ValueError : it is none.
    """
    key = ApiKey(**line)
    texts = all(isinstance(text, str) for text in (key.id, key.name, key.role, key.hash))
    if not (texts and isinstance(key.created_at, (int, float))):
        raise TypeError(line.keys())
    if not (_ID.fullmatch(key.id) and _HASH.fullmatch(key.hash) and key.role.upper() in Role.__members__):
        raise ValueError(key.id)
    return key


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()
