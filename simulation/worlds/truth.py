"""The expected reward of an execution, by integration instead of simulation.

Given the time D of an attempt, everything else is a finite tree of attempts, and the composite reward is
linear in the scores once it is known which are missing:

    E[reward] = ∫ φ(z) Σ_ends P(end | D) Σ_missing P(missing | end) · Σ w s / Σ w  dz,   D = median · e^(σz)

with Gauss–Legendre panels between the z at which one more attempt no longer fits into the timeout, where the
integrand jumps.
"""

from __future__ import annotations

from itertools import product
from math import log, pi, sqrt
from typing import NamedTuple

import numpy as np

from ...rewards import RewardSpec
from ...rewards.composite import composite_bulk
from ...rewards.speed import speed_bulk
from ...rewards.success import success_score
from .base import Floats
from .population import Profile

__all__ = [
    "FEEDBACK_KNOWN",
    "GOOD",
    "GOOD_FAILED",
    "QUALITY_KNOWN",
    "ExpectedExecution",
    "expected_execution",
    "expected_reward",
]

QUALITY_KNOWN = 0.9
"""Share of successes whose quality is reported; of failures it always is, and is 0."""
FEEDBACK_KNOWN = 0.4
"""Share of executions that the user says something about."""
GOOD, GOOD_FAILED = 0.8, 0.05
"""Share of "good" among what is said of successes and of failures."""

_REACH = 8.5
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def expected_reward(arm: Profile, spec: RewardSpec, reference_s: float, *, size_sd: float) -> float:
    """Expected reward of one arm in one context, error below 1e-9; ``spec``: arithmetic mean, no gates."""
    z, density, fitting = _grid(arm, size_sd)
    seconds = arm.seconds * np.exp(size_sd * z)

    stalled = _worth(arm, spec, reference_s, np.full_like(z, arm.timeout_s), 0, "timeout")
    total = arm.stall * float(density @ stalled)
    going = 1.0 - arm.stall
    for failed in range(arm.retries + 2):
        # ``failed`` attempts have failed, with probability ``going``. Is there time and leave for one more?
        if failed <= arm.retries:
            there = fitting > failed
            end = (failed + 1) * seconds[there]
            worth = _worth(arm, spec, reference_s, end, failed, "success")
            total += going * (1.0 - arm.failure) * float(density[there] @ worth)
            there = fitting == failed
            end = np.full(int(there.sum()), arm.timeout_s)
            worth = _worth(arm, spec, reference_s, end, failed, "timeout")
        else:
            there = fitting == failed
            worth = _worth(arm, spec, reference_s, failed * seconds[there], arm.retries, "failure")
        total += going * float(density[there] @ worth)
        going *= arm.failure
    return total


class ExpectedExecution(NamedTuple):
    """Of one arm in one context: probability of success, seconds, and attempts begun, each weighted by the
    task's size.
    """

    success: float
    seconds: float
    sized_attempts: float


def expected_execution(arm: Profile, *, size_sd: float) -> ExpectedExecution:
    """How an execution goes on average, error below 1e-9.

    Attempt j + 1 is begun if the first j have failed and fit into the timeout.
    """
    z, weight, fitting = _grid(arm, size_sd)
    size = np.exp(size_sd * z)
    seconds = arm.seconds * size
    success, spent, attempts = (np.zeros_like(z) for _ in range(3))
    stopped, going = np.ones_like(z), 1.0
    for failed in range(arm.retries + 1):
        whole = fitting > failed
        success += going * (1.0 - arm.failure) * whole
        spent += going * (1.0 - arm.failure) * (failed + 1) * seconds * whole
        stopped -= going * (1.0 - arm.failure) * whole
        attempts += going * (fitting >= failed)
        going *= arm.failure
    failing = going * (fitting > arm.retries)
    spent += failing * (arm.retries + 1) * seconds + (stopped - failing) * arm.timeout_s
    runs = 1.0 - arm.stall
    return ExpectedExecution(
        runs * float(weight @ success),
        runs * float(weight @ spent) + arm.stall * arm.timeout_s,
        float(weight @ (size * (runs * attempts + arm.stall))),
    )


def _grid(arm: Profile, size_sd: float) -> tuple[Floats, Floats, Floats]:
    """Sizes z, their weights, and how many attempts (retries + 1 at most) of such a task fit in."""
    ends = [log(arm.timeout_s / (j * arm.seconds)) / size_sd for j in range(1, arm.retries + 2)]
    knots = sorted({-_REACH, _REACH, *(z for z in ends if abs(z) < _REACH)})
    z, weight = (np.concatenate(parts) for parts in zip(*map(_panels, knots, knots[1:]), strict=True))
    density = weight * np.exp(-0.5 * z * z) / sqrt(2.0 * pi)
    seconds = arm.seconds * np.exp(size_sd * z)
    return z, density, np.minimum(np.floor(arm.timeout_s / seconds), arm.retries + 1)


def _panels(low: float, high: float) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss–Legendre panels, none wider than 1."""
    count = int(high - low) + 1
    half = 0.5 * (high - low) / count
    middles = low + half * (2.0 * np.arange(count) + 1.0)
    return (middles[:, None] + half * _NODES).ravel(), np.tile(half * _WEIGHTS, count)


def _worth(
    arm: Profile, spec: RewardSpec, reference_s: float, duration: Floats, retries: int, end: str
) -> Floats:
    """Expected reward (n,) given how it ended and after how long (n,), over what is missing.

    Linear in the scores, so that the means of quality and feedback are enough.
    """
    success = end == "success"
    known = {
        "speed": speed_bulk(duration, reference_s, timed_out=end == "timeout", power=spec.speed_power),
        "success": np.full_like(
            duration, success_score(success, retries=retries, errors=retries + (not success))
        ),
    }
    chance = {
        "quality": (QUALITY_KNOWN if success else 1.0, arm.quality if success else 0.0),
        "usefulness": (FEEDBACK_KNOWN, GOOD if success else GOOD_FAILED),
    }
    total = np.zeros_like(duration)
    for reported in product((True, False), repeat=2):
        probability, scores = 1.0, dict(known)
        for there, (name, (share, mean)) in zip(reported, chance.items(), strict=True):
            probability *= share if there else 1.0 - share
            if there:
                scores[name] = np.full_like(duration, mean)
        if probability > 0.0:
            total += probability * composite_bulk(scores, spec)
    return total
