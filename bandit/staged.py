"""Choice in a space too large to list: the strategy first, then its parameters one by one, by the chain rule.

    P(arm) = P(strategy) · Π_parameters P(value | strategy, the values before)

Each factor is a stage of the decision with its own pmf, floor and keyed draw, so that the propensity is the
exact product. Under ``hier_ts`` the model is the factored linear one: a strategy's level and context
interactions, and for each parameter the effects of its values (a cubic, for a range). The stages are

* strategy: Thompson sampling among the strategies, each at its parameter values of best posterior mean;
* a listed parameter: Thompson sampling among the effects of its values;
* a range: the same among the effects at the middles of 9 cells, then of 9 cells inside the chosen one.

In each stage the sampled effects are independent normals with their posterior marginals, and the pmf is the
exact integral. Those of strategies are moved up by ``optimism`` of their sds; those of parameters are not:
the least known values of a curve are its ends, and optimism would stay there. The two ratios of the prior are
a hidden variable of the chain: each draw re-weighs them by Bayes' rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import kernels
from .arms import Arm
from .choice import TOTAL, Keyed
from .decision import Beliefs, Stage
from .forgetting import Forgetting
from .guardrails.acting import Rules
from .joint import numbers
from .parameters import CELLS, DEPTH, ParameterValue, Range, encode_level, encode_position, position
from .policies.base import Contenders, Floats
from .policies.factored import FactoredModel
from .space import BASELINE_STAGE, STRATEGY_STAGE, ArmSpace
from .spec import BanditSpec
from .strategies import spelled
from .sums import Sums

__all__ = ["StagedChooser"]


@dataclass(frozen=True, slots=True)
class _Grid:
    """The values that one stage offers: their spelling, their columns in ψ (V, size), and the values
    themselves.
    """

    names: tuple[str, ...]
    points: Floats
    values: tuple[ParameterValue, ...]


class StagedChooser:
    """Draws the stages of a decision from the factored model; under ``uniform``, every stage is uniform."""

    def __init__(
        self, spec: BanditSpec, space: ArmSpace, groups: tuple[int, ...], sums: Sums, keyed: Keyed
    ) -> None:
        self._space, self._sums, self._keyed = space, sums, keyed
        self._floor = spec.policy.floor
        self._baseline = None if spec.baseline_arm is None else space.locate(spec.baseline_arm)
        common = spec.policy.common
        self._forgetting = Forgetting.of(common, sums)
        self._model = None
        if spec.policy.name != "uniform":
            number = {key: float(value) for key, value in spec.policy.parameters.items()}
            self._model = FactoredModel(space, groups, number)
        self._grids: dict[tuple[int, int, tuple[int, ...]], _Grid] = {}
        self._best: list[tuple[dict[str, ParameterValue], Floats]] = []

    def choose(
        self,
        phi: Sequence[int],
        allowed: tuple[int, ...] | None,
        decision_id: str,
        rules: Rules | None = None,  # noqa: ARG002 (those that act on a pmf need listed arms)
    ) -> tuple[tuple[Stage, ...], int, Arm, str]:
        """Draw all stages; returns them, the strategy's index, the arm and the reason."""
        self._refresh()
        chain = _Chain(self._keyed, decision_id, self._floor, self._model)
        unit = chain.draw(STRATEGY_STAGE, self._space.units, self._mask(allowed), self._strategies(phi))
        values: dict[str, ParameterValue] = {}
        for number, parameter in enumerate(self._space.parameters[unit]):
            cells: tuple[int, ...] = ()
            for depth in range(DEPTH if isinstance(parameter.values, Range) else 1):
                grid = self._grid(unit, number, cells)
                moments = None if self._model is None else self._model.effects(unit, grid.points)
                stage = f"{self._space.units[unit]}.{parameter.name}" + (f"/{depth + 1}" if depth else "")
                drawn = chain.draw(stage, grid.names, np.ones(len(grid.names), np.bool_), moments)
                cells = (*cells, drawn)
                values[parameter.name] = grid.values[drawn]
        return tuple(chain.stages), unit, self._space.arm(unit, values), "policy"

    def serve_baseline(self) -> tuple[tuple[Stage, ...], int, Arm]:
        """The baseline arm, for certain."""
        assert self._baseline is not None  # noqa: S101 (the spec saw to it)
        unit, arm = self._baseline
        return (Stage(BASELINE_STAGE, (arm.arm_id,), (TOTAL,), 0),), unit, arm

    def increments(self, propensity: float, reward: int, seq: int) -> tuple[int, ...]:  # noqa: ARG002
        """No policy that chooses in stages declares further statistics."""
        return ()

    def beliefs(self, phi: Sequence[int], allowed: tuple[int, ...] | None) -> list[Beliefs]:
        """For each strategy: its best arm in the posterior mean, mean and sd, and the strategy's
        probability.
        """
        self._refresh()
        mask, counts = self._mask(allowed), self._sums.totals[:, 0]
        chain = _Chain(self._keyed, "", self._floor, self._model)
        mass = chain.pmf(mask, self._strategies(phi)).tolist()
        mean = sd = np.full(len(self._space), np.nan)
        names: Sequence[str] = self._space.units
        if self._model is not None:
            names = [self._space.arm(unit, values).arm_id for unit, (values, _) in enumerate(self._best)]
            means, _, wholes = self._strategy_points(phi)
            mean, sd = self._model.moments(means, wholes)
        return [
            Beliefs(name, float(mean[i]), float(sd[i]), mass[i] / TOTAL, int(counts[i]))
            for i, name in enumerate(names)
        ]

    def contenders(self, phi: Sequence[int], arms: Sequence[Arm]) -> Contenders:
        """What the policy holds of these arms as rivals of each other; NaN under ``uniform``."""
        self._refresh()
        model, shape = self._model, (1 if self._model is None else len(self._model.weight), len(arms))
        weight = np.ones(1) if model is None else model.weight.copy()
        found = Contenders(weight, *(np.full(shape, np.nan) for _ in range(3)))
        if model is None:
            return found
        context = numbers(phi)
        for i, arm in enumerate(arms):
            unit = self._space.units.index(arm.strategy)
            z = self._space.encode(unit, arm.parameters)[: model.sizes[unit] - model.dimension]
            point = np.concatenate([context, numbers(z)])[None, :]
            for column, values in zip(found[1:], model.points(unit, context, point), strict=True):
                column[:, i] = values[:, 0]
        return found

    def _refresh(self) -> None:
        if self._forgetting is not None:
            if not self._forgetting.due:
                return
            changed, reading = self._forgetting.refresh(), self._forgetting.reading
        elif self._sums.stale:
            changed, reading = self._sums.refresh(), self._sums.reading
        else:
            return
        if self._model is not None:
            self._model.refresh(reading, changed)
            self._best = [self._best_of(unit, self._model) for unit in range(len(self._space))]

    def _mask(self, allowed: tuple[int, ...] | None) -> npt.NDArray[np.bool_]:
        mask = np.ones(len(self._space), np.bool_)
        if allowed is not None:
            mask[:] = False
            mask[list(allowed)] = True
        return mask

    def _strategies(self, phi: Sequence[int]) -> tuple[Floats, Floats] | None:
        if self._model is None:
            return None
        means, owns, _ = self._strategy_points(phi)
        return means + self._model.optimism * np.sqrt(owns), owns

    def _strategy_points(self, phi: Sequence[int]) -> tuple[Floats, Floats, Floats]:
        """Mean, own and whole variance, each (R, S), of every strategy at its best parameter values."""
        model = self._model
        assert model is not None  # noqa: S101 (callers have asked)
        context = numbers(phi)
        shape = (len(model.weight), len(self._best))
        means, owns, wholes = np.empty(shape), np.empty(shape), np.empty(shape)
        for unit, (_, z) in enumerate(self._best):
            mean, own, whole = model.points(unit, context, np.concatenate([context, z])[None, :])
            means[:, unit], owns[:, unit], wholes[:, unit] = mean[:, 0], own[:, 0], whole[:, 0]
        return means, owns, wholes

    def _best_of(self, unit: int, model: FactoredModel) -> tuple[dict[str, ParameterValue], Floats]:
        """The parameter values of a strategy that have the best posterior mean, and their z."""
        values: dict[str, ParameterValue] = {}
        for number, parameter in enumerate(self._space.parameters[unit]):
            cells: tuple[int, ...] = ()
            for _ in range(DEPTH if isinstance(parameter.values, Range) else 1):
                grid = self._grid(unit, number, cells)
                means, _ = model.effects(unit, grid.points)
                drawn = int(np.argmax((model.weight[:, None] * means).sum(axis=0)))
                cells = (*cells, drawn)
                values[parameter.name] = grid.values[drawn]
        z = self._space.encode(unit, values)[: model.sizes[unit] - model.dimension]
        return values, numbers(z)

    def _grid(self, unit: int, number: int, cells: tuple[int, ...]) -> _Grid:
        """What a stage offers; cells: the coarser cells that were chosen before."""
        key = (unit, number, cells)
        if key not in self._grids:
            parameter = self._space.parameters[unit][number]
            start, size = self._space.dimension_of_phi + parameter.column, self._space.size(unit)
            if isinstance(parameter.values, Range):
                codes = [encode_position(position((*cells, cell))) for cell in range(CELLS)]
                values: tuple[ParameterValue, ...] = tuple(
                    parameter.values.value((*cells, cell)) for cell in range(CELLS)
                )
            else:
                values = parameter.values
                codes = [encode_level(level, len(values)) for level in range(len(values))]
            points = np.zeros((len(codes), size))
            for i, code in enumerate(codes):
                points[i, start : start + len(code)] = numbers(code)
            self._grids[key] = _Grid(tuple(spelled(value) for value in values), points, values)
        return self._grids[key]


