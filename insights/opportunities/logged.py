"""Executions as a log that other choices can be judged on: arms, chances, and a reward model of each arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...simulation.offpolicy import LoggedData, cross_fit
from ..columns import Codes, cells_of
from ..executed import Executed, Plain

__all__ = ["Choices", "choices_of"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_CELLS = 8_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """n executions that a policy chose, with known propensities, in their order.

    arms : K ids; ``strategies``, ``parameters`` : of each, as far as executions tell. arm, reward,
    propensity (n,). chances (n, K) : probability of each arm in each execution; None where that is
    unknown. q (n, K) : modelled reward, by a model that has not seen the row. cell : of each.
    """

    rows: tuple[Executed, ...]
    arms: tuple[str, ...]
    strategies: tuple[str, ...]
    parameters: tuple[dict[str, Plain], ...]
    arm: Integers
    reward: Floats
    propensity: Floats
    chances: Floats | None
    q: Floats
    cell: Codes
    cut: int

    def __len__(self) -> int:
        return len(self.rows)

    def offered(self, arm: int) -> npt.NDArray[np.bool_]:
        """Executions in which the arm could have come; all, where chances are unknown."""
        if self.chances is None:
            return np.ones(len(self), bool)
        found: npt.NDArray[np.bool_] = self.chances[:, arm] > 0.0
        return found


def choices_of(executions: Sequence[Executed], by: Sequence[str], seed: int) -> Choices | None:
    """What can be judged; None below two executions that can.

    Of a log that is too long for its number of arms the newest executions are taken; ``cut`` says how many
    were left out.
    """
    usable = [
        e for e in executions if e.reward is not None and e.propensity is not None and e.reward == e.reward
    ]
    cells = cells_of(usable, by)
    usable = [e for e, code in zip(usable, cells.code.tolist(), strict=True) if code >= 0]
    told: dict[str, tuple[str, dict[str, Plain]]] = {}
    for e in usable:
        told.setdefault(_arm(e), (e.strategy, dict(e.parameters)))
    known = all(e.chances is not None and _arm(e) in e.chances for e in usable)
    named = set(told)
    for e in usable if known else ():
        named.update(e.chances or ())
    arms = tuple(sorted(named))
    most = max(1000, _MOST_CELLS // max(1, len(arms)))
    cut = max(0, len(usable) - most)
    usable = usable[cut:]
    if len(usable) < 2:
        return None
    place = {arm: i for i, arm in enumerate(arms)}
    arm = np.array([place[_arm(e)] for e in usable], np.int64)
    chances = _chances(usable, place) if known else None
    propensity = np.array([e.propensity for e in usable], np.float64)
    if chances is not None:
        propensity = chances[np.arange(len(usable)), arm]
    reward = np.clip(np.array([e.reward for e in usable], np.float64), 0.0, 1.0)
    cell = cells_of(usable, by)
    log = LoggedData(
        arms,
        arm,
        reward,
        propensity,
        cell=cell.code,
        cells=tuple(", ".join(f"{n}={v}" for n, v in label) or "all" for label in cell.labels),
    )
    q = cross_fit(log, model="cells", folds=5, seed=seed)
    return Choices(
        tuple(usable),
        arms,
        tuple(told[a][0] if a in told else a.partition("(")[0] for a in arms),
        tuple(told[a][1] if a in told else {} for a in arms),
        arm,
        reward,
        propensity,
        chances,
        q,
        cell,
        cut,
    )


def _arm(execution: Executed) -> str:
    if execution.arm_id is not None:
        return execution.arm_id
    told = ",".join(f"{name}={value}" for name, value in sorted(execution.parameters.items()))
    return f"{execution.strategy}({told})" if told else execution.strategy


def _chances(rows: Sequence[Executed], place: dict[str, int]) -> Floats:
    found = np.zeros((len(rows), len(place)))
    for i, e in enumerate(rows):
        for arm, chance in (e.chances or {}).items():
            found[i, place[arm]] = chance
    found /= found.sum(axis=1, keepdims=True)
    return found
