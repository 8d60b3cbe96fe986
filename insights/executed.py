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
    it, where that was told. retries : how many were needed. arm_id : as the log spells what was chosen.
    propensity : probability with which the policy chose it, above 0; None where it did not choose, or that
    is unknown. chances : probability of each arm that could have come, the chosen one among them. seq :
    number of the report's row.
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
    retries: float | None = None
    arm_id: str | None = None
    propensity: float | None = None
    chances: Mapping[str, float] | None = None
    seq: int | None = None
