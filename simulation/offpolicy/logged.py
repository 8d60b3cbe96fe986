"""``LoggedData``: logged decisions and what they were worth, as arrays that are checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import LogInvalid, shown
from . import kernels
from .kernels import Floats, Integers

__all__ = ["SUM_TOLERANCE", "Floats", "Integers", "LoggedData", "Source", "probabilities"]

Source = Literal["logged", "estimated", "mixed", "unknown"]
"""Where propensities come from; ``mixed``: some logged, the others estimated."""

_TINY = 5e-324

SUM_TOLERANCE = 1e-6
"""How far the probabilities of a row may add up to something else than 1."""


@dataclass(frozen=True, slots=True, eq=False)
class LoggedData:
    """n ≥ 1 logged decisions among K arms. Arrays are converted, checked, and made read-only.

    Attributes
    ----------
    arms : K different arm ids.
    arm (n,) : index of the chosen arm.
    reward (n,) : composite reward, in [0, 1].
    propensity (n,) : probability with which the logging policy chose the arm, in (0, 1]; None where no row
        has one. NaN marks the rows without one, and needs ``partly_known``.
    logging (n, K) : the whole pmf of the logging policy; None if unknown. A column may be 0 (not eligible).
    cell (n,), cells : index of each row's context among the C distinct ones, and their names.
    features (n, D) : encoded context, in natural units.
    success (n,) : 0 or 1.
    order (n,) : sequence number or time, ascending in the order of the decisions; None: the rows' own order.
    decision_ids : n different ids.
    partly_known : propensities may be missing in some rows. Without it such a log is refused.
    source : see ``Source``; ``propensities.estimate_propensities`` sets it.

    Raises
    ------
    LogInvalid : anything else, named with its first row.
    """

    arms: tuple[str, ...]
    arm: Integers
    reward: Floats
    propensity: Floats | None = None
    logging: Floats | None = None
    cell: Integers | None = None
    cells: tuple[str, ...] = ()
    features: Floats | None = None
    success: Floats | None = None
    order: Floats | None = None
    decision_ids: tuple[str, ...] | None = None
    partly_known: bool = False
    source: Source = "logged"

    def __post_init__(self) -> None:
        arms = tuple(self.arms)
        if len(set(arms)) != len(arms) or not all(isinstance(arm, str) and arm for arm in arms):
            raise LogInvalid(
                "the arms of the log are unusable",
                expected="different, non-empty arm ids",
                found=shown(arms),
                fix="name every arm once",
            )
        self._set("arms", arms)
        n = self._check_rewards()
        arm = self._set("arm", _indices("arm", self.arm, n, len(arms), "arms", arms))
        if self.propensity is None:
            self._set("source", "unknown")
        else:
            self._check_propensity(n)
        if self.logging is not None:
            logging = self._set("logging", probabilities("logging policy", self.logging, n, len(arms)))
            given = logging[np.arange(n), arm]
            _refuse("pmf of the logging policy at the chosen arm", given, given <= 0.0, "> 0")
        self._check_contexts(n)
        self._check_order(n)
        if self.decision_ids is not None:
            self._set("decision_ids", _different(self.decision_ids, n))

    def _check_propensity(self, n: int) -> None:
        propensity = self._set("propensity", _column("propensity", self.propensity, n, nan=True))
        if kernels.first_outside(propensity, _TINY, 1.0) < 0:
            return
        unknown = np.isnan(propensity)
        if unknown.all():
            self._set("source", "unknown")
        elif unknown.any() and not self.partly_known:
            raise LogInvalid(
                f"{int(unknown.sum()):,} of {n:,} decisions have no propensity, the others have one",
                expected="propensities in all rows or in none",
                found=f"the first row without one is {_first(unknown)}",
                fix="leave those rows out, estimate all of them (propensity=None), or say "
                "partly_known=True and let estimate_propensities fill the gaps: the result is marked",
            )
        wrong = ~unknown & ~((propensity > 0.0) & (propensity <= 1.0))
        _refuse("propensity", propensity, wrong, "0 < p <= 1")
        if unknown.any() and self.source == "logged":
            self._set("source", "unknown")

    def _check_rewards(self) -> int:
        reward = self._set("reward", _column("reward", self.reward, None))
        if kernels.first_outside(reward, 0.0, 1.0) >= 0:
            _refuse("reward", reward, ~((reward >= 0.0) & (reward <= 1.0)), "0 <= reward <= 1")
        return len(reward)

    def _check_contexts(self, n: int) -> None:
        if self.cell is not None:
            names = self._set("cells", tuple(self.cells))
            if not names:
                largest = float(
                    np.nan_to_num(_array("cell", self.cell, np.float64), posinf=0.0).max(initial=0.0)
                )
                names = self._set("cells", tuple(str(c) for c in range(int(largest) + 1)))
            self._set("cell", _indices("cell", self.cell, n, len(names), "cells", names))
        if self.features is not None:
            features = np.ascontiguousarray(_array("features", self.features, np.float64))
            if features.ndim != 2 or len(features) != n:
                raise _shape("features", f"({n}, D)", features.shape)
            _refuse("features", features, ~np.isfinite(features), "a finite number")
            self._set("features", features)

    def _check_order(self, n: int) -> None:
        if self.success is not None:
            success = self._set("success", _column("success", self.success, n))
            _refuse("success", success, (success != 0.0) & (success != 1.0), "0 or 1")
        if self.order is not None:
            order = self._set("order", _column("order", self.order, n))
            falls = np.concatenate([[False], np.diff(order) < 0.0])
            _refuse("order", order, falls, "ascending; sort the rows by it")

    def _set(self, name: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            value = value.view()
            value.flags.writeable = False
        object.__setattr__(self, name, value)
        return value

    def __len__(self) -> int:
        return len(self.reward)

    def take(self, rows: Integers | npt.NDArray[np.bool_]) -> LoggedData:
        """The log of some rows, by index or mask; arms and cells keep their numbers."""
        chosen = np.arange(len(self))[rows]
        if self.order is not None:
            chosen = np.sort(chosen)
        parts: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                parts[field.name] = value[chosen]
            elif field.name == "decision_ids" and value is not None:
                parts[field.name] = tuple(value[i] for i in chosen.tolist())
        return replace(self, **parts)

    def with_reward(self, reward: Floats) -> LoggedData:
        """The same decisions, worth something else: ``success``, for example."""
        return replace(self, reward=reward)


def probabilities(what: str, values: object, n: int, arms: int) -> Floats:
    """A pmf over the arms for every row, checked; one row (K,) stands for all.

    Raises
    ------
    LogInvalid : another shape, a number that is no probability, or rows that do not add up to 1 (± 1e-6).
    """
    pmf = _array(f"pmf of the {what}", values, np.float64)
    if pmf.shape == (arms,):
        pmf = np.broadcast_to(pmf, (n, arms))
    if pmf.shape != (n, arms):
        raise _shape(f"pmf of the {what}", f"({n}, {arms}) or ({arms},)", pmf.shape)
    distinct = pmf[:1] if pmf.strides[0] == 0 else pmf
    if kernels.no_pmf(distinct, SUM_TOLERANCE):
        _refuse(f"pmf of the {what}", distinct, ~(distinct >= 0.0), ">= 0")
        total = distinct.sum(axis=1)
        _refuse(f"sum of the pmf of the {what}", total, ~(np.abs(total - 1.0) <= SUM_TOLERANCE), "1")
    return pmf


def _array(name: str, values: object, kind: type[Any]) -> npt.NDArray[Any]:
    try:
        return np.asarray(values, kind)
    except (TypeError, ValueError, OverflowError):
        raise LogInvalid(
            f"column '{name}' is not made of numbers",
            expected="an array of numbers",
            found=shown(values),
            fix="convert it first; missing values need a meaning of their own",
        ) from None


def _column(name: str, values: object, n: int | None, *, nan: bool = False) -> Floats:
    column: Floats = np.ascontiguousarray(_array(name, values, np.float64))
    if column.ndim != 1 or (n is not None and len(column) != n):
        raise _shape(name, "(n,)" if n is None else f"({n},)", column.shape)
    if len(column) == 0:
        raise LogInvalid(
            "the log is empty",
            expected="at least one decision with a reward",
            found="0 rows",
            fix="check the filter, the period and the path that the log was read with",
        )
    if not nan and not kernels.all_finite(column):
        _refuse(name, column, ~np.isfinite(column), "a finite number")
    return column


def _indices(name: str, values: object, n: int, limit: int, among: str, names: Sequence[str]) -> Integers:
    raw = np.asarray(values) if _whole(values) else _array(name, values, np.float64)
    if raw.shape != (n,):
        raise _shape(name, f"({n},)", raw.shape)
    if raw.dtype.kind == "i" and raw.min() >= 0 and raw.max() < limit:
        return np.ascontiguousarray(raw, np.int64)
    bad = ~((raw >= 0) & (raw < limit)) | (raw != np.floor(raw))
    if bad.any():
        row = _first(bad)
        raise LogInvalid(
            f"row {row} of the log names no known {name}",
            expected=f"an index from 0 to {limit - 1} into its {among} {list(names)}"[:200],
            found=f"{raw[row]} ({int(bad.sum()):,} such rows)",
            fix=f"list all {among} of the log, or leave those rows out",
        )
    return np.ascontiguousarray(raw, np.int64)


def _whole(values: object) -> bool:
    return isinstance(values, np.ndarray) and values.dtype.kind in "iu"


def _different(ids: Sequence[str], n: int) -> tuple[str, ...]:
    found = tuple(ids)
    if len(found) != n:
        raise _shape("decision_ids", f"({n},)", (len(found),))
    first: dict[str, int] = {}
    for row, decision_id in enumerate(found):
        if first.setdefault(decision_id, row) != row:
            raise LogInvalid(
                f"decision {decision_id!r:.80} is in the log twice",
                expected="one row for each decision",
                found=f"rows {first[decision_id]} and {row}; {n - len(set(found)):,} repeated rows in all",
                fix="keep the row with the final reward; a decision that counts twice narrows every interval",
            )
    return found


def _refuse(name: str, values: Floats, bad: npt.NDArray[np.bool_], expected: str) -> None:
    if bad.any():
        place = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise LogInvalid(
            f"row {int(place[0])} of the log has an unusable {name}",
            expected=expected,
            found=f"{values[place]} ({int(bad.sum()):,} such values)",
            fix="correct the rows, or leave them out and say so",
        )


def _first(mask: npt.NDArray[np.bool_]) -> int:
    return int(np.argmax(mask))


def _shape(name: str, expected: str, found: tuple[int, ...]) -> LogInvalid:
    return LogInvalid(
        f"column '{name}' has another shape than the log",
        expected=expected,
        found=str(found),
        fix="pass one value for each logged decision",
    )
