"""What a verdict says, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal, TypeAlias

__all__ = ["ArmPart", "Beside", "Bound", "Ceiling", "ContextPart", "MoreData", "Status", "Support", "Verdict"]

Status: TypeAlias = Literal["met", "not met", "not enough evidence", "not supported"]
Reachable: TypeAlias = Literal["yes", "doubtful", "no"]


@dataclass(frozen=True, slots=True)
class Bound:
    """An estimate and two bounds; *each* of them holds with the verdict's confidence. None: no such bound."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Support:
    """How far the log can speak for the policy.

    ess : (Σw)²/Σw², rows that a log of the policy's own would need to weigh as much. largest_weight,
    mean_weight : of w = π/p; the mean is 1 but for chance. match_rate : share of rows with w > 0.
    outside : share of the policy's choices that the logging policy never makes.
    """

    ess: float
    largest_weight: float
    mean_weight: float
    match_rate: float
    outside: float


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What any policy could reach on these contexts.

    best_arm, best_arm_value : the one arm that is best in the estimates. oracle : the best arm of each
    context in the estimates; inflated by luck. highest : an upper bound of what any policy reaches. needed
    : what the target would have to reach, (1 + min_lift) times the baseline's estimate. reachable : ``no``
    is proven; ``yes`` and ``doubtful`` go by the estimates.
    """

    best_arm: str
    best_arm_value: float
    oracle: float
    highest: float
    needed: float
    reachable: Reachable


@dataclass(frozen=True, slots=True)
class MoreData:
    """What would settle an open question, if the estimates are right.

    decisions : further rows, logged as these were, for a clear answer four times out of five; None where more
    than 100 million would be needed. best_decisions : the same, if arms were chosen as suits the question
    best; None where that cannot be told. arms : where the uncertainty comes from, (arm, share), most first.
    """

    decisions: int | None
    best_decisions: int | None
    arms: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """The other metric, beside the one that is judged: shown, and no part of the claim.

    rows : those that have it. method : see ``Verdict``.
    """

    metric: str
    rows: int
    method: str
    target: Bound
    reference: Bound
    lift: Bound


@dataclass(frozen=True, slots=True)
class ContextPart:
    """One context: rows, and the estimates there; not corrected for looking at many contexts."""

    context: str
    rows: int
    target: float | None
    baseline: float | None
    contrast: Bound


@dataclass(frozen=True, slots=True)
class ArmPart:
    """One arm: rows, mean value where it was chosen, and how often logging and target policy choose it."""

    arm_id: str
    rows: int
    value: float | None
    logged_share: float
    target_share: float
    weight: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to "is the policy at least ``min_lift`` better than the baseline?".

    policy, baseline : names; ``logged`` is the logging policy. metric : what is compared.
    confidence : of each claim. candidates : policies that shared the error rate; each was judged at
    1 − (1 − confidence)/candidates. method : ``mover_wilson``, ``betting`` or
    ``empirical_bernstein_sequence``. logging : ``fixed`` or ``adaptive``. target, reference, lift : values
    of policy and baseline, and their ratio less 1. contrast : policy − (1 + min_lift)·baseline, which is
    what was tested. unreachable : no policy can be so much better than the baseline. warnings : in plain
    language.
    """

    status: Status
    reason: str
    policy: str
    baseline: str
    metric: str
    min_lift: float
    confidence: float
    candidates: int
    method: str
    logging: str
    rows: int
    contexts: int
    target: Bound
    reference: Bound
    lift: Bound
    contrast: Bound
    unreachable: bool
    support: Support
    ceiling: Ceiling
    more: MoreData | None
    beside: Beside | None
    by_context: tuple[ContextPart, ...]
    by_arm: tuple[ArmPart, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, numbers unrounded; what is not finite is None."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
