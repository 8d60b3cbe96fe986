"""``RewardSpec``: how scores become one reward, as a value with a version.

Two groups of fields. What decides the *number* (weights, mean, profiles, gates, references, factors, power)
is hashed into ``version``, together with the number of the formulas themselves; every reward stores it as
``reward_fn_version``. What decides the *lifecycle* of a decision's reward (``window_s``, ``default``,
``late``, ``aggregate`` …) changes when and whether a number counts, never the number, and stays out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from ..canonical import digest
from ..errors import DocumentInvalid, SpecInvalid
from .numbers import number, unit
from .outcome import Outcome
from .reference import ReferenceTimes, static_table

__all__ = ["COMPONENTS", "FORMULAS", "Gate", "RewardSpec", "WeightProfile"]

COMPONENTS = ("speed", "quality", "success", "usefulness", "efficiency")
"""The scores, in the order in which every mean sums them."""

FORMULAS = 1
"""Number of the scorers' formulas and constants; it rises when one of them changes a bit of a score."""

_WEIGHT_MIN, _WEIGHT_MAX = 1e-9, 1e9
_FACTOR_MIN, _FACTOR_MAX = 1e-3, 1e3
_FORMAT = 1

Stated: TypeAlias = "float | Mapping[Any, float] | None"
Plain: TypeAlias = "str | int | float | bool"


def _weights(weights: Mapping[str, float]) -> Mapping[str, float]:
    if not isinstance(weights, Mapping) or not set(weights) <= set(COMPONENTS):
        raise SpecInvalid(
            "the weights of a reward are not usable",
            expected=f"a mapping from names out of {COMPONENTS} to numbers",
            found=repr(weights),
            fix="weigh the scores that exist; a score left out has weight 0",
        )
    checked = {}
    for name in COMPONENTS:
        if name not in weights:
            continue
        value = number(f"the weight of {name}", weights[name], 0.0, _WEIGHT_MAX, SpecInvalid)
        if 0.0 < value < _WEIGHT_MIN:
            number(f"the weight of {name} (other than 0)", value, _WEIGHT_MIN, _WEIGHT_MAX, SpecInvalid)
        checked[name] = value
    if not any(checked.values()):
        raise SpecInvalid(
            "the weights of a reward sum to 0",
            expected="at least one weight above 0",
            found=repr(dict(weights)),
            fix="give weight to the scores that the bandit shall learn from",
        )
    return MappingProxyType(checked)


@dataclass(frozen=True, slots=True)
class WeightProfile:
    """Other weights for some contexts: they apply where each feature of ``when`` has the stated value."""

    when: Mapping[str, Plain]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if not isinstance(self.when, Mapping) or not all(
            isinstance(name, str) and isinstance(value, str | int | float | bool) and value == value
            for name, value in self.when.items()
        ):
            raise SpecInvalid(
                "the condition of a weight profile is not usable",
                expected='a mapping from feature names to plain values, such as {"task_type": "coding"}',
                found=repr(self.when),
                fix="name features of the bandit's context and one value for each",
            )
        object.__setattr__(self, "when", MappingProxyType(dict(sorted(self.when.items()))))
        object.__setattr__(self, "weights", _weights(self.weights))

    def __reduce__(self) -> tuple[object, ...]:
        return WeightProfile, (dict(self.when), dict(self.weights))

    def __hash__(self) -> int:
        return hash((tuple(self.when.items()), tuple(self.weights.items())))

    def applies(self, context: Mapping[str, Any]) -> bool:
        """Tell whether the context has every stated value."""
        for name, value in self.when.items():  # noqa: SIM110 - a generator would cost as much as the scores
            if context.get(name) != value:
                return False
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict."""
        return {"when": dict(self.when), "weights": dict(self.weights)}


@dataclass(frozen=True, slots=True)
class Gate:
    """A declared cliff: where the score ``component`` is below ``below``, the reward is at most ``cap``.

    A missing score opens no gate and closes none: nothing is inferred from silence.
    """

    component: str
    below: float
    cap: float

    def __post_init__(self) -> None:
        if self.component not in COMPONENTS:
            raise SpecInvalid(
                "a gate stands on a score that does not exist",
                expected=f"one of {COMPONENTS}",
                found=repr(self.component),
                fix="name one of the scores",
            )
        object.__setattr__(self, "below", unit("below of a gate", self.below, SpecInvalid))
        object.__setattr__(self, "cap", unit("cap of a gate", self.cap, SpecInvalid))

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict."""
        return {"component": self.component, "below": self.below, "cap": self.cap}


