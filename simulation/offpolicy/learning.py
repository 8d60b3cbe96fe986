"""Target policies that learn: their value from a log, one decision after the other.

Such a policy's pmf depends on the history that it would have seen, and a log has one history only. Both
estimators walk through the log, show the policy a row where it could have been led to it (by rejection), and
so give it histories of the right law.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ...bandit import ArmTable, BanditSpec, Learner
from ...bandit.choice import TOTAL
from ...bandit.fixed_point import reward_to_fixed
from ...errors import InputInvalid, LogInvalid, NoOverlap
from ...features import Value
from ..keys import key_of
from ..lockstep.counter import uniforms_into
from .estimate import Bounds, Estimate, IntervalSpec, from_ratio, from_terms
from .importance import positive
from .logged import Floats, Integers, LoggedData
from .weights import known_propensities

__all__ = ["LearnerTarget", "LearningRun", "LearningTarget", "dr_learning", "replay_learning"]


class LearningTarget(Protocol):
    """A policy that learns: told a row of the log, it says its pmf there; shown a row, it takes it in."""

    def pmf(self, row: int) -> Floats:
        """Probability (K,) of each arm of the log in the row's context, given what was learned so far."""

    def learn(self, row: int) -> None:
        """Take in the logged arm and reward of a row."""


class LearnerTarget:
    """A ``Learner`` over the rows of a log.

    Parameters
    ----------
    spec : its arms are the log's, in any order. contexts : one for each row.

    Raises
    ------
    InputInvalid : the spec has other arms, or another number of contexts. ContextInvalid : see ``Encoder``.
    """

    def __init__(self, spec: BanditSpec, log: LoggedData, contexts: list[dict[str, Value]]) -> None:
        if not isinstance(spec.arms, ArmTable) or set(spec.arms.ids) != set(log.arms):
            raise InputInvalid(
                "the learning policy has other arms than the log",
                expected=f"the arms {sorted(log.arms)}"[:300],
                found=f"{sorted(spec.arms.ids)}"[:300] if isinstance(spec.arms, ArmTable) else "a space",
                fix="give the spec the strategies that the log has",
            )
        if len(contexts) != len(log):
            raise LogInvalid(
                "there are not as many contexts as rows",
                expected=str(len(log)),
                found=str(len(contexts)),
                fix="pass the context of every logged decision",
            )
        self._log, self._learner = log, Learner(spec)
        self._encoded = [self._learner.encoder.encode(context) for context in contexts]
        self._place = np.array([spec.arms.ids.index(arm) for arm in log.arms], np.int64)
        self._ids = spec.arms.ids
        self._units = [reward_to_fixed(reward) for reward in log.reward.tolist()]
        self._last: tuple[int, int] | None = None

    def pmf(self, row: int) -> Floats:
        """See ``LearningTarget``."""
        context, phi = self._encoded[row]
        decision = self._learner.choose(context, phi, str(row), None, time=None, mode="normal")
        found: Floats = np.array(decision.pmf, np.float64)[self._place] / TOTAL
        return found

    def learn(self, row: int) -> None:
        """See ``LearningTarget``."""
        context, phi = self._encoded[row]
        learner = self._learner
        decision = learner.choose(context, phi, str(row), None, time=None, mode="normal")
        arm = int(self._place[self._log.arm[row]])
        # The arm is the log's; what the policy declares further is computed with its own probability of it.
        decision = decision._replace(
            arm=arm,
            arm_id=self._ids[arm],
            epoch=learner.sums.epochs[arm],
            propensity=decision.pmf[arm] / TOTAL,
        )
        learner.absorb(decision, self._units[row], learner.sums.seq + 1)


@dataclass(frozen=True, slots=True, eq=False)
class LearningRun:
    """What came of a walk through a log.

    estimate : of the mean reward per decision. taken : rows that the policy has learned from, ascending: its
    history. clipped : share of the rows whose weight passed the limit.
    """

    estimate: Estimate
    taken: Integers
    clipped: float


