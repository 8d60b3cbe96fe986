"""Policies as tables over a log's contexts: known ones as they are, learning ones as rows *before* the judged
ones taught them.

A policy that saw the outcomes it is judged by would be flattered by its own luck. So whatever learns is
taught on the first rows of a log, then frozen, and judged on the others; and where one is picked among
many, the picking has rows of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ...bandit import ArmTable, Bandit, BanditSpec, PolicySpec, Strategy
from ...bandit.history import read_history
from ...bandit.parameters import ParameterValue
from ...errors import ArmUnknown, InputInvalid, NyxError, SpecInvalid, SupportMissing
from ...features import Categorical, ContextSchema, Feature, Flag, Numeric, Value
from .gathering import CONTEXTS_MAX
from .judged import Judged

__all__ = ["Teacher", "arm_table", "learns", "spec_of_log", "split", "teacher_of"]

Floats = npt.NDArray[np.float64]

_LEVELS_MAX = 100
_PAGE = 10_000
_STATIC = ("fixed", "uniform")
_ARM = re.compile(r"(?P<strategy>[^(),=]+)\((?P<rest>[^()]*)\)")


def learns(policy: PolicySpec) -> bool:
    """Whether what the policy does depends on rewards."""
    return policy.name not in _STATIC


def split(rows: int, *shares: float) -> list[tuple[int, int]]:
    """Consecutive parts of a log: (first, behind the last) row of each; shares sum to 1.

    >>> split(10, 0.5, 0.5)
    [(0, 5), (5, 10)]
    """
    ends = np.rint(np.cumsum((0.0, *shares)) * rows).astype(int).tolist()
    parts = list(pairwise(ends))
    if min(last - first for first, last in parts) < 1:
        raise InputInvalid(
            "the log is too short to be split",
            expected=f"at least one row in each of {len(parts)} parts",
            found=f"{rows} rows",
            fix="log more, or judge a policy that does not learn (uniform, fixed:arm=…)",
        )
    return parts


@dataclass(frozen=True, eq=False)
class Teacher:
    """Teaches policies on a log's rows. ``spec`` : arms, context and policy settings that they run under."""

    spec: BanditSpec
    names: Mapping[str, str]
    """Arm ids of the log by the spec's."""

    def table(self, log: Judged, policy: PolicySpec, *, taught: int) -> Floats:
        """The policy's pmf in each context of the log (C, K), after the first ``taught`` rows.

        Raises
        ------
        SpecInvalid : the policy does not fit the arms.
        """
        arms = log.arms
        if policy.name == "uniform":
            return _uniform(log)
        if policy.name == "fixed":
            return arm_table(log, str(policy.parameters["arm"]), policy.floor)
        if not log.told_apart:
            raise SupportMissing(
                "the log has too many different contexts for a policy that reads them",
                expected=f"at most {CONTEXTS_MAX:,} different contexts in a log that is larger than memory",
                found=f"more; the policy is {policy.name}",
                fix="keep the whole log in memory (--memory-rows), round numeric features, or judge a part",
            )
        document = {**self.spec.to_dict(), "policy": policy.to_dict(), "holdout": 0.0}
        bandit = Bandit(BanditSpec.from_dict(document))
        back = {logged: own for own, logged in self.names.items()}
        place = {arm: i for i, arm in enumerate(arms)}
        contexts = [self.context(context) for context in log.contexts]
        for batch in log.part(0, taught).batches() if taught else ():
            rows = zip(batch.cell.tolist(), batch.data.arm.tolist(), batch.data.reward.tolist(), strict=True)
            _learn(bandit, ((contexts[x], back[arms[a]], r) for x, a, r in rows))
        table = np.zeros((len(contexts), len(arms)))
        for x, context in enumerate(contexts):
            only = log.eligible[x]
            eligible = None if only is None else [back.get(arm, arm) for arm in only]
            for belief in bandit.beliefs(context, eligible=eligible):
                logged = self.names.get(belief.arm_id)
                if logged in place:
                    table[x, place[logged]] = belief.probability
        total = table.sum(axis=1, keepdims=True)
        if not (total > 1.0 - 1e-9).all():
            raise SpecInvalid(
                f"policy '{policy.name}' chooses arms that the log does not have",
                expected="all its choices among the log's arms",
                found=f"only {float(total.min()):.1%} of them in some context",
                fix="judge it on a log where all arms were tried",
            )
        return np.asarray(table / total, np.float64)

    def context(self, context: Mapping[str, Any]) -> dict[str, Value]:
        """A logged context with the features that the spec knows."""
        return {
            name: value for name, value in context.items() if name in self.spec.context and value is not None
        }


