"""Streams of executions with known anomalies, and how alarms on them are counted.

``plain``: log-normal durations and tokens by three types and three complexities, two level shifts. ``rough``:
Student noise of 5 degrees of freedom that all metrics share, correlated metrics, a mix of five types that
never rests, three arms, sizes, over-dispersed retries, three level shifts.

An anomaly is an episode: one execution, or a burst of errors (with three rows behind it, because a burst is
told from the last nine): durations or tokens 4 to 16 times as large (``rough``: 5 to 50), 5 to 13 retries
more, a quality that falls by 3.5 to 10 on the logit. An alarm within an episode is right, any other is wrong,
also at a level shift.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nyx_learning.features.monitors import PerformanceMetrics

__all__ = ["STREAMS", "Stream", "Tally", "plain", "rough", "tally", "together"]

_FIRST = 60
"""Rows at a stream's beginning that have no anomalies."""


class Stream(NamedTuple):
    """Contexts (n, P) with a leading 1, the metrics of each execution, and the episode of each (0: none)."""

    contexts: npt.NDArray[np.float64]
    metrics: list[PerformanceMetrics]
    episodes: npt.NDArray[np.int64]


class Tally(NamedTuple):
    """Right and wrong alarms, and how many episodes were found of how many."""

    right: int
    wrong: int
    found: int
    episodes: int

    @property
    def precision(self) -> float:
        """Right alarms of all."""
        return self.right / max(self.right + self.wrong, 1)

    @property
    def recall(self) -> float:
        """Episodes found of all."""
        return self.found / max(self.episodes, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)


def tally(alarms: Sequence[int], episodes: npt.NDArray[np.int64]) -> Tally:
    """Count alarms (rows) against episodes."""
    wide = episodes.copy()
    for episode in set(episodes.tolist()) - {0}:
        rows = np.flatnonzero(episodes == episode)
        if len(rows) > 1:
            behind = wide[rows[-1] + 1 : rows[-1] + 4]
            behind[behind == 0] = episode
    hits = [int(wide[i]) for i in alarms if wide[i]]
    return Tally(len(hits), len(alarms) - len(hits), len(set(hits)), len(set(episodes.tolist()) - {0}))


def together(tallies: Sequence[Tally]) -> Tally:
    """The sum of several."""
    return Tally(*(sum(column) for column in zip(*tallies, strict=True)))


def plain(seed: int, n: int = 1000) -> Stream:
    """Normal noise, two level shifts."""
    rng = np.random.default_rng([1, seed])
    kinds = rng.choice(["duration", "tokens", "retries", "quality"], n)
    odd = rng.random(n) < 0.025
    odd[:_FIRST] = False
    burst = np.zeros(n, bool)
    for begin in rng.choice(np.arange(80, n - 20), 3, replace=False):
        burst[begin : begin + 9] = True
    shifts = {
        int(rng.integers(300, 450)): (rng.choice([-0.5, 0.5]), rng.choice([-0.4, 0.4])),
        int(rng.integers(600, 800)): (rng.choice([-0.6, 0.6]), 0.0),
    }
    levels, episode, inside = np.zeros(2), 0, False
    contexts, metrics, episodes = np.zeros((n, 7)), [], np.zeros(n, np.int64)
    for i in range(n):
        levels += shifts.get(i, (0.0, 0.0))
        kind, complexity = int(rng.integers(3)), int(rng.integers(3))
        contexts[i, [0, 1 + kind, 4 + complexity]] = 1.0
        duration = (2.3, 3.2, 3.8)[kind] + 0.5 * complexity + levels[0] + 0.38 * rng.standard_normal()
        tokens = (7.0, 8.0, 8.7)[kind] + 0.4 * complexity + levels[1] + 0.33 * rng.standard_normal()
        retries = int(rng.poisson(0.25 + 0.1 * complexity))
        quality = 1.6 - 0.3 * complexity + 0.7 * rng.standard_normal()
        failure = 0.9 if burst[i] else 0.06 + 0.03 * complexity
        if burst[i]:
            episode += not inside
            episodes[i] = episode
        elif odd[i]:
            episode += 1
            episodes[i] = episode
            if kinds[i] == "duration":
                duration += log(rng.uniform(4, 16))
            elif kinds[i] == "tokens":
                tokens += log(rng.uniform(4, 16))
            elif kinds[i] == "retries":
                retries += int(rng.integers(5, 10))
            else:
                quality -= rng.uniform(3.5, 7)
        inside = bool(burst[i])
        cost = tokens - 11 + 0.1 * rng.standard_normal()
        metrics.append(_metrics(duration, tokens, cost, quality, retries, failed=rng.random() < failure))
    return Stream(contexts, metrics, episodes)


