"""``Outcome``: what one execution reported, validated once, and never guessed at.

Everything but ``success`` is optional, and *not reported* stays distinct from *reported as zero*: a field
that is None makes the scores that need it missing; nothing is filled in. Scores that the caller reports
directly (``quality``, ``usefulness``) win over the ones that the scorers would derive from the parts
(``validation_results``, ``format_compliance``, ``goal_achievement``; ``goal_alignment``, ``user_feedback``,
``business_impact``): whoever judged the whole knows more than a formula over the parts. The parts stay in the
outcome either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ..canonical import digest
from ..errors import OutcomeInvalid

__all__ = ["Outcome", "ValidationResult"]

_COUNT_MAX = 2**53
_SHOWN_MAX = 120
_PLAIN = frozenset((bool, int, float, str))


def _no_negative_zero(value: float) -> float:
    # −0.0 and 0.0 are the same report, and JSONB keeps only one of them.
    return value + 0.0


_NonNegative = Annotated[float, Field(ge=0.0), AfterValidator(_no_negative_zero)]
_Unit = Annotated[float, Field(ge=0.0, le=1.0), AfterValidator(_no_negative_zero)]
_Count = Annotated[int, Field(ge=0, le=_COUNT_MAX)]
# Postgres stores no NUL in text or JSONB.
_Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


def _convert(error: ValidationError, kind: str) -> OutcomeInvalid:
    found = error.errors(include_url=False)
    first = found[0]
    where = ".".join(str(part) for part in first["loc"]) or kind
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, OutcomeInvalid):
        return inner
    shown = repr(first["input"])
    if len(shown) > _SHOWN_MAX:
        shown = shown[:_SHOWN_MAX] + "…"
    others = f" (and {len(found) - 1} further fields)" if len(found) > 1 else ""
    return OutcomeInvalid(
        f"the {kind} cannot be used: {where}{others}",
        expected=first["msg"].removeprefix("Input should be ").removeprefix("Value error, "),
        found=shown,
        fix="correct the field, or leave it out where the execution did not report it",
    )


class _Report(BaseModel):
    """What both models share: frozen, strict, finite, and errors of four parts."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        revalidate_instances="never",
        protected_namespaces=(),
    )

    if not TYPE_CHECKING:  # a written-out __init__ would hide the field names from type checkers

        def __init__(self, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                kind = "outcome" if isinstance(self, Outcome) else "validation result"
                raise _convert(error, kind) from None

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict without the fields that were not reported."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Build from ``to_dict``'s result or from parsed JSON.

        Raises
        ------
        OutcomeInvalid : not a mapping, an unknown field, or a value out of its domain.
        """
        if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
            raise OutcomeInvalid(
                "the outcome is not a mapping of field names",
                expected='an object such as {"success": true, "duration_s": 12.3}',
                found=type(document).__name__,
                fix="pass a dict with string keys, or an Outcome",
            )
        return cls(**document)


class ValidationResult(_Report):
    """One check of the output.

    ``score`` grades the check in [0, 1]; without it a passed check counts 1 and a failed one 0. A failed
    ``required`` check makes the whole validation part of quality 0. ``weight`` > 0 is relative to the other
    checks of the same outcome.
    """

    name: _Name
    passed: bool
    weight: Annotated[float, Field(ge=1e-9, le=1e9)] = 1.0
    required: bool = False
    score: _Unit | None = None


class Outcome(_Report):
    """What one execution reported; only ``success`` must be known.

    >>> Outcome(success=True, duration_s=12.5, quality=0.9).to_dict()
    {'success': True, 'duration_s': 12.5, 'quality': 0.9}

    Fields (None: not reported)
    ---------------------------
    success : did the whole execution reach its end with a usable result?
    duration_s : seconds, finite, >= 0.
    timed_out : the execution was stopped at ``duration_s``; it would have taken *at least* that long.
    quality, usefulness : in [0, 1], scores judged outside; they win over derived ones.
    tokens, input_tokens, output_tokens : counts; ``total_tokens`` is ``tokens``, or input + output.
    cost : money, >= 0, in the unit of the reference cost.
    retries, agents_succeeded, agents_failed : counts.
    validation_results : checks of the output, in the order in which they ran.
    format_compliance, goal_achievement : in [0, 1], parts of quality.
    goal_alignment, user_feedback, business_impact : in [0, 1], parts of usefulness.
    error_codes : codes of the errors met, in the order in which they came, repetitions included.
    agent_type, model : who worked; not used by any score.

    Raises
    ------
    OutcomeInvalid : unknown field, wrong type, NaN, infinite, negative or out of range, or token counts
        that contradict each other. Numbers in strings are refused: they are a sign of an unparsed table.
    """

    success: bool
    duration_s: _NonNegative | None = None
    timed_out: bool = False
    quality: _Unit | None = None
    usefulness: _Unit | None = None
    tokens: _Count | None = None
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cost: _NonNegative | None = None
    retries: _Count | None = None
    agents_succeeded: _Count | None = None
    agents_failed: _Count | None = None
    validation_results: Annotated[tuple[ValidationResult, ...], Field(strict=False, max_length=10_000)] = ()
    format_compliance: _Unit | None = None
    goal_achievement: _Unit | None = None
    goal_alignment: _Unit | None = None
    user_feedback: _Unit | None = None
    business_impact: _Unit | None = None
    error_codes: Annotated[tuple[_Name, ...], Field(strict=False, max_length=10_000)] = ()
    agent_type: _Name | None = None
    model: _Name | None = None

    def model_post_init(self, _context: Any, /) -> None:
        """Refuse token counts that contradict each other."""
        if self.tokens is not None:
            parts = (self.input_tokens or 0) + (self.output_tokens or 0)
            if parts > self.tokens:
                raise OutcomeInvalid(
                    "the outcome cannot be used: its token counts contradict each other",
                    expected="tokens >= input_tokens + output_tokens",
                    found=f"tokens={self.tokens}, input_tokens + output_tokens = {parts}",
                    fix="report the total in tokens, or leave tokens out",
                )

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict without the fields that were not reported."""
        plain: dict[str, Any] = {"success": self.success}
        for name, value in self.__dict__.items():
            if value is None or value is False:
                continue
            if type(value) in _PLAIN:
                plain[name] = value
            elif value != ():  # what has parts of its own, and subclasses of plain types
                return super().to_dict()
        return plain

    @property
    def total_tokens(self) -> int | None:
        """All tokens; None unless the total or both parts were reported (one part is no total)."""
        if self.tokens is not None:
            return self.tokens
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return self.input_tokens + self.output_tokens

    @property
    def digest(self) -> str:
        """Hash of what was reported: equal outcomes have equal digests in every process."""
        return digest(self.to_dict())
