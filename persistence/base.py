"""The base of a bandit's log: the sums of all rows up to one, which retention may have dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from ..bandit import BanditSpec
from ..canonical import digest
from ..errors import SpecInvalid
from .queries import Connection, query

__all__ = ["Base", "StoredBlock", "base_digest", "read_base", "read_bases"]

StoredBlock: TypeAlias = tuple[str, int, int, Sequence[int]]
"""(arm id, epoch, bucket, statistics)."""

SumsKey: TypeAlias = tuple[str, int]
"""(encoding, bucket_rows): what a set of sums is of."""


class Base(NamedTuple):
    """Where a fold of the log begins: behind row ``seq``, with ``blocks``; 0 and none for a whole log."""

    seq: int
    blocks: list[StoredBlock]


def base_digest(seq: int, blocks: Sequence[StoredBlock]) -> str:
    """Hash of a base's sums, which are in order."""
    return digest([seq, [[arm, epoch, bucket, list(numbers)] for arm, epoch, bucket, numbers in blocks]])


async def read_base(connection: Connection, spec: BanditSpec) -> Base:
    """The base for a spec's encoding.

    Raises
    ------
    SpecInvalid : rows were dropped before this encoding was used: what they taught cannot be told any more.
    """
    row = await connection.fetchrow(query("base"), spec.name, spec.encoding, spec.bucket_rows)
    if row is None or not row["base_seq"]:
        return Base(0, [])
    if row["seq"] is None:
        raise SpecInvalid(
            f"the log of bandit '{spec.name}' cannot be folded for this spec",
            expected="a context schema, bucket_rows and policy statistics that were in use before retention",
            found=f"retention dropped the contexts of rows 1 to {row['base_seq']}, and has no sums for these",
            fix="keep the old ones, or give the bandit a new name; open a changed spec before retention runs",
        )
    blocks = await connection.fetch(query("base_sums"), spec.name, spec.encoding, spec.bucket_rows)
    return Base(row["seq"], [(r["arm_id"], r["epoch"], r["bucket"], r["statistics"]) for r in blocks])


async def read_bases(connection: Connection, bandit: str) -> dict[SumsKey, tuple[Base, str]]:
    """Every base of a bandit with the hash that was written beside it, for ``verify``."""
    found: dict[SumsKey, tuple[Base, str]] = {}
    for row in await connection.fetch(query("bases"), bandit):
        found[row["encoding"], row["bucket_rows"]] = Base(row["seq"], []), row["digest"]
    for r in await connection.fetch(query("all_base_sums"), bandit):
        key = (r["encoding"], r["bucket_rows"])
        if key in found:  # a foreign key sees to that
            found[key][0].blocks.append((r["arm_id"], r["epoch"], r["bucket"], r["statistics"]))
    return found
