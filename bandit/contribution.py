"""Which rows of a log teach what a world is like: first contributions, in a spec's own encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ArmUnknown, ContextInvalid
from ..features import Encoder
from .log import LogRow, RewardRow
from .spec import BanditSpec

__all__ = ["first_contribution"]


def first_contribution(
    row: LogRow, context: Mapping[str, Any] | None, spec: BanditSpec, encoder: Encoder
) -> tuple[int, Sequence[int]] | None:
    """Unit and φ of a row, if it is a decision's first contribution and fits the spec; else None.

    Corrections and retractions are none, nor are rows of other specs whose arm or context this one does not
    have. ``context`` : the decision's, needed where φ was made by another encoding than the spec's.
    ``encoder`` : of the spec's context.
    """
    if not isinstance(row, RewardRow) or row.units is None or row.taken is not None:
        return None
    arms = spec.arms
    try:
        unit, arm = arms.follow(row.arm_id)
        phi: Sequence[int] = row.phi
        if row.encoding != spec.encoding:
            phi = [*encoder.encode(context or {})[1], *arms.encode(unit, arm.parameters)]
    except (ArmUnknown, ContextInvalid):
        return None
    return (unit, phi) if len(phi) == encoder.dimension + arms.extra else None
