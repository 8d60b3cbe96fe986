"""What the orchestration world is made of: how long strategies take, how often they fail, how good they are.

The figures are invented, and plausible: no strategy is best everywhere, parallel work has overhead (Amdahl's
law) and more that can hang, a short timeout cuts off complex work, retries repair failures and cost time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...bandit import ArmTable, Strategy

__all__ = ["COMPLEXITIES", "STRATEGIES", "TASK_TYPES", "Profile", "profile"]

TASK_TYPES = ("research", "coding", "analysis")
COMPLEXITIES = ("simple", "moderate", "complex")

STRATEGIES = (
    Strategy("direct"),
    Strategy("sequential", {"max_retries": [0, 2], "timeout_s": [60, 240]}),
    Strategy("parallel", {"timeout_s": [60, 240], "workers": [2, 4, 8]}),
    Strategy("recursive", {"timeout_s": [120, 480]}),
)

_WORK_S = {"simple": 10.0, "moderate": 30.0, "complex": 90.0}
_FACTOR = {"direct": 1.0, "sequential": 1.3, "parallel": 1.1, "recursive": 1.7}
_SERIAL_SHARE = {"research": 0.15, "coding": 0.45, "analysis": 0.25}
_OVERHEAD_S = 1.5  # per worker
_TIMEOUT_S, _RETRIES = 240.0, 0  # where a strategy does not say
_STALL = {"direct": 0.01, "sequential": 0.015, "parallel": 0.01, "recursive": 0.03}
_STALL_PER_WORKER = 0.004

_FAILURE = {  # of one attempt, by complexity
    "direct": (0.04, 0.20, 0.50),
    "sequential": (0.06, 0.12, 0.25),
    "parallel": (0.07, 0.14, 0.28),
    "recursive": (0.10, 0.11, 0.14),
}
_QUALITY = {  # mean of a success, by complexity
    "direct": (0.80, 0.62, 0.45),
    "sequential": (0.78, 0.74, 0.62),
    "parallel": (0.74, 0.70, 0.60),
    "recursive": (0.72, 0.76, 0.78),
}
_FIT = {  # added to quality, and half of it taken from failures, by task type
    "direct": (-0.04, 0.03, 0.02),
    "sequential": (-0.02, 0.06, 0.0),
    "parallel": (0.07, -0.08, 0.02),
    "recursive": (0.02, 0.0, 0.05),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One arm in one context.

    seconds : median duration of an attempt. timeout_s : after which the whole execution is stopped.
    retries : further attempts after a failed one. failure : probability that an attempt fails.
    stall : probability that an execution hangs until its timeout. quality : mean of a success.
    """

    seconds: float
    timeout_s: float
    retries: int
    failure: float
    stall: float
    quality: float


def profile(arm: int, task_type: str, complexity: str, drift: Mapping[str, tuple[float, float]]) -> Profile:
    """The arm's profile; ``drift`` has factors on the duration and on the failure probability of strategies.

    Failure probabilities end at .95.
    """
    chosen = ArmTable(STRATEGIES)[arm]
    name, parameters = chosen.strategy, chosen.parameters
    c, task = COMPLEXITIES.index(complexity), TASK_TYPES.index(task_type)
    slower, weaker = drift.get(name, (1.0, 1.0))
    seconds = _WORK_S[complexity] * _FACTOR[name]
    stall = _STALL[name]
    if "workers" in parameters:
        workers = int(parameters["workers"])
        serial = _SERIAL_SHARE[task_type]
        seconds = seconds * (serial + (1.0 - serial) / workers) + _OVERHEAD_S * workers
        stall += _STALL_PER_WORKER * workers
    fit = _FIT[name][task]
    return Profile(
        seconds * slower,
        float(parameters.get("timeout_s", _TIMEOUT_S)),
        int(parameters.get("max_retries", _RETRIES)),
        min(0.95, max(0.01, _FAILURE[name][c] - 0.5 * fit) * weaker),
        stall,
        _QUALITY[name][c] + fit,
    )
