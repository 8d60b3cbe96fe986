"""A policy that takes part in a simulation, and the spec that it runs under in a world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..bandit import BanditSpec, PolicySpec
from ..errors import SpecInvalid
from .worlds.base import World

__all__ = ["BANDIT_NAME", "Contender"]

BANDIT_NAME = "simulation"
"""Name of every simulated bandit; a decision's id is ``<replication>/<round>``."""

_BUCKET_ROWS = 4096
_BUCKETS_IN_MEMORY = 20  # so fine are the buckets of the sums where a policy forgets


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy, with the label that results carry.

    sampled : draw Thompson sampling's choice from samples of the posterior instead of from its exact pmf: the
        law of every choice is the same and the simulation many times faster, but there are no propensities,
        and the choices are not those that a learner takes. For ``thompson_beta`` on K arms without context.

    Raises
    ------
    SpecInvalid : ``sampled`` with another policy, or with settings that it cannot honour.
    """

    label: str
    policy: PolicySpec
    sampled: bool = False

    def __post_init__(self) -> None:
        plain = self.policy.name == "thompson_beta" and self.policy.floor == 0.0
        plain = plain and min(float(self.policy.parameters[name]) for name in ("a", "b")) >= 0.5
        if self.sampled and not (plain and not self.policy.common.given()):
            raise SpecInvalid(
                f"the policy '{self.label}' cannot be sampled",
                expected="thompson_beta with floor=0 and a, b >= 1/2, neither forgetting nor conservative",
                found=repr(self.policy),
                fix="leave 'sampled' out: then its exact probabilities are used",
            )

    def bandit_spec(self, world: World, seed: int) -> BanditSpec:
        """The spec of the bandit that plays in a world."""
        common = self.policy.common
        bucket_rows = _BUCKET_ROWS
        if common.forgets:
            memory = _BUCKET_ROWS * _BUCKETS_IN_MEMORY if common.window is None else common.window
            for discount in (common.discount, common.idle_discount):
                if discount is not None:
                    memory = min(memory, int(1.0 / (1.0 - discount)))
            bucket_rows = max(1, memory // _BUCKETS_IN_MEMORY)
        return BanditSpec(
            BANDIT_NAME,
            world.strategies,
            world.schema,
            policy=self.policy,
            seed=seed,
            baseline_arm=world.baseline_arm,
            bucket_rows=bucket_rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"label": self.label, "policy": self.policy.to_dict(), "sampled": self.sampled}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Contender:
        """The contender that ``to_dict`` wrote."""
        return cls(document["label"], PolicySpec.from_dict(document["policy"]), document["sampled"])
