"""Worlds whose truth is known, one a file; ``world_from_dict`` makes one from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import SpecInvalid, shown
from .base import NEVER, Rounds, Segments, World
from .bernoulli import Bernoulli, RandomBernoulli
from .cells import Cells
from .delayed import Delayed
from .fitted import Fitted
from .gaussian import Gaussian
from .history import History
from .linear import Linear
from .orchestration import Orchestration
from .piecewise import PROBLEM_1, PROBLEM_2, Piecewise
from .scenarios import SCENARIOS

__all__ = [
    "KINDS",
    "NEVER",
    "PRESETS",
    "PROBLEM_1",
    "PROBLEM_2",
    "SCENARIOS",
    "Bernoulli",
    "Cells",
    "Delayed",
    "Fitted",
    "Gaussian",
    "History",
    "Linear",
    "Orchestration",
    "Piecewise",
    "RandomBernoulli",
    "Rounds",
    "Segments",
    "World",
    "world_from_dict",
]

KINDS: Mapping[str, type[World]] = {
    world.kind: world
    for world in (
        Bernoulli,
        Cells,
        Delayed,
        Fitted,
        Gaussian,
        History,
        Linear,
        Orchestration,
        Piecewise,
        RandomBernoulli,
    )
}
"""Every kind of world, by the name that documents use."""

PRESETS: Mapping[str, World] = {
    "pb1": PROBLEM_1,
    "pb2": PROBLEM_2,
    "orchestration": Orchestration(),
    **SCENARIOS,
}
"""Worlds that have a name of their own."""


def world_from_dict(document: Mapping[str, Any]) -> World:
    """The world that ``to_dict`` wrote, or that a user described.

    >>> world_from_dict({"kind": "bernoulli", "means": [0.9, 0.8]}).means
    (0.9, 0.8)

    Raises
    ------
    SpecInvalid : an unknown kind, or fields that it does not take.
    """
    kind = document.get("kind") if isinstance(document, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise SpecInvalid(
            "the world is of no known kind",
            expected=f"an object whose 'kind' is one of {sorted(KINDS)}",
            found=shown(document),
            fix='for example {"kind": "bernoulli", "means": [0.9, 0.8]}',
        )
    return KINDS[kind].from_dict(document)
