"""Compiled loops on plain arrays; loaded on first use: loading the compiler takes a third of a second.

``from .. import kernels`` is cheap; ``kernels.indices`` loads that file. The functions use only IEEE + − × ÷
√ in a fixed order, so that their results are the same bits on every machine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        bernoulli,
        best_arm,
        choice,
        elimination,
        factored,
        hierarchical,
        indices,
        posteriors,
        ridge,
        shares,
        statistics,
    )

__all__ = [
    "bernoulli",
    "best_arm",
    "choice",
    "elimination",
    "factored",
    "hierarchical",
    "indices",
    "posteriors",
    "ridge",
    "shares",
    "statistics",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(name)
