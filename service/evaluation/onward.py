"""What a policy that *keeps* learning would have earned over a log: an estimate, and no verdict.

The policy starts with what it knows of nothing, is asked in every row before it may learn from it, and learns
from those that it could have been led to (``dr_learning``). That is one of its histories; no interval here
covers the others, so nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...bandit import BanditSpec, PolicySpec
from ...errors import InputInvalid
from ...simulation.offpolicy import LearnerTarget, cross_fit, dr_learning
from ...simulation.verdict import Judged, JudgedLog
from ...simulation.verdict.targets import Teacher, learns

__all__ = ["Onward", "estimate_onward"]


@dataclass(frozen=True, slots=True)
class Onward:
    """Mean value per decision of a policy that learns all along; doubly robust.

    learned_from : rows that it was shown. clipped : share of rows whose weight was cut, which biases.
    """

    policy: str
    value: float
    standard_error: float
    rows: int
    learned_from: int
    clipped: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def estimate_onward(log: Judged, teacher: Teacher, candidates: Mapping[str, object]) -> tuple[Onward, ...]:
    """Estimate each of the candidates that learn.

    Raises
    ------
    InputInvalid : none learns, the log is not in memory, or arms were not always eligible. And what
        ``dr_learning`` raises: no propensities, no overlap.
    """
    learning = {name: one for name, one in candidates.items() if isinstance(one, PolicySpec) and learns(one)}
    if not learning:
        raise _refused("a policy that learns, such as hier_ts", f"{list(candidates)}", "name one that learns")
    if not isinstance(log, JudgedLog):
        fix = "raise --memory-rows, or judge a part of the log"
        raise _refused("a log that fits into --memory-rows", f"{len(log):,} rows", fix)
    if any(only is not None and set(only) != set(log.arms) for only in log.eligible):
        few = "rows in which some arms could not be chosen"
        raise _refused("a log in which every arm was always eligible", few, "leave --keep-learning out")
    own = {logged: name for name, logged in teacher.names.items()}
    data = replace(log.data, arms=tuple(own.get(arm, arm) for arm in log.arms))
    contexts = [teacher.context(context) for context in log.contexts]
    shown = [contexts[c] for c in log.cell.tolist()]
    q = cross_fit(data)
    found: list[Onward] = []
    for name, policy in learning.items():
        document = {**teacher.spec.to_dict(), "policy": policy.to_dict(), "holdout": 0.0}
        run = dr_learning(data, LearnerTarget(BanditSpec.from_dict(document), data, shown), q)
        one = run.estimate
        found.append(Onward(name, one.value, one.standard_error, len(data), len(run.taken), run.clipped))
    return tuple(found)


def _refused(expected: str, found: str, fix: str) -> InputInvalid:
    return InputInvalid(
        "a policy cannot keep learning on this log", expected=expected, found=found[:200], fix=fix
    )
