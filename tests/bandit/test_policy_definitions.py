"""Logged propensity = the probability that the policy's definition gives.

Each definition is written here again, from the policy's docstring, in numpy and scipy, without any code of
the policy. Thompson sampling is simulated: a million draws, within five standard errors. (The policies that
have a file in ``tests/bandit/policies`` are checked there.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import multivariate_t

from nyx_learning import BanditSpec, Categorical, ContextSchema, Flag, Numeric, Strategy
from nyx_learning.bandit import ArmTable, Learner
from nyx_learning.bandit.choice import TOTAL

Floats = npt.NDArray[np.float64]
Rows = list[tuple[dict[str, Any], str, int]]
DRAWS = 1_000_000
CONTEXT: dict[str, Any] = {"task": "coding", "size": 7.5, "urgent": True}


def propensities(learner: Learner, context: dict[str, Any]) -> Floats:
    """The probability of each arm, as it would be logged with the choice of that arm."""
    decision = learner.decide(context, "x")
    assert decision.propensity == decision.pmf[decision.arm] / TOTAL
    return np.array(decision.pmf) / TOTAL


def within_five_errors(probability: Floats, counts: npt.NDArray[np.int64]) -> None:
    assert counts.sum() == DRAWS
    error = np.sqrt(np.maximum(probability * (1 - probability), 1 / DRAWS) / DRAWS)
    assert (np.abs(counts / DRAWS - probability) <= 5 * error).all(), (probability, counts / DRAWS)


def arm_sums(spec: BanditSpec, rows: Rows) -> tuple[Floats, Floats]:
    assert isinstance(spec.arms, ArmTable)
    n, total = np.zeros(len(spec.arms)), np.zeros(len(spec.arms))
    for _, arm_id, units in rows:
        n[spec.arms.index(arm_id)] += 1
        total[spec.arms.index(arm_id)] += units / 65536
    return n, total


@pytest.mark.parametrize(
    ("rounds", "successes", "parameters"),
    [
        (0, True, {}),
        (3, True, {}),
        (40, True, {}),
        (400, False, {}),
        (40, True, {"a": 0.5, "b": 2.0}),
        (3000, True, {}),
    ],
)
def test_thompson_beta_by_draws_from_its_posteriors(
    rounds: int,
    successes: bool,
    parameters: dict[str, float],
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    spec = spec_of("thompson_beta", 0.0, parameters=parameters)
    rows = history(spec, rounds, seed=21, successes=successes)
    n, total = arm_sums(spec, rows)
    a, b = parameters.get("a", 1.0) + total, parameters.get("b", 1.0) + n - total
    draws = np.random.default_rng(rounds + 1).beta(a, b, size=(DRAWS, len(spec.arms)))
    counts = np.bincount(draws.argmax(axis=1), minlength=len(spec.arms))
    within_five_errors(propensities(learner_of(spec, rows), CONTEXT), counts)
    beliefs = learner_of(spec, rows).beliefs(CONTEXT)
    assert [belief.mean for belief in beliefs] == pytest.approx(a / (a + b), abs=1e-12)
    sd = np.sqrt(a * b / (a + b + 1)) / (a + b)
    assert [belief.sd for belief in beliefs] == pytest.approx(sd, abs=1e-12)


def greedy_pmf(index: Floats) -> Floats:
    best = index == index.max()
    return np.array(best / best.sum(), np.float64)


@pytest.mark.parametrize("rounds", [0, 1, 5, 30, 200])
def test_the_index_policies_by_counting(
    rounds: int,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> None:
    rows = history(spec_of(), rounds, seed=22)
    n, total = arm_sums(spec_of(), rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, total / n, np.inf)
        width = np.where(n > 0, np.sqrt(4.0 * np.log(max(rounds, 1)) / (2 * n)), 0.0)
    expected = {
        "uniform": np.full(len(n), 1 / len(n)),
        "epsilon_greedy": 0.7 * greedy_pmf(mean) + 0.3 / len(n),
        "ucb1": greedy_pmf(mean + width),
        "fixed": np.eye(len(n))[0],
    }
    for policy, pmf in expected.items():
        parameters = {"epsilon": 0.3} if policy == "epsilon_greedy" else {}
        for floor in (0.0, 0.05):
            spec = spec_of(policy, floor, parameters=parameters)
            logged = propensities(learner_of(spec, rows), CONTEXT)
            assert logged == pytest.approx((1 - floor) * pmf + floor / len(n), abs=1e-9)


def test_fixed_shares_a_strategy_and_steps_aside(
    spec_of: Callable[..., BanditSpec], learner_of: Callable[..., Learner]
) -> None:
    learner = learner_of(spec_of("fixed", 0.0, parameters={"arm": "recursive"}), [])
    assert propensities(learner, CONTEXT) == pytest.approx([0] * 5 + [1 / 3] * 3, abs=1e-9)
    one = learner.decide(CONTEXT, "x", eligible=["recursive(depth=2)", "direct"])
    assert np.array(one.pmf) / TOTAL == pytest.approx([0] * 6 + [1, 0])
    none = learner.decide(CONTEXT, "x", eligible=["parallel", "direct"])
    assert np.array(none.pmf) / TOTAL == pytest.approx([1 / 5] * 5 + [0] * 3, abs=1e-9)


class Dense:
    """The hierarchical model with one coefficient for every effect, by dense linear algebra.

    Coefficients: θ₀ (D), then for each strategy θ_s (D) and the levels λ_s of its parameters, by sorted name.
    """

    def __init__(self, spec: BanditSpec, rows: Rows) -> None:
        assert isinstance(spec.arms, ArmTable)
        p = {key: float(value) for key, value in spec.policy.parameters.items()}
        self.arms, self.encode = spec.arms, Learner(spec).encoder.encode
        self.d, self.p, self.n = spec.context.dimension, p, len(rows)
        features = max(1, len(spec.context))
        sd = [p["sd_global"]] + [p["sd_context"] / features**0.5] * (self.d - 1)
        power = [0.0] + [0.5] * (self.d - 1)  # of the ratio, for each coefficient
        self.start: dict[str, int] = {}
        self.level: dict[tuple[str, str], int] = {}
        for strategy in spec.strategies:
            self.start[strategy.name] = len(sd)
            sd += [p["sd_strategy"]] + [p["sd_interaction"] / features**0.5] * (self.d - 1)
            power += [0.5] + [1.0] * (self.d - 1)
            for key in sorted(strategy.parameters):
                self.level[strategy.name, key] = len(sd)
                sd += [p["sd_parameter"]] * len(strategy.parameters[key])  # type: ignore[arg-type]
                power += [0.5] * len(strategy.parameters[key])  # type: ignore[arg-type]
        x = np.array([self.row(context, arm_id) for context, arm_id, _ in rows]).reshape(self.n, len(sd))
        y = np.array([units / 65536 for _, _, units in rows]) - p["mean"]
        weight = p["noise_weight"]
        self.solutions: list[tuple[float, Floats, Floats]] = []
        for ratio in sorted({p["ratio_low"], p["ratio_high"]}):
            # Prior variances in units of the noise variance.
            prior = np.diag((np.array(sd) * ratio ** np.array(power)) ** 2 / p["noise"])
            inverse = np.linalg.inv(np.linalg.inv(prior) + x.T @ x)
            mean = inverse @ x.T @ y
            # σ² ~ inverse gamma(w/2, w·noise/2): integrated out, the rewards are multivariate t.
            marginal = np.eye(self.n) + x @ prior @ x.T
            evidence = (
                multivariate_t.logpdf(y, np.zeros(self.n), p["noise"] * marginal, df=weight)
                if self.n
                else 0.0
            )
            fit = y @ np.linalg.solve(marginal, y) if self.n else 0.0
            noise = (weight * p["noise"] + fit) / (weight + self.n)
            self.solutions.append((float(evidence), mean, noise * inverse))
        evidences = np.array([solution[0] for solution in self.solutions])
        self.weight = np.exp(evidences - evidences.max())
        self.weight /= self.weight.sum()

    def row(self, context: dict[str, Any], arm_id: str, *, own: bool = False) -> Floats:
        """The design row of an arm in a context; ``own``: of its arm-dependent part only."""
        phi = np.array(self.encode(context)[1]) / 65536
        arm = self.arms[self.arms.index(arm_id)]
        size = max([len(phi) + start for start in self.start.values()])
        for strategy in self.arms.strategies:
            for key in strategy.parameters:
                size = max(size, self.level[strategy.name, key] + len(strategy.parameters[key]))  # type: ignore[arg-type]
        x = np.zeros(size)
        if not own:
            x[: self.d] = phi
        start = self.start[arm.strategy]
        x[start : start + self.d] = phi
        for key, level in zip(sorted(arm.parameters), arm.levels, strict=True):
            x[self.level[arm.strategy, key] + level] = 1.0
        return x

    def moments(self, context: dict[str, Any], *, own: bool) -> tuple[Floats, Floats]:
        """Mean and sd of every arm for each ratio, (R, K), without the center."""
        x = np.array([self.row(context, arm_id, own=own) for arm_id in self.arms.ids])
        mean = np.array([x @ solution[1] for solution in self.solutions])
        variance = np.array([np.einsum("ki,ij,kj->k", x, solution[2], x) for solution in self.solutions])
        return mean, np.sqrt(variance)

    def beliefs(self, context: dict[str, Any]) -> tuple[Floats, Floats]:
        mean, sd = self.moments(context, own=False)
        overall = self.weight @ mean
        spread = self.weight @ (sd**2 + (mean - overall) ** 2)
        return self.p["mean"] + overall, np.sqrt(spread)

    def sampled(self, context: dict[str, Any], seed: int) -> npt.NDArray[np.int64]:
        """The ratio first, then every arm's own part around its optimistic mean; the best is counted."""
        generator = np.random.default_rng(seed)
        _, sd = self.moments(context, own=True)
        mean, whole = self.moments(context, own=False)
        mean = mean + self.p["optimism"] * whole
        # Independent normals around the means of the whole: what the arms share moves all of them alike.
        caution = min(1.0, self.p["caution"] * np.sqrt(1 + self.n / self.p["caution_rows"]))
        counts = np.zeros(len(self.arms), np.int64)
        for ratio, times in enumerate(generator.multinomial(DRAWS, self.weight)):
            draws = mean[ratio] + caution * sd[ratio] * generator.standard_normal((times, len(self.arms)))
            counts += np.bincount(draws.argmax(axis=1), minlength=len(self.arms))
        return counts


