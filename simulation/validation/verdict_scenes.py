"""Worlds and logs on which the verdict is checked: what is true of every row is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ..keys import key_of
from ..lockstep.logs import DECLINING, HOLDOUT, IMPROVING, INCUMBENT, THOMPSON, UNIFORM, write_log
from ..verdict import kernels
from ..verdict.bounds import Contrasts, cap_for
from .regret import SEED

__all__ = ["FACTOR", "Against", "Scene", "Simulated", "simulated"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Against: TypeAlias = Literal["arm", "logged"]

FACTOR = 1.2
"""Every check asks for 20 % more."""
_KINDS = {
    "uniform": UNIFORM,
    "80% incumbent": INCUMBENT,
    "thompson": THOMPSON,
    "thompson, drift": THOMPSON,
    "improving": IMPROVING,
    "declining": DECLINING,
    "10% holdout": HOLDOUT,
}
_SHARE_MEAN = 0.525  # of the target arm in a log that improves or declines


@dataclass(frozen=True, slots=True)
class Scene:
    """A world, and how it is logged.

    logging : one of ``_KINDS``. against : the baseline arm, or the logging policy. composite : 0 for
    successes. ratio : of the target's running average to the baseline's, at the last row. level : of the
    baseline's means (the logging policy's), averaged over contexts.
    """

    logging: str
    against: Against
    arms: int = 6
    contexts: int = 1
    composite: float = 0.0
    ratio: float = FACTOR
    level: float = 0.5

    @property
    def text(self) -> str:
        """In a few words."""
        value = "composite" if self.composite else "0/1"
        against = "baseline arm" if self.against == "arm" else "logging policy"
        return f"{self.logging} log, {self.arms}x{self.contexts}, {value}, vs {against}"

    @property
    def target(self) -> Integers:
        """The arm that the target policy takes in each context."""
        return np.array([1 + c % (self.arms - 1) for c in range(self.contexts)], np.int64)

    def means(self) -> tuple[Floats, Floats]:
        """Mean of each arm by context, in the first half of the rows and in the second, (C, K) each.

        The baseline is arm 0. Where the world drifts, the target is below the ratio at first, and above it
        then, so that its running average never exceeds the ratio.
        """
        level = self.level + 0.1 * (np.arange(self.contexts) - 0.5 * (self.contexts - 1)) / max(
            self.contexts - 1, 1
        )
        table = np.repeat(level[:, None], self.arms, axis=1)
        rows = np.arange(self.contexts)
        if self.against == "arm":
            table *= 0.9
            table[:, 0] = level
            table[rows, self.target] = self.ratio * level
        else:
            share = {"uniform": 1.0 / self.arms, "80% incumbent": 0.2 / (self.arms - 1)}.get(
                self.logging, _SHARE_MEAN
            )
            # The logging policy's mean is the level: share·ratio·level + (1 − share)·m₀.
            table *= (1.0 - share * self.ratio) / (1.0 - share)
            table[rows, self.target] = self.ratio * level
        early, late = table.copy(), table.copy()
        if self.logging.endswith("drift"):
            early[rows, self.target] -= 0.15
            late[rows, self.target] += 0.15
        return early, late


@dataclass(frozen=True, eq=False, slots=True)
class Simulated:
    """One log: pmf (n, K), context, arm, value (n,); the policies' tables (C, K); the truth of each row
    (n,).
    """

    pmf: Floats
    context: Integers
    arm: Integers
    value: Floats
    target: Floats
    baseline: Floats | None
    truth: Floats
    binary: bool

    @property
    def contrasts(self) -> Contrasts:
        """D of each row, as ``RowBounds`` has it."""
        count, arms = self.target.shape
        d, gaps = np.empty(len(self.arm)), np.empty(len(self.arm))
        nothing = np.zeros((1, 1))
        x, p = int(self.context[0]), self.pmf[0]
        second = p if self.baseline is None else self.baseline[x]
        cap = cap_for(self.target[x] - FACTOR * second, p)
        kernels.contrasts(
            1.0,
            self.target,
            False,
            FACTOR,
            nothing if self.baseline is None else self.baseline,
            self.baseline is None,
            self.context,
            self.pmf,
            True,
            self.context,
            self.arm,
            self.value,
            cap,
            np.zeros((count + 1, arms, 2)),
            d,
            gaps,
        )
        return Contrasts(d, gaps, cap, FACTOR + cap)


def simulated(scene: Scene, rows: int, replication: int) -> Simulated:
    """Replication number ``replication`` of a scene."""
    early, late = scene.means()
    pmf = np.empty((rows, scene.arms))
    context, arm = np.empty(rows, np.int64), np.empty(rows, np.int64)
    value = np.empty(rows)
    start, step = key_of(SEED, replication, scene.text)
    wanted = int(scene.target[0])
    write_log(
        _KINDS[scene.logging], early, late, 0, wanted, scene.composite, start, step, pmf, context, arm, value
    )
    target = np.zeros((scene.contexts, scene.arms))
    target[np.arange(scene.contexts), scene.target] = 1.0
    baseline = None
    if scene.against == "arm":
        baseline = np.zeros_like(target)
        baseline[:, 0] = 1.0
    first = 2 * np.arange(rows) < rows
    truth = np.empty(rows)
    for now, means in ((first, early), (~first, late)):
        aim = (target * means).sum(axis=1).mean()
        if baseline is not None:
            truth[now] = aim - FACTOR * means[:, 0].mean()
        else:
            truth[now] = aim - FACTOR * (pmf[now] @ means.mean(axis=0))
    return Simulated(pmf, context, arm, value, target, baseline, truth, scene.composite == 0.0)
