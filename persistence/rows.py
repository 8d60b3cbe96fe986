"""Between the values of ``bandit`` and the columns of the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, TypeAlias

import asyncpg

from ..bandit import BanditSpec, Decision, Stage
from ..bandit.decision import ARM_STAGE, IMPORTED
from ..bandit.events import EVENT_KINDS, EventRow
from ..bandit.log import AdoptionRow, LogRow, OtherRow, RewardRow
from ..canonical import canonical_json
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


def decision_columns(decisions: Sequence[Decision], encodings: Sequence[str]) -> list[list[Any]]:
    """Columns for ``insert_decisions``, in its order, behind the bandit; ``encodings`` are those of the φ."""
    rows = []
    for d, encoding in zip(decisions, encodings, strict=True):
        document = d.to_dict()
        rows.append(
            (
                d.decision_id,
                d.spec_hash,
                encoding,
                d.state_seq,
                d.time,
                canonical_json(document["context"]),
                array_text(d.phi),
                array_text(d.eligible),
                canonical_json(_kept_stages(document["stages"])),
                array_text(d.pmf),
                d.arm_id,
                d.propensity,
                d.epoch,
                d.reason,
                d.mode,
                d.digest,
                day_of(d.time),
            )
        )
    return [list(column) for column in zip(*rows, strict=True)]


def _kept_stages(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # The stage over all listed arms stands in the column pmf; its names are the spec's.
    return [stage for stage in stages if stage["name"] != ARM_STAGE]


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


def log_columns(rows: Sequence[RewardRow], days: Sequence[date]) -> list[list[Any]]:
    """Columns for ``append_rewards``, in its order, behind the bandit; ``days`` : of the rows' decisions."""
    listed = [
        (
            r.seq,
            r.decision_id,
            r.arm_id,
            r.epoch,
            r.encoding,
            array_text(r.phi),
            r.propensity,
            r.units,
            r.reward,
            None if r.outcome is None else canonical_json(r.outcome),
            canonical_json(r.pricing),
            r.reported_at,
            r.digest,
            r.kind,
            r.source,
            r.identifier,
            r.revision,
            r.state,
            r.taken,
            r.place,
            r.priced_by,
            day,
        )
        for r, day in zip(rows, days, strict=True)
    ]
    return [list(column) for column in zip(*listed, strict=True)]


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
