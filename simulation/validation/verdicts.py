"""Checks that the verdict's error rates hold, on simulated logs whose true ratio is exactly what is asked.

Each replication is a log of ``lockstep.logs``. A *false claim* is a lower bound above 0 at a row where the
true running average of v(policy) − 1.2·v(baseline), known from the world, is not: at the last row for the
methods that look once, at any row for the one that may be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from ...jit import kernel
from ..keys import key_of
from ..lockstep.logs import UNIFORM, write_log
from ..verdict import betting, cells, kernels, sequence
from .check import Check, Effort, Finding, Status
from .judging import binomial_limit
from .regret import SEED
from .verdict_scenes import FACTOR, Scene, Simulated, simulated

__all__ = ["CLAIMS", "FalseClaims", "FamilyClaims", "HoldoutRows", "Power", "verdicts"]

Floats = npt.NDArray[np.float64]

LEVEL = 0.05
_RISK = 0.001


def mover_claims(log_: Simulated) -> bool:
    """What ``CellBounds`` says at the last row."""
    count, arms = log_.target.shape
    counted = cells.cells_of(log_.context, log_.arm, log_.value, count, arms)
    table = np.zeros_like(log_.target)
    table[log_.context] = log_.pmf
    second = table if log_.baseline is None else log_.baseline
    return cells.lower_bound(counted, log_.target - FACTOR * second, LEVEL)[1] > 0.0


def betting_claims(log_: Simulated) -> bool:
    """What ``RowBounds`` says at the last row of a log that counts as fixed."""
    one = log_.contrasts
    return betting.shows(one.d, one.floor, LEVEL)


def sequence_claims(log_: Simulated) -> bool:
    """Whether ``RowBounds`` is above 0 at any row where the truth is not, looked at after every one."""
    one = log_.contrasts
    grid = sequence.mixture(one.scale)
    return bool(_claims_while_false(one.d, one.gaps, log_.truth, -log(LEVEL), grid.rates, grid.costs))


def sequence_claims_at_end(log_: Simulated) -> bool:
    """Whether ``RowBounds`` is above 0 at the last row."""
    one = log_.contrasts
    return sequence.run(one.d, one.gaps, one.scale, LEVEL).crossed


@kernel
def _claims_while_false(
    d: Floats, gaps: Floats, truth: Floats, threshold: float, rates: Floats, costs: Floats
) -> bool:
    state = np.zeros(6)
    total = 0.0
    for i in range(d.shape[0]):
        kernels.sequence(d[i : i + 1], gaps[i : i + 1], state, threshold, rates, costs)
        total += truth[i]
        if state[3] == state[0] and total <= 1e-9 * (i + 1.0):
            return True
    return False


_AT_END = "empirical_bernstein_sequence, looked at last"

CLAIMS: dict[str, Callable[[Simulated], bool]] = {
    "mover_wilson": mover_claims,
    "betting": betting_claims,
    "empirical_bernstein_sequence": sequence_claims,
    _AT_END: sequence_claims_at_end,
}
"""What a method claims of a log, by its name."""


def _level_held(method: str, scene: str, quantity: str, count: int, size: int, source: str) -> Finding:
    """So many of so many logs were claimed of wrongly: no more than chance allows at the level?"""
    limit, alarm = binomial_limit(size, LEVEL)
    rate = count / size
    return Finding(
        "verdict",
        method,
        scene,
        quantity,
        "pass" if count < limit else "fail",
        rate,
        (rate * (1.0 - rate) / size) ** 0.5,
        LEVEL,
        "level",
        "false claims < binomial limit at .001",
        alarm,
        source,
        size,
        f"{count} of {size}, {limit} or more would fail",
    )


@dataclass(frozen=True, slots=True)
class FalseClaims:
    """No more false claims than .05 allows, at a true ratio of exactly 1.2."""

    method: str
    scene: Scene
    rows: int
    effort: Effort
    kind: ClassVar[str] = "verdict"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.method} {self.scene.text} type I error n={self.rows}"

    def run(self, *, full: bool) -> Finding:
        """Count them over the replications."""
        size = self.effort.of(full=full)
        claims = CLAIMS[self.method]
        count = sum(claims(simulated(self.scene, self.rows, r)) for r in range(size))
        quantity = f"type I error, n={self.rows}"
        return _level_held(self.method, self.scene.text, quantity, count, size, "definition of the level")


@dataclass(frozen=True, slots=True)
class Power:
    """Claims at a true ratio above 1.2: at least ``least`` of the logs; 0 where it is only reported."""

    method: str
    scene: Scene
    rows: int
    least: float
    effort: Effort
    kind: ClassVar[str] = "power"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return (
            f"{self.kind} of verdict {self.method} {self.scene.text} ratio {self.scene.ratio:g} n={self.rows}"
        )

    def run(self, *, full: bool) -> Finding:
        """Count the claims; fewer than a binomial number with this chance falls below with .001 fail."""
        size = self.effort.of(full=full)
        claims = CLAIMS[self.method]
        count = sum(claims(simulated(self.scene, self.rows, r)) for r in range(size))
        rate = count / size
        limit = int(binom.ppf(_RISK, size, self.least)) if self.least else 0
        status: Status = "pass" if count >= limit else "fail"
        return Finding(
            self.kind,
            self.method,
            self.scene.text,
            f"power at {self.scene.ratio:g}, n={self.rows}",
            status,
            rate,
            (rate * (1.0 - rate) / size) ** 0.5,
            self.least or None,
            "at least",
            "claims >= binomial limit at .001" if self.least else "reported only",
            float(binom.cdf(limit - 1, size, self.least)) if self.least else 0.0,
            "requirement" if self.least else "",
            size,
            f"{count} of {size}" + (f", fewer than {limit} would fail" if self.least else ", reported only"),
        )


@dataclass(frozen=True, slots=True)
class HoldoutRows:
    """Decisions after which four comparisons of learner and holdout out of five are ``met``; reported only.

    The learner's cohort has ``ratio`` times the success rate of the holdout's, .6; looked at after every row.
    """

    ratio: float
    most: int
    effort: Effort
    kind: ClassVar[str] = "power"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} of verdict empirical_bernstein_sequence 10% holdout ratio {self.ratio:g}"

    def run(self, *, full: bool) -> Finding:
        """The .8 quantile of the row at which the bound is first above 0."""
        size = self.effort.of(full=full)
        scene = Scene("10% holdout", "arm", arms=2, ratio=self.ratio, level=0.6)
        rows = []
        for r in range(size):
            one = simulated(scene, self.most, r).contrasts
            first = sequence.run(one.d, one.gaps, one.scale, LEVEL).first_crossing
            rows.append(first or self.most + 1)
        needed = float(np.quantile(rows, 0.8, method="higher"))
        never = sum(row > self.most for row in rows)
        return Finding(
            self.kind,
            "empirical_bernstein_sequence",
            scene.text,
            f"decisions to 80 % power at {self.ratio:g}",
            "pass",
            needed if needed <= self.most else None,
            None,
            None,
            "reported only",
            "reported only",
            0.0,
            "",
            size,
            f"median {np.median(rows):,.0f}; {never} of {size} not within {self.most:,}",
        )


@dataclass(frozen=True, slots=True)
class FamilyClaims:
    """Five candidates at a true ratio of exactly 1.2: no more logs with *any* false claim than .05 allows.

    share : of the level that each is judged at; 1/5 is what ``judge_all`` does.
    """

    rows: int
    share: float
    effort: Effort
    kind: ClassVar[str] = "verdict"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} mover_wilson any of 5 candidates type I error n={self.rows}"

    def run(self, *, full: bool) -> Finding:
        """Count logs in which one of the arms 1 … 5 is claimed to beat arm 0."""
        size, arms = self.effort.of(full=full), 6
        means = np.array([[0.5, *[0.5 * FACTOR] * 5]])
        pmf = np.empty((self.rows, arms))
        context, arm = np.empty(self.rows, np.int64), np.empty(self.rows, np.int64)
        value = np.empty(self.rows)
        contrasts = np.eye(arms)[1:] - FACTOR * np.eye(arms)[:1]
        count = 0
        for r in range(size):
            key = key_of(SEED, r, self.title)
            write_log(UNIFORM, means, means, 0, 1, 0.0, *key, pmf, context, arm, value)
            counted = cells.cells_of(context, arm, value, 1, arms)
            level = LEVEL * self.share
            count += any(cells.lower_bound(counted, c[None, :], level)[1] > 0.0 for c in contrasts)
        scene, quantity = "uniform log, 6x1, 0/1, vs baseline arm", f"any of 5 candidates, n={self.rows}"
        return _level_held("mover_wilson", scene, quantity, count, size, "Bonferroni")


_ROWS = (100, 300, 1000, 10_000)
_SEQUENCE = "empirical_bernstein_sequence"
_PEEKED: tuple[Scene, ...] = (
    Scene("uniform", "arm"),
    Scene("80% incumbent", "arm"),
    Scene("thompson", "arm"),
    Scene("thompson, drift", "arm"),
    Scene("thompson", "logged"),
    Scene("improving", "logged"),
    Scene("declining", "logged"),
    Scene("thompson", "arm", composite=0.5),
    Scene("improving", "logged", composite=0.5),
    Scene("declining", "logged", composite=0.5),
)
"""What the test that may be looked at after every row is checked on."""


def verdicts() -> list[Check]:
    """Type I error of every method under every kind of log that it is used for, and power."""
    found: list[Check] = []
    fixed = ("uniform", "80% incumbent")
    for rows in _ROWS:
        effort = Effort(200 if rows <= 300 else 0, 2000)
        for logging in fixed:
            found += [FalseClaims("mover_wilson", Scene(logging, "arm"), rows, effort)]
            found += [FalseClaims("mover_wilson", Scene(logging, "logged"), rows, effort)]
            found += [FalseClaims("betting", Scene(logging, "arm", composite=0.5), rows, effort)]
        found += [FalseClaims(_SEQUENCE, scene, rows, effort) for scene in _PEEKED]
    for arms in (6, 36):
        for logging in fixed:
            for rows in (1000, 10_000):
                scene = Scene(logging, "arm", arms=arms, contexts=3)
                found.append(FalseClaims("mover_wilson", scene, rows, Effort(0, 2000)))
    effort = Effort(0, 2000)
    found.append(FamilyClaims(1000, 0.2, effort))
    for logging, least in (("uniform", 0.85), ("80% incumbent", 0.25)):
        for against in ("logged", "arm"):
            scene = Scene(logging, against, ratio=1.35, level=0.6)
            found.append(Power("mover_wilson", scene, 1000, least if against == "logged" else 0.0, effort))
            for arms in (6, 36):
                wide = Scene(logging, against, arms=arms, contexts=3, ratio=1.35, level=0.6)
                found.append(Power("mover_wilson", wide, 1000, 0.0, effort))
        peeked = Scene(logging, "arm", ratio=1.35, level=0.6)
        found += [Power(_AT_END, peeked, rows, 0.0, Effort(0, 500)) for rows in (1000, 10_000)]
    found += [HoldoutRows(1.5, 20_000, Effort(0, 500)), HoldoutRows(1.35, 60_000, Effort(0, 400))]
    found.append(HoldoutRows(1.25, 500_000, Effort(0, 100)))
    return found
