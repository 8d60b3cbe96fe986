"""Checks of off-policy intervals: how often they contain the truth, in worlds where it is known.

Three contexts, four arms, 0/1 rewards. ``uniform`` and ``incumbent`` (80 %, the rest uniform) are fixed
logging policies, ``learning`` is ε-greedy from its own rewards, ε = .4. The target plays each context's best
arm with .85 and is else uniform. ``thin`` is outside the region that the normal interval claims: rare
successes, and few rows that the target would have led to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log as ln
from typing import ClassVar

import numpy as np
from scipy.stats import binom

from ..offpolicy import (
    IntervalSpec,
    LoggedData,
    betting_log_capital,
    cross_fit,
    dr,
    eb_lower_path,
    ips,
    mover_wilson,
    rejection,
    snips,
)
from ..offpolicy.estimate import Estimate, Method
from ..offpolicy.logged import Floats, Integers
from .check import Check, Effort, Finding, Status
from .judging import binomial_limit
from .regret import SEED

__all__ = ["Coverage", "coverage"]

LEVEL = 0.95
MARGIN = 0.02
"""What an interval may be off its level, where it holds approximately."""

_MEANS = np.array([[0.6, 0.5, 0.4, 0.3], [0.5, 0.65, 0.3, 0.6], [0.35, 0.45, 0.75, 0.5]])
_ARMS = ("a", "b", "c", "d")
_EPSILON = 0.4
_THIN = 0.03
_BATCH = 500
"""Logs drawn at a time: they are kept in memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Logs:
    """R logs of n rows: cell, arm, reward, propensity, weight (R, n); pmf of the target (3, 4), its value."""

    cell: Integers
    arm: Integers
    reward: Floats
    propensity: Floats
    weight: Floats
    target: Floats
    value: float

    def rows(self, r: int) -> LoggedData:
        """One log."""
        return LoggedData(_ARMS, self.arm[r], self.reward[r], self.propensity[r], cell=self.cell[r])


def draw(scenario: str, count: int, n: int, rng: np.random.Generator) -> Logs:
    """Logs of a scenario, all replications a row at a time, so that the logging policy may learn."""
    means = _MEANS * (0.06 if scenario == "thin" else 1.0)
    target = np.full((3, 4), 0.15 / 4)
    target[np.arange(3), means.argmax(axis=1)] += 0.85
    cell, u, v = rng.integers(3, size=(n, count)), rng.random((n, count)), rng.random((n, count))
    tries, wins = np.full((count, 3, 4), 2.0), np.ones((count, 3, 4))
    fixed = np.full((3, 4), 0.25)
    if scenario != "uniform":
        fixed = np.full((3, 4), _THIN if scenario == "thin" else 0.05)
        fixed[:, 0] += 1.0 - fixed.sum(axis=1)
    runs = np.arange(count)
    arm, reward, propensity = np.empty((n, count), np.int64), np.empty((n, count)), np.empty((n, count))
    for t in range(n):
        pmf = fixed[cell[t]]
        if scenario == "learning":
            pmf = np.full((count, 4), _EPSILON / 4)
            now = (wins / tries)[runs, cell[t]]
            pmf[runs, now.argmax(axis=1)] += 1.0 - _EPSILON
        arm[t] = np.minimum((pmf.cumsum(axis=1) <= u[t][:, None]).sum(axis=1), 3)
        propensity[t] = pmf[runs, arm[t]]
        reward[t] = v[t] < means[cell[t], arm[t]]
        if scenario == "learning":
            tries[runs, cell[t], arm[t]] += 1.0
            wins[runs, cell[t], arm[t]] += reward[t]
    weight = target[cell, arm] / propensity
    return Logs(
        np.ascontiguousarray(cell.T),
        np.ascontiguousarray(arm.T),
        np.ascontiguousarray(reward.T),
        np.ascontiguousarray(propensity.T),
        np.ascontiguousarray(weight.T),
        target,
        float((target * means).sum(axis=1).mean()),
    )


def _spec(method: Method, weight_max: float | None = None) -> IntervalSpec:
    return IntervalSpec(method, LEVEL, replicates=400, weight_max=weight_max)


def _interval(estimate: Estimate, logs: Logs) -> bool:
    return estimate.interval.low <= logs.value <= estimate.interval.high


def _ips(method: Method) -> Callable[[Logs, int], bool]:
    def covers(logs: Logs, r: int) -> bool:
        # 17.75 = (.85 + .15/4)/.05: the largest weight that the incumbent's log allows.
        return _interval(ips(logs.reward[r], logs.weight[r], _spec(method, 17.75)), logs)

    return covers


def _snips(method: Method) -> Callable[[Logs, int], bool]:
    def covers(logs: Logs, r: int) -> bool:
        return _interval(snips(logs.reward[r], logs.weight[r], _spec(method)), logs)

    return covers


def _dr(logs: Logs, r: int) -> bool:
    q = cross_fit(logs.rows(r), seed=r)
    target = logs.target[logs.cell[r]]
    return _interval(dr(logs.reward[r], logs.weight[r], logs.arm[r], target, q, _spec("normal")), logs)


def _replay(logs: Logs, r: int) -> bool:
    found = rejection(logs.reward[r], logs.weight[r], _spec("clopper_pearson"), limit=17.75, seed=r)
    return _interval(found, logs)


