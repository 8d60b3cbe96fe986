"""Check that choices made in stages are drawn as logged: strategy, then parameters, then a finer grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...bandit import BanditSpec, Learner, PolicySpec, Range, Strategy
from ...bandit.choice import TOTAL
from ...bandit.decision import Stage, product
from ...features import ONE
from ..streams import Stream
from .check import Check, Effort, Finding
from .judging import Floats
from .propensities import calibration
from .regret import SEED

__all__ = ["StagedCalibration", "staged"]

_WORLD = "2 strategies, a range, 60 levels"


@dataclass(frozen=True, slots=True)
class StagedCalibration:
    """As ``Calibration``, for decisions whose stages have other names and pmfs each time.

    Of each draw two numbers are compared with their expectation under the stage's pmf: the surprise −ln p,
    which finds a pmf that is too sharp or too flat, and whether the outcome is in the first half, which finds
    a draw that leans to one side. The propensity must be the exact product of the stages.
    """

    policy: str
    effort: Effort
    kind: ClassVar[str] = "calibration"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.policy}, staged {_WORLD} drawn vs logged"

    def run(self, *, full: bool) -> Finding:
        """Let the policy decide and learn; compare."""
        size = self.effort.of(full=full)
        learner = Learner(_spec(self.policy))
        luck = Stream(SEED, size, "staged").below(ONE, size).tolist()
        deviation, covariance = np.zeros(2), np.zeros((2, 2))
        broken = 0
        for t in range(size):
            decision = learner.decide({}, f"round-{t}")
            broken += decision.propensity != product(decision.stages)
            for stage in decision.stages:
                gap, spread = _moments(stage)
                deviation += gap
                covariance += spread
            place = decision.parameters.get("share", 0.2)
            worth = 0.2 + 0.6 * float(place) if isinstance(place, float) else 0.4
            learner.absorb(decision, ONE * int(luck[t] < worth * ONE), learner.sums.seq + 1)
        said = f"{broken} propensities are not the product of their stages" if broken else ""
        return calibration(f"{self.policy}, staged", _WORLD, deviation, covariance, said, size)


def _spec(policy: str) -> BanditSpec:
    strategies = (
        Strategy("direct"),
        Strategy("tuned", {"share": Range(0.0, 1.0), "workers": list(range(1, 61))}),
    )
    return BanditSpec("staged", strategies, policy=PolicySpec(policy, floor=0.05), seed=SEED)


def _moments(stage: Stage) -> tuple[Floats, Floats]:
    """What came less what was expected (2,), and the covariance (2, 2) of what could come."""
    p = np.array(stage.pmf) / TOTAL
    with np.errstate(divide="ignore"):
        surprise = np.where(p > 0.0, -np.log(p), 0.0)
    half = (np.arange(len(p)) < len(p) / 2.0) * 1.0
    numbers = np.array([surprise, half])
    centred = numbers - (numbers @ p)[:, None]
    return centred[:, stage.chosen], (centred * p) @ centred.T


def staged() -> list[Check]:
    """The policies that can choose in stages."""
    return [StagedCalibration(name, Effort(1000, 5000)) for name in ("uniform", "hier_ts")]