UNEQUAL = (
    Strategy("direct"),
    Strategy("one", {"only": ["value"]}),
    Strategy("deep", {"depth": [1, 2, 3], "model": ["s", "l"], "retry": [True, False]}),
)
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "no rewards": (0, {}),
    "one reward": (1, {}),
    "some rewards": (40, {}),
    "many rewards": (250, {"parameters": {"caution_rows": 50.0}}),
    "unequal strategies": (60, {"strategies": UNEQUAL}),
    "few of many arms": (5, {"strategies": UNEQUAL}),
    "strategies of one arm": (30, {"strategies": (Strategy("direct"), Strategy("other"))}),
    "no context": (30, {"context": ContextSchema()}),
    "wide context": (
        80,
        {"context": ContextSchema(task=Categorical(list("abcdefgh")), size=Numeric(0, 10), urgent=Flag())},
    ),
    "one ratio": (30, {"parameters": {"ratio_low": 1.0, "ratio_high": 1.0}}),
    "far ratios": (60, {"parameters": {"ratio_low": 0.05, "ratio_high": 5.0}}),
    "little noise": (60, {"parameters": {"noise": 0.01, "noise_weight": 50.0, "mean": 0.7}}),
    "other priors": (
        60,
        {
            "parameters": {
                "sd_global": 1.0,
                "sd_context": 0.3,
                "sd_strategy": 0.02,
                "sd_parameter": 0.5,
                "sd_interaction": 0.07,
                "caution": 1.0,
                "optimism": 0.0,
            }
        },
    ),
}


