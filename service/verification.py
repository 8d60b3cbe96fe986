"""``verify``: fold the stored log, re-derive what was decided, and name the first row that differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..bandit import BanditSpec, VerifyReport
from ..errors import NyxError
from ..persistence.queries import Connection, query
from ..persistence.rows import spec_from
from ..persistence.store import Store
from . import log_walk
from .base_check import checked_base, checked_keys
from .log_walk import Base, Found, Section, StoredSums
from .verify_walk import walk_section

__all__ = ["Overview", "concluded", "overview", "read_specs", "verify_log"]


async def verify_log(store: Store, *, by_columns: bool = True) -> VerifyReport:
    """Check all that is stored of one bandit, as it is at this moment; writers may go on meanwhile.

    1. The log: numbers 1 … last without a gap, each row's digest and the integer form of its reward, that it
       says of its decision what the decision says, and that it follows from what was reported and from the
       decision's earlier rows: state, price, what leaves the sums, what joins them and where.
    2. Each spec: its hash. Each decision: its digest; every stage drawn anew from the *stored* pmf; and all
       of it derived anew from the rows up to ``state_seq``, under the spec that decided. How many there are,
       against what was counted when they were written.
    3. The stored sums of every encoding, against the fold of the rows that they go up to.

    by_columns : whether usual rows are compared many at once; what is found does not depend on it.
    """
    async with store.snapshot() as connection:
        seen = await overview(store, connection)
        section = Section(seen.base.seq + 1, max(seen.last, seen.highest))
        found = await walk_section(
            connection, store.bandit, seen.specs, section, seen.sums, seen.base, by_columns=by_columns
        )
    return concluded(seen, found)


@dataclass(frozen=True, slots=True)
class Overview:
    """What the database says of a bandit's log in a few numbers, and what is wrong with its specs.

    ``base`` : where the log begins, row 0 or what retention left; ``rows`` are counted from there.
    ``last``, ``adopted``, ``counted`` : what the bandit's row and its counters say. ``rows``,
    ``highest``, ``decisions`` : what is there. ``furthest`` : the highest row that a decision claims to know.
    """

    specs: Mapping[str, BanditSpec]
    sums: list[StoredSums]
    last: int
    adopted: int
    rows: int
    highest: int
    decisions: int
    counted: int
    furthest: int
    base: Base
    found: Found

    @property
    def dense(self) -> bool:
        """True where the numbers can go up to the last without a gap, and no decision knew a higher one."""
        return self.base.seq + self.rows == self.last == self.highest >= self.furthest


async def overview(store: Store, connection: Connection) -> Overview:
    """Look at what is cheap to see, in the caller's transaction."""
    await connection.execute(query("no_time_limits"))  # it holds no lock, and may wait for other processes
    found = Found()
    specs = read_specs(await store.raw_specs(connection), found)
    sums = [(spec, *await store.sums.read(connection, spec)) for spec in _encodings(specs)]
    base = await checked_base(store, connection, found)
    await checked_keys(store, connection, found)
    (row,) = await connection.fetch(query("verify_overview"), store.bandit, base.seq)
    return Overview(
        specs,
        sums,
        row["last"] or 0,
        row["adopted"] or 0,
        row["rows"],
        row["highest"],
        row["decisions"],
        row["counted"],
        row["furthest"],
        base,
        found,
    )


def concluded(seen: Overview, found: Found) -> VerifyReport:
    """The report, from what was seen at first and what was found in all sections."""
    found.join(seen.found)
    if seen.rows != seen.last - seen.base.seq:
        number = min(seen.base.seq + seen.rows, seen.last) + 1
        found.add(
            log_walk.LOG,
            number,
            "",
            f"log row {number}: {seen.rows} rows are stored, the bandit counts {seen.last}",
        )
    if seen.adopted != found.adopted:
        told = f"adoptions: row {found.adopted} is the last one, the bandit names row {seen.adopted}"
        found.add(log_walk.ADOPTIONS, 0, "", told)
    if seen.decisions != seen.counted:
        told = f"decisions: {seen.decisions} are stored, {seen.counted} were counted when they were written"
        found.add(log_walk.COUNTED, 0, "", told)
    first = None if found.first is None else found.first[-1]
    return VerifyReport(found.decisions, found.matched, found.rows, found.sums_match, first, found.imported)


def read_specs(documents: Mapping[str, str], found: Found) -> dict[str, BanditSpec]:
    """The stored specs by their hash; one that is not what was written is noted in ``found``."""
    specs = {}
    for spec_hash, document in documents.items():
        try:
            spec = spec_from(document)
        except (NyxError, ValueError) as error:
            found.add(log_walk.SPECS, 0, spec_hash, f"spec {spec_hash}: unreadable ({type(error).__name__})")
            continue
        if spec.spec_hash == spec_hash:
            specs[spec_hash] = spec
        else:
            found.add(log_walk.SPECS, 0, spec_hash, f"spec {spec_hash}: its content is not what was written")
    return specs


def _encodings(specs: Mapping[str, BanditSpec]) -> list[BanditSpec]:
    """One spec for each set of stored sums."""
    return list({(spec.encoding, spec.bucket_rows): spec for spec in specs.values()}.values())
