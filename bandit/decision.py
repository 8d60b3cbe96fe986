"""A logged choice, and the receipt of a reward: values.

Named tuples where a decision's time counts: building a frozen dataclass of their size takes ten times as
long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..canonical import canonical_json, hashed, integers, number, plain_json, quoted
from ..features import Value
from .choice import TOTAL
from .parameters import ParameterValue

__all__ = [
    "ARM_STAGE",
    "GUARDED",
    "IMPORTED",
    "Beliefs",
    "Decision",
    "DecisionText",
    "Receipt",
    "Stage",
    "VerifyReport",
    "product",
]

ARM_STAGE = "arm"
"""Name of the stage that chooses among all listed arms."""

GUARDED = "guarded"
"""Beginning of the reason of a decision that a guardrail touched: ``guarded:exclude,cap``."""

IMPORTED = "imported"
"""Mode of a decision that was made elsewhere; its reason too, where nobody said another."""


class Stage(NamedTuple):
    """One draw of a decision: the names that could come, their mass in units of 2⁻³², and the one that
    came.
    """

    name: str
    names: tuple[str, ...]
    pmf: tuple[int, ...]
    chosen: int

    @property
    def probability(self) -> float:
        """Probability of what came; exact."""
        return self.pmf[self.chosen] / TOTAL


def product(stages: Sequence[Stage]) -> float:
    """Probability of a chain of stages, multiplied in their order."""
    propensity = 1.0
    for stage in stages:
        propensity *= stage.pmf[stage.chosen] / TOTAL
    return propensity


class DecisionText(NamedTuple):
    """A decision as canonical JSON spells it: spelled once for the columns and the hash.

    ``context``, ``stages`` : as JSON, the stages without the one over listed arms. ``phi``, ``eligible``,
    ``pmf`` : their numbers with commas between them. ``whole`` : all of it, as canonical JSON of ``to_dict``.
    """

    context: str
    phi: str
    eligible: str | None
    stages: str
    pmf: str
    digest: str
    whole: str


class Decision(NamedTuple):
    """One choice, with all that is needed to repeat it.

    Attributes
    ----------
    decision_id : idempotency key, and key of the draw.
    context : as given, validated. phi : its encoding, integers in units of 2⁻¹⁶.
    eligible : indices of the arms that could be chosen; None for all.
    stages : the draws, in their order; the last one chooses the arm. Empty for an imported decision whose pmf
        was not logged.
    arm, arm_id, strategy, parameters : what was chosen; ``arm`` is its index in the spec.
    propensity : probability of the choice: the product over the stages. Never 0, but for an imported decision
        whose propensity is unknown.
    epoch : the arm's epoch, which the reward will join.
    reason : ``policy``, ``holdout`` (served the baseline arm), ``conservative`` (the same, to keep what it
        earns), ``only_arm`` (nothing else was eligible), or ``imported`` (not known). Where guardrails act:
        ``guarded:`` and their names, or ``kill_switch`` or ``shadow:`` and the arm that the learner would
        have chosen (both served the baseline arm).
    mode : ``normal``, or how the engine was impaired when it decided; ``imported``: another did.
    spec_hash, state_seq : the spec, and the last row of the log that was known.
    time : seconds since 1970, as passed in; None without a clock.
    """

    bandit: str
    decision_id: str
    context: Mapping[str, Value]
    phi: tuple[int, ...]
    eligible: tuple[int, ...] | None
    stages: tuple[Stage, ...]
    arm: int
    arm_id: str
    strategy: str
    parameters: Mapping[str, ParameterValue]
    propensity: float
    epoch: int
    reason: str
    mode: str
    spec_hash: str
    state_seq: int
    time: float | None

    @property
    def pmf(self) -> tuple[int, ...]:
        """Mass of every arm of the spec, in its order, in units of 2⁻³²: the last stage's pmf."""
        return self.stages[-1].pmf if self.stages else ()

    @property
    def digest(self) -> str:
        """Hash of the whole decision."""
        return self.spelled().digest

    def spelled(self) -> DecisionText:
        """The decision as canonical JSON spells it; the digest is that of ``to_dict``."""
        given = self.context
        context = plain_json(given if type(given) is dict else dict(given))
        phi = integers(self.phi)
        eligible = None if self.eligible is None else integers(self.eligible)
        allowed = "null" if eligible is None else f"[{eligible}]"
        stages, kept, pmf = [], [], ""
        for stage in self.stages:
            pmf = integers(stage.pmf)
            listed = stage.name == ARM_STAGE
            names = "null" if listed else canonical_json(list(stage.names))
            stages.append(
                f'{{"chosen":{stage.chosen},"name":{quoted(stage.name)},"names":{names},"pmf":[{pmf}]}}'
            )
            if not listed:
                kept.append(stages[-1])
        text = (
            f'{{"arm":{quoted(self.arm_id)},"bandit":{quoted(self.bandit)},"context":{context}'
            f',"decision_id":{quoted(self.decision_id)},"eligible":{allowed},"epoch":{self.epoch}'
            f',"mode":{quoted(self.mode)},"phi":[{phi}],"propensity":{number(self.propensity)}'
            f',"reason":{quoted(self.reason)},"spec_hash":{quoted(self.spec_hash)}'
            f',"stages":[{",".join(stages)}],"state_seq":{self.state_seq},"time":{number(self.time)}}}'
        )
        return DecisionText(context, phi, eligible, f"[{','.join(kept)}]", pmf, hashed(text), text)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON. The names of the stage over all arms are left to the spec."""
        stages = []
        for stage in self.stages:
            names = None if stage.name == ARM_STAGE else list(stage.names)
            stages.append(
                {"name": stage.name, "names": names, "pmf": list(stage.pmf), "chosen": stage.chosen}
            )
        return {
            "bandit": self.bandit,
            "decision_id": self.decision_id,
            "context": dict(self.context),
            "phi": list(self.phi),
            "eligible": None if self.eligible is None else list(self.eligible),
            "stages": stages,
            "arm": self.arm_id,
            "propensity": self.propensity,
            "epoch": self.epoch,
            "reason": self.reason,
            "mode": self.mode,
            "spec_hash": self.spec_hash,
            "state_seq": self.state_seq,
            "time": self.time,
        }


class Receipt(NamedTuple):
    """What became of a report: its row's number in the sequence, and whether this call applied it.

    ``reward`` : what the decision contributes behind that row; None for nothing (a part without success, a
    retraction). ``state`` : of the decision's reward behind that row, see ``RewardState``. ``revision`` : of
    the report; a correction names it.
    """

    decision_id: str
    seq: int
    reward: float | None
    applied: bool
    components: Mapping[str, float]
    missing: tuple[str, ...]
    state: str = "final"
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What the policy holds of one arm in a context; mean and sd are NaN where it holds nothing."""

    arm_id: str
    mean: float
    sd: float
    probability: float
    rewards: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Outcome of re-deriving a log: how many decisions, how many matched, and the first that did not.

    imported : decisions that were made elsewhere and are sound: nothing can derive them anew.
    """

    decisions: int
    matched: int
    rewards: int
    sums_match: bool
    first_divergence: str | None
    imported: int = 0

    @property
    def ok(self) -> bool:
        """True where every decision but the imported ones, and the sums were re-derived bit for bit."""
        sound = self.matched + self.imported == self.decisions
        return self.sums_match and sound and self.first_divergence is None
