"""Specs and histories that the tests of the core share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nyx_learning import BanditSpec, Categorical, ContextSchema, Flag, Numeric, NyxError, PolicySpec, Strategy
from nyx_learning.bandit import Learner
from nyx_learning.bandit.learner import policy_propensity
from nyx_learning.bandit.policies import CATALOG

Row = tuple[dict[str, Any], str, int]
"""A context, the arm that ran in it, and its reward in units of 2⁻¹⁶."""

CONTEXT = ContextSchema(task=Categorical(["research", "coding"]), size=Numeric(0, 10), urgent=Flag())
STRATEGIES = (
    Strategy("direct"),
    Strategy("parallel", {"workers": [2, 4], "timeout_s": [30, 60]}),
    Strategy("recursive", {"depth": [1, 2, 3]}),
)


def _spec_of(
    policy: str = "hier_ts", floor: float = 0.01, *, name: str = "core", **changes: Any
) -> BanditSpec:
    required = {key: p.default for key, p in CATALOG[policy].parameters.items() if p.required}
    parameters = {**required, **changes.pop("parameters", {})}
    fields: dict[str, Any] = {
        "strategies": STRATEGIES,
        "context": CONTEXT,
        "seed": 11,
        "baseline_arm": "direct",
        **changes,
    }
    return BanditSpec(name=name, policy=PolicySpec(policy, floor=floor, **parameters), **fields)


def _context(generator: np.random.Generator) -> dict[str, Any]:
    return {
        "task": ["research", "coding", "other"][int(generator.integers(3))],
        "size": float(generator.uniform(0, 10)),
        "urgent": bool(generator.integers(2)),
    }


def _history(spec: BanditSpec, rounds: int, seed: int, *, successes: bool = False) -> list[Row]:
    """Rewards that depend on arm and context; ``successes``: 0 or 1 only."""
    generator = np.random.default_rng(seed)
    level = generator.uniform(0.2, 0.8, len(spec.arms))
    rows: list[Row] = []
    for _ in range(rounds):
        context = _context(generator) if len(spec.context) else {}
        arm = int(generator.integers(len(spec.arms)))
        worth = level[arm] + (0.1 if context.get("urgent") else -0.1)
        units = 65536 * int(generator.random() < worth) if successes else round(65536 * np.clip(worth, 0, 1))
        rows.append((context, spec.arms.units[arm], int(units)))
    return rows


def _learner_of(spec: BanditSpec, rows: Sequence[Row], order: Sequence[int] | None = None) -> Learner:
    """A learner that has taken the rows in, but not read them: in ``order``, row i having number i + 1."""
    learner, maker = Learner(spec), Learner(spec)
    for i in order if order is not None else range(len(rows)):
        _absorb(learner, maker, rows[i], i + 1)
    learner.sums.seq = len(rows)
    return learner


def _absorb(learner: Learner, maker: Learner, row: Row, seq: int, sign: int = 1) -> None:
    """Add or take back a row of the sums; ``maker`` decides, so that ``learner`` is not asked to."""
    context, arm_id, units = row
    decision = maker.decide(context, f"row-{seq}", eligible=[arm_id])
    further = learner.increments(policy_propensity(decision), units, seq)
    learner.sums.absorb(decision.arm, 0, seq, decision.phi, units, sign, further)


@pytest.fixture(scope="session")
def spec_of() -> Callable[..., BanditSpec]:
    return _spec_of


@pytest.fixture(scope="session")
def history() -> Callable[..., list[Row]]:
    return _history


@pytest.fixture(scope="session")
def learner_of() -> Callable[..., Learner]:
    return _learner_of


@pytest.fixture(scope="session")
def absorb_row() -> Callable[..., None]:
    return _absorb


@pytest.fixture(scope="session")
def draw_context() -> Callable[[np.random.Generator], dict[str, Any]]:
    return _context


@pytest.fixture(scope="session")
def four_parts() -> Callable[[pytest.ExceptionInfo[NyxError]], None]:
    """Check that an error says what is wrong, what was expected, what was found, and what to do."""

    def check(error: pytest.ExceptionInfo[NyxError]) -> None:
        value = error.value
        parts = (value.what, value.expected, value.found, value.fix)
        assert all(isinstance(part, str) and part for part in parts)
        text = str(value)
        assert text.startswith(f"{value.what} [{value.code}]\n  expected: ")
        assert f"\n  found:    {value.found}\n  fix:      {value.fix}" in text

    return check
