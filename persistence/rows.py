"""Between the values of ``bandit`` and the columns of the tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..bandit import BanditSpec, Decision, Stage
from ..bandit.log import RewardRow
from ..canonical import canonical_json

__all__ = ["array_text", "decision_columns", "decision_from", "log_columns", "log_row_from"]

def array_text(values: Sequence[int] | None) -> str | None:
    """Spell an array of integers for Postgres."""
    # unnest() flattens arrays of arrays, so arrays travel as their text form, one text a row.
    return None if values is None else "{" + ",".join(map(str, values)) + "}"


def decision_columns(decisions: Sequence[Decision], encoding: str) -> list[list[Any]]:
    """Columns for ``insert_decisions``, in its order, behind the bandit."""
    rows = []
    for d in decisions:
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
                canonical_json(document["stages"][:-1]),
                array_text(d.pmf),
                d.arm_id,
                d.propensity,
                d.epoch,
                d.reason,
                d.mode,
                d.digest,
            )
        )
    return [list(column) for column in zip(*rows, strict=True)]


def decision_from(row: Mapping[str, Any], spec: BanditSpec) -> Decision:
    """The decision that a row of ``nyx.decision`` holds; ``spec`` is the one that made it.

    Raises ``ArmUnknown`` where the stored arm is not one of the spec's.
    """
    index = spec.arms.index(row["arm_id"])
    arm = spec.arms[index]
    stages = [
        Stage(s["name"], tuple(s["names"]), tuple(s["pmf"]), s["chosen"]) for s in json.loads(row["stages"])
    ]
    stages.append(Stage("arm", spec.arms.ids, tuple(row["pmf"]), index))
    return Decision(
        row["bandit"],
        row["decision_id"],
        json.loads(row["context"]),
        tuple(row["phi"]),
        None if row["eligible"] is None else tuple(row["eligible"]),
        tuple(stages),
        index,
        arm.arm_id,
        arm.strategy,
        arm.parameters,
        row["propensity"],
        row["epoch"],
        row["reason"],
        row["mode"],
        row["spec_hash"],
        row["state_seq"],
        row["decided_at"],
    )


def log_columns(rows: Sequence[RewardRow]) -> list[list[Any]]:
    """Columns for ``append_rewards``, in its order, behind the bandit."""
    listed = [
        (
            r.seq,
            r.decision_id,
            r.arm_id,
            r.epoch,
            r.encoding,
            array_text(r.phi),
            r.units,
            r.reward,
            None if r.outcome is None else canonical_json(r.outcome),
            canonical_json(r.pricing),
            r.reported_at,
            r.digest,
        )
        for r in rows
    ]
    return [list(column) for column in zip(*listed, strict=True)]


def log_row_from(row: Mapping[str, Any]) -> RewardRow:
    """The row that ``nyx.log`` holds."""
    return RewardRow(
        row["bandit"],
        row["seq"],
        row["decision_id"],
        row["arm_id"],
        row["epoch"],
        row["encoding"],
        tuple(row["phi"]),
        row["units"],
        row["reward"],
        None if row["outcome"] is None else json.loads(row["outcome"]),
        json.loads(row["pricing"]),
        row["reported_at"],
    )
