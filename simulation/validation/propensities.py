"""Checks of propensities: the draw follows the logged pmf, and the pmf is the policy's definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.stats import binomtest, chi2

from ...bandit import ArmTable
from ...bandit.choice import TOTAL
from ...bandit.policies.catalog import CATALOG
from ...features import ONE
from .check import Check, Effort, Finding, Status
from .definitions import DEFINITIONS, Situation
from .judging import Floats, misfit
from .regret import SEED
from .states import Step, catalog_policy, learn, spec_of

__all__ = ["Calibration", "Exactness", "calibration", "propensities"]

_WORLD = "4 arms, 2 features"
_FLOOR = 0.1
ALARM = 1e-4
"""False-alarm probability of each test."""
_TOLERANCE = 5e-9  # units of 2⁻³² that rounding hands out, and float algebra in another order


def calibration(
    policy: str, world: str, deviation: Floats, covariance: Floats, broken: str, size: int
) -> Finding:
    """Judge what was drawn against what was logged: a sum of martingale differences and its covariance.

    broken : what was wrong with single decisions, in words; empty for nothing.
    """
    statistic, freedom, chance = misfit(deviation, covariance)
    note = f"p = {chance:.3g}, {freedom} degrees of freedom"
    return Finding(
        "calibration",
        policy,
        world,
        "chi2 drawn vs logged",
        "fail" if broken or chance < ALARM else "pass",
        statistic,
        None,
        float(chi2.isf(ALARM, max(freedom, 1))),
        f"exceeded with probability {ALARM:g}",
        "chi2 test at 1e-4",
        ALARM if freedom else 0.0,
        "martingale central limit theorem",
        size,
        f"{broken}; {note}" if broken else note,
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """The arms that a learner draws, against the pmfs that it logs, while it learns.

    With e_t the unit vector of the arm drawn and p_t the logged pmf, S = Σ(e_t − p_t) is a martingale with
    covariance V = Σ(diag p_t − p_t p_tᵀ): SᵀV⁻S is asymptotically χ². The floor is .1, so that every policy
    has something to draw.
    """

    policy: str
    effort: Effort
    kind: ClassVar[str] = "calibration"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.policy} {_WORLD} drawn vs logged"

    def run(self, *, full: bool) -> Finding:
        """Let the policy decide and learn; compare."""
        size = self.effort.of(full=full)
        arms = len(spec_of(catalog_policy(self.policy, _FLOOR)).arms)
        deviation, covariance = np.zeros(arms), np.zeros((arms, arms))
        broken = 0
        for step in learn(catalog_policy(self.policy, _FLOOR), size, successes=True):
            decision = step.decision
            p = np.array(decision.pmf) / TOTAL
            outside = sum(decision.pmf[a] for a in range(arms) if a not in step.eligible)
            whole = sum(decision.pmf) == TOTAL and min(decision.pmf) >= 0
            logged = decision.propensity == p[decision.arm] and decision.propensity > 0.0
            broken += not (whole and logged and outside == 0)
            deviation[decision.arm] += 1.0
            deviation -= p
            covariance += np.diag(p) - np.outer(p, p)
        said = f"{broken} decisions whose propensity is not their pmf's" if broken else ""
        return calibration(self.policy, _WORLD, deviation, covariance, said, size)


@dataclass(frozen=True, slots=True)
class Exactness:
    """The logged pmf against the policy's definition, computed from the rows by independent code.

    Definitions that are formulas must agree to 5e-9 after every reward; those that are integrals are drawn
    after some numbers of rewards, and every arm's count must be that of a binomial number.
    """

    policy: str
    effort: Effort
    kind: ClassVar[str] = "definition"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.policy} {_WORLD} pmf"

    def run(self, *, full: bool) -> Finding:
        """Compare in each state."""
        draws = self.effort.of(full=full)
        if self.policy not in DEFINITIONS:
            return self._finding("fail", None, 0, "the policy has no independent definition")
        states = (0, 1, 5, 40, 150) if full else (0, 5, 60)
        worst, least, sampled, compared = 0.0, 1.0, 0, 0
        for successes in (False, True):
            for step in learn(catalog_policy(self.policy, 0.0), states[-1] + 1, successes=successes):
                if sampled and len(step.past) not in states:
                    continue
                mine = np.array(step.decision.pmf) / TOTAL
                theirs = DEFINITIONS[self.policy](self._situation(step, draws))
                if theirs.draws == 0:
                    worst = max(worst, float(abs(mine - theirs.pmf).max()))
                    continue
                sampled = theirs.draws
                for p, share in zip(mine.tolist(), theirs.pmf.tolist(), strict=True):
                    compared += 1
                    count = round(share * theirs.draws)
                    worst = max(worst, abs(p - share))
                    least = min(least, float(binomtest(count, theirs.draws, min(p, 1.0)).pvalue))
        status = least * compared >= ALARM if sampled else worst <= _TOLERANCE
        note = (
            f"{sampled} draws in each of {2 * len(states)} states, smallest p {least:.3g}" if sampled else ""
        )
        return self._finding("pass" if status else "fail", worst, sampled, note)

    def _situation(self, step: Step, draws: int) -> Situation:
        spec = step.learner.spec
        if not isinstance(spec.arms, ArmTable):
            raise TypeError(spec.arms)
        return Situation(
            spec.policy.parameters,
            spec.arms,
            spec.baseline,
            len(spec.context),
            step.history,
            np.array(step.decision.phi) / ONE,
            step.eligible,
            draws,
            np.random.Generator(np.random.PCG64(SEED)),
        )

    def _finding(self, status: Status, worst: float | None, sampled: int, note: str) -> Finding:
        return Finding(
            self.kind,
            self.policy,
            _WORLD,
            "largest pmf difference",
            status,
            worst,
            None,
            None if sampled else _TOLERANCE,
            "" if sampled else "tolerance",
            "binomial test at 1e-4 over all arms and states" if sampled else "difference <= 5e-9",
            ALARM if sampled else 0.0,
            "the policy's definition, by numpy and scipy on rows",
            sampled,
            note,
        )


def propensities() -> list[Check]:
    """Both checks for every policy of the catalog."""
    found: list[Check] = [Calibration(name, Effort(3000, 10_000)) for name in CATALOG]
    return found + [Exactness(name, Effort(100_000, 1_000_000)) for name in CATALOG]
