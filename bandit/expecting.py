"""What the executions of a bandit are expected to do: models that are fed with its log, in its order.

Known are the rows of a window that begins at a multiple of ``WINDOW``: at least so many rows and fewer than
twice as many, wherever the log ends. So whoever reads the log up to the same row expects the same, bit for
bit, and nothing is stored.

Only a decision's first contribution teaches: corrections change sums, never what was expected. Behind an
epoch's event the arm's success is learned anew, behind an alarm of its durations these are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ArmUnknown
from ..features import ONE, Encoder, Value
from ..features.expectations import AmountModel, SuccessModel
from .contribution import first_contribution
from .events import EventRow
from .log import LogRow, RewardRow, check_turn
from .prediction import Expected, PerformancePrediction, mixed_amount, mixed_success, notes_on
from .space import ArmSpace
from .spec import BanditSpec

__all__ = ["WINDOW", "Expectations", "window_start"]

WINDOW = 2000

Floats = npt.NDArray[np.float64]
_SMALLEST_S, _SMALLEST_COST = 1e-3, 1e-6
_LARGEST = 1e12
_MOST_NUMBERS = 1 << 23  # in the matrices of all arms: 64 MiB


def window_start(last: int, base: int = 0) -> int:
    """Number of the row behind which the window begins, where the log ends at ``last``.

    base : rows up to here may have been dropped.
    """
    return max(base, (last // WINDOW - 1) * WINDOW, 0)


class Expectations:
    """What the rows behind ``first`` let expect of a spec's arms.

    Memory is bounded by the arms and columns, not by the rows; with very many of both, the arms of a
    strategy share a model, and if need be all arms.
    """

    def __init__(self, spec: BanditSpec, first: int = 0) -> None:
        self._spec, self._arms, self._encoder = spec, spec.arms, Encoder(spec.context)
        self.first = self.seq = first
        """Number of the row behind which the window begins, and of the last row that was taken in."""
        self._dimension = self._encoder.dimension + self._arms.extra
        self._slots, tags = _slots(spec, self._dimension)
        self._duration = AmountModel(self._dimension, tags, _SMALLEST_S)
        self._cost = AmountModel(self._dimension, tags, _SMALLEST_COST)
        self._success = SuccessModel(self._dimension, tags)
        self._used = np.zeros(len(self._arms), np.int64)
        self._parameters = np.zeros((len(self._arms), self._arms.extra))

    def absorb(self, row: LogRow, context: Mapping[str, Any] | None = None) -> None:
        """Take the next row of the log in.

        ``context`` : the decision's, needed where φ was made by another encoding.

        Raises
        ------
        InputInvalid : the row is not the next one; nothing has changed.
        """
        check_turn(row.seq, self.seq, "expectations")
        self.seq = row.seq
        if isinstance(row, EventRow):
            self._note(row)
        elif isinstance(row, RewardRow) and row.outcome is not None:
            self._learn(row, context)

    def predict_workflow_performance(
        self, workflow_input: Mapping[str, Value], proposed_strategy: str
    ) -> PerformancePrediction:
        """What an execution is expected to do; changes nothing.

        Parameters
        ----------
        workflow_input : a context of the spec's schema.
        proposed_strategy : an arm id; or a strategy, which stands for its arms as they were used.

        Raises
        ------
        ContextInvalid, ArmUnknown : not of this spec.
        """
        phi = np.array(self._encoder.encode(workflow_input)[1], np.float64) / ONE
        candidates = self._candidates(proposed_strategy, phi)
        used = [int(self._used[unit]) for unit, _ in candidates]
        total = sum(used)
        weights = [n / total if total else 1.0 / len(used) for n in used]
        held = [
            (self._slots[unit], x, w) for (unit, x), w in zip(candidates, weights, strict=True) if w > 0.0
        ]
        success = mixed_success([(self._success.expect(slot, x), w) for slot, x, w in held], total)
        duration = self._amount(self._duration, held, _SMALLEST_S)
        cost = self._amount(self._cost, held, _SMALLEST_COST)
        return PerformancePrediction(
            proposed_strategy,
            success,
            duration,
            cost,
            self.first,
            self.seq,
            notes_on(proposed_strategy, success, duration, cost),
        )

    def expected_logs(self, context: Mapping[str, Value], arm_id: str) -> tuple[float | None, float | None]:
        """Middle of the logarithms of an arm's seconds and cost in a context; None where nobody reports it.

        Raises
        ------
        ContextInvalid, ArmUnknown : not of this spec.
        """
        phi = np.array(self._encoder.encode(context)[1], np.float64) / ONE
        unit, x = self._candidates(arm_id, phi)[0]
        outlooks = [model.expect(self._slots[unit], x) for model in (self._duration, self._cost)]
        seconds, cost = (None if outlook is None else outlook.middle for outlook in outlooks)
        return seconds, cost

    def _amount(
        self, model: AmountModel, held: Sequence[tuple[int, Floats, float]], smallest: float
    ) -> Expected:
        outlooks = [(model.expect(slot, x), weight) for slot, x, weight in held]
        return mixed_amount([(o, w) for o, w in outlooks if o is not None], model.scores, smallest)

    def _candidates(self, name: object, phi: Floats) -> list[tuple[int, Floats]]:
        """Units and x of the arms that a name stands for."""
        if not isinstance(name, str):
            raise ArmUnknown(
                "the proposed strategy is no name",
                expected=f"an arm id or one of the strategies {[s.name for s in self._arms.strategies][:8]}",
                found=f"{name!r:.80}",
                fix="pass the name as a string",
            )
        if isinstance(self._arms, ArmSpace):
            if name in self._arms.units:
                unit = self._arms.units.index(name)
                return [(unit, np.concatenate([phi, self._parameters[unit] / max(1, self._used[unit])]))]
        elif name in self._arms.spans:
            return [(unit, phi) for unit in self._arms.spans[name]]
        unit, arm = self._arms.follow(name)
        z = np.array(self._arms.encode(unit, arm.parameters), np.float64) / ONE
        return [(unit, np.concatenate([phi, z]))]

    def _learn(self, row: RewardRow, context: Mapping[str, Any] | None) -> None:
        seen = first_contribution(row, context, self._spec, self._encoder)
        if seen is None or row.outcome is None:
            return
        unit, phi = seen
        x = np.array(phi, np.float64) / ONE
        slot = self._slots[unit]
        self._used[unit] += 1
        self._parameters[unit] += x[self._encoder.dimension :]
        if isinstance(row.outcome.get("success"), bool):
            self._success.add(slot, x, row.outcome["success"])
        for model, name in ((self._duration, "duration_s"), (self._cost, "cost")):
            amount = _amount(row.outcome, name)
            if amount is not None:
                model.add(slot, x, amount)

    def _note(self, event: EventRow) -> None:
        units = self._arms.units
        for name in event.epochs:
            if name in units:
                self._success.restart(self._slots[units.index(name)])
        if event.monitor == "duration" and event.subject in units:
            self._duration.restart(self._slots[units.index(event.subject)])


def _amount(outcome: Mapping[str, Any], name: str) -> float | None:
    value = outcome.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if 0.0 <= value < _LARGEST else None


def _slots(spec: BanditSpec, dimension: int) -> tuple[list[int], list[tuple[int, ...]]]:
    """The model of each unit, and the tags of each model: its strategy, and its parameters' values."""
    arms = spec.arms
    units = len(arms)
    matrices = 3 * 2 * dimension * dimension
    if isinstance(arms, ArmSpace):
        shared = units * matrices > _MOST_NUMBERS
        return ([0] * units, [()]) if shared else (list(range(units)), [()] * units)
    strategies = list(arms.spans)
    if units * matrices > _MOST_NUMBERS:
        if len(strategies) * matrices > _MOST_NUMBERS:
            return [0] * units, [()]
        slots = [strategies.index(arm.strategy) for arm in arms]
        return slots, [()] * len(strategies)
    known: dict[tuple[str, str, object], int] = {}
    tags: list[tuple[int, ...]] = []
    for arm in arms:
        named: list[tuple[str, str, object]] = []
        if len(arms.spans[arm.strategy]) > 1 and len(strategies) > 1:
            named.append((arm.strategy, "", None))
        if len(arm.parameters) > 1:
            named += [
                (arm.strategy, key, level)
                for key, level in zip(sorted(arm.parameters), arm.levels, strict=True)
            ]
        tags.append(tuple(known.setdefault(name, len(known)) for name in named))
    return list(range(units)), tags