def rough(seed: int, n: int = 1000) -> Stream:
    """A stream that was written differently."""
    rng = np.random.default_rng([2, seed])
    types = 5
    base, size_of = rng.normal(3, 0.8, types), rng.normal(8, 0.7, types)
    early, late = rng.dirichlet(np.ones(types)), rng.dirichlet(np.ones(types))
    arms = rng.normal(0, 0.3, 3)
    mixing = np.linalg.cholesky(np.array([[1, 0.7, -0.3], [0.7, 1, -0.2], [-0.3, -0.2, 1]]))
    cuts = set(rng.choice(np.arange(150, n - 100), 3, replace=False).tolist())
    odd = rng.random(n) < 0.02
    odd[:_FIRST] = False
    levels, episode, left = np.zeros(3), 0, 0
    contexts, metrics, episodes = np.zeros((n, types + 5)), [], np.zeros(n, np.int64)
    for i in range(n):
        if i in cuts:
            which = int(rng.integers(3))
            levels[which] += rng.choice([-1, 1]) * rng.uniform(0.4, 1.0) * (1.0 if which < 2 else 0.8)
        kind = int(rng.choice(types, p=(1 - i / n) * early + i / n * late))
        arm, size = int(rng.integers(3)), rng.uniform(-1, 1)
        contexts[i, [0, 1 + kind, 1 + types + arm]] = 1.0
        contexts[i, -1] = size
        noise = (mixing @ rng.standard_normal(3)) / np.sqrt(rng.chisquare(5) / 5) * 0.8
        duration = base[kind] + arms[arm] + 0.5 * size + levels[0] + 0.35 * noise[0]
        tokens = size_of[kind] + 0.4 * size + levels[1] + 0.3 * noise[1]
        quality = 1.2 + levels[2] + 0.7 * noise[2]
        retries = int(rng.poisson(0.4 * exp(0.4 * size) * rng.gamma(2, 0.5)))
        failure = min(0.5, 0.1 * exp(0.5 * size))
        if left == 0 and i > 80 and rng.random() < 0.003:
            left, episode = int(rng.integers(7, 13)), episode + 1
        if left:
            failure, left = 0.85, left - 1
            episodes[i] = episode
        elif odd[i]:
            episode += 1
            episodes[i] = episode
            which = int(rng.integers(5))
            if which == 0:
                duration += log(rng.uniform(7, 50))
            elif which == 1:
                tokens += log(rng.uniform(7, 50))
            elif which == 2:
                retries += int(rng.integers(6, 14))
            elif which == 3:
                quality -= rng.uniform(5, 10)
            else:
                both = log(rng.uniform(5, 30))
                duration, tokens = duration + both, tokens + both
        cost = tokens - 11 + 0.25 * rng.standard_normal()
        metrics.append(_metrics(duration, tokens, cost, quality, retries, failed=rng.random() < failure))
    return Stream(contexts, metrics, episodes)


def _metrics(
    duration: float, tokens: float, cost: float, quality: float, retries: int, *, failed: bool
) -> PerformanceMetrics:
    return PerformanceMetrics(
        duration_s=exp(duration),
        tokens=exp(tokens),
        cost=exp(cost),
        quality=1 / (1 + exp(-quality)),
        retries=retries,
        errors=float(failed),
    )


STREAMS: dict[str, Callable[[int], Stream]] = {"plain": plain, "rough": rough}
