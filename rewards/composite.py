"""From an ``Outcome`` to a ``Reward``: score what was reported, take the weighted mean, apply the gates.

    reward = gate(mean over the scores that are present, with the context's weights)

A missing score is left out and the weights of the rest count in proportion; which weighted scores were
missing is part of the reward. All scores that can be computed are kept, also those without weight, so that
new weights can be read over old rewards without the outcomes (``reprice.py``). A pure function of its
arguments: no clock, no running average, no process state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..errors import ContextInvalid, OutcomeInvalid
from .efficiency import efficiency_unchecked
from .mean import arithmetic, arithmetic_bulk, geometric, geometric_bulk, in_blocks
from .numbers import Array, numbers, unit
from .outcome import Outcome
from .quality import quality_unchecked, validation_score
from .reference import ANY, Reference, ReferenceTimes
from .spec import COMPONENTS, RewardSpec
from .speed import speed_unchecked
from .success import success_unchecked
from .usefulness import usefulness_unchecked

__all__ = ["Reward", "composite", "composite_bulk", "price", "score_outcome"]


class Reward(NamedTuple):
    """One composite reward and how it came about.

    value : in [0, 1].
    components : the scores that were computed, by name.
    missing : scores that have weight but could not be computed.
    reward_fn_version : hash of the ``RewardSpec`` (``RewardSpec.version``).
    reference_version : hash of the references that were used; None where none was.
    reference_time_s : the time that speed was judged against, complexity factor included.
    gates : scores whose gate capped the value.
    profile : number of the weight profile that applied, or None.
    """

    value: float
    components: Mapping[str, float]
    missing: tuple[str, ...]
    reward_fn_version: str
    reference_version: str | None = None
    reference_time_s: float | None = None
    gates: tuple[str, ...] = ()
    profile: int | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return Reward.from_dict, (self.to_dict(),)

    def __hash__(self) -> int:
        return hash((self.value, self.reward_fn_version, self.reference_version, *self.components.items()))

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict."""
        return {
            "value": self.value,
            "components": dict(self.components),
            "missing": list(self.missing),
            "reward_fn_version": self.reward_fn_version,
            "reference_version": self.reference_version,
            "reference_time_s": self.reference_time_s,
            "gates": list(self.gates),
            "profile": self.profile,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Reward:
        """Rebuild what ``to_dict`` wrote, from a store that is trusted."""
        return cls(
            document["value"],
            MappingProxyType(dict(document["components"])),
            tuple(document["missing"]),
            document["reward_fn_version"],
            document["reference_version"],
            document["reference_time_s"],
            tuple(document["gates"]),
            document["profile"],
        )


def _reference(
    spec: RewardSpec, context: Mapping[str, Any] | None, adopted: ReferenceTimes | None
) -> tuple[Reference, str | None]:
    """Find the references of one context, complexity factor included, and the version that they come from."""
    static = spec.static_reference
    table = adopted or static
    if table is None:
        return Reference(), None
    found = table.lookup(context)
    if adopted is None:
        if found.time_s is not None and not spec.complexity_factors:
            return found, table.version  # the usual case
    elif static is not None:
        stated = static.lookup(context)
        if found.time_s is None:
            if stated.time_s is not None:
                table = static
            found = found._replace(time_s=stated.time_s, time_key=stated.time_key)
        if found.tokens is None:
            found = found._replace(tokens=stated.tokens)
        if found.cost is None:
            found = found._replace(cost=stated.cost)
    if found.time_s is None:
        used = found.tokens is not None or found.cost is not None
        return found, table.version if used else None
    if spec.complexity_factors:
        feature = spec.complexity_feature
        specific = feature in table.by and found.time_key[table.by.index(feature)] != ANY
        if not specific:
            found = found._replace(time_s=found.time_s * _factor(spec, context))
    return found, table.version


def _factor(spec: RewardSpec, context: Mapping[str, Any] | None) -> float:
    value = None if context is None else context.get(spec.complexity_feature)
    if value is None:
        return 1.0
    factor = spec.complexity_factors.get(value)
    if factor is None:
        raise ContextInvalid(
            "the complexity of the task has no factor",
            expected=f"{spec.complexity_feature} in {sorted(spec.complexity_factors)}",
            found=repr(value),
            fix="add the factor to complexity_factors, or correct the context",
        )
    return factor


def score_outcome(outcome: Outcome, spec: RewardSpec, reference: Reference) -> tuple[float | None, ...]:
    """Return the five scores of an outcome in the order of ``COMPONENTS``; None where one is missing."""
    speed = None
    if outcome.duration_s is not None and reference.time_s is not None:
        speed = speed_unchecked(
            outcome.duration_s, reference.time_s, timed_out=outcome.timed_out, power=spec.speed_power
        )
    quality = outcome.quality
    if quality is None:
        checks = outcome.validation_results
        quality = quality_unchecked(
            validation_score(checks) if checks else None, outcome.format_compliance, outcome.goal_achievement
        )
    usefulness = outcome.usefulness
    if usefulness is None:
        usefulness = usefulness_unchecked(
            outcome.goal_alignment, outcome.user_feedback, outcome.business_impact
        )
    success = success_unchecked(
        outcome.success,
        outcome.agents_succeeded or 0,
        outcome.agents_failed or 0,
        outcome.retries or 0,
        len(outcome.error_codes),
    )
    efficiency = None
    if reference.tokens is not None or reference.cost is not None:
        efficiency = efficiency_unchecked(
            outcome.total_tokens, reference.tokens, outcome.cost, reference.cost
        )
    return speed, quality, success, usefulness, efficiency


def _all_missing(spec: RewardSpec, weights: Sequence[float]) -> OutcomeInvalid:
    weighted = [name for name, weight in zip(COMPONENTS, weights, strict=True) if weight > 0.0]
    return OutcomeInvalid(
        "no reward can be computed: every score that has weight is missing",
        expected=f"at least one of {weighted}",
        found="none of them was reported"
        + (
            ", and no reference time is known"
            if "speed" in weighted and spec.static_reference is None
            else ""
        ),
        fix="report what these scores need, state a reference, or give weight to success",
    )


def _mean_and_gates(
    scores: Sequence[float | None], weights: Sequence[float], spec: RewardSpec
) -> tuple[float | None, tuple[str, ...]]:
    value = (arithmetic if spec.mean == "arithmetic" else geometric)(scores, weights)
    if value is None or not spec.gates:
        return value, ()
    closed = []
    for gate in spec.gates:
        score = scores[COMPONENTS.index(gate.component)]
        if score is not None and score < gate.below and value > gate.cap:
            value = gate.cap
            closed.append(gate.component)
    return value, tuple(closed)


def price(
    outcome: Outcome,
    spec: RewardSpec,
    *,
    context: Mapping[str, Any] | None = None,
    reference: ReferenceTimes | None = None,
) -> Reward:
    """Compute the reward of an outcome.

    Parameters
    ----------
    outcome : what the execution reported. spec : the bandit's reward specification.
    context : the decision's context, for weight profiles, references and complexity factors.
    reference : the adopted version of the references; the spec's static ones fill its gaps. Without any,
        speed is missing.

    Raises
    ------
    OutcomeInvalid : every score that has weight is missing.
    ContextInvalid : the spec has complexity factors, but none for this context's complexity.

    >>> reward = price(Outcome(success=True, duration_s=30.0), RewardSpec(reference_time_s=30.0))
    >>> round(reward.value, 6), reward.missing
    (0.772727, ('quality', 'usefulness'))
    """
    weights, profile = spec.weights_for(context)
    found, version = _reference(spec, context, reference)
    scores = score_outcome(outcome, spec, found)
    value, gates = _mean_and_gates(scores, weights, spec)
    if value is None:
        raise _all_missing(spec, weights)
    components, missing = {}, []
    for name, score, weight in zip(COMPONENTS, scores, weights, strict=True):
        if score is not None:
            components[name] = score
        elif weight > 0.0:
            missing.append(name)
    return Reward(
        value,
        MappingProxyType(components),
        tuple(missing),
        spec.version,
        version,
        found.time_s,
        gates,
        profile,
    )


def composite(
    scores: Mapping[str, float | None], spec: RewardSpec, *, context: Mapping[str, Any] | None = None
) -> Reward:
    """Compute the reward of scores that are known already; absent ones and None are missing.

    >>> composite({"speed": 0.5, "success": 1.0}, RewardSpec(weights={"speed": 1, "success": 1})).value
    0.75

    Raises
    ------
    OutcomeInvalid : an unknown score, one out of [0, 1], or every weighted one missing.
    """
    if not set(scores) <= set(COMPONENTS):
        raise OutcomeInvalid(
            "a score is not known",
            expected=f"names out of {COMPONENTS}",
            found=repr(sorted(map(str, scores))),
            fix="use the names of the scores",
        )
    row = tuple(None if scores.get(n) is None else unit(f"the score {n}", scores[n]) for n in COMPONENTS)
    weights, profile = spec.weights_for(context)
    value, gates = _mean_and_gates(row, weights, spec)
    if value is None:
        raise _all_missing(spec, weights)
    present = {name: score for name, score in zip(COMPONENTS, row, strict=True) if score is not None}
    missing = tuple(
        name for name, weight in zip(COMPONENTS, weights, strict=True) if weight > 0.0 and name not in present
    )
    return Reward(value, MappingProxyType(present), missing, spec.version, gates=gates, profile=profile)


def _one_length(arrays: Mapping[str, Array]) -> bool:
    shapes = {values.shape for values in arrays.values()}
    return len(shapes) == 1 and all(len(shape) == 1 for shape in shapes)


def composite_bulk(
    scores: Mapping[str, Array], spec: RewardSpec, *, weights: Sequence[float] | None = None
) -> Array:
    """Compute many rewards: bit for bit ``composite`` of each row.

    scores : by name, arrays of one length n in [0, 1], NaN for missing. weights : in the order of
    ``COMPONENTS``; default the spec's own (rows of one profile share a call). Returns (n,), NaN where every
    weighted score is missing, so that the caller can report those rows.

    Raises
    ------
    OutcomeInvalid : no or unknown names, arrays of different lengths, or a score out of [0, 1].
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in scores.items()}
    if not arrays or not set(arrays) <= set(COMPONENTS) or not _one_length(arrays):
        raise OutcomeInvalid(
            "the arrays of scores are not usable",
            expected=f"arrays of one length, named out of {COMPONENTS}",
            found=repr({name: a.shape for name, a in arrays.items()}),
            fix="pass one array for each score that exists",
        )
    vector = spec.weights_for(None)[0] if weights is None else weights
    columns, used = [], []
    for name, weight in zip(COMPONENTS, vector, strict=True):
        if name in arrays:
            numbers(name, arrays[name], 0.0, 1.0)
            columns.append(arrays[name])
            used.append(weight)
    mean = arithmetic_bulk if spec.mean == "arithmetic" else geometric_bulk
    values = in_blocks(lambda rows: mean([column[rows] for column in columns], used), columns[0].shape[0])
    for gate in spec.gates:
        if gate.component in arrays:
            closed = (arrays[gate.component] < gate.below) & (values > gate.cap)
            values = np.where(closed, gate.cap, values)
    return values