@pytest.fixture(params=list(CASES))
def case(
    request: pytest.FixtureRequest,
    spec_of: Callable[..., BanditSpec],
    history: Callable[..., Rows],
    learner_of: Callable[..., Learner],
) -> tuple[Learner, Dense]:
    rounds, changes = CASES[request.param]
    spec = spec_of("hier_ts", 0.0, **changes)
    rows = history(spec, rounds, seed=23)
    return learner_of(spec, rows), Dense(spec, rows)


def test_hier_ts_believes_what_the_dense_model_does(case: tuple[Learner, Dense]) -> None:
    learner, dense = case
    other: dict[str, Any] = {"task": "?", "size": 0, "urgent": False}
    contexts = [CONTEXT, other] if len(learner.spec.context) else [{}]
    for context in contexts:
        mean, sd = dense.beliefs(context)
        beliefs = learner.beliefs(context)
        assert [belief.mean for belief in beliefs] == pytest.approx(mean, abs=1e-9)
        assert [belief.sd for belief in beliefs] == pytest.approx(sd, abs=1e-9)


def test_hier_ts_by_draws_from_the_dense_model(case: tuple[Learner, Dense]) -> None:
    learner, dense = case
    context = CONTEXT if len(learner.spec.context) else {}
    within_five_errors(propensities(learner, context), dense.sampled(context, seed=24))
