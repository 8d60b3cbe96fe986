"""``analyze_resource_patterns``: timeouts, retries and limits against outcome, and where more stops paying.

Two kinds of curves. *Chosen*: each numeric parameter of a strategy, with success and reward at each of its
values, weighted by the inverse of the propensities where these are known: what was chosen for the easy
executions does not look good for it. *Reached*: the share of executions that have succeeded within so many
seconds, or so many retries. There a timeout or a limit cuts what would have come later (censoring), and a
failure before the timeout ends an execution for good (a competing event): the share is Aalen's and
Johansen's estimate.

The knee of a curve is the smallest value whose success (or reward) is within ``margin`` of the best;
success is taken never to fall with more of a resource (isotonic regression), reward is not. Its interval
is that of a bootstrap, of the values' means or of the executions.

References
----------
Aalen & Johansen (1978), Scandinavian Journal of Statistics 5(3), for competing events under censoring;
Barlow et al. (1972), Statistical inference under order restrictions, for isotonic regression.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, ndtri

from ..errors import InputInvalid, shown
from .columns import numbers
from .evidence import adjusted
from .executed import Executed
from .patterns.analysis import check_questions
from .resource_curves import Beyond, Level, ResourcePattern, ResourcePatterns

__all__ = ["Beyond", "Level", "ResourcePattern", "ResourcePatterns", "analyze_resource_patterns"]

Floats = npt.NDArray[np.float64]

_DRAWS = 200
_MOST_LEVELS = 12
_MOST_STEPS = 100
_SHOWN_STEPS = 24


def check_margin(margin: object) -> float:
    """How far below the best a knee may be.

    Raises
    ------
    InputInvalid : no number between 0 and .5.
    """
    if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0.0 < margin < 0.5:
        raise InputInvalid(
            "the margin is unusable",
            expected="a number between 0 and 0.5: 0.02 for two percentage points of success",
            found=shown(margin),
            fix="leave it out, or choose one of these",
        )
    return float(margin)


def analyze_resource_patterns(
    executions: Sequence[Executed],
    *,
    margin: float = 0.02,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
    seed: int = 0,
) -> ResourcePatterns:
    """How much of each resource it takes: parameters, seconds and retries against outcome, and their knees.

    Parameters
    ----------
    margin : how far below the best success, or reward, still is good enough. min_count : executions of each
    value of a parameter, and of each curve. coverage : of all intervals. false_discovery_rate : of curves of
    parameters that are said to matter. seed : of the bootstrap.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    margin = check_margin(margin)
    check_questions(min_count, coverage, false_discovery_rate)
    by_strategy: dict[str, list[Executed]] = defaultdict(list)
    for e in executions:
        by_strategy[e.strategy].append(e)
    found: list[ResourcePattern] = []
    thin = 0
    rng = np.random.default_rng([seed, 0x6E])
    for strategy, rows in sorted(by_strategy.items()):
        for curve in (
            *_chosen(strategy, rows, margin, min_count, coverage, rng),
            *_reached(strategy, rows, margin, min_count, coverage, rng),
        ):
            if curve is None:
                thin += 1
            else:
                found.append(curve)
    return ResourcePatterns(
        _judged(found, false_discovery_rate),
        len(executions),
        thin,
        margin,
        min_count,
        coverage,
        false_discovery_rate,
        None if found else f"not enough evidence: no resource has {min_count} executions at two values",
    )


def _judged(found: Sequence[ResourcePattern], rate: float) -> tuple[ResourcePattern, ...]:
    """A chosen curve has a knee where its values differ: otherwise the smallest is as good as any."""
    asked = iter(adjusted([c.p for c in found if c.p is not None]))
    judged = []
    for curve in found:
        if curve.p is None:
            judged.append(curve)
            continue
        q = next(asked)
        if q <= rate:
            judged.append(replace(curve, q=q))
        else:
            reason = f"its values are not known to differ (q {q:.2g}): the smallest may do"
            judged.append(replace(curve, q=q, knee=None, knee_low=None, knee_high=None, reason=reason))
    return tuple(judged)


