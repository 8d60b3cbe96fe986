"""A policy that takes part in a simulation, and the spec that it runs under in a world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..bandit import BanditSpec, PolicySpec
from ..errors import SpecInvalid
from ..features.monitors import Monitors
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
    monitors : what watches the bandit's world; new epochs are rows of the simulated log, as in production.
    bucket_rows : rows that share one block of sums; None for what fits the policy's forgetting.

    Raises
    ------
    SpecInvalid : ``sampled`` with another policy, or with settings that it cannot honour.
    """

    label: str
    policy: PolicySpec
    sampled: bool = False
    monitors: Monitors | None = None
    bucket_rows: int | None = None

    def __post_init__(self) -> None:
        plain = self.policy.name == "thompson_beta" and self.policy.floor == 0.0
        plain = plain and min(float(self.policy.parameters[name]) for name in ("a", "b")) >= 0.5
        if self.sampled and not (plain and not self.policy.common.given() and self.monitors is None):
            raise SpecInvalid(
                f"the policy '{self.label}' cannot be sampled",
                expected="thompson_beta with floor=0 and a, b >= 1/2, no forgetting, no monitors",
                found=f"{self.policy!r}, monitors={self.monitors!r}"[:200],
                fix="leave 'sampled' out: then its exact probabilities are used",
            )

    @classmethod
    def of_spec(cls, spec: BanditSpec, label: str | None = None) -> Contender:
        """What a bandit's spec says of learning: its policy, monitors and buckets; by default under its name.

        Arms and context are the world's.
        """
        return cls(label or spec.name, spec.policy, False, spec.monitors, spec.bucket_rows)

    def bandit_spec(self, world: World, seed: int) -> BanditSpec:
        """The spec of the bandit that plays in a world."""
        return BanditSpec(
            BANDIT_NAME,
            world.strategies,
            world.schema,
            policy=self.policy,
            seed=seed,
            baseline_arm=world.baseline_arm,
            bucket_rows=self.rows_of_a_bucket,
            monitors=self.monitors,
        )

    @property
    def rows_of_a_bucket(self) -> int:
        """``bucket_rows`` of the bandit that plays."""
        if self.bucket_rows is not None:
            return self.bucket_rows
        common = self.policy.common
        bucket_rows = _BUCKET_ROWS
        if common.forgets:
            memory = _BUCKET_ROWS * _BUCKETS_IN_MEMORY if common.window is None else common.window
            for discount in (common.discount, common.idle_discount):
                if discount is not None:
                    memory = min(memory, int(1.0 / (1.0 - discount)))
            bucket_rows = max(1, memory // _BUCKETS_IN_MEMORY)
        return bucket_rows

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON. Monitors and buckets are named where they are given: others keep their hash."""
        further: dict[str, Any] = {}
        if self.monitors is not None:
            further["monitors"] = self.monitors.to_dict()
        if self.bucket_rows is not None:
            further["bucket_rows"] = self.bucket_rows
        return {"label": self.label, "policy": self.policy.to_dict(), "sampled": self.sampled, **further}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Contender:
        """The contender that ``to_dict`` wrote."""
        return cls(
            document["label"],
            PolicySpec.from_dict(document["policy"]),
            document["sampled"],
            Monitors.from_dict(document["monitors"]) if "monitors" in document else None,
            document.get("bucket_rows"),
        )
