"""What the demo's bandit chooses among, what it is told, and what a workflow is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...bandit import BanditSpec, PolicySpec, Strategy
from ...features import Categorical, ContextSchema, Flag, Ordinal
from ...rewards import Outcome, RewardSpec
from .executors import Execution
from .workload import KINDS, SIZES

__all__ = ["BASELINE_ARM", "WEIGHTS", "build_spec", "outcome_of"]

# A hasty timeout gives up on slow answers that are fine, a patient one waits for answers that never come.
_HASTY_S: Final = 0.025
_PATIENT_S: Final = 0.08

BASELINE_ARM: Final = "sequential(retries=0,timeout_s=0.08)"
"""What an orchestrator does before anybody tunes it: one after the other, patient, no second try."""

WEIGHTS: Final = {"speed": 0.45, "success": 0.45, "quality": 0.10}


def build_spec(seed: int, name: str, reference_s: Mapping[tuple[str, str], float]) -> BanditSpec:
    """Build the demo's spec.

    Parameters
    ----------
    seed : of the bandit's draws.
    name : of the bandit; each demo run is a bandit of its own, because its reference times are measured.
    reference_s : reference time in seconds per (kind, size).
    """
    return BanditSpec(
        name=name,
        seed=seed,
        # 12 arms: about as many as 150 workflows can tell apart. What overlaps waiting may choose its haste.
        strategies=[
            Strategy("sequential", parameters={"timeout_s": [_PATIENT_S], "retries": [0, 2]}),
            Strategy(
                "threads",
                parameters={"workers": [2, 8], "timeout_s": [_HASTY_S, _PATIENT_S], "retries": [2]},
            ),
            Strategy("processes", parameters={"workers": [2], "timeout_s": [_PATIENT_S], "retries": [0, 2]}),
            Strategy("asyncio", parameters={"timeout_s": [_HASTY_S, _PATIENT_S], "retries": [0, 2]}),
        ],
        context=ContextSchema(
            kind=Categorical(list(KINDS)),
            size=Ordinal(list(SIZES)),
            batch=Categorical([f"{kind} {size}" for kind in KINDS for size in SIZES]),
            flaky=Flag(),
        ),
        reward=RewardSpec(
            weights=WEIGHTS,
            reference_by=("kind", "size"),
            reference_time_s=dict(reference_s),
            speed_power=2,
        ),
        policy=PolicySpec("hier_ts"),
        baseline_arm=BASELINE_ARM,
    )


def outcome_of(execution: Execution) -> Outcome:
    """Report an execution: each item counts as an agent that succeeded or failed."""
    right = sum(digest is not None for digest in execution.digests)
    return Outcome(
        success=execution.success,
        duration_s=execution.duration_s,
        quality=execution.quality,
        retries=execution.retries,
        agents_succeeded=right,
        agents_failed=len(execution.digests) - right,
    )
