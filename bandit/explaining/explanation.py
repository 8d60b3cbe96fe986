"""``Explanation``: why a decision came out as it did. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...features import Value
from ..parameters import ParameterValue

__all__ = [
    "ArmView",
    "ContextChange",
    "Explanation",
    "FeatureEffect",
    "GuardrailView",
    "Layer",
    "RewardsToChange",
    "StageView",
]


@dataclass(frozen=True, slots=True)
class ArmView:
    """What the learner held of an arm in this context.

    mean, low, high : expected reward, and its credible interval of ``Explanation.coverage`` (normal); None
    where the policy holds no belief. rewards : that the arm has, in its present epoch (of the strategy, where
    parameters are chosen in stages). best : probability that no eligible arm has a higher expected reward;
    None without beliefs. policy : probability that the policy gave it, exploration included, before caps and
    shares of guardrails. probability : with which it was chosen; of a strategy, where parameters follow.
    """

    arm_id: str
    eligible: bool
    rewards: int
    mean: float | None
    low: float | None
    high: float | None
    best: float | None
    policy: float
    probability: float


@dataclass(frozen=True, slots=True)
class FeatureEffect:
    """What a feature's value does to expected rewards, against the average context of the rewards known.

    effect : of the chosen arm. margin : of its lead over the rival; None without one.
    """

    feature: str
    value: Value
    effect: float
    margin: float | None


@dataclass(frozen=True, slots=True)
class Layer:
    """The probabilities of a stage at one step of their making; in the order of the stage's names.

    ``policy`` : the policy's own. ``floor`` : with the exploration floor, in units of 2⁻³². ``guardrails`` :
    behind caps and shares, where these changed anything.
    """

    step: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StageView:
    """One draw: the layers of its probabilities, and the keyed uniform u that hit the interval [low, high)
    of what was chosen, all three as shares of 2³².
    """

    name: str
    names: tuple[str, ...]
    layers: tuple[Layer, ...]
    chosen: str
    probability: float
    u: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class GuardrailView:
    """A guardrail that was in force. acted : it changed what could be chosen, or with which probability.

    seq, author, reason, until : of the order behind it; None for rules of the spec.
    """

    rule: str
    arms: tuple[str, ...]
    acted: bool
    seq: int | None = None
    author: str | None = None
    reason: str | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ContextChange:
    """A change of one feature alone that makes another arm (or strategy) the policy's most probable one."""

    feature: str
    value: Value
    instead_of: Value
    arm_id: str
    probability: float


@dataclass(frozen=True, slots=True)
class RewardsToChange:
    """How many further rewards in this very context would have made ``rival`` the most probable arm.

    failures : rewards of 0 of ``leader``. successes : rewards of 1 of ``rival``. None: more than ``most``, or
    nothing is learned (a freeze).
    """

    leader: str
    rival: str
    failures: int | None
    successes: int | None
    most: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a decision came out as it did, from what was known at row ``state_seq`` and not later.

    Attributes
    ----------
    rederived : the decision comes out again, bit for bit, from that state. False: what is told of the policy
        may not be why (an imported decision, or a log that was tampered with).
    kind : ``policy``, ``explored`` (drawn, but not the most probable), ``only_arm``, ``holdout``,
        ``conservative``, ``kill_switch``, ``shadow`` or ``imported``.
    eligible : names of the arms that the caller allowed; None for all.
    arms : the most probable arms first; ``arms_left_out`` further ones are not listed.
    runner_up : the best of the other eligible arms by expected reward. rival : the best one of another
        strategy, else the same: features speak for a strategy against others, since arms of one strategy
        share what contexts do to it.
    average : expected reward of the chosen arm in the average context; with all effects and ``remainder`` (0
        for linear models) it adds up to the mean.
    floor : share of decisions that is spread evenly over the eligible arms.
    stages : the draws, in their order. guardrails : those in force.
    changes : nearest changes of one feature that make another arm the most probable. rewards_to_change : None
        where there is no other arm.
    reasons : in words.
    """

    bandit: str
    decision_id: str
    state_seq: int
    spec_hash: str
    time: float | None
    mode: str
    reason: str
    kind: str
    rederived: bool
    context: Mapping[str, Value]
    arm_id: str
    strategy: str
    parameters: Mapping[str, ParameterValue]
    propensity: float
    policy: str
    floor: float
    coverage: float
    eligible: tuple[str, ...] | None
    arms: tuple[ArmView, ...]
    arms_left_out: int
    runner_up: str | None
    rival: str | None
    average: float | None
    remainder: float
    features: tuple[FeatureEffect, ...]
    stages: tuple[StageView, ...]
    guardrails: tuple[GuardrailView, ...]
    changes: tuple[ContextChange, ...]
    rewards_to_change: RewardsToChange | None
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        document = asdict(self)
        document |= {"context": dict(self.context), "parameters": dict(self.parameters)}
        return {name: list(part) if isinstance(part, tuple) else part for name, part in document.items()}

    def to_text(self) -> str:
        """For people."""
        from .text import told  # noqa: PLC0415 - that module reads these values

        return told(self)

    def __str__(self) -> str:
        return self.to_text()