def _mover(logs: Logs, r: int) -> bool:
    """The lower bound of v − v₀, v₀ the value of arm a; of the contexts that came."""
    place = logs.cell[r] * 4 + logs.arm[r]
    trials = np.bincount(place, minlength=12)
    wins = np.bincount(place, logs.reward[r], 12)
    share = np.bincount(logs.cell[r], minlength=3) / len(place)
    contrast = share[:, None] * (logs.target - np.array([1.0, 0.0, 0.0, 0.0]))
    low, _, _ = mover_wilson(contrast.ravel(), wins, trials, LEVEL)
    return low <= float((contrast * _MEANS).sum())


def _peeked_betting(logs: Logs, r: int) -> bool:
    capital = betting_log_capital(logs.weight[r] * logs.reward[r], logs.value)
    return bool(capital.max() < ln(1.0 / (1.0 - LEVEL)))


def _peeked_bernstein(logs: Logs, r: int) -> bool:
    at = np.unique(np.geomspace(2, logs.reward.shape[1], 12).astype(np.int64))
    path = eb_lower_path(logs.weight[r] * logs.reward[r], 1.0 - LEVEL, at=at)
    return bool((path <= logs.value).all())


@dataclass(frozen=True, slots=True)
class _Rule:
    covers: Callable[[Logs, int], bool]
    guaranteed: bool
    source: str


_RULES: Mapping[str, _Rule] = {
    "ips normal": _Rule(_ips("normal"), False, "central limit theorem"),
    "ips bootstrap": _Rule(_ips("bootstrap"), False, "Efron & Tibshirani 1993"),
    "snips normal": _Rule(_snips("normal"), False, "linearisation"),
    "snips bootstrap": _Rule(_snips("bootstrap"), False, "Efron & Tibshirani 1993"),
    "dr normal": _Rule(_dr, False, "central limit theorem, cross-fitting"),
    "mover-wilson one-sided": _Rule(_mover, False, "Zou & Donner 2008"),
    "replay clopper-pearson": _Rule(_replay, True, "Clopper & Pearson 1934"),
    "ips empirical bernstein": _Rule(_ips("empirical_bernstein"), True, "Maurer & Pontil 2009"),
    "ips betting": _Rule(_ips("betting"), True, "Waudby-Smith & Ramdas 2024"),
    "ips eb sequence": _Rule(_ips("empirical_bernstein_sequence"), True, "Howard et al. 2021"),
    "betting, every row peeked at": _Rule(_peeked_betting, True, "Ville 1939"),
    "eb sequence, 12 peeks": _Rule(_peeked_bernstein, True, "Howard et al. 2021"),
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often an interval contains the target's value.

    Intervals that hold approximately must come within 2 points of their level (one-sided ones and those with
    a guarantee: not below, by the exact binomial test at .001). ``within`` False: a scenario outside the
    region that the interval claims; the figure is shown, and passes if it is as bad as the region says.
    """

    interval: str
    scenario: str
    rows: int
    effort: Effort
    within: bool = True
    kind: ClassVar[str] = "coverage"

    @property
    def title(self) -> str:
        """What ``--only`` searches."""
        return f"{self.kind} {self.interval} {self.scenario}, n={self.rows}"

    def run(self, *, full: bool) -> Finding:
        """Draw logs, count."""
        count = self.effort.of(full=full)
        rule = _RULES[self.interval]
        rng = np.random.Generator(np.random.PCG64(SEED))
        hits = 0
        for first in range(0, count, _BATCH):
            logs = draw(self.scenario, min(_BATCH, count - first), self.rows, rng)
            hits += sum(rule.covers(logs, r) for r in range(len(logs.arm)))
        share = hits / count
        error = (share * (1.0 - share) / count) ** 0.5
        status: Status
        if not self.within:
            status, judged, alarm = "pass" if share < LEVEL - MARGIN else "fail", "below level - .02", 0.0
            note = "outside the region that it claims: fewer than 100 effective rows, rare successes"
        elif rule.guaranteed:
            limit, alarm = binomial_limit(count, 1.0 - LEVEL)
            status, judged = "pass" if count - hits < limit else "fail", "misses < exact binomial limit"
            note = "guaranteed for every n"
        else:
            low, high = LEVEL - MARGIN, 1.0 if "one-sided" in self.interval else LEVEL + MARGIN
            status, judged = "pass" if low <= share <= high else "fail", "within .02 of the level"
            alarm = float(binom.cdf(np.ceil(low * count) - 1, count, LEVEL))
            alarm += float(binom.sf(np.floor(high * count), count, LEVEL))
            note = ""
        return Finding(
            self.kind,
            self.interval,
            f"{self.scenario}, n={self.rows}",
            "coverage",
            status,
            share,
            error,
            LEVEL,
            "nominal level",
            judged,
            alarm,
            rule.source,
            count,
            note,
        )


def coverage() -> list[Check]:
    """Every interval, on the logs that it claims and on one that it does not."""
    effort, cheap = Effort(1000, 4000), Effort(2000, 4000)
    found: list[Check] = []
    for name, rule in _RULES.items():
        approximate = not rule.guaranteed and not name.startswith("dr")
        found.append(Coverage(name, "uniform", 500, cheap if approximate else effort))
        if rule.guaranteed:
            found.append(Coverage(name, "learning", 500, effort))
        else:
            # The incumbent's log of 3,000 rows has about 280 effective ones for the target.
            found.append(Coverage(name, "incumbent", 3000, cheap if approximate else Effort(0, 2000)))
    thin = [Coverage(name, "thin", 300, effort, within=False) for name in ("ips normal", "snips normal")]
    return found + thin