def _chosen(
    strategy: str,
    rows: Sequence[Executed],
    margin: float,
    min_count: int,
    coverage: float,
    rng: np.random.Generator,
) -> list[ResourcePattern | None]:
    found: list[ResourcePattern | None] = []
    names = sorted({name for e in rows for name, value in e.parameters.items() if _numeric(value)})
    weight = np.array([1.0 / e.propensity if e.propensity else math.nan for e in rows])
    known = bool(len(rows)) and not bool(np.isnan(weight).any())
    weight = weight if known else np.ones(len(rows))
    stopped = np.array([e.timed_out for e in rows], bool)
    for name in names:
        told = [e.parameters.get(name) for e in rows]
        value = numbers(float(v) if _numeric(v) and v is not None else None for v in told)
        levels = np.unique(value[~np.isnan(value)])
        if len(levels) > _MOST_LEVELS:
            cuts = np.linspace(0, 1, 9)[1:]
            levels = np.unique(np.quantile(value[~np.isnan(value)], cuts, method="higher"))
            place = np.searchsorted(levels, value).clip(0, len(levels) - 1)
            value = np.where(np.isnan(value), value, levels[place])
        for metric in ("success", "reward"):
            y = numbers(getattr(e, metric) for e in rows)
            curve = [
                (v, y[(value == v) & ~np.isnan(y)], weight[(value == v) & ~np.isnan(y)])
                for v in levels.tolist()
            ]
            curve = [part for part in curve if len(part[1]) >= min_count]
            if len(curve) < 2:
                found.append(None)
                continue
            means = [_weighted(part, w) for _, part, w in curve]
            at = np.array([v for v, _, _ in curve])
            mean, error = np.array([m for m, _ in means]), np.array([s for _, s in means])
            counts = [len(part) for _, part, _ in curve]
            rising = metric == "success"
            knee, low, high = _knee(at, mean, error, margin, coverage, rng, rising=rising)
            found.append(
                ResourcePattern(
                    "chosen",
                    strategy,
                    name,
                    "success" if rising else "reward",
                    sum(counts),
                    _levels(at, counts, mean, error, coverage),
                    knee,
                    low,
                    high,
                    float(_isotonic(mean, error)[-1] if rising else mean.max()),
                    margin,
                    _differ(mean, error),
                    None,
                    int(stopped[np.isin(value, at)].sum()),
                    known,
                    _beyond(rows, value, weight, knee, metric, min_count, coverage),
                    None,
                )
            )
    return found


def _numeric(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _weighted(values: Floats, weight: Floats, *, share: bool = True) -> tuple[float, float]:
    """Self-normalised mean and its error; that of a share is never that of a certainty."""
    total = float(weight.sum())
    mean = float(weight @ values) / total
    terms = weight * (values - mean)
    error = math.sqrt(float(terms @ terms)) / total
    ess = total * total / float(weight @ weight)
    return mean, max(error, 0.5 / (ess + 4.0)) if share else error


def _differ(mean: Floats, error: Floats) -> float:
    """p-value of equal means: Cochran's Q."""
    precision = 1.0 / (error * error)
    middle = float(precision @ mean) / float(precision.sum())
    return float(chdtrc(len(mean) - 1, float(precision @ (mean - middle) ** 2)))


def _isotonic(mean: Floats, error: Floats) -> Floats:
    """The closest curves (…, V) that never fall, weighted by precision.

        fᵢ = max_{j ≤ i} min_{k ≥ i} of the means over j … k

    which is what pooling adjacent violators gives, for many curves at once.
    """
    precision = 1.0 / (error * error)
    size = len(precision)
    none = np.zeros((*mean.shape[:-1], 1))
    total = np.concatenate([none, np.cumsum(mean * precision, axis=-1)], axis=-1)
    weight = np.concatenate([[0.0], np.cumsum(precision)])
    fitted = np.full(mean.shape, -np.inf)
    for j in range(size):
        behind = (total[..., j + 1 :] - total[..., j : j + 1]) / (weight[j + 1 :] - weight[j])
        least = np.minimum.accumulate(behind[..., ::-1], axis=-1)[..., ::-1]
        fitted[..., j:] = np.maximum(fitted[..., j:], least)
    return fitted


def _knee(
    at: Floats,
    mean: Floats,
    error: Floats,
    margin: float,
    coverage: float,
    rng: np.random.Generator,
    *,
    rising: bool,
) -> tuple[float, float, float]:
    """Smallest value within the margin of the best, and where it lies when the means are redrawn."""

    def first(curves: Floats) -> Floats:
        fitted = _isotonic(curves, error) if rising else curves
        found: Floats = at[np.argmax(fitted >= fitted.max(axis=-1, keepdims=True) - margin, axis=-1)]
        return found

    low, high = _ends(first(mean + error * rng.standard_normal((_DRAWS, len(mean)))), coverage)
    return float(first(mean)), low, high


def _ends(values: Floats, coverage: float) -> tuple[float, float]:
    tail = 0.5 * (1.0 - coverage)
    return (
        float(np.quantile(values, tail, method="lower")),
        float(np.quantile(values, 1.0 - tail, method="higher")),
    )


def _levels(
    at: Floats, counts: Sequence[int], mean: Floats, error: Floats, coverage: float
) -> tuple[Level, ...]:
    z = float(ndtri(0.5 + coverage / 2.0))
    return tuple(
        Level(v, n, m, max(0.0, m - z * e), min(1.0, m + z * e))
        for v, n, m, e in zip(at.tolist(), counts, mean.tolist(), error.tolist(), strict=True)
    )


def _beyond(
    rows: Sequence[Executed],
    value: Floats,
    weight: Floats,
    knee: float,
    metric: str,
    min_count: int,
    coverage: float,
) -> tuple[Beyond, ...]:
    """All values above the knee against the knee."""
    found = []
    z = float(ndtri(0.5 + coverage / 2.0))
    for name in (metric, "duration_s", "cost"):
        y = numbers(getattr(e, name) for e in rows)
        parts = [(value == knee) & ~np.isnan(y), (value > knee) & ~np.isnan(y)]
        if min(int(part.sum()) for part in parts) < min_count:
            continue
        (m0, e0), (m1, e1) = (_weighted(y[part], weight[part], share=name == metric) for part in parts)
        reach = z * math.hypot(e0, e1)
        found.append(Beyond(name, m1 - m0, m1 - m0 - reach, m1 - m0 + reach))
    return tuple(found)


def _reached(
    strategy: str,
    rows: Sequence[Executed],
    margin: float,
    min_count: int,
    coverage: float,
    rng: np.random.Generator,
) -> list[ResourcePattern | None]:
    success = np.array([e.success is True for e in rows], bool)
    told = np.array([e.success is not None for e in rows], bool)
    stopped = np.array([e.timed_out for e in rows], bool)
    found: list[ResourcePattern | None] = []
    for name in ("duration_s", "retries"):
        value = numbers(getattr(e, name) for e in rows)
        known = told & ~np.isnan(value)
        if int(known.sum()) == 0:
            continue
        # Who gives up behind so many retries had no more: a limit, as a timeout is one.
        censored = known & ~success & (stopped if name == "duration_s" else True)
        if int((known & success).sum()) < min_count:
            found.append(None)
            continue
        ends = known & ~success & ~censored
        found.append(_curve(strategy, name, value, (known & success, ends, censored), margin, coverage, rng))
    return found


_Masks = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]


