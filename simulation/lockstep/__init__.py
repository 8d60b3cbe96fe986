"""Compiled simulation loops; loaded on first use, like ``bandit.kernels``, whose functions they call."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import arms, counter, hierarchical, keyed, linear, rewards, sampled, tally, watched, ziggurat

__all__ = [
    "arms",
    "counter",
    "hierarchical",
    "keyed",
    "linear",
    "rewards",
    "sampled",
    "tally",
    "watched",
    "ziggurat",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(name)
