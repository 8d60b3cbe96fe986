"""``Executed``: what one execution was, and what came of it, as patterns are looked for in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Executed", "Plain"]

Plain = str | int | float | bool
"""Values of parameters and of contexts."""


@dataclass(frozen=True, slots=True)
class Executed:
    """One execution; None stands for what was not reported, and so does a number that is not finite.

    duration_s : seconds; where ``timed_out``, it would have taken at least so long. error_codes : in the
    order in which they came. time : seconds since 1970, of the report. agent_id, agent_type : who executed
    it, where that was told.
    """

    execution_id: str
    strategy: str
    parameters: Mapping[str, Plain] = field(default_factory=dict)
    context: Mapping[str, Plain] = field(default_factory=dict)
    success: bool | None = None
    reward: float | None = None
    duration_s: float | None = None
    cost: float | None = None
    timed_out: bool = False
    error_codes: tuple[str, ...] = ()
    time: float | None = None
    agent_id: str | None = None
    agent_type: str | None = None