def _curve(
    strategy: str,
    name: str,
    value: Floats,
    masks: _Masks,
    margin: float,
    coverage: float,
    rng: np.random.Generator,
) -> ResourcePattern:
    known = masks[0] | masks[1] | masks[2]
    events = masks[0] | masks[1]
    steps = np.unique(value[events])
    if len(steps) > _MOST_STEPS:
        steps = np.unique(np.quantile(value[events], np.linspace(0, 1, _MOST_STEPS + 1)[1:], method="higher"))
    # An event counts at the next step; what was cut is at risk in the steps that it has reached.
    size = len(steps) + 1
    counts = np.concatenate(
        [
            np.bincount(np.searchsorted(steps, value[masks[0]]), minlength=size),
            np.bincount(np.searchsorted(steps, value[masks[1]]), minlength=size),
            np.bincount(np.searchsorted(steps, value[masks[2]], side="right"), minlength=size),
        ]
    )
    n = int(known.sum())
    whole = _incidence(counts[None].astype(np.float64), size)[0]
    drawn = _incidence(rng.multinomial(n, counts / n, _DRAWS).astype(np.float64), size)
    good = whole >= whole[-1] - margin
    place = int(np.argmax(good))
    knees = steps[np.argmax(drawn >= drawn[:, -1:] - margin, axis=1)]
    low, high = _ends(knees, coverage)
    knee = float(steps[place])
    shown_at = np.unique(np.linspace(0, len(steps) - 1, min(_SHOWN_STEPS, len(steps))).astype(int))
    levels = tuple(
        Level(
            float(steps[i]),
            int((value[known] >= steps[i]).sum()),
            float(whole[i]),
            *_ends(drawn[:, i], coverage),
        )
        for i in shown_at.tolist()
    )
    lost = drawn[:, -1] - drawn[:, place]
    beyond = [Beyond("success", float(whole[-1] - whole[place]), *_ends(lost, coverage))]
    over = np.maximum(value[known] - knee, 0.0)
    if n > 1:
        z = float(ndtri(0.5 + coverage / 2.0))
        mean, reach = float(over.mean()), z * float(over.std(ddof=1)) / math.sqrt(n)
        beyond.append(Beyond(name, mean, mean - reach, mean + reach))
    return ResourcePattern(
        "reached",
        strategy,
        name,
        "success",
        n,
        levels,
        knee,
        low,
        high,
        float(whole[-1]),
        margin,
        None,
        None,
        int(masks[2].sum()),
        adjusted=False,
        beyond=tuple(beyond),
        reason=None,
    )


def _incidence(counts: Floats, size: int) -> Floats:
    """Share that has succeeded by each step (B, T), of counts (B, 3·(T + 1)): successes, other ends, cut.

        F(t) = Σ_{s ≤ t} S(s−) dₛ / Yₛ,   S(s) = Π (1 − (dₛ + eₛ) / Yₛ)

    with d successes and e other ends of Y at risk; who was cut before a step is not at risk in it.
    """
    success, ends, cut = counts[:, :size], counts[:, size : 2 * size], counts[:, 2 * size :]
    both = success + ends
    at_risk = counts.sum(axis=1, keepdims=True) - np.cumsum(cut, axis=1)
    at_risk[:, 1:] -= np.cumsum(both, axis=1)[:, :-1]
    there = np.maximum(at_risk, 1.0)
    alive = np.cumprod(1.0 - both / there, axis=1)
    before = np.concatenate([np.ones((len(counts), 1)), alive[:, :-1]], axis=1)
    found: Floats = np.cumsum(before * success / there, axis=1)[:, : size - 1]
    return found
