"""Between the values of ``bandit`` and the columns of the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, TypeAlias

import asyncpg

from ..bandit import BanditSpec, Decision, Stage
from ..bandit.decision import ARM_STAGE, IMPORTED, DecisionText
from ..bandit.events import EVENT_KINDS, EventRow
from ..bandit.log import AdoptionRow, LogRow, OtherRow, RewardRow, RowText
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
    """Columns for ``insert_decisions``, in its order, behind the bandit; ``encodings`` are those of the φ."""
    return [
        _words(d.decision_id for d in decisions),
        _words(d.spec_hash for d in decisions),
        _words(encodings),
        _numbers(d.state_seq for d in decisions),
        _numbers(d.time for d in decisions),
        _words(text.context for text in texts),
        _words(f"{{{text.phi}}}" for text in texts),
        _words(None if text.eligible is None else f"{{{text.eligible}}}" for text in texts),
        _words(text.stages for text in texts),
        _words(f"{{{text.pmf}}}" for text in texts),
        _words(d.arm_id for d in decisions),
        _numbers(d.propensity for d in decisions),
        _numbers(d.epoch for d in decisions),
        _words(d.reason for d in decisions),
        _words(d.mode for d in decisions),
        _words(text.digest for text in texts),
        _days(day_of(d.time) for d in decisions),
    ]


# A column travels as one text. asyncpg looks at each element of an array several times, which took longer
# than all else that a row costs here. No value has these characters in it: texts from outside are printable,
# JSON escapes them; one that had them all the same would make its column longer than the others, and Postgres
# would refuse the rows.
_BETWEEN, _NOTHING = "\x1f", "\x1e"


def _words(column: Iterable[str | None]) -> str:
    return _BETWEEN.join([_NOTHING if word is None or not word else word for word in column])


def _numbers(column: Iterable[float | None]) -> str:
    return f"{{{','.join(['NULL' if number is None else repr(number) for number in column])}}}"


def _days(column: Iterable[date]) -> str:
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

    ``texts`` : as the rows are spelled. ``days`` : of the rows' decisions.
    """
    return [
        _numbers(r.seq for r in rows),
        _words(r.decision_id for r in rows),
        _words(r.arm_id for r in rows),
        _numbers(r.epoch for r in rows),
        _words(r.encoding for r in rows),
        _words(f"{{{text.phi}}}" for text in texts),
        _numbers(r.propensity for r in rows),
        _numbers(r.units for r in rows),
        _numbers(r.reward for r in rows),
        _words(text.outcome for text in texts),
        _words(text.pricing for text in texts),
        _numbers(r.reported_at for r in rows),
        _words(text.digest(r.seq) for r, text in zip(rows, texts, strict=True)),
        _words(r.kind for r in rows),
        _words(r.source for r in rows),
        _words(r.identifier for r in rows),
        _numbers(r.revision for r in rows),
        _words(r.state for r in rows),
        _numbers(r.taken for r in rows),
        _numbers(r.place for r in rows),
        _words(r.priced_by for r in rows),
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
