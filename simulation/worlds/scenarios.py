"""A hundred workflows: small scenarios of an orchestrator with an incumbent, and what could be reached.

Each has three task types that come equally often. The ceiling is the best arm of each task type:

===================  ==========  =============  ========  ======================================
scenario             arms        incumbent      ceiling   what there is to learn
===================  ==========  =============  ========  ======================================
main effect          6           .60            .82       one arm is best at everything
interaction          6           .62            .85       each task type has a best arm of its own
parameter grid       4 × 3 × 3   .565           .825      strategy, workers and timeout add up
===================  ==========  =============  ========  ======================================

With ``_composite`` the same means belong to graded rewards of sd .15 instead of successes and failures.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...bandit import Strategy
from .cells import Cells

__all__ = ["SCENARIOS"]

_TASK_TYPES = ("research", "coding", "analysis")
_NAMES = ("direct", "sequential", "parallel", "recursive", "debate", "delegate")
_COMPOSITE_SD = 0.15

# Rows: task types; columns: _NAMES. Where a row of small interactions is added, it sums to 0 over task types.
_MAIN_EFFECT = (
    (0.65, 0.59, 0.71, 0.85, 0.53, 0.66),
    (0.55, 0.50, 0.62, 0.79, 0.47, 0.54),
    (0.60, 0.53, 0.65, 0.82, 0.50, 0.60),
)
# No arm by itself reaches 1.2 times the incumbent: the best of them, 'sequential' and the two after it, are
# worth .69.
_INTERACTION = (
    (0.62, 0.85, 0.60, 0.62, 0.55, 0.58),
    (0.66, 0.62, 0.85, 0.60, 0.52, 0.60),
    (0.58, 0.60, 0.62, 0.85, 0.49, 0.56),
)
_BASE = 0.595217
_STRATEGY = {"sequential": 0.0, "parallel": 0.12, "recursive": 0.06, "debate": -0.06}
_WORKERS = {2: -0.03, 4: 0.0, 8: 0.06}
_TIMEOUT = {30: 0.0, 60: 0.05, 120: -0.05}
_TASK = (0.04, -0.05, 0.01)
_STRATEGY_TASK = {
    "sequential": (0.02, -0.01, -0.01),
    "parallel": (-0.01, 0.02, -0.01),
    "recursive": (-0.02, 0.0, 0.02),
    "debate": (0.01, -0.01, 0.0),
}


def _small(means: tuple[tuple[float, ...], ...], sd: float | None) -> Cells:
    return Cells([Strategy(name) for name in _NAMES], means, _TASK_TYPES, sd=sd, baseline_arm="direct")


def _grid(sd: float | None) -> Cells:
    grid = {"workers": list(_WORKERS), "timeout_s": list(_TIMEOUT)}
    strategies = [Strategy(name, grid) for name in _STRATEGY]
    means = [
        [
            round(
                _BASE
                + task
                + _STRATEGY[name]
                + _STRATEGY_TASK[name][c]
                + _WORKERS[workers]
                + _TIMEOUT[timeout],
                9,
            )
            for name in _STRATEGY
            for timeout in _TIMEOUT  # parameters vary in sorted order, the last one fastest
            for workers in _WORKERS
        ]
        for c, task in enumerate(_TASK)
    ]
    return Cells(strategies, means, _TASK_TYPES, sd=sd, baseline_arm="sequential(timeout_s=30,workers=2)")


SCENARIOS: Mapping[str, Cells] = {
    "main_effect": _small(_MAIN_EFFECT, None),
    "main_effect_composite": _small(_MAIN_EFFECT, _COMPOSITE_SD),
    "interaction": _small(_INTERACTION, None),
    "interaction_composite": _small(_INTERACTION, _COMPOSITE_SD),
    "parameter_grid": _grid(None),
    "parameter_grid_composite": _grid(_COMPOSITE_SD),
}
"""The scenarios by name."""