class _Chain:
    """The stages drawn so far, and what they say about the ratio."""

    def __init__(self, keyed: Keyed, decision_id: str, floor: float, model: FactoredModel | None) -> None:
        self._keyed, self._id, self._floor, self._model = keyed, decision_id, floor, model
        self._weight = np.ones(1) if model is None else model.weight.copy()
        self.stages: list[Stage] = []

    def draw(
        self,
        name: str,
        names: tuple[str, ...],
        mask: npt.NDArray[np.bool_],
        moments: tuple[Floats, Floats] | None,
    ) -> int:
        pmf = self.pmf(mask, moments)
        drawn = int(kernels.choice.draw(pmf, self._keyed.uniform(self._id, name)))
        self.stages.append(Stage(name, names, tuple(pmf.tolist()), drawn))
        # Bayes' rule for the ratio, given what was drawn (floor included).
        likelihood = (1.0 - self._floor) * self._parts[:, drawn] + self._floor / mask.sum()
        self._weight = self._weight * likelihood
        self._weight /= self._weight.sum()
        return drawn

    def pmf(
        self, mask: npt.NDArray[np.bool_], moments: tuple[Floats, Floats] | None
    ) -> npt.NDArray[np.int64]:
        """Mass of each name, in units of 2⁻³²."""
        k = len(mask)
        self._parts = np.zeros((len(self._weight), k))
        if moments is None or self._model is None:
            self._parts[:] = mask / mask.sum()
        else:
            means, owns = moments
            for ratio in range(len(self._weight)):
                sd = self._model.caution * np.sqrt(owns[ratio])
                kernels.best_arm.best_arm_gaussian(means[ratio], sd, mask, self._parts[ratio])
        mixed = np.zeros(k)
        for ratio, weight in enumerate(self._weight):
            mixed += weight * self._parts[ratio]
        units = np.zeros(k, np.int64)
        kernels.choice.quantise(mixed, mask, self._floor, units)
        return units
