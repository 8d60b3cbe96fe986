"""How large a report may be: what is refused here was neither stored nor spooled."""

from __future__ import annotations

from collections.abc import Mapping

from ..bandit.reports import Reported
from ..canonical import canonical_json
from ..errors import OutcomeInvalid
from ..rewards import Outcome

__all__ = ["MAX_REPORT_BYTES", "check_report"]

MAX_REPORT_BYTES = 1 << 18
"""Of an outcome, as the JSON that is stored. (A context is bounded by its schema, an id by its length.)"""

_FEW = 100
_LISTS = ("error_codes", "validation_results")


def check_report(told: Reported) -> None:
    """Raise ``OutcomeInvalid`` where an outcome, or a part of one, is too large to be stored.

    Only its lists can be long: short ones are not even spelled out.
    """
    outcome = told.part if told.outcome is None else told.outcome
    if isinstance(outcome, Outcome):
        lists = [outcome.error_codes, outcome.validation_results]
    elif isinstance(outcome, Mapping):
        lists = [outcome[name] for name in _LISTS if isinstance(outcome.get(name), (list, tuple))]
    else:
        return
    if sum(map(len, lists)) <= _FEW:
        return
    document = outcome.to_dict() if isinstance(outcome, Outcome) else dict(zip(_LISTS, lists, strict=False))
    try:
        size = len(canonical_json(document).encode())
    except (TypeError, ValueError):
        return  # what it is refused for is said where it is read
    if size > MAX_REPORT_BYTES:
        raise OutcomeInvalid(
            "the outcome is too large",
            expected=f"at most {MAX_REPORT_BYTES:,} bytes as JSON",
            found=f"{size:,} bytes, with {sum(map(len, lists)):,} error codes and validation results",
            fix="report the first of them, or how many there were",
        )