def _default_weights() -> dict[str, float]:
    return {"speed": 0.25, "quality": 0.30, "success": 0.30, "usefulness": 0.15}


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardSpec:
    """Composite reward of a bandit.

    weights : weight of each score, >= 0, not all 0; only ratios matter.
    mean : ``arithmetic`` (scores make up for each other) or ``geometric`` (a score of 0 makes the reward 0).
    profiles : weights for some contexts; the first profile that applies wins, else ``weights``.
    gates : caps on the reward where a score is too low; all are applied.
    reference_time_s, reference_tokens, reference_cost : static references, used where no adopted version has
        one: a number, or a table keyed by the values of the context features ``reference_by`` ("*" for any).
    complexity_factors : multiplies a reference time that is not specific to a complexity, by the value of the
        context feature ``complexity_feature``; empty for none. A value without a factor is refused.
    speed_power : 1, or 2 for a speed score that falls more steeply around the reference.
    window_s : seconds after the decision within which an outcome is awaited; None waits for ever.
    default : reward of a decision whose window passed in silence; 0 is the reward of a bare failure.
    late : what an outcome after the window does: ``learn`` (replaces the default), ``log`` or ``reject``.
    aggregate : what counts of several reports: ``final``, ``first``, ``mean`` or ``max``.
    aggregates : other rules for some metrics (fields of ``Outcome``), such as ``{"user_feedback": "mean"}``.

    Raises
    ------
    SpecInvalid : any field out of its domain.
    """

    weights: Mapping[str, float] = field(default_factory=_default_weights)
    mean: Literal["arithmetic", "geometric"] = "arithmetic"
    profiles: tuple[WeightProfile, ...] = ()
    gates: tuple[Gate, ...] = ()
    reference_by: tuple[str, ...] = ("task_type", "complexity")
    reference_time_s: Stated = None
    reference_tokens: Stated = None
    reference_cost: Stated = None
    complexity_feature: str = "complexity"
    complexity_factors: Mapping[str, float] = field(default_factory=dict)
    speed_power: int = 1
    window_s: float | None = None
    default: float = 0.0
    late: Literal["learn", "log", "reject"] = "learn"
    aggregate: Literal["final", "first", "mean", "max"] = "final"
    aggregates: Mapping[str, Literal["final", "first", "mean", "max"]] = field(default_factory=dict)
    static_reference: ReferenceTimes | None = field(init=False, repr=False, compare=False)
    version: str = field(init=False, compare=False)
    _vector: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _profile_vectors: tuple[tuple[float, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        _one_of("mean", self.mean, ("arithmetic", "geometric"))
        _one_of("late", self.late, ("learn", "log", "reject"))
        for rule in (self.aggregate, *self.aggregates.values()):
            _one_of("aggregate", rule, ("final", "first", "mean", "max"))
        for metric in self.aggregates:
            _one_of("the metric of an aggregate", metric, tuple(Outcome.model_fields))
        put("aggregates", MappingProxyType(dict(sorted(self.aggregates.items()))))
        _one_of("speed_power", self.speed_power, (1, 2))
        put("weights", _weights(self.weights))
        put("profiles", _all_of("profiles", self.profiles, WeightProfile))
        put("gates", _all_of("gates", self.gates, Gate))
        put("reference_by", tuple(self.reference_by))
        static = static_table(
            self.reference_by,
            (
                ("time_s", self.reference_time_s),
                ("tokens", self.reference_tokens),
                ("cost", self.reference_cost),
            ),
        )
        put("static_reference", static)
        for name in ("reference_time_s", "reference_tokens", "reference_cost"):
            stated = getattr(self, name)
            if isinstance(stated, Mapping):
                put(name, MappingProxyType({_key(key): float(value) for key, value in stated.items()}))
            elif stated is not None:
                put(name, float(stated))
        factors = {
            name: number(f"the factor of complexity {name!r}", value, _FACTOR_MIN, _FACTOR_MAX, SpecInvalid)
            for name, value in sorted(self.complexity_factors.items())
        }
        put("complexity_factors", MappingProxyType(factors))
        if self.window_s is not None:
            put("window_s", number("window_s", self.window_s, 0.0, 1e12, SpecInvalid))
        put("default", unit("default", self.default, SpecInvalid))
        put("_vector", tuple(self.weights.get(name, 0.0) for name in COMPONENTS))
        vectors = tuple(tuple(p.weights.get(name, 0.0) for name in COMPONENTS) for p in self.profiles)
        put("_profile_vectors", vectors)
        put("version", digest({"formulas": FORMULAS, **self._pricing()}))

    def __reduce__(self) -> tuple[object, ...]:
        return RewardSpec.from_dict, (self.to_dict(),)

    def __hash__(self) -> int:
        return hash((self.version, self.window_s, self.default, self.late, self.aggregate))

    def weights_for(self, context: Mapping[str, Any] | None) -> tuple[tuple[float, ...], int | None]:
        """Return the weights in the order of ``COMPONENTS``, and the number of the profile that gave them."""
        if context is not None:
            for i, profile in enumerate(self.profiles):
                if profile.applies(context):
                    return self._profile_vectors[i], i
        return self._vector, None

    def _pricing(self) -> dict[str, Any]:
        return {
            "weights": dict(self.weights),
            "mean": self.mean,
            "profiles": [profile.to_dict() for profile in self.profiles],
            "gates": [gate.to_dict() for gate in self.gates],
            "reference_by": list(self.reference_by),
            "reference_time_s": _rows(self.reference_time_s),
            "reference_tokens": _rows(self.reference_tokens),
            "reference_cost": _rows(self.reference_cost),
            "complexity_feature": self.complexity_feature,
            "complexity_factors": dict(self.complexity_factors),
            "speed_power": self.speed_power,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return a plain JSON-able dict that ``from_dict`` reads; tables become sorted [key, value] rows."""
        return {
            "format": _FORMAT,
            **self._pricing(),
            "window_s": self.window_s,
            "default": self.default,
            "late": self.late,
            "aggregate": self.aggregate,
            "aggregates": dict(self.aggregates),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RewardSpec:
        """Rebuild what ``to_dict`` wrote; fields may be left out, unknown ones are refused.

        Raises
        ------
        DocumentInvalid : not such a document. SpecInvalid : a field out of its domain.
        """
        known = {f.name for f in fields(cls) if f.init}
        values = dict(document) if isinstance(document, Mapping) else {"?": document}
        stated = values.pop("format", _FORMAT)
        if stated != _FORMAT or not set(values) <= known:
            raise DocumentInvalid(
                "the document of a reward specification cannot be read",
                expected=f"format {_FORMAT} with fields out of {sorted(known)}",
                found=f"format {stated!r} with fields {sorted(map(str, values))}",
                fix="write it with RewardSpec.to_dict of this version",
            )
        try:
            if "profiles" in values:
                values["profiles"] = tuple(WeightProfile(**profile) for profile in values["profiles"])
            if "gates" in values:
                values["gates"] = tuple(Gate(**gate) for gate in values["gates"])
            for name in ("reference_time_s", "reference_tokens", "reference_cost"):
                if isinstance(values.get(name), list):
                    values[name] = {tuple(key): value for key, value in values[name]}
            return cls(**values)
        except (TypeError, ValueError) as error:
            if isinstance(error, SpecInvalid):
                raise
            raise DocumentInvalid(
                "the document of a reward specification is damaged",
                expected="the object that RewardSpec.to_dict writes",
                found=f"{type(error).__name__}: {error}",
                fix="write it with RewardSpec.to_dict of this version",
            ) from None


def _key(key: object) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)  # type: ignore[arg-type]


def _rows(stated: Stated) -> Any:
    if not isinstance(stated, Mapping):
        return stated
    return [[list(key), value] for key, value in sorted(stated.items())]


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise SpecInvalid(
            f"{name} of a reward specification is not usable",
            expected=f"one of {allowed}",
            found=repr(value),
            fix=f"choose {name} from these",
        )


def _all_of(name: str, values: Any, kind: type) -> tuple[Any, ...]:
    if not isinstance(values, tuple | list) or not all(isinstance(value, kind) for value in values):
        raise SpecInvalid(
            f"{name} of a reward specification are not usable",
            expected=f"a tuple of {kind.__name__}",
            found=repr(values),
            fix=f"build each with {kind.__name__}(...)",
        )
    return tuple(values)
