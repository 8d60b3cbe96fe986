"""``evaluate_many``: many target policies over one log, and bootstraps in parts that may run anywhere.

A replicate of a bootstrap resamples by numbers of its own in one keyed stream, whoever draws them: any number
of workers, on this machine or on a Dask cluster, gives the bits of one process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise

import numpy as np

from ...errors import InputInvalid, shown
from ..tasks import run_tasks
from .estimate import Estimate, IntervalSpec
from .evaluate import Settings, evaluate
from .intervals import percentiles, resampled_means, resampled_ratios
from .logged import Floats, LoggedData
from .weights import overlay

__all__ = ["evaluate_many"]

_NAN = (float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class _Part(IntervalSpec):
    """Keeps replicates ``first`` … ``stop`` − 1 of the bootstrap in ``found``, an array an estimator."""

    first: int = 0
    stop: int = 0
    found: list[Floats] = field(default_factory=list)

    def bootstrap_of_mean(self, terms: Floats) -> tuple[float, float]:
        self.found.append(resampled_means(terms, self.seed, self.first, self.stop))
        return _NAN

    def bootstrap_of_ratio(self, top: Floats, bottom: Floats) -> tuple[float, float]:
        self.found.append(resampled_ratios(top, bottom, self.seed, self.first, self.stop))
        return _NAN


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What every task reads."""

    log: LoggedData
    targets: Mapping[str, Floats]
    estimators: tuple[str, ...]
    how: IntervalSpec
    settings: Settings
    outside_max: float


def evaluate_many(
    log: LoggedData,
    targets: Mapping[str, Floats],
    estimators: Sequence[str] = ("ips", "snips", "dr"),
    how: IntervalSpec = IntervalSpec("bootstrap"),  # noqa: B008 (frozen)
    settings: Settings = Settings(),  # noqa: B008 (frozen)
    *,
    outside_max: float = 0.0,
    parts: int = 1,
    workers: int = 1,
    backend: str = "processes",
    scheduler: str | None = None,
) -> dict[str, dict[str, Estimate]]:
    """``evaluate`` for every target, by name: the same numbers, bit for bit.

    Parameters
    ----------
    targets : pmf (n, K) or (K,) of each policy. outside_max : see ``overlay``.
    parts : tasks that each policy's bootstrap is cut into. Each fits the reward models anew, so that more
        parts than workers only cost.
    workers, backend, scheduler : see ``run_tasks``.

    Raises
    ------
    InputInvalid, LogInvalid, NoOverlap : see ``evaluate``, ``overlay`` and ``run_tasks``.
    """
    if type(parts) is not int or not 1 <= parts <= how.replicates:
        raise InputInvalid(
            "the number of parts is unusable",
            expected=f"a whole number from 1 to {how.replicates:,}, the replicates",
            found=shown(parts),
            fix="1, or workers per policy",
        )
    ends = (
        [how.replicates * part // parts for part in range(parts + 1)] if how.method == "bootstrap" else [0, 0]
    )
    tasks = [(name, first, stop) for name in targets for first, stop in pairwise(ends)]
    job = _Job(log, targets, tuple(estimators), how, settings, outside_max)
    pieces = iter(run_tasks(_work, job, tasks, workers=workers, backend=backend, scheduler=scheduler))
    found: dict[str, dict[str, Estimate]] = {}
    for name in targets:
        own = [next(pieces) for _ in pairwise(ends)]
        found[name] = own[0][0]
        if how.method == "bootstrap":
            for place, (estimator, one) in enumerate(own[0][0].items()):
                values = np.concatenate([replicates[place] for _, replicates in own])
                low, high = percentiles(values, how.confidence)
                found[name][estimator] = replace(one, interval=replace(one.interval, low=low, high=high))
    return found


def _work(job: _Job, task: tuple[str, int, int]) -> tuple[dict[str, Estimate], list[Floats]]:
    name, first, stop = task
    over = overlay(job.log, job.targets[name], outside_max=job.outside_max)
    own = {each.name: getattr(job.how, each.name) for each in fields(IntervalSpec)}
    how = _Part(**own, first=first, stop=stop)
    return evaluate(over, tuple(dict.fromkeys(job.estimators)), how, job.settings), how.found