def _learn(bandit: Bandit, rows: Iterator[tuple[Mapping[str, Value], str, float]]) -> None:
    """As ``Bandit.learn_history``, some rows at a time, and without a ledger of them."""
    learner = bandit.learner
    while page := list(islice(rows, _PAGE)):
        checked = read_history(page, learner.arms, learner.encoder, learner.sums.epochs)
        for seq, row in enumerate(checked, start=bandit.seq + 1):
            learner.absorb_history(row, seq)


def arm_table(log: Judged, arm: str, floor: float) -> Floats:
    """Always the same arm, but for a uniform share of ``floor``; uniform where the arm is not eligible.

    Raises
    ------
    ArmUnknown : the log does not know the arm.
    """
    if arm not in log.arms:
        raise ArmUnknown(
            "the log does not know the arm of a fixed policy",
            expected=f"one of {list(log.arms)}"[:300],
            found=repr(arm)[:120],
            fix="name an arm that was logged",
        )
    table = _uniform(log)
    index = log.arms.index(arm)
    rest = table[:, index] > 0.0
    table[rest] *= floor
    table[rest, index] += 1.0 - floor
    return table


def _uniform(log: Judged) -> Floats:
    table = np.zeros((len(log.contexts), len(log.arms)))
    for x, only in enumerate(log.eligible):
        for a, arm in enumerate(log.arms):
            table[x, a] = only is None or arm in only or arm.partition("(")[0] in only
    return np.asarray(table / np.maximum(table.sum(axis=1, keepdims=True), 1.0), np.float64)


def spec_of_log(log: Judged, seed: int = 0) -> Teacher:
    """A spec with the arms and features that a log shows.

    Texts become categories, numbers lie between the smallest and the largest, true and false are flags. What
    is the same in all contexts, or a text of more than 100 values, says nothing and is left out.
    """
    strategies, names = _strategies(log.arms)
    features: dict[str, Feature] = {}
    for name in sorted({name for context in log.contexts for name in context}):
        feature = _feature([context.get(name) for context in log.contexts])
        if feature is not None and name.isidentifier():
            features[name] = feature
    spec = BanditSpec("evaluation", strategies, ContextSchema(features), seed=seed)
    return Teacher(spec, names)


def teacher_of(spec: BanditSpec, log: Judged) -> Teacher:
    """The bandit's own spec, with the arms that it shares with the log."""
    own = set(spec.arms.units)
    return Teacher(spec, {arm: arm for arm in log.arms if arm in own})


def _feature(values: Sequence[Any]) -> Feature | None:
    known = [value for value in values if value is not None]
    optional = len(known) < len(values)
    if len(set(map(repr, values))) < 2 or not known:
        return None
    if all(isinstance(value, bool) for value in known):
        return Flag(optional=optional)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known):
        low, high = float(min(known)), float(max(known))
        return Numeric(low, high if high > low else low + 1.0, optional=optional)
    texts = sorted({value for value in known if isinstance(value, str)})
    if len(texts) > _LEVELS_MAX or not all(isinstance(value, str) for value in known):
        return None
    return Categorical(texts, optional=optional)


def _strategies(ids: Sequence[str]) -> tuple[list[Strategy], dict[str, str]]:
    """Strategies with parameter grids where the arm ids are those of full grids; else each id a strategy."""
    grids: dict[str, dict[str, list[ParameterValue]]] = {}
    for arm in ids:
        match = _ARM.fullmatch(arm)
        grid = grids.setdefault(match["strategy"] if match else arm, {})
        for part in match["rest"].split(",") if match else ():
            key, _, text = part.partition("=")
            value = _parameter(text)
            if value not in grid.setdefault(key, []):
                grid[key].append(value)
    try:
        strategies = [Strategy(name, grid) for name, grid in grids.items()]
        if set(ArmTable(strategies).ids) == set(ids):
            return strategies, {arm: arm for arm in ids}
    except NyxError:
        pass
    plain = {
        re.sub(r"[(),=]+", " ", arm).strip() + (f" #{i}" if _ARM.fullmatch(arm) else ""): arm
        for i, arm in enumerate(ids)
    }
    return [Strategy(name) for name in plain], plain


def _parameter(text: str) -> ParameterValue:
    if text in {"true", "false", "True", "False"}:
        return text.lower() == "true"
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
