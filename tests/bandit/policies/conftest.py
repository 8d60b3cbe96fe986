# mypy: disable-error-code="call-overload"
"""A policy by itself: built from its catalog entry, fed with readings that a test writes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nyx_learning.bandit import ArmTable, Strategy
from nyx_learning.bandit.policies import CATALOG, Policy, Setting, build
from nyx_learning.bandit.policies.catalog import checked_parameters

Array = npt.NDArray[np.float64]


class Probe:
    """One policy over ``arms`` strategies without parameters (or the given table) and φ of ``columns``."""

    def __init__(
        self, name: str, arms: int | Sequence[Strategy], columns: int = 1, baseline: int = -1, **given: Any
    ) -> None:
        strategies = [Strategy(f"s{i}") for i in range(arms)] if isinstance(arms, int) else list(arms)
        self.table = ArmTable(strategies)
        # Every column behind the leading 1 counts as a feature of its own.
        self.setting = Setting(
            self.table, tuple(range(columns - 1)), baseline, checked_parameters(name, given)
        )
        self.policy: Policy = build(name, self.setting)
        self.further = len(CATALOG[name].statistics)

    def learn(self, reading: Sequence[Sequence[float]] | Array) -> Probe:
        """Show the policy a whole reading; rows may be (n, Σr, Σr²), without context."""
        full = np.array(reading, float)
        if full.shape[1] == 3:
            full = np.column_stack([full, full[:, 1], full[:, 0]])
        self.policy.refresh(np.ascontiguousarray(full), list(range(len(full))))
        return self

    def learn_rows(self, arm: Sequence[int], phi: Array, reward: Array) -> Probe:
        """Show the policy the sums of rewarded decisions: arm (N,), φ (N, D), reward (N,)."""
        d = phi.shape[1]
        rows = []
        for a in range(len(self.table)):
            x, r = phi[np.array(arm) == a], reward[np.array(arm) == a]
            square = x.T @ x
            rows.append([len(r), r.sum(), (r * r).sum(), *(x.T @ r), *square[np.tril_indices(d)]])
        return self.learn(np.array(rows))

    def pmf(self, phi: Sequence[float] | Array = (1.0,), eligible: Sequence[bool] | None = None) -> Array:
        """The policy's probabilities for one context."""
        mask = np.ones(len(self.table), np.bool_) if eligible is None else np.array(eligible)
        out = np.full(len(self.table), np.nan)
        self.policy.pmf(np.array(phi, float), mask, out)
        return out

    def beliefs(self, phi: Sequence[float] | Array = (1.0,)) -> tuple[Array, Array]:
        """The policy's mean and sd of each arm's expected reward."""
        return self.policy.beliefs(np.array(phi, float))


@pytest.fixture
def probe() -> Callable[..., Probe]:
    return Probe


@pytest.fixture
def random_arms() -> Callable[[np.random.Generator, int], Array]:
    """(n, Σr, Σr²) of arms with between 1 and 300 rewards in [0, 1]."""

    def make(rng: np.random.Generator, arms: int) -> Array:
        rows = []
        for _ in range(arms):
            r = rng.beta(*rng.uniform(0.3, 4.0, 2), size=rng.integers(1, 300))
            rows.append([len(r), r.sum(), (r * r).sum()])
        return np.array(rows)

    return make
