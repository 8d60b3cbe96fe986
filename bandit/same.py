"""Whether what comes again is the same: a request under an id, and a decision that is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import DecisionConflict
from ..features import Value
from .decision import Decision

__all__ = ["same_choice", "same_request"]

_MODES = {"normal", "write_behind", "spooled", "memory"}


def same_request(
    known: Decision, context: Mapping[str, Value], allowed: tuple[int, ...] | None, units: Sequence[str]
) -> Decision:
    """Return the earlier decision if it was asked the same; ``DecisionConflict`` otherwise.

    ``units`` : names of what can be eligible, as the spec orders them.
    """
    if dict(known.context) == dict(context) and known.eligible == allowed:
        return known
    differs = "context" if dict(known.context) != dict(context) else "eligibility"
    raise DecisionConflict(
        f"decision id '{known.decision_id}' was used before with another {differs}",
        expected=f"context {dict(known.context)!r:.120}, eligible {_names(known.eligible, units)}",
        found=f"context {dict(context)!r:.120}, eligible {_names(allowed, units)}",
        fix="use a new decision_id for a new question; send the same question on a retry",
    )


def same_choice(one: Decision, other: Decision) -> bool:
    """Tell whether two decisions are one: all is the same but the mode.

    A decision that missed its deadline says so to its caller, while the one on its way to the database may
    still arrive there.
    """
    return one == other or ({one.mode, other.mode} <= _MODES and one == other._replace(mode=one.mode))


def _names(eligible: tuple[int, ...] | None, units: Sequence[str]) -> str:
    if eligible is None:
        return "every arm"
    names = [units[i] if i < len(units) else f"number {i}" for i in eligible]
    return f"{', '.join(names):.200}"
