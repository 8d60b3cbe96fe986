"""Between the values of ``bandit`` and the columns of the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, TypeAlias

import asyncpg
import orjson

from ..bandit import BanditSpec, Decision, Stage
from ..bandit.decision import ARM_STAGE, IMPORTED, DecisionText
from ..bandit.events import EVENT_KINDS, EventRow
from ..bandit.log import AdoptionRow, LogRow, OtherRow, RewardRow, RowText
from ..canonical import integers
from ..errors import ArmUnknown, DocumentInvalid
from ..rewards import Adoption

__all__ = [
    "Row",
    "adoption_from",
    "any_row_from",
    "array_text",
    "day_of",
    "decision_columns",
    "decision_from",
    "event_from",
    "log_columns",
    "log_row_from",
    "spec_from",
]


Row: TypeAlias = Mapping[str, Any] | asyncpg.Record
"""A row of a table, by column."""

_EPOCH = date(1970, 1, 1).toordinal()


def array_text(values: Sequence[int] | None) -> str | None:
    """Spell an array of integers for Postgres."""
    # unnest() flattens arrays of arrays, so arrays travel as their text form, one text a row.
    return None if values is None else "{" + ",".join(map(str, values)) + "}"


def day_of(time: float | None) -> date:
    """The day in UTC that a decision's time falls on, which says in which partition its rows stand.

    1970-01-01 for None; days outside the years 53 to 9909 are moved to the ends of that span.
    """
    return _day(0.0 if time is None else time // 86400.0)


@lru_cache(maxsize=4096)
def _day(number: float) -> date:
    return date.fromordinal(_EPOCH + int(max(min(number, 2_900_000.0), -700_000.0)))


def spec_from(document: str) -> BanditSpec:
    """The spec that a row of ``nyx.spec`` holds."""
    return BanditSpec.from_dict(json.loads(document))


def decision_columns(
    decisions: Sequence[Decision], texts: Sequence[DecisionText], encodings: Sequence[str]
) -> list[str]:
    """Columns for ``insert_decisions``, in its order, behind the bandit; ``encodings`` are those of the φ.

    At least one decision.
    """
    # Turned around at once: row by row, each field would be looked up by its name.
    given = dict(zip(Decision._fields, zip(*decisions, strict=True), strict=True))
    spelled = dict(zip(DecisionText._fields, zip(*texts, strict=True), strict=True))
    return [
        _words(given["decision_id"]),
        _words(given["spec_hash"]),
        _words(encodings),
        _integers(given["state_seq"]),
        _numbers(given["time"]),
        _words(spelled["context"]),
        _arrays(spelled["phi"]),
        _words([None if allowed is None else f"{{{allowed}}}" for allowed in spelled["eligible"]]),
        _words(spelled["stages"]),
        _arrays(spelled["pmf"]),
        _words(given["arm_id"]),
        _numbers(given["propensity"]),
        _integers(given["epoch"]),
        _words(given["reason"]),
        _words(given["mode"]),
        _words(spelled["digest"]),
        _days([day_of(time) for time in given["time"]]),
    ]


# A column travels as one text. asyncpg looks at each element of an array several times, which took longer
# than all else that a row costs here. No value has these characters in it: texts from outside are printable,
# JSON escapes them; one that had them all the same would make its column longer than the others, and Postgres
# would refuse the rows.
_BETWEEN, _NOTHING = "\x1f", "\x1e"


def _words(column: Sequence[str | None]) -> str:
    if "" in column or None in column:
        return _BETWEEN.join([word or _NOTHING for word in column])
    return _BETWEEN.join(column)  # type: ignore[arg-type]


def _arrays(column: Iterable[str]) -> str:
    return f"{{{f'}}{_BETWEEN}{{'.join(column)}}}"


def _integers(column: Sequence[int | None]) -> str:
    known = [number for number in column if number is not None]
    return f"{{{integers(known)}}}" if len(known) == len(column) else _numbers(column)


def _numbers(column: Iterable[float | None]) -> str:
    # As JSON, for speed: Postgres reads its numbers, and its null.
    return f"{{{orjson.dumps(tuple(column)).decode()[1:-1]}}}"


def _days(column: Sequence[date]) -> str:
    first = column[0]
    if column.count(first) == len(column):
        return f"{{{','.join([first.isoformat()] * len(column))}}}"
    return f"{{{','.join([day.isoformat() for day in column])}}}"


def decision_from(row: Row, spec: BanditSpec) -> Decision:
    """The decision that a row of ``nyx.decision`` holds; ``spec`` is the one that made it.

    Raises
    ------
    DocumentInvalid : the row was changed to something that no decision of the spec can be.
    """
    try:
        index, arm = spec.arms.locate(row["arm_id"])
        stages = [
            Stage(s["name"], tuple(s["names"]), tuple(s["pmf"]), s["chosen"])
            for s in json.loads(row["stages"])
        ]
        if not spec.arms.staged and (row["pmf"] or row["mode"] != IMPORTED):
            stages.append(Stage(ARM_STAGE, spec.arms.units, tuple(row["pmf"]), index))
        context = dict(json.loads(row["context"]))
        if row["decided_on"] != day_of(row["decided_at"]):
            raise ValueError(f"decided_on {row['decided_on']} is not the day of decided_at")  # noqa: TRY301
    except (ArmUnknown, KeyError, TypeError, ValueError) as error:
        raise DocumentInvalid(
            f"the stored decision '{row['decision_id']}' cannot be read",
            expected="an arm, a context and stages as the spec that decided has them",
            found=f"{type(error).__name__}: {str(error).splitlines()[0]:.120}",
            fix="run verify, and restore the row from a backup",
        ) from error
    return Decision(
        row["bandit"],
        row["decision_id"],
        context,
        tuple(row["phi"]),
        None if row["eligible"] is None else tuple(row["eligible"]),
        tuple(stages),
        index,
        arm.arm_id,
        arm.strategy,
        dict(arm.parameters),
        row["propensity"],
        row["epoch"],
        row["reason"],
        row["mode"],
        row["spec_hash"],
        row["state_seq"],
        row["decided_at"],
    )


def adoption_from(row: Row) -> AdoptionRow:
    """The adoption that a row of ``nyx.log`` holds.

    Raises
    ------
    DocumentInvalid : the row was changed.
    """
    document = json.loads(row["pricing"])
    return AdoptionRow(row["bandit"], Adoption.from_dict({"seq": row["seq"], **document}), row["reported_at"])


def event_from(row: Row) -> EventRow:
    """The event of a monitor that a row of ``nyx.log`` holds.

    Raises
    ------
    DocumentInvalid : the row was changed.
    """
    return EventRow.from_dict(row["bandit"], row["seq"], json.loads(row["pricing"]), row["reported_at"])


def log_columns(rows: Sequence[RewardRow], texts: Sequence[RowText], days: Sequence[date]) -> list[str]:
    """Columns for ``append_rewards``, in its order, behind the bandit.

    ``texts`` : as the rows are spelled. ``days`` : of the rows' decisions. At least one row.
    """
    given = dict(zip(RewardRow._fields, zip(*rows, strict=True), strict=True))
    spelled = dict(zip(RowText._fields, zip(*texts, strict=True), strict=True))
    numbers = given["seq"]
    return [
        _integers(numbers),
        _words(given["decision_id"]),
        _words(given["arm_id"]),
        _integers(given["epoch"]),
        _words(given["encoding"]),
        _arrays(spelled["phi"]),
        _numbers(given["propensity"]),
        _integers(given["units"]),
        _numbers(given["reward"]),
        _words(spelled["outcome"]),
        _words(spelled["pricing"]),
        _numbers(given["reported_at"]),
        _words([text.digest(seq) for seq, text in zip(numbers, texts, strict=True)]),
        _words(given["kind"]),
        _words(given["source"]),
        _words(given["identifier"]),
        _integers(given["revision"]),
        _words(given["state"]),
        _integers(given["taken"]),
        _integers(given["place"]),
        _words(given["priced_by"]),
        _days(days),
    ]


def any_row_from(row: Row) -> LogRow:
    """The row that ``nyx.log`` holds, of whatever kind, as it is folded."""
    if row["kind"] in EVENT_KINDS:
        return event_from(row)
    return OtherRow(row["seq"]) if row["kind"] == "adoption" else log_row_from(row)


def log_row_from(row: Row) -> RewardRow:
    """The row about a decision's reward that ``nyx.log`` holds."""
    return RewardRow(
        row["bandit"],
        row["seq"],
        row["decision_id"],
        row["arm_id"],
        row["epoch"],
        row["encoding"],
        tuple(row["phi"]),
        row["propensity"],
        row["units"],
        row["reward"],
        None if row["outcome"] is None else json.loads(row["outcome"]),
        json.loads(row["pricing"]),
        row["reported_at"],
        row["kind"],
        row["source"],
        row["identifier"],
        row["revision"],
        row["state"],
        row["taken"],
        row["place"],
        row["priced_by"],
    )
