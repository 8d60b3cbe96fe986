"""Reference times of a stored bandit: estimated from its log, and adopted as a row of it."""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import Sequence
from typing import Literal

from ..bandit import BanditSpec
from ..bandit.space import ArmSpace
from ..errors import InputInvalid, shown
from ..persistence.adopting import adopt, executions
from ..persistence.database import reaching
from ..persistence.replica import Replica
from ..persistence.store import Store
from ..rewards import Adoption, ReferenceTimes, estimate_references

__all__ = ["adopt_references", "baseline_arm_id", "propose_references"]


def baseline_arm_id(spec: BanditSpec) -> str | None:
    """Id of the arm that is served without learning; None where the spec has none."""
    arms = spec.arms
    if spec.baseline_arm is None or isinstance(arms, ArmSpace):
        return spec.baseline_arm
    arm_id: str = arms[spec.baseline].arm_id
    return arm_id


async def adopt_references(
    store: Store, replica: Replica, references: ReferenceTimes, earlier: Literal["keep", "reprice"]
) -> Adoption:
    """``LearningEngine.adopt_references``."""
    if not isinstance(references, ReferenceTimes):
        raise InputInvalid(
            "what is to be adopted are no references",
            expected="ReferenceTimes, as propose_references() returns them",
            found=shown(references),
            fix="build ReferenceTimes, or estimate them from the log",
        )
    Adoption(0, references, earlier)  # refuses an unknown rule before anything is touched
    with reaching():
        adoption = await adopt(store, references, earlier, clock.time())
        await replica.catch_up()
    return adoption


async def propose_references(
    store: Store,
    spec: BanditSpec,
    *,
    first_seq: int,
    last_seq: int | None,
    by: Sequence[str] | None,
    min_n: int,
    succeeded_only: bool,
) -> ReferenceTimes:
    """``LearningEngine.propose_references``."""
    with reaching():
        rows = await executions(store, first_seq, last_seq)
    return await asyncio.to_thread(
        estimate_references,
        rows,
        by=spec.reward.reference_by if by is None else tuple(by),
        baseline_arm=baseline_arm_id(spec),
        min_n=min_n,
        succeeded_only=succeeded_only,
    )
