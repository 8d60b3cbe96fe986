"""``evaluate``: estimators by name, over a log and a target policy, with models fitted as they should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import InputInvalid, shown
from .doubly_robust import dm, dr, dr_shrunk, mrdr_weights, switch_dr
from .estimate import Estimate, IntervalSpec
from .importance import clipped_ips, ips, snips
from .logged import Floats
from .models import Model, cross_fit
from .rejection import rejection
from .weights import Overlay, known_propensities

__all__ = ["ESTIMATORS", "Settings", "evaluate"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What estimators can be told.

    clip : limit of clipped weights. switch : weight above which SWITCH-DR leaves a row to the model.
    shrinkage : λ of DRos. model, folds, seed : of the cross-fitted reward model; the seed is that of a
    replay's draws, too.
    """

    clip: float = 10.0
    switch: float = 10.0
    shrinkage: float = 100.0
    model: Model = "auto"
    folds: int = 5
    seed: int = 0


class _Asked:
    """One overlay and its models, each fitted at most once."""

    def __init__(self, over: Overlay, how: IntervalSpec, settings: Settings) -> None:
        self.over, self.how, self.settings = over, how, settings
        self._q: dict[str, Floats] = {}

    def q(self, weighting: str = "plain") -> Floats:
        if weighting not in self._q:
            over, settings = self.over, self.settings
            weight = None
            if weighting == "mrdr":
                weight = mrdr_weights(over.weight, known_propensities(over.log))
                weight = weight if weight.any() else None
            self._q[weighting] = cross_fit(
                over.log, model=settings.model, folds=settings.folds, seed=settings.seed, weight=weight
            )
        return self._q[weighting]


def _replay(asked: _Asked) -> Estimate:
    over = asked.over
    return rejection(over.log.reward, over.weight, asked.how, seed=asked.settings.seed)


def _ips(asked: _Asked) -> Estimate:
    return ips(asked.over.log.reward, asked.over.weight, asked.how)


def _clipped(asked: _Asked) -> Estimate:
    return clipped_ips(asked.over.log.reward, asked.over.weight, asked.settings.clip, asked.how)


def _snips(asked: _Asked) -> Estimate:
    return snips(asked.over.log.reward, asked.over.weight, asked.how)


def _dm(asked: _Asked) -> Estimate:
    return dm(asked.over.target, asked.q(), asked.over.weight, asked.how)


def _dr(asked: _Asked) -> Estimate:
    o = asked.over
    return dr(o.log.reward, o.weight, o.log.arm, o.target, asked.q(), asked.how)


def _switch(asked: _Asked) -> Estimate:
    o = asked.over
    return switch_dr(o.log.reward, o.weight, o.log.arm, o.target, asked.q(), asked.settings.switch, asked.how)


def _shrunk(asked: _Asked) -> Estimate:
    o = asked.over
    return dr_shrunk(
        o.log.reward, o.weight, o.log.arm, o.target, asked.q(), asked.settings.shrinkage, asked.how
    )


def _mrdr(asked: _Asked) -> Estimate:
    o = asked.over
    return dr(o.log.reward, o.weight, o.log.arm, o.target, asked.q("mrdr"), asked.how, name="mrdr")


ESTIMATORS: Mapping[str, Callable[[_Asked], Estimate]] = {
    "replay": _replay,
    "ips": _ips,
    "clipped_ips": _clipped,
    "snips": _snips,
    "dm": _dm,
    "dr": _dr,
    "switch_dr": _switch,
    "dr_shrunk": _shrunk,
    "mrdr": _mrdr,
}
"""By name."""


def evaluate(
    over: Overlay,
    estimators: Sequence[str] = ("ips", "snips", "dr"),
    how: IntervalSpec = IntervalSpec(),  # noqa: B008 (frozen)
    settings: Settings = Settings(),
) -> dict[str, Estimate]:
    """Estimate the value of a target policy; models are always cross-fitted.

    Where an estimator has no interval of the kind asked for (SNIPS has only normal and bootstrap), that is an
    error: ask for it apart.

    Raises
    ------
    InputInvalid : an unknown name, or an interval that does not fit. LogInvalid, NoOverlap : see the
    estimators.
    """
    for name in estimators:
        if name not in ESTIMATORS:
            raise InputInvalid(
                "the estimator is unknown",
                expected=f"one of {list(ESTIMATORS)}",
                found=shown(name),
                fix="choose one of these",
            )
    asked = _Asked(over, how, settings)
    return {name: ESTIMATORS[name](asked).noted(over.notes, over.log.source) for name in estimators}
