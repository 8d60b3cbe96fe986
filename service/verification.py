"""``verify``: fold the stored log, re-derive what was decided, and name the first row that differs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..bandit import BanditSpec, Decision, Learner, VerifyReport
from ..errors import NyxError
from ..persistence.fold import Fold
from ..persistence.rows import Row, any_row_from, decision_from, spec_from
from ..persistence.store import Store, StoredBlock
from .authentic import Authenticity
from .row_check import RowCheck

__all__ = ["verify_log"]


async def verify_log(store: Store) -> VerifyReport:
    """Check all that is stored of one bandit.

    1. The log: numbers 1 … last without a gap, each row's digest and the integer form of its reward, that it
       says of its decision what the decision says, and that it follows from what was reported and from the
       decision's earlier rows: state, price, what leaves the sums, what joins them and where.
    2. Each spec: its hash. Each decision: its digest; every stage drawn anew from the *stored* pmf; and all
       of it derived anew from the rows up to ``state_seq``, under the spec that decided. How many there are,
       against what was counted when they were written.
    3. The stored sums of every encoding, against the fold of the rows that they go up to.
    """
    async with store.snapshot() as connection:
        documents = await store.raw_specs(connection)
        last = await store.last_seq(connection)
        log = await store.raw_log(connection)
        decisions = await store.raw_decisions(connection)
        counted = await store.counted_decisions(connection)
        adopted = await store.adopted_seq(connection)
        findings = _Findings()
        specs = _read_specs(documents, findings)
        sums = [(spec, *await store.read_sums(connection, spec)) for spec in _encodings(specs)]
    stored = _Stored(last, adopted, log, decisions, counted)
    return await asyncio.to_thread(_verify, specs, stored, sums, findings)


class _Stored(NamedTuple):
    last: int
    adopted: int
    log: Sequence[Row]
    decisions: Sequence[Row]
    counted: int


class _Findings:
    def __init__(self) -> None:
        self.first: str | None = None

    def add(self, what: str) -> None:
        if self.first is None:
            self.first = what


def _read_specs(documents: Mapping[str, str], findings: _Findings) -> dict[str, BanditSpec]:
    specs = {}
    for spec_hash, document in documents.items():
        try:
            spec = spec_from(document)
        except (NyxError, ValueError) as error:
            findings.add(f"spec {spec_hash}: unreadable ({type(error).__name__})")
            continue
        if spec.spec_hash == spec_hash:
            specs[spec_hash] = spec
        else:
            findings.add(f"spec {spec_hash}: its content is not what was written")
    return specs


def _encodings(specs: Mapping[str, BanditSpec]) -> list[BanditSpec]:
    """One spec for each set of stored sums."""
    return list({(spec.encoding, spec.bucket_rows): spec for spec in specs.values()}.values())


def _verify(
    specs: Mapping[str, BanditSpec],
    stored: _Stored,
    sums: Sequence[tuple[BanditSpec, int, list[StoredBlock]]],
    findings: _Findings,
) -> VerifyReport:
    log, decisions = stored.log, stored.decisions
    _check_log(stored, specs, findings)
    walks = {key: _Walk(spec, log) for key, spec in specs.items()}
    matched = 0
    for row in decisions:
        walk = walks.get(row["spec_hash"])
        problem = _check_decision(row, walk) if walk else "its spec is not stored"
        if problem is None:
            matched += 1
        else:
            findings.add(f"decision '{row['decision_id']}' (state_seq {row['state_seq']}): {problem}")
    if len(decisions) != stored.counted:
        findings.add(
            f"decisions: {len(decisions)} are stored, {stored.counted} were counted when they were written"
        )
    same = True
    for spec, seq, blocks in sums:
        same = _check_sums(_Walk(spec, log), seq, blocks, findings) and same
    return VerifyReport(len(decisions), matched, len(log), same, findings.first)


def _check_log(stored: _Stored, specs: Mapping[str, BanditSpec], findings: _Findings) -> None:
    log, last = stored.log, stored.last
    rows = RowCheck(specs, stored.decisions)
    for number, row in enumerate(log, start=1):
        if row["seq"] != number:
            findings.add(f"log row {number}: missing (row {row['seq']} follows row {number - 1})")
            return
        problem = rows.problem(row)
        if problem is not None:
            whose = "" if row["decision_id"] is None else f" (decision '{row['decision_id']}')"
            findings.add(f"log row {number}{whose}: {problem}")
    if len(log) != last:
        findings.add(
            f"log row {min(len(log), last) + 1}: {len(log)} rows are stored, the bandit counts {last}"
        )
    if stored.adopted != rows.adopted_seq:
        findings.add(
            f"adoptions: row {rows.adopted_seq} is the last one, the bandit names row {stored.adopted}"
        )


class _Walk:
    """A learner of one spec that walks along the log."""

    def __init__(self, spec: BanditSpec, log: Sequence[Row]) -> None:
        self.spec = spec
        self.learner = Learner(spec)
        self.authenticity = Authenticity(spec)
        self.fold = Fold(self.learner)
        self._log = log

    def advance(self, seq: int) -> bool:
        """Fold up to row ``seq``; False where the log does not reach it."""
        fold = self.fold
        while fold.seq < seq:
            if fold.seq >= len(self._log) or self._log[fold.seq]["seq"] != fold.seq + 1:
                return False
            row = self._log[fold.seq]
            fold.absorb(any_row_from(row), None if row["context"] is None else json.loads(row["context"]))
        return fold.seq == seq


def _check_decision(row: Row, walk: _Walk) -> str | None:
    try:
        decision = decision_from(row, walk.spec)
    except NyxError:
        return "unreadable"
    if decision.digest != row["digest"] or row["encoding"] != walk.spec.encoding:
        return "its content is not what was written"
    problem = walk.authenticity.problem(decision)
    if problem is not None:
        return problem
    if not walk.advance(decision.state_seq):
        return f"the log does not reach row {decision.state_seq}"
    again = walk.learner.choose(
        dict(decision.context),
        decision.phi,
        decision.decision_id,
        decision.eligible,
        time=decision.time,
        mode=decision.mode,
    )
    if again != decision:
        differing = [name for name in Decision._fields if getattr(again, name) != getattr(decision, name)]
        return f"re-derived otherwise: {', '.join(differing)} (arm '{again.arm_id}')"
    return None


def _check_sums(walk: _Walk, seq: int, blocks: Sequence[StoredBlock], findings: _Findings) -> bool:
    if not walk.advance(seq):
        findings.add(f"the stored sums go up to row {seq}, which the log does not reach")
        return False
    folded = {name: walk.fold.statistics(name) for name in walk.fold.names()}
    found = {(arm, epoch, bucket): list(numbers) for arm, epoch, bucket, numbers in blocks}
    for key in sorted(folded.keys() | found.keys()):
        if folded.get(key) != found.get(key):
            findings.add(
                f"the stored sums of arm '{key[0]}', epoch {key[1]}, bucket {key[2]} differ from the log"
            )
            return False
    return True
