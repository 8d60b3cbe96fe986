"""All curves of all strategies, and which of them matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import InputInvalid, shown
from ..evidence import adjusted
from ..executed import Executed
from ..patterns.analysis import check_questions
from .chosen import chosen_curves
from .curves import ResourcePattern, ResourcePatterns
from .knees import Terms
from .reached import reached_curves

__all__ = ["analyze_resource_patterns", "check_margin"]


def check_margin(margin: object) -> float:
    """How far below the best a knee may be.

    Raises
    ------
    InputInvalid : no number between 0 and .5.
    """
    if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0.0 < margin < 0.5:
        raise InputInvalid(
            "the margin is unusable",
            expected="a number between 0 and 0.5: 0.02 for two percentage points of success",
            found=shown(margin),
            fix="leave it out, or choose one of these",
        )
    return float(margin)


def analyze_resource_patterns(
    executions: Sequence[Executed],
    *,
    margin: float = 0.02,
    min_count: int = 20,
    coverage: float = 0.95,
    false_discovery_rate: float = 0.05,
    seed: int = 0,
) -> ResourcePatterns:
    """How much of each resource it takes: parameters, seconds and retries against outcome, and their knees.

    Parameters
    ----------
    margin : how far below the best success, or reward, still is good enough. min_count : executions of each
    value of a parameter, and of each curve. coverage : of all intervals. false_discovery_rate : of curves of
    parameters that are said to matter. seed : of the bootstrap.

    Raises
    ------
    InputInvalid : a number out of its domain.
    """
    margin = check_margin(margin)
    check_questions(min_count, coverage, false_discovery_rate)
    by_strategy: dict[str, list[Executed]] = defaultdict(list)
    for e in executions:
        by_strategy[e.strategy].append(e)
    found: list[ResourcePattern] = []
    thin = 0
    terms = Terms(margin, min_count, coverage, np.random.default_rng([seed, 0x6E]))
    for strategy, rows in sorted(by_strategy.items()):
        for curve in (
            *chosen_curves(strategy, rows, terms),
            *reached_curves(strategy, rows, terms),
        ):
            if curve is None:
                thin += 1
            else:
                found.append(curve)
    return ResourcePatterns(
        _judged(found, false_discovery_rate),
        len(executions),
        thin,
        margin,
        min_count,
        coverage,
        false_discovery_rate,
        None if found else f"not enough evidence: no resource has {min_count} executions at two values",
    )


def _judged(found: Sequence[ResourcePattern], rate: float) -> tuple[ResourcePattern, ...]:
    """A chosen curve has a knee where its values differ: otherwise the smallest is as good as any."""
    asked = iter(adjusted([c.p for c in found if c.p is not None]))
    judged = []
    for curve in found:
        if curve.p is None:
            judged.append(curve)
            continue
        q = next(asked)
        if q <= rate:
            judged.append(replace(curve, q=q))
        else:
            reason = f"its values are not known to differ (q {q:.2g}): the smallest may do"
            judged.append(replace(curve, q=q, knee=None, knee_low=None, knee_high=None, reason=reason))
    return tuple(judged)
