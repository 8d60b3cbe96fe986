"""One line of a log as a value, and the checks that need no bandit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from ...bandit.learner import checked_id
from ...errors import InputInvalid, LogInvalid, shown

__all__ = ["FIELDS", "UNKNOWN", "LoggedChoice", "choice_from"]

UNKNOWN = "unknown"
"""How a table of text says that a propensity is not known; JSON and Parquet say null."""

LATEST = 1e12
SEQ_MAX = 1 << 62
_MAX_TEXT = 1000
SUM_TOLERANCE = 1e-6


class LoggedChoice(NamedTuple):
    """One choice that somebody logged, and what it was worth.

    Attributes
    ----------
    line : where it stands in its file: the line of a text, the row of a table; from 1.
    decision_id : what makes the choice one of a kind.
    time : seconds since 1970; None where none was logged.
    context : what was known before choosing; plain JSON values.
    arm_id : what was chosen.
    propensity : probability of all that was drawn, above 0 and at most 1. **None: unknown.** An estimator
        that needs it must refuse, or estimate it and say so; it is never filled in.
    reward : in [0, 1]; None where there is none (yet).
    outcome : what the execution reported, as ``Outcome.from_dict`` takes it; None for none. success : its
        success, or what the file says without an outcome.
    eligible : the arms (or strategies) that could be chosen; None for all, or not logged.
    pmf : arm id → probability within the stage that drew the arm; arms that are left out had none.
    state_seq, spec_hash, bandit : what decided, and what it had learned; None where the file does not say.
    mode, reason : how it was decided, see ``Decision``. ``holdout`` : the cohort that is served the baseline
        arm. ``conservative`` : a baseline arm that was served to keep what it earns.
    state : of the reward, see ``RewardState``.
    """

    line: int
    decision_id: str
    time: float | None
    context: Mapping[str, Any]
    arm_id: str
    propensity: float | None
    reward: float | None
    outcome: Mapping[str, Any] | None = None
    success: bool | None = None
    eligible: tuple[str, ...] | None = None
    pmf: Mapping[str, float] | None = None
    state_seq: int | None = None
    mode: str | None = None
    reason: str | None = None
    state: str | None = None
    bandit: str | None = None
    spec_hash: str | None = None

    @property
    def policy_propensity(self) -> float | None:
        """Probability with which the policy itself chose the arm; None where that is unknown, or it did not.

        In a spec with a holdout the logged propensity has the cohort's share as a factor. Rows of the holdout
        are no evidence about the policy; for the others the share is a constant that this leaves out.
        """
        if self.reason == "holdout":
            return None
        return self.propensity if self.pmf is None else self.pmf.get(self.arm_id)


FIELDS: tuple[str, ...] = LoggedChoice._fields[1:]
"""Names of the fields of the format; ``decision_id`` and ``arm_id`` must be there, the others may lack."""


def choice_from(document: Mapping[str, Any], line: int) -> LoggedChoice:
    """Check one document of the format; keys that are no fields are not looked at.

    >>> line = {"decision_id": "a", "context": {}, "arm_id": "direct", "propensity": None, "reward": 0.5}
    >>> choice_from(line, 1).propensity is None
    True

    Raises
    ------
    LogInvalid : a field is missing or out of its domain; the error names the line.
    """
    get = document.get
    pmf = _pmf(get("pmf"), line)
    arm_id = _text("arm_id", get("arm_id"), line)
    if arm_id is None:
        _refuse(line, "the line names no arm", "a text under 'arm_id'", None, "say what was chosen")
    propensity = _optional(_propensity, "propensity", get("propensity"), line)
    if pmf is not None:
        mass = pmf.get(arm_id, 0.0)
        if mass <= 0.0 or (propensity is not None and propensity > mass * (1.0 + SUM_TOLERANCE)):
            _refuse(
                line,
                "the pmf and what was chosen contradict each other",
                "a probability of the chosen arm above 0, and no propensity above it",
                {"arm_id": arm_id, "pmf": mass, "propensity": propensity},
                "log the pmf that the arm was drawn from",
            )
        if propensity is None:
            propensity = mass
    outcome = _outcome(get("outcome"), line)
    return LoggedChoice(
        line,
        _decision_id(get("decision_id"), line),
        _optional(_time, "time", get("time"), line),
        _context(get("context"), line),
        arm_id,
        propensity,
        _optional(_reward, "reward", get("reward"), line),
        outcome,
        _success(get("success"), outcome, line),
        _eligible(get("eligible"), line),
        pmf,
        _optional(_seq, "state_seq", get("state_seq"), line),
        _text("mode", get("mode"), line),
        _text("reason", get("reason"), line),
        _text("state", get("state"), line),
        _text("bandit", get("bandit"), line),
        _text("spec_hash", get("spec_hash"), line),
    )


def _decision_id(value: object, line: int) -> str:
    try:
        return checked_id(value)
    except InputInvalid as error:
        _refuse(line, error.what, error.expected, value, "give each choice an id of its own")


def _context(value: object, line: int) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        _refuse(line, "the context is no object", "features and their values", value, "log a JSON object")
    for name, item in value.items():
        plain = item is None or type(item) in {str, bool, int} or (type(item) is float and _finite(item))
        if not plain or type(name) is not str:
            _refuse(
                line,
                f"context feature {name!r:.60} has an unusable value",
                "a text, a finite number, true, false or null",
                item,
                "log what the context schema declares; a value that is not known is null",
            )
    return value


def _propensity(value: object) -> float | None:
    return _within(value, above=0.0, upto=1.0)


def _reward(value: object) -> float | None:
    return _within(value, above=-1e-300, upto=1.0)


def _within(value: object, *, above: float, upto: float) -> float | None:
    usable = type(value) in {int, float} and above < value <= upto  # type: ignore[operator]
    return float(value) if usable else None  # type: ignore[arg-type]


def _time(value: object) -> float | None:
    if type(value) is str:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        # Without a zone the seconds would be those of whoever reads.
        return value.timestamp() if value.tzinfo is not None else None
    usable = type(value) in {int, float} and -LATEST < value < LATEST  # type: ignore[operator]
    return float(value) if usable else None  # type: ignore[arg-type]


def _seq(value: object) -> int | None:
    if type(value) is float and value.is_integer():  # what a table with gaps makes of integers
        value = int(value)
    return value if type(value) is int and 0 <= value < SEQ_MAX else None


_EXPECTED = {
    "propensity": "a probability above 0 and at most 1, or null where it is unknown",
    "reward": "a number from 0 to 1, or null where there is none",
    "time": "seconds since 1970, or an ISO 8601 time with its zone",
    "state_seq": "a natural number",
}


def _optional(read: Callable[[object], Any], name: str, value: object, line: int) -> Any:
    if value is None or (name == "propensity" and value == UNKNOWN):
        return None
    found = read(value)
    if found is None:
        _refuse(line, f"'{name}' is unusable", _EXPECTED[name], value, "correct the value, or leave it out")
    return found


def _outcome(value: object, line: int) -> Mapping[str, Any] | None:
    if value is None or (isinstance(value, Mapping) and all(type(name) is str for name in value)):
        return value
    return _refuse(
        line, "the outcome is no object", "fields of an Outcome", value, 'for example {"success": true}'
    )


def _success(value: object, outcome: Mapping[str, Any] | None, line: int) -> bool | None:
    reported = None if outcome is None else outcome.get("success")
    if value is None:
        return reported if type(reported) is bool else None
    if type(value) is not bool or (outcome is not None and value != reported):
        _refuse(
            line,
            "'success' is unusable",
            "true or false, as the outcome says it where there is one",
            value,
            "log it once",
        )
    return value


def _eligible(value: object, line: int) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)) and value and all(type(name) is str for name in value):
        return tuple(value)
    return _refuse(
        line, "'eligible' is unusable", "a list of arm ids", value, "leave it out where all arms were"
    )


def _pmf(value: object, line: int) -> dict[str, float] | None:
    if value is None:
        return None
    if isinstance(value, Mapping) and value:
        items = {name: p for name, p in value.items() if p is not None}
        masses = list(items.values())
        fit = all(type(p) in {int, float} and 0.0 <= p <= 1.0 for p in masses)
        if fit and all(type(name) is str for name in items) and abs(sum(masses) - 1.0) <= SUM_TOLERANCE:
            return {name: float(p) for name, p in items.items()}
    return _refuse(
        line,
        "'pmf' is unusable",
        "arm ids and their probabilities, which sum to 1",
        value,
        "log the probabilities that the arm was drawn from, or leave the pmf out",
    )


def _text(name: str, value: object, line: int) -> str | None:
    if value is None:
        return None
    if type(value) is str and 0 < len(value) <= _MAX_TEXT and value.isprintable():
        return value
    return _refuse(
        line, f"'{name}' is unusable", f"a printable text of 1 to {_MAX_TEXT} characters", value, "correct it"
    )


def _finite(value: float) -> bool:
    return value - value == 0.0


def _refuse(line: int, what: str, expected: str, found: object, fix: str) -> NoReturn:
    raise LogInvalid(f"line {line}: {what}", expected=expected, found=shown(found, 120), fix=fix)
