"""What each policy is, computed from the rows it learned: formulas in numpy, integrals by Monte Carlo.

Independent of the engine: no sums, no kernels, no fixed point. Where ``Definition.draws`` is 0 the
probabilities are exact, else they are shares of so many draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import rel_entr

from ...bandit import ArmTable
from .hierarchy import components
from .states import History

__all__ = ["DEFINITIONS", "Definition", "Situation"]

Floats = npt.NDArray[np.float64]

_TIE = 1e-11  # algebra in another order moves equal indices apart by less


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What a policy knows and is asked. baseline: index of the incumbent; features: of the context."""

    parameters: Mapping[str, float | str]
    arms: ArmTable
    baseline: int
    features: int
    past: History
    phi: Floats
    eligible: tuple[int, ...]
    draws: int
    generator: np.random.Generator

    @property
    def n(self) -> Floats:
        """Rewards of each arm."""
        return np.asarray(np.bincount(self.past.arm, minlength=len(self.arms)), np.float64)

    @property
    def mean(self) -> Floats:
        """Mean reward of each arm; NaN without rewards."""
        with np.errstate(invalid="ignore"):
            return self.total / self.n

    @property
    def total(self) -> Floats:
        """Sum of the rewards of each arm."""
        return np.asarray(np.bincount(self.past.arm, self.past.reward, len(self.arms)), np.float64)

    def number(self, name: str) -> float:
        """A numeric parameter."""
        return float(self.parameters[name])


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """Probabilities of the arms (K,), and how many draws they are shares of (0: exact)."""

    pmf: Floats
    draws: int = 0


def _spread(s: Situation, weight: Floats) -> Definition:
    """Weights of the eligible arms, normalised."""
    out = np.zeros(len(s.arms))
    chosen = list(s.eligible)
    out[chosen] = weight[chosen] / weight[chosen].sum()
    return Definition(out)


def _largest(s: Situation, index: Floats) -> Definition:
    top = max(index[a] for a in s.eligible)
    return _spread(s, (index >= top - _TIE).astype(np.float64) if top < inf else (index == inf) * 1.0)


def _optimistic(s: Situation, upper: Callable[[float, float, float], float]) -> Definition:
    """The largest of upper(mean, n, variance), infinite without rewards."""
    index = np.full(len(s.arms), inf)
    for a in range(len(s.arms)):
        r = s.past.reward[s.past.arm == a]
        if len(r):
            index[a] = upper(float(r.mean()), float(len(r)), float(r.var()))
    return _largest(s, index)


def _untried(s: Situation) -> Definition | None:
    fresh = np.array([a in s.eligible and s.n[a] == 0 for a in range(len(s.arms))], np.float64)
    return _spread(s, fresh) if fresh.any() else None


def _level(s: Situation) -> float:
    t = len(s.past.arm)
    return log(t) if t > 1 else 0.0


def _uniform(s: Situation) -> Definition:
    return _spread(s, np.ones(len(s.arms)))


def _fixed(s: Situation) -> Definition:
    if s.baseline not in s.eligible:
        return _uniform(s)
    return _spread(s, (np.arange(len(s.arms)) == s.baseline).astype(np.float64))


def _epsilon_greedy(s: Situation) -> Definition:
    greedy, epsilon = _optimistic(s, lambda mean, _n, _v: mean).pmf, s.number("epsilon")
    return Definition((1.0 - epsilon) * greedy + epsilon * _uniform(s).pmf)


def _softmax(s: Situation) -> Definition:
    return _untried(s) or _spread(s, np.exp(np.nan_to_num(s.mean) / s.number("temperature")))


def _ucb1(s: Situation) -> Definition:
    width = s.number("alpha") * _level(s) / 2.0
    return _optimistic(s, lambda mean, n, _v: mean + sqrt(width / n))


def _ucb_v(s: Situation) -> Definition:
    level, c = s.number("zeta") * _level(s), s.number("c")
    return _optimistic(s, lambda mean, n, v: mean + sqrt(2.0 * v * level / n) + 3.0 * c * level / n)


def _divergence(p: float, q: float) -> float:
    return float(rel_entr(p, q) + rel_entr(1.0 - p, 1.0 - q))


def _kl_ucb(s: Situation) -> Definition:
    t = len(s.past.arm)
    level = log(1.0 + t * log(t) ** 2) if t > 1 else 0.0

    def upper(mean: float, n: float, _variance: float) -> float:
        if level == 0.0 or mean >= 1.0:
            return mean
        high = 1.0 - 1e-16
        if n * _divergence(mean, high) <= level:
            return 1.0
        return float(brentq(lambda q: n * _divergence(mean, q) - level, mean, high, xtol=1e-15))

    return _optimistic(s, upper)


def _moss(s: Situation) -> Definition:
    share = s.number("horizon") / len(s.arms)
    return _optimistic(s, lambda mean, n, _v: mean + sqrt(max(0.0, log(share / n)) / n))


def _best_of(s: Situation, values: Callable[[int], Floats]) -> Definition:
    """Share of the draws in which an arm's value is the largest."""
    drawn = np.array([values(a) for a in s.eligible])
    counts = np.bincount(drawn.argmax(axis=0), minlength=len(s.eligible))
    out = np.zeros(len(s.arms))
    out[list(s.eligible)] = counts / s.draws
    return Definition(out, s.draws)


def _thompson_beta(s: Situation) -> Definition:
    a, b = s.total + s.number("a"), s.n - s.total + s.number("b")
    return _best_of(s, lambda arm: s.generator.beta(a[arm], b[arm], s.draws))


