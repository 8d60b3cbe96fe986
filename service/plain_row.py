"""The usual row of a log, checked from its columns: most rows are the only one of their decision."""

from __future__ import annotations

import hashlib
import json

from ..bandit import BanditSpec
from ..bandit.fixed_point import reward_to_fixed
from ..bandit.log import REPORT
from ..canonical import canonical_json, number, quoted
from ..errors import NyxError
from ..persistence.rows import Row
from ..rewards import Outcome, price

__all__ = ["follows_plainly", "integers_text", "is_plain"]


def is_plain(row: Row) -> bool:
    """Tell whether a row looks like a decision's first report, whole, priced, and never touched again."""
    return bool(
        row["kind"] == REPORT
        and row["state"] == "final"
        and row["units"] is not None
        and row["reward"] is not None
        and row["taken"] is None
        and row["place"] == 0
        and row["revision"] == 0
        and not row["source"]
        and not row["identifier"]
    )


def follows_plainly(row: Row, decision: Row, spec: BanditSpec) -> bool:
    """Tell whether a plain row is, to the last bit, what its decision and what was reported make of it.

    Where no row stands before it and no references were adopted, everything that ``RowCheck`` looks for is
    decided by this, at a fraction of its time; where it does not hold, ``RowCheck`` says why.

    ``spec`` : the one that priced the row.
    """
    chosen = 0.0 if decision["reason"] == "holdout" else decision["propensity"]
    return bool(
        row["units"] == reward_to_fixed(row["reward"])
        and row["arm_id"] == decision["arm_id"]
        and row["epoch"] == decision["epoch"]
        and row["encoding"] == decision["encoding"]
        and row["phi"] == decision["phi"]
        and row["propensity"] == chosen
        and row["decided_on"] == decision["decided_on"]
        and row["pricing"] == _pricing(row, decision, spec)
        and _digest(row) == row["digest"]
    )


def _pricing(row: Row, decision: Row, spec: BanditSpec) -> str | None:
    """The column ``pricing``, computed anew; None where it cannot be."""
    if row["outcome"] is None:
        return (
            '{"components":{},"gates":[],"missing":[],"profile":null,"reference_time_s":null,'
            f'"reference_version":null,"reward_fn_version":{quoted(spec.reward.version)},'
            f'"value":{number(row["reward"])}}}'
        )
    try:
        outcome = Outcome.from_dict(json.loads(row["outcome"]))
        priced = price(outcome, spec.reward, context=json.loads(decision["context"]))
    except (NyxError, TypeError, ValueError, KeyError):
        return None
    return canonical_json(priced.to_dict()) if priced.value == row["reward"] else None


def _digest(row: Row) -> str:
    """``RewardRow.digest`` of a plain row, put together from its columns as they are."""
    text = (
        f'{{"arm_id":{quoted(row["arm_id"])},"bandit":{quoted(row["bandit"])},'
        f'"decision_id":{quoted(row["decision_id"])},"encoding":{quoted(row["encoding"])},'
        f'"epoch":{row["epoch"]},"outcome":{row["outcome"] or "null"},"phi":{integers_text(row["phi"])},'
        f'"priced_by":{quoted(row["priced_by"])},"pricing":{row["pricing"]},'
        f'"propensity":{number(row["propensity"])},"reported_at":{number(row["reported_at"])},'
        f'"reward":{number(row["reward"])},"seq":{row["seq"]},"units":{row["units"]}}}'
    )
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def integers_text(numbers: list[int]) -> str:
    """``canonical_json`` of a list of integers."""
    return str(numbers).replace(" ", "")