def replay_learning(
    log: LoggedData,
    policy: LearningTarget,
    *,
    limit: float,
    how: IntervalSpec = IntervalSpec(),  # noqa: B008 (frozen)
    seed: int = 0,
) -> LearningRun:
    """Rejection: a row is taken with probability π(a | x, history)/(limit · propensity), and then learned.

    The rows taken have the law of the policy's own run over as many rounds. For a uniform log and limit = K
    it is taken with the policy's own probability of the arm. No weight passes a limit of 1/(smallest
    propensity); a smaller one keeps more rows, at the price that is reported as ``clipped``.

    The interval treats the rewards as independent given their mean, which for a learning policy drifts:
    it covers the run's average, not what the policy comes to in the end.

    Raises
    ------
    InputInvalid : a limit that is not > 0. LogInvalid : no propensities. NoOverlap : no row was taken.

    References
    ----------
    Li, Chu, Langford & Wang (2011), WSDM; Dudík et al. (2014), Statistical Science 29(4), §4: rejection with
    propensities.
    """
    propensity = known_propensities(log)
    limit = positive("limit", limit)
    u = np.empty(len(log))
    uniforms_into(*key_of(seed, 0, "rejection"), 0, u)
    taken: list[int] = []
    beyond = 0
    for i, (arm, p, draw) in enumerate(zip(log.arm.tolist(), propensity.tolist(), u.tolist(), strict=True)):
        weight = float(policy.pmf(i)[arm]) / p
        beyond += weight > limit
        if draw * limit < weight:
            policy.learn(i)
            taken.append(i)
    if not taken:
        raise NoOverlap(
            "no logged decision is left of the replay",
            expected="at least one that the learning policy would have made",
            found=f"{len(log):,} rows, limit {limit:g}",
            fix="take a smaller limit or a longer log",
        )
    rows = np.array(taken, np.int64)
    rewards = np.ascontiguousarray(log.reward[rows])
    found = from_terms(
        "replay_learning", rewards, np.ones(len(rows)), how, Bounds(0.0, 1.0), _clipping(beyond, len(log))
    )
    found = replace(found, n=len(log), match_rate=len(rows) / len(log)).noted((), log.source)
    return LearningRun(found, rows, beyond / len(log))


def dr_learning(
    log: LoggedData,
    policy: LearningTarget,
    q: Floats,
    *,
    scale_max: float = 1.0,
    quantile: float = 0.05,
    how: IntervalSpec = IntervalSpec(),  # noqa: B008 (frozen)
    seed: int = 0,
) -> LearningRun:
    """Doubly robust for a policy that learns (DR-ns): rows are taken as in a replay, but all of them count.

        V = Σ_k c_k [Σ_a π_k(a) q̂(x_k, a) + w_k (r_k − q̂(x_k, a_k))] / Σ_k c_k,   w_k = π_k(a_k)/p_k

    Row k is learned with probability min(1, c_k w_k). The scale of the next history is the ``quantile`` of
    p/π over the rows so far, at most ``scale_max``: at quantile 0 no row is clipped (but for those not seen
    yet); a higher one learns faster, and is slightly biased.

    Parameters
    ----------
    q (n, K) : modelled rewards, from ``cross_fit``. scale_max : the first scale, too.

    References
    ----------
    Dudík, Erhan, Langford & Li (2012), Sample-efficient nonstationary policy evaluation for contextual
    bandits, UAI, Algorithm 1; (2014), Statistical Science 29(4), §4.
    """
    propensity = known_propensities(log)
    scale = scale_max = positive("scale_max", scale_max)
    if not 0.0 <= quantile <= 1.0:
        raise InputInvalid(
            "quantile of an estimator is unusable",
            expected="a number in [0, 1]",
            found=str(quantile),
            fix="0.05 is usual",
        )
    n = len(log)
    u = np.empty(n)
    uniforms_into(*key_of(seed, 0, "rejection"), 0, u)
    scales, terms, ratios, weights = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    taken: list[int] = []
    beyond = 0
    for i in range(n):
        arm = int(log.arm[i])
        pmf = policy.pmf(i)
        weights[i] = weight = float(pmf[arm]) / float(propensity[i])
        terms[i] = float(pmf @ q[i]) + weight * float(log.reward[i] - q[i, arm])
        scales[i] = scale
        ratios[i] = 1.0 / weight if weight > 0.0 else np.inf
        beyond += scale * weight > 1.0
        if u[i] < scale * weight:
            policy.learn(i)
            taken.append(i)
            scale = min(scale_max, float(np.quantile(ratios[: i + 1], quantile, method="lower")))
    if not (weights > 0.0).any():
        raise NoOverlap(
            f"the learning policy gives weight 0 to all {n:,} logged decisions",
            expected="at least one logged arm that it would choose",
            found="weights that are all 0",
            fix="log with an exploration floor > 0",
        )
    found = from_ratio("dr_learning", scales * terms, scales, weights, how, _clipping(beyond, n))
    found = replace(found, match_rate=len(taken) / n).noted((), log.source)
    return LearningRun(found, np.array(taken, np.int64), beyond / n)


def _clipping(beyond: int, n: int) -> tuple[str, ...]:
    return (f"{beyond / n:.2%} of the rows were clipped: the policy's history is biased",) if beyond else ()
