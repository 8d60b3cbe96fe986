"""A learner's twin: the same state, apart from it, so that what is tried there leaves no trace."""

from __future__ import annotations

import copy

from ..learner import Learner
from ..sums import Sums

__all__ = ["twin_of"]


def twin_of(learner: Learner) -> Learner:
    """A learner of the same spec that knows the same, and shares nothing that either changes."""
    known = learner.sums
    sums = Sums(known.arms, known.dimension, known.bucket_rows, known.further)
    sums.blocks = {key: block.copy() for key, block in known.blocks.items()}
    sums.epochs, sums.seq, sums.totals = list(known.epochs), known.seq, known.totals.copy()
    twin = Learner(learner.spec, sums)
    twin.guards = copy.copy(learner.guards)
    for name in ("overrides", "tripped", "spent"):
        setattr(twin.guards, name, dict(getattr(learner.guards, name)))
    return twin
