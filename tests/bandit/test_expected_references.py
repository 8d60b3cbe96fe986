"""References that are expected: beside those in force, and never applied."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, Outcome, Strategy
from nyx_learning.bandit.expected_references import ReferenceProposal, expected_references
from nyx_learning.bandit.expecting import Expectations
from nyx_learning.bandit.log import RewardRow
from nyx_learning.errors import SupportMissing
from nyx_learning.features import Encoder
from nyx_learning.rewards import Execution, ReferenceTimes
from nyx_learning.rewards.reference import ReferenceCell

SCHEMA = ContextSchema(task=Categorical(["code", "text"]))
SPEC = BanditSpec("proposed", [Strategy("direct"), Strategy("parallel")], SCHEMA, baseline_arm="direct")
SLOWER = math.log(2.0)


def proposed(
    n: int, change: int, in_force: ReferenceTimes | None = None, **options: Any
) -> ReferenceProposal:
    """``direct`` takes 20 s for code, 60 s for text, ``parallel`` half; twice as long behind ``change``."""
    rng = np.random.default_rng(3)
    known, rows = Expectations(SPEC), []
    for seq in range(1, n + 1):
        task, arm = ("code", "text")[seq % 2], ("direct", "parallel")[int(rng.random() < 0.7)]
        log = math.log({"code": 20.0, "text": 60.0}[task]) - (arm == "parallel") * SLOWER
        seconds = math.exp(log + (seq > change) * SLOWER + 0.2 * rng.normal())
        outcome = Outcome(success=True, duration_s=seconds, tokens=100 + seq % 3)
        phi = tuple(Encoder(SCHEMA).encode({"task": task})[1])
        known.absorb(
            RewardRow(
                "proposed",
                seq,
                f"d-{seq}",
                arm,
                0,
                SPEC.encoding,
                phi,
                0.5,
                1,
                0.1,
                outcome.to_dict(),
                {},
                None,
            )
        )
        rows.append(Execution(seq, {"task": task}, arm, outcome))
    options = {"by": ("task",), "baseline_arm": "direct", **options}
    return expected_references(known, rows, in_force, **options)


def test_they_are_of_the_baseline_arm_by_cell() -> None:
    proposal = proposed(400, change=10**9)
    times = {cell.key: cell.time_s for cell in proposal.references.cells}
    assert times[("code",)] == pytest.approx(20.0, rel=0.08)
    assert times[("text",)] == pytest.approx(60.0, rel=0.08)
    assert times[("*",)] == pytest.approx(math.sqrt(20.0 * 60.0), rel=0.08)
    assert {cell.source for cell in proposal.references.cells} == {"expected"}
    assert {cell.tokens for cell in proposal.references.cells} == {101.0}
    assert (proposal.in_force, proposal.first_seq, proposal.state_seq) == (None, 0, 400)


def test_they_follow_a_shift_that_medians_have_not_seen() -> None:
    before = proposed(400, change=10**9).references
    proposal = proposed(480, change=400, in_force=before)
    moved = {change.key: change.ratio for change in proposal.changes}
    assert moved[("code",)] == pytest.approx(2.0, rel=0.2)
    assert proposal.worth_adopting
    assert proposal.in_force == before.version
    assert not proposed(420, change=10**9, in_force=before).worth_adopting


def test_the_document_holds_what_would_be_adopted() -> None:
    proposal = proposed(100, change=10**9, in_force=ReferenceTimes(("task",), (ReferenceCell(("*",), 1.0),)))
    document = json.loads(json.dumps(proposal.to_dict()))
    assert ReferenceTimes.from_dict(document["references"]) == proposal.references
    assert document["worth_adopting"] is True


def test_too_few_executions_are_refused_and_others_arms_left_out() -> None:
    with pytest.raises(SupportMissing):
        proposed(8, change=10**9)
    own = proposed(300, change=10**9, baseline_arm=None)
    times = {cell.key: cell.time_s for cell in own.references.cells}
    assert 10.0 < (times[("code",)] or 0.0) < 20.0  # of the arms as they ran