def _thompson_gaussian(s: Situation) -> Definition:
    weight = s.number("noise_weight")
    squares = weight * s.number("noise")
    for a in range(len(s.arms)):
        r = s.past.reward[s.past.arm == a]
        squares += float(((r - r.mean()) ** 2).sum()) if len(r) else 0.0
        weight += max(len(r) - 1, 0)
    variance, prior = squares / weight, s.number("sd") ** 2
    precision = 1.0 / prior + s.n / variance
    mean = (s.number("mean") / prior + s.total / variance) / precision
    sd = precision**-0.5
    return _best_of(s, lambda arm: s.generator.normal(mean[arm], sd[arm], s.draws))


def _kl_maillard(s: Situation) -> Definition:
    found = _untried(s)
    if found is not None:
        return found
    mean, n = np.nan_to_num(s.mean), s.n
    top = max(mean[a] for a in s.eligible)
    cost = [n[a] * _divergence(mean[a], top) if mean[a] < top else 0.0 for a in range(len(s.arms))]
    return _spread(s, np.exp(-np.array(cost)))


def _ridge(s: Situation, arm: int, center: float) -> tuple[Floats, Floats]:
    """θ̂ and A of one arm."""
    rows = s.past.phi[s.past.arm == arm]
    A = s.number("ridge") * np.eye(len(s.phi)) + rows.T @ rows
    return np.linalg.solve(A, rows.T @ (s.past.reward[s.past.arm == arm] - center)), A


def _linucb(s: Situation) -> Definition:
    index = np.zeros(len(s.arms))
    for a in range(len(s.arms)):
        theta, A = _ridge(s, a, 0.0)
        width = s.number("alpha")
        if s.number("delta") > 0.0:
            gained = np.linalg.slogdet(A)[1] - len(s.phi) * log(s.number("ridge"))
            width = s.number("noise") * sqrt(gained - 2.0 * log(s.number("delta")))
            width += sqrt(s.number("ridge")) * s.number("norm")
        index[a] = s.phi @ theta + width * sqrt(s.phi @ np.linalg.solve(A, s.phi))
    return _largest(s, index)


def _lints(s: Situation) -> Definition:
    def values(arm: int) -> Floats:
        theta, A = _ridge(s, arm, s.number("mean"))
        root = np.linalg.cholesky(s.number("scale") ** 2 * np.linalg.inv(A))
        coefficients = theta[:, None] + root @ s.generator.standard_normal((len(s.phi), s.draws))
        drawn: Floats = s.number("mean") + s.phi @ coefficients
        return drawn

    return _best_of(s, values)


def _hier_ts(s: Situation) -> Definition:
    mixture = components(s.parameters, s.arms, s.features, s.past, s.phi)
    caution = min(1.0, s.number("caution") * sqrt(1.0 + len(s.past.arm) / s.number("caution_rows")))
    which = s.generator.choice(len(mixture), s.draws, p=[c.weight for c in mixture])
    means = np.array([c.mean + s.number("optimism") * np.sqrt(c.whole) for c in mixture])
    sds = caution * np.sqrt(np.array([c.own for c in mixture]))
    return _best_of(s, lambda a: means[which, a] + sds[which, a] * s.generator.standard_normal(s.draws))


def _mixture_mean(s: Situation) -> tuple[Floats, Floats]:
    """Mean and variance over the ratios."""
    mixture = components(s.parameters, s.arms, s.features, s.past, s.phi)
    mean: Floats = np.sum([c.weight * c.mean for c in mixture], axis=0)
    own = s.parameters.get("part") == "own"
    variance: Floats = np.sum(
        [c.weight * ((c.own if own else c.whole) + (c.mean - mean) ** 2) for c in mixture], axis=0
    )
    return mean, variance


def _hier_ucb(s: Situation) -> Definition:
    mean, variance = _mixture_mean(s)
    return _largest(s, mean + s.number("width") * np.sqrt(variance))


def _square_cb(s: Situation) -> Definition:
    if s.parameters["model"] == "ridge":
        center = s.number("mean")
        predicted = np.array([center + s.phi @ _ridge(s, a, center)[0] for a in range(len(s.arms))])
    else:
        predicted = _mixture_mean(s)[0]
    count = len(s.eligible)
    gamma = s.number("gamma")
    if s.parameters["schedule"] == "sqrt":
        gamma *= sqrt(count * len(s.past.arm))
    best = _largest(s, predicted).pmf
    top = max(predicted[a] for a in s.eligible)
    out = np.zeros(len(s.arms))
    for a in s.eligible:
        if best[a] == 0.0:
            out[a] = 1.0 / (count + gamma * (top - predicted[a]))
    return Definition(out + (1.0 - out.sum()) * best)


def _exp3_ix(s: Situation) -> Definition:
    k = len(s.arms)
    rate = s.number("rate") * np.sqrt(log(k) / (k * np.arange(1, len(s.past.arm) + 2)))
    losses = (1.0 - s.past.reward) / (s.past.propensity + 0.5 * rate[:-1])
    estimated = np.bincount(s.past.arm, losses, minlength=k)
    return _spread(s, np.exp(-rate[-1] * (estimated - estimated.min())))


DEFINITIONS: Mapping[str, Callable[[Situation], Definition]] = {
    "uniform": _uniform,
    "fixed": _fixed,
    "epsilon_greedy": _epsilon_greedy,
    "softmax": _softmax,
    "ucb1": _ucb1,
    "ucb_v": _ucb_v,
    "kl_ucb": _kl_ucb,
    "moss": _moss,
    "thompson_beta": _thompson_beta,
    "thompson_gaussian": _thompson_gaussian,
    "kl_maillard": _kl_maillard,
    "linucb": _linucb,
    "lints": _lints,
    "hier_ts": _hier_ts,
    "hier_ucb": _hier_ucb,
    "square_cb": _square_cb,
    "exp3_ix": _exp3_ix,
}
"""By catalog name, for the catalog's default parameters."""
