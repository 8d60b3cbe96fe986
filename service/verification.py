"""``verify``: fold the stored log, re-derive what was decided, and name the first row that differs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..bandit import BanditSpec, Decision, Learner, VerifyReport, kernels
from ..bandit.choice import Keyed
from ..bandit.fixed_point import reward_to_fixed
from ..errors import NyxError
from ..persistence.replica import fold_row
from ..persistence.rows import decision_from, log_row_from
from ..persistence.store import Store, StoredBlock

__all__ = ["verify_log"]


async def verify_log(store: Store) -> VerifyReport:
    """Check all that is stored of one bandit.

    1. The log: numbers 1 … last without a gap, each row's digest and the integer form of its reward.
    2. Each decision: its digest; the arm drawn anew from the *stored* pmf; and the pmf derived anew from the rows up to
       ``state_seq``, under the spec that decided.
    3. The stored sums, against the fold of the rows that they go up to.
    """
    specs = await store.specs()
    async with store.snapshot() as connection:
        last = await store.last_seq(connection)
        log = await store.raw_log(connection)
        decisions = await store.raw_decisions(connection)
        sums = await store.read_sums(connection)
    return await asyncio.to_thread(_verify, store.own_spec, specs, last, log, decisions, sums)


class _Findings:
    def __init__(self) -> None:
        self.first: str | None = None

    def add(self, what: str) -> None:
        if self.first is None:
            self.first = what


def _verify(
    own: BanditSpec,
    specs: Mapping[str, BanditSpec],
    last: int,
    log: Sequence[Mapping[str, Any]],
    decisions: Sequence[Mapping[str, Any]],
    stored: tuple[int, list[StoredBlock]],
) -> VerifyReport:
    findings = _Findings()
    _check_log(log, last, findings)
    folds = {key: _Fold(spec, log, findings) for key, spec in specs.items()}
    matched = 0
    for row in decisions:
        fold = folds.get(row["spec_hash"])
        problem = _check_decision(row, fold) if fold else "its spec is not stored"
        if problem is None:
            matched += 1
        else:
            findings.add(f"decision '{row['decision_id']}' (state_seq {row['state_seq']}): {problem}")
    same = _check_sums(_Fold(own, log, findings), stored, findings)
    return VerifyReport(len(decisions), matched, len(log), same, findings.first)


def _check_log(log: Sequence[Mapping[str, Any]], last: int, findings: _Findings) -> None:
    for number, row in enumerate(log, start=1):
        if row["seq"] != number:
            findings.add(f"log row {number}: missing (row {row['seq']} follows row {number - 1})")
            return
        if log_row_from(row).digest != row["digest"] or reward_to_fixed(row["reward"]) != row["units"]:
            findings.add(f"log row {number} (decision '{row['decision_id']}'): its content is not what was written")
    if len(log) != last:
        findings.add(f"log row {min(len(log), last) + 1}: {len(log)} rows are stored, the bandit counts {last}")


class _Fold:
    """A learner of one spec that walks along the log."""

    def __init__(self, spec: BanditSpec, log: Sequence[Mapping[str, Any]], findings: _Findings) -> None:
        self.spec = spec
        self.learner = Learner(spec)
        self.keyed = Keyed(spec.seed, spec.name)
        self._log, self._findings = log, findings

    def advance(self, seq: int) -> bool:
        """Fold up to row ``seq``; False where the log does not reach it."""
        sums = self.learner.sums
        while sums.seq < seq:
            if sums.seq >= len(self._log) or self._log[sums.seq]["seq"] != sums.seq + 1:
                return False
            row = self._log[sums.seq]
            context = None if row["context"] is None else json.loads(row["context"])
            fold_row(self.learner, log_row_from(row), context)
        return sums.seq == seq


def _check_decision(row: Mapping[str, Any], fold: _Fold) -> str | None:
    try:
        decision = decision_from(row, fold.spec)
    except (NyxError, KeyError, ValueError, IndexError) as error:
        return f"unreadable ({type(error).__name__})"
    if decision.digest != row["digest"]:
        return "its content is not what was written"
    problem = _check_draws(decision, fold)
    if problem is not None:
        return problem
    if not fold.advance(decision.state_seq):
        return f"the log does not reach row {decision.state_seq}"
    try:
        clean, phi = fold.learner.encoder.encode(decision.context)
    except NyxError:
        return "its context does not fit its spec"
    again = fold.learner.choose(
        clean, phi, decision.decision_id, decision.eligible, time=decision.time, mode=decision.mode
    )
    if again != decision:
        differing = [name for name in Decision._fields if getattr(again, name) != getattr(decision, name)]
        return f"re-derived otherwise: {', '.join(differing)} (arm '{again.arm_id}')"
    return None


def _check_draws(decision: Decision, fold: _Fold) -> str | None:
    for stage in decision.stages:
        u = fold.keyed.uniform(decision.decision_id, stage.name)
        if kernels.choice.draw(np.array(stage.pmf, np.int64), u) != stage.chosen:
            return f"stage '{stage.name}': the stored pmf draws another arm"
    return None


def _check_sums(fold: _Fold, stored: tuple[int, list[StoredBlock]], findings: _Findings) -> bool:
    seq, blocks = stored
    if not fold.advance(seq):
        findings.add(f"the stored sums go up to row {seq}, which the log does not reach")
        return False
    ids = fold.spec.arms.ids
    folded = {
        (ids[arm], epoch, bucket): block.tolist()
        for (arm, epoch, bucket), block in fold.learner.sums.blocks.items()
    }
    found = {(arm, epoch, bucket): list(numbers) for arm, epoch, bucket, numbers in blocks}
    for key in sorted(folded.keys() | found.keys()):
        if folded.get(key) != found.get(key):
            findings.add(f"the stored sums of arm '{key[0]}', epoch {key[1]}, bucket {key[2]} differ from the log")
            return False
    return True
