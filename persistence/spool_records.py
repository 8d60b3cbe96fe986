"""The bytes of a spool: records that tell by themselves whether they are whole.

    mark (4) | length of the payload (4, big-endian) | BLAKE2b-64 of length and payload (8) | payload

A payload is JSON in ASCII, in which the mark's first byte cannot stand: JSON escapes control characters.
So whatever happens to some bytes, reading goes on at the next mark, and nothing but the record that they
belonged to is lost. A torn tail is an unreadable stretch like any other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import blake2b
from mmap import mmap
from typing import NamedTuple

__all__ = ["HEAD_BYTES", "LARGEST_PAYLOAD", "Piece", "encoded", "pieces", "whole"]

_MARK = b"\x1eNYX"
_HEAD = struct.Struct(">4sI8s")
_LENGTH = struct.Struct(">I")
HEAD_BYTES = _HEAD.size
"""Bytes of a record in front of its payload."""
LARGEST_PAYLOAD = 1 << 24
"""Bytes that a payload may have; a longer length is damage."""


class Piece(NamedTuple):
    """A stretch of a spool: a record, or bytes that are none (``payload`` None)."""

    begin: int
    end: int
    payload: bytes | None


def encoded(payload: bytes) -> bytes:
    """The record of a payload of at most ``LARGEST_PAYLOAD`` bytes."""
    length = _LENGTH.pack(len(payload))
    return _MARK + length + _checksum(length, payload) + payload


def whole(data: bytes | mmap, begin: int, end: int) -> bytes | None:
    """The payload of the record that begins at ``begin`` and ends by ``end``; None where there is none."""
    if end - begin < HEAD_BYTES:
        return None
    mark, length, checksum = _HEAD.unpack_from(data, begin)
    stop = begin + HEAD_BYTES + length
    if mark != _MARK or length > LARGEST_PAYLOAD or stop > end:
        return None
    payload = bytes(data[begin + HEAD_BYTES : stop])
    return payload if _checksum(_LENGTH.pack(length), payload) == checksum else None


def pieces(data: bytes | mmap) -> Iterator[Piece]:
    """Everything that stands in a spool, in order: records, and between them what is none."""
    end = len(data)
    begin = 0
    while begin < end:
        payload = whole(data, begin, end)
        if payload is not None:
            stop = begin + HEAD_BYTES + len(payload)
            yield Piece(begin, stop, payload)
            begin = stop
            continue
        stop = data.find(_MARK, begin + 1)
        while stop >= 0 and whole(data, stop, end) is None:
            stop = data.find(_MARK, stop + 1)
        if stop < 0:
            stop = end
        yield Piece(begin, stop, None)
        begin = stop


def _checksum(length: bytes, payload: bytes) -> bytes:
    return blake2b(length + payload, digest_size=8).digest()
