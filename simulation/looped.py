"""``hier_ts`` and ``hier_ucb`` in a compiled loop that takes the learner's decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..bandit import BanditSpec
from ..bandit.arms import ArmTable
from ..bandit.choice import Keyed
from ..bandit.decision import ARM_STAGE
from ..bandit.policies.base import Setting
from ..bandit.policies.hierarchical import HierarchicalModel
from ..features import Encoder, Value
from ..features.encoding import groups
from . import lockstep
from .worlds.base import Floats, Integers

__all__ = ["LOOPED", "HierarchicalLoop"]

LOOPED = ("hier_ts", "hier_ucb")
"""Policies that it plays, where they forget nothing and have no guardrails."""


class HierarchicalLoop:
    """Plays replications of a world whose C contexts and K arms are listed."""

    def __init__(self, spec: BanditSpec, contexts: Sequence[dict[str, Value]]) -> None:
        assert isinstance(spec.arms, ArmTable)  # noqa: S101 (the world lists its arms)
        setting = Setting(spec.arms, tuple(groups(spec.context)), spec.baseline, spec.policy.parameters)
        self._model = HierarchicalModel(setting)
        self._keyed = Keyed(spec.seed, spec.name)
        encoder = Encoder(spec.context)
        self._phis = np.array([encoder.encode(context)[1] for context in contexts], np.int64)
        p: Any = spec.policy.parameters
        sampled = spec.policy.name == "hier_ts"
        self._settings = (
            spec.policy.floor,
            sampled,
            float(p["optimism" if sampled else "width"]),
            p.get("part") == "own",
            float(p.get("caution", 0.0)),
            float(p.get("caution_rows", 1.0)),
        )

    def play(
        self, number: int, which: Integers, rewards: Integers, history: Integers
    ) -> tuple[Integers, Floats]:
        """Play one replication: the arms of all rounds (N,), and the pmf at the end (C, K).

        number : of the replication; keys the draws. which (N,) : context of each round. rewards (N, K) : what
        each arm would pay, in units of 2⁻¹⁶. history : arms of the first rounds, which are learned from only.
        """
        warm, total = len(history), len(which)
        draws = np.zeros(total, np.int64)
        draws[warm:] = [self._keyed.uniform(f"{number}/{t}", ARM_STAGE) for t in range(total - warm)]
        chosen, final = np.zeros(total, np.int64), np.zeros((len(self._phis), rewards.shape[1]))
        model = self._model.layout()
        lockstep.hierarchical.play(
            self._phis, which, rewards, draws, warm, history, *self._settings, chosen, final, *model
        )
        return chosen, final
