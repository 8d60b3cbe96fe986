"""A row of the log: what was learned from one decision, with its number in the bandit's sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..canonical import digest
from ..rewards import Outcome, Reward
from .decision import Decision
from .fixed_point import reward_to_fixed
from .learner import policy_propensity

__all__ = ["RewardRow"]


@dataclass(frozen=True, slots=True)
class RewardRow:
    """One reward, as it is appended to the log; ``seq`` is 0 until it has a number.

    ``encoding`` (hash), ``phi``, ``arm_id`` and ``epoch`` are copied from the decision, so that the sums can
    be folded from the log alone; ``propensity`` is the
    policy's, 0 where it did not choose. ``outcome`` is what was reported, None for a plain reward;
    ``pricing`` says how the reward came about.
    """

    bandit: str
    seq: int
    decision_id: str
    arm_id: str
    epoch: int
    encoding: str
    phi: tuple[int, ...]
    propensity: float
    units: int
    reward: float
    outcome: Mapping[str, Any] | None
    pricing: Mapping[str, Any]
    reported_at: float | None

    @classmethod
    def of(
        cls,
        decision: Decision,
        encoding: str,
        reward: Reward,
        outcome: Outcome | None,
        reported_at: float | None,
    ) -> RewardRow:
        """Draft the row of a priced report."""
        return cls(
            decision.bandit,
            0,
            decision.decision_id,
            decision.arm_id,
            decision.epoch,
            encoding,
            decision.phi,
            policy_propensity(decision),
            reward_to_fixed(reward.value),
            reward.value,
            None if outcome is None else outcome.to_dict(),
            reward.to_dict(),
            reported_at,
        )

    def numbered(self, seq: int) -> RewardRow:
        """Return the same row with its number."""
        return replace(self, seq=seq)

    def same_report(self, other: RewardRow) -> bool:
        """Tell whether two rows of one decision report the same."""
        if self.outcome is None and other.outcome is None:
            return self.reward == other.reward
        return self.outcome == other.outcome

    @property
    def digest(self) -> str:
        """Hash of the whole row."""
        return digest(
            {
                "bandit": self.bandit,
                "seq": self.seq,
                "decision_id": self.decision_id,
                "arm_id": self.arm_id,
                "epoch": self.epoch,
                "encoding": self.encoding,
                "phi": list(self.phi),
                "propensity": self.propensity,
                "units": self.units,
                "reward": self.reward,
                "outcome": self.outcome,
                "pricing": self.pricing,
                "reported_at": self.reported_at,
            }
        )
