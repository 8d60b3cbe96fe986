"""What a bandit is: a value, checked as a whole, with a hash that every decision carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..canonical import digest
from ..errors import DocumentInvalid, SpecInvalid, shown
from ..features import ContextSchema
from ..features.monitors import Monitors
from ..rewards import RewardSpec
from .arms import MAX_ARMS, ArmTable
from .guardrails.settings import Guardrails
from .policies.catalog import CATALOG, checked_parameters
from .policies.common import COMMON_NAMES, CommonSettings
from .space import ArmSpace
from .strategies import Strategy, arms_spanned

__all__ = ["BanditSpec", "PolicySpec"]

_FORMAT = 1
_MAX_SEED = 1 << 64
_MAX_NAME = 200
DEFAULT_FLOOR = 0.01
STAGED_POLICIES = ("hier_ts", "uniform")


class PolicySpec:
    """A policy by name, its exploration floor, and its parameters.

    ``floor`` is the share of decisions that is uniform over the eligible arms; with floor 0 a deterministic
    policy logs propensities of 0 and 1, from which no other policy can be evaluated. Every policy also takes
    ``discount``, ``window``, ``idle_discount``, ``past_epochs``, ``conservative`` and ``conservative_delta``:
    see ``CommonSettings``.

    >>> PolicySpec("ucb1", floor=0.02, alpha=1)
    PolicySpec('ucb1', floor=0.02, alpha=1.0)

    Raises
    ------
    SpecInvalid : an unknown policy or parameter, or a value outside its domain.
    """

    __slots__ = ("_given", "common", "floor", "name", "parameters")

    def __init__(
        self,
        name: str = "hier_ts",
        *,
        floor: float = DEFAULT_FLOOR,
        discount: float | None = None,
        window: int | None = None,
        conservative: float | None = None,
        conservative_delta: float | None = None,
        idle_discount: float | None = None,
        past_epochs: float | None = None,
        **parameters: Any,
    ) -> None:
        self.parameters: Mapping[str, float | str] = checked_parameters(name, parameters)
        if isinstance(floor, bool) or not isinstance(floor, (int, float)) or not 0.0 <= floor <= 1.0:
            raise SpecInvalid(
                f"the exploration floor of policy '{name}' is not a share",
                expected="a number from 0 to 1",
                found=shown(floor),
                fix=f"for example floor={DEFAULT_FLOOR}, the default",
            )
        self.name, self.floor = name, float(floor)
        self.common = CommonSettings(
            discount, window, conservative, conservative_delta, idle_discount, past_epochs
        )
        self._given = {**self.common.given(), **{key: self.parameters[key] for key in sorted(parameters)}}

    def __repr__(self) -> str:
        given = "".join(f", {key}={value!r}" for key, value in self._given.items())
        return f"PolicySpec({self.name!r}, floor={self.floor!r}{given})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PolicySpec) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.name, self.floor, self.common, tuple(sorted(self.parameters.items()))))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON; all parameters are written out, so that a changed default changes no old spec.

        Common settings stand beside them only where they are used: specs without them keep their hash.
        """
        return {
            "name": self.name,
            "floor": self.floor,
            "parameters": dict(sorted(self.parameters.items())),
            **self.common.given(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> PolicySpec:
        """The policy spec that ``to_dict`` wrote."""
        common = {key: document[key] for key in COMMON_NAMES if key in document}
        return cls(document["name"], floor=document["floor"], **common, **document["parameters"])


@dataclass(frozen=True)
class BanditSpec:
    """A named learner: its arms, context, reward, policy and seed.

    Parameters
    ----------
    name : printable, 1 to 200 characters; keys the log, and the draws.
    strategies : what can be chosen. Up to 1,024 arms are listed, and chosen among at once; a larger space,
    or one
        with a ``Range``, is chosen from in stages, under ``hier_ts`` or ``uniform`` (see ``bandit.staged``).
    context : what is known before choosing; by default nothing.
    reward : how outcomes become rewards.
    policy : how sums become probabilities.
    seed : 0 ≤ seed < 2⁶⁴. Two bandits with other names do not share draws, whatever their seeds.
    baseline_arm : arm that is served without learning (arm id, or a strategy with a single arm).
    holdout : share of decisions, in a keyed cohort, that is served the baseline arm.
    bucket_rows : rows of the sequence that share one block of sums; forgetting reads whole blocks.
    monitors : what watches the bandit's world, and starts new epochs where it changed; by default nothing.
    guardrails : what watches the outcomes, and limits what is chosen; by default nothing.

    Raises
    ------
    SpecInvalid, ArmUnknown : the parts do not fit together.
    """

    name: str
    strategies: Sequence[Strategy]
    context: ContextSchema = field(default_factory=ContextSchema)
    reward: RewardSpec = field(default_factory=RewardSpec)
    policy: PolicySpec = field(default_factory=PolicySpec)
    seed: int = 0
    baseline_arm: str | None = None
    holdout: float = 0.0
    bucket_rows: int = 4096
    monitors: Monitors | None = None
    guardrails: Guardrails | None = None

    def __post_init__(self) -> None:
        self._check_types()
        object.__setattr__(self, "strategies", tuple(self.strategies))
        object.__setattr__(self, "holdout", float(self.holdout))
        if self.arms.staged:
            self._check_staged()
        elif self.baseline_arm is not None:
            chosen = self.arms.resolve([self.baseline_arm])
            if len(chosen) != 1:
                raise SpecInvalid(
                    "the baseline arm is not one arm",
                    expected="an arm id, or a strategy without parameters",
                    found=f"'{self.baseline_arm}', which has {len(chosen)} arms",
                    fix=f"name one of them, for example '{self.arms.units[min(chosen)]}'",
                )
        if self.baseline_arm is None and self.holdout > 0.0:
            raise SpecInvalid(
                "a holdout cohort needs a baseline arm",
                expected="baseline_arm=<arm id> beside holdout > 0",
                found=f"holdout={self.holdout}, baseline_arm=None",
                fix="name the arm that the cohort is served",
            )
        self._check_guardrails()
        self.policy.common.check_against(self.bucket_rows, baseline=self.baseline_arm is not None)

    def __reduce__(self) -> tuple[object, ...]:
        return BanditSpec.from_dict, (self.to_dict(),)

    def _check_guardrails(self) -> None:
        rails = self.guardrails
        if rails is None or (rails.service is None and not rails.budgets):
            return
        if self.baseline_arm is None:
            raise SpecInvalid(
                "a Service or Budget has no baseline arm to serve",
                expected="baseline_arm=<arm id>",
                found="baseline_arm=None",
                fix="name the baseline arm, or leave the Service and Budgets out",
            )
        if rails.service is not None and self.arms.staged:
            # The comparison weighs rewards by the whole chance of the baseline arm. Here that arm is reached
            # by several draws, and a row of the log has the chance of one way to it.
            raise SpecInvalid(
                "a Service compares listed arms, and this space is chosen from in stages",
                expected=f"at most {MAX_ARMS:,} arms, without a Range",
                found=f"{arms_spanned(self.strategies):g} arms",
                fix="list a few values for each parameter; or leave the Service out: a holdout compares with "
                "the baseline arm here too, and breakers and budgets limit the strategies",
            )

    def _check_staged(self) -> None:
        if self.baseline_arm is not None:
            self.arms.locate(self.baseline_arm)
        if self.policy.name not in STAGED_POLICIES or self.policy.common.conservative is not None:
            raise SpecInvalid(
                "the policy cannot choose from a space of this size",
                expected=f"one of {STAGED_POLICIES}, without conservative (over {MAX_ARMS} arms, or a Range)",
                found=f"{self.policy!r} over {arms_spanned(self.strategies):g} arms",
                fix="choose one of these policies, or offer fewer values for each parameter",
            )

    def _check_types(self) -> None:
        name = self.name
        usable = isinstance(name, str) and 0 < len(name) <= _MAX_NAME and name.isprintable()
        checks: list[tuple[bool, str, str, object]] = [
            (usable, "name", f"a printable string of 1 to {_MAX_NAME} characters", name),
            (_is_int(self.seed, 0, _MAX_SEED - 1), "seed", "an integer from 0 to 2⁶⁴ − 1", self.seed),
            (isinstance(self.context, ContextSchema), "context", "a ContextSchema", self.context),
            (isinstance(self.reward, RewardSpec), "reward", "a RewardSpec", self.reward),
            (isinstance(self.policy, PolicySpec), "policy", "a PolicySpec", self.policy),
            (_is_share(self.holdout), "holdout", "a number from 0 to below 1", self.holdout),
            (_is_int(self.bucket_rows, 1, 1 << 40), "bucket_rows", "an integer >= 1", self.bucket_rows),
            (
                self.baseline_arm is None or isinstance(self.baseline_arm, str),
                "baseline_arm",
                "an arm id or None",
                self.baseline_arm,
            ),
            (
                self.monitors is None or isinstance(self.monitors, Monitors),
                "monitors",
                "Monitors(…) or None",
                self.monitors,
            ),
            (
                self.guardrails is None or isinstance(self.guardrails, Guardrails),
                "guardrails",
                "Guardrails(…) or None",
                self.guardrails,
            ),
            (
                isinstance(self.strategies, Sequence) and not isinstance(self.strategies, str),
                "strategies",
                "a list of Strategy",
                self.strategies,
            ),
        ]
        for good, part, expected, found in checks:
            if not good:
                raise SpecInvalid(
                    f"'{part}' of the bandit spec is unusable",
                    expected=expected,
                    found=shown(found, 100),
                    fix=f"correct {part}",
                )

    @cached_property
    def arms(self) -> ArmTable | ArmSpace:
        """All arms in their fixed order, or the space of them where they are too many to list."""
        if arms_spanned(self.strategies) <= MAX_ARMS:
            return ArmTable(self.strategies)
        return ArmSpace(self.strategies, self.context.dimension)

    @cached_property
    def baseline(self) -> int:
        """Row of the sums that the baseline arm belongs to; −1 without one."""
        if self.baseline_arm is None:
            return -1
        if self.arms.staged:
            return self.arms.locate(self.baseline_arm)[0]
        return min(self.arms.resolve([self.baseline_arm]))

    @cached_property
    def encoding(self) -> str:
        """Hash of what a row of the sums is made of: equal hash, equal sums from the same log."""
        statistics = CATALOG[self.policy.name].statistics
        if not self.arms.staged and not statistics:
            return self.context.version
        space = self.arms.version if isinstance(self.arms, ArmSpace) else None
        return digest({"context": self.context.version, "space": space, "statistics": list(statistics)})

    @cached_property
    def spec_hash(self) -> str:
        """Hash of everything that a decision may depend on, the log aside."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON. Monitors and guardrails are named where there are any: old specs keep their hash."""
        watched = {} if self.monitors is None else {"monitors": self.monitors.to_dict()}
        if self.guardrails is not None:
            watched["guardrails"] = self.guardrails.to_dict()
        return {
            **watched,
            "format": _FORMAT,
            "name": self.name,
            "seed": self.seed,
            "strategies": [strategy.to_dict() for strategy in self.strategies],
            "context": self.context.to_dict(),
            "reward": self.reward.to_dict(),
            "policy": self.policy.to_dict(),
            "baseline_arm": self.baseline_arm,
            "holdout": self.holdout,
            "bucket_rows": self.bucket_rows,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> BanditSpec:
        """The spec that ``to_dict`` wrote.

        Raises
        ------
        DocumentInvalid : the document is of another format, or damaged.
        """
        try:
            if document["format"] != _FORMAT:
                raise _unreadable(f"format {document['format']!r}")
            return cls(
                name=document["name"],
                seed=document["seed"],
                strategies=[Strategy.from_dict(s) for s in document["strategies"]],
                context=ContextSchema.from_dict(document["context"]),
                reward=RewardSpec.from_dict(document["reward"]),
                policy=PolicySpec.from_dict(document["policy"]),
                baseline_arm=document["baseline_arm"],
                holdout=document["holdout"],
                bucket_rows=document["bucket_rows"],
                monitors=Monitors.from_dict(document["monitors"]) if "monitors" in document else None,
                guardrails=Guardrails.from_dict(document["guardrails"]) if "guardrails" in document else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise _unreadable(f"{type(error).__name__}: {error}") from error


def _unreadable(found: str) -> DocumentInvalid:
    return DocumentInvalid(
        "a bandit spec cannot be read from the document",
        expected=f"an object as BanditSpec.to_dict() writes it, format {_FORMAT}",
        found=found[:200],
        fix="write the document with the version that reads it, or correct the field",
    )


def _is_int(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 <= value < 1.0
