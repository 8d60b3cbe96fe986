"""The learner: a spec, its sums, and the policy that reads them. It decides and absorbs, without a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..errors import InputInvalid, shown
from ..features import ONE, Encoder, Value
from ..features.encoding import groups
from . import kernels
from .choice import TOTAL, Keyed
from .conservative import Conservative
from .decision import Beliefs, Decision, Stage
from .forgetting import Forgetting
from .policies import CATALOG, Setting, build
from .policies.base import Floats
from .spec import BanditSpec
from .sums import Sums

__all__ = ["ARM_STAGE", "COHORT_STAGE", "Learner", "checked_id", "policy_propensity"]

ARM_STAGE, COHORT_STAGE = "arm", "cohort"
_COHORTS = ("learner", "holdout")
_MAX_ID = 512


class Learner:
    """Decides from the sums, and takes rewarded decisions in.

    Deciding never changes what is known: any number of decisions between two rewards leave no trace.
    """

    def __init__(self, spec: BanditSpec, sums: Sums | None = None) -> None:
        self.spec, self.arms = spec, spec.arms
        self.encoder = Encoder(spec.context)
        self.sums = _fitting(spec, sums, self.encoder.dimension)
        self.sums.stale.update(range(len(self.arms)))  # another policy may have read these sums before
        self._setting = Setting(self.arms, tuple(groups(spec.context)), spec.baseline, spec.policy.parameters)
        self._policy = build(spec.policy.name, self._setting)
        self._keyed = Keyed(spec.seed, spec.name)
        self._floor = spec.policy.floor
        common = spec.policy.common
        self._forgetting = Forgetting(self.sums, common.discount, common.window) if common.forgets else None
        self._conservative = (
            None
            if common.conservative is None
            else Conservative(common.conservative, common.delta, spec.baseline)
        )
        self._everything = np.ones(len(self.arms), np.bool_)
        self._pmf = np.zeros(len(self.arms))
        self._units = np.zeros(len(self.arms), np.int64)
        holdout = round(spec.holdout * TOTAL)
        self._cohort_pmf = (TOTAL - holdout, holdout)
        self._spec_hash = spec.spec_hash

    def decide(
        self,
        context: Mapping[str, Value],
        decision_id: str,
        *,
        eligible: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        time: float | None = None,
        mode: str = "normal",
    ) -> Decision:
        """Choose an arm: a pure function of the sums, the spec and the arguments.

        Raises
        ------
        ContextInvalid, ArmUnknown, EligibilityEmpty, InputInvalid : nothing has changed.
        """
        checked_id(decision_id)
        clean, phi = self.encoder.encode(context)
        allowed = self.arms.eligible(eligible, exclude)
        return self.choose(clean, phi, decision_id, allowed, time=time, mode=mode)

    def choose(
        self,
        context: dict[str, Value],
        phi: Sequence[int],
        decision_id: str,
        allowed: tuple[int, ...] | None,
        *,
        time: float | None,
        mode: str,
    ) -> Decision:
        """``decide`` for validated arguments: an encoded context, and indices of eligible arms."""
        stages: tuple[Stage, ...] = ()
        held_out = False
        if self._cohort_pmf[1]:
            u = self._keyed.uniform(decision_id, COHORT_STAGE)
            held_out = u >= self._cohort_pmf[0]
            stages = (Stage(COHORT_STAGE, _COHORTS, self._cohort_pmf, int(held_out)),)
        only = len(self.arms) == 1 if allowed is None else len(allowed) == 1
        if held_out and (allowed is None or self.spec.baseline in allowed):
            reason, pmf = "holdout", self._point(self.spec.baseline)
        elif self._holds_back(allowed):
            reason, pmf = "only_arm" if only else "conservative", self._kept(allowed)
        else:
            reason, pmf = "only_arm" if only else "policy", self._mass(phi, allowed)
        arm = kernels.choice.draw(pmf, self._keyed.uniform(decision_id, ARM_STAGE))
        stage = Stage(ARM_STAGE, self.arms.ids, tuple(pmf.tolist()), arm)
        propensity = stage.probability
        for earlier in stages:
            propensity *= earlier.probability
        chosen = self.arms[arm]
        return Decision(
            self.spec.name,
            decision_id,
            context,
            tuple(phi),
            allowed,
            (*stages, stage),
            arm,
            chosen.arm_id,
            chosen.strategy,
            dict(chosen.parameters),  # a copy: callers may change theirs
            propensity,
            self.sums.epochs[arm],
            reason,
            mode,
            self._spec_hash,
            self.sums.seq,
            time,
        )

    def absorb(self, decision: Decision, reward: int, seq: int) -> None:
        """Learn one reward (units of 2⁻¹⁶), the row ``seq`` of the sequence.

        Raises
        ------
        InputInvalid : ``seq`` is not the next number; nothing has changed.
        """
        self.sums.expect(seq)
        further = self.increments(policy_propensity(decision), reward, seq)
        self.sums.absorb(decision.arm, decision.epoch, seq, decision.phi, reward, further=further)
        self.sums.seq = seq

    def increments(self, propensity: float, reward: int, seq: int) -> tuple[int, ...]:
        """What a row adds to the further statistics that the policy declares; mostly nothing.

        ``propensity``: ``policy_propensity`` of the row's decision; ``reward`` in units of 2⁻¹⁶.
        """
        return self._policy.increments(propensity, reward, seq) if self.sums.further else ()

    def beliefs(
        self, context: Mapping[str, Value], *, eligible: Iterable[str] | None = None
    ) -> list[Beliefs]:
        """Tell what the policy holds of each arm in a context; changes nothing."""
        _, phi = self.encoder.encode(context)
        allowed = self.arms.eligible(eligible, None)
        mass = self._mass(phi, allowed).tolist()
        if self._holds_back(allowed):
            mass = self._kept(allowed).tolist()
        mean, sd = self._policy.beliefs(_numbers(phi))
        return [
            Beliefs(arm.arm_id, float(mean[i]), float(sd[i]), mass[i] / TOTAL, int(self.sums.totals[i, 0]))
            for i, arm in enumerate(self.arms)
        ]

    def _mass(self, phi: Sequence[int], allowed: tuple[int, ...] | None) -> np.ndarray:
        if self._forgetting is not None:
            if self._forgetting.due:
                changed = self._forgetting.refresh()
                self._policy.refresh(self._forgetting.reading, changed)
        elif self.sums.stale:
            changed = self.sums.refresh()
            self._policy.refresh(self.sums.reading, changed)
        mask = self._mask(allowed)
        self._policy.pmf(_numbers(phi), mask, self._pmf)
        kernels.choice.quantise(self._pmf, mask, self._floor, self._units)
        return self._units

    def _mask(self, allowed: tuple[int, ...] | None) -> npt.NDArray[np.bool_]:
        if allowed is None:
            return self._everything
        mask = np.zeros(len(self.arms), np.bool_)
        mask[list(allowed)] = True
        return mask

    def _holds_back(self, allowed: tuple[int, ...] | None) -> bool:
        if self._conservative is None or not (allowed is None or self.spec.baseline in allowed):
            return False
        return not self._conservative.allows(self.sums.totals)

    def _kept(self, allowed: tuple[int, ...] | None) -> np.ndarray:
        """The baseline arm; the others keep one unit each while there is a floor, and no share of it."""
        self._units[:] = self._mask(allowed) if self._floor > 0.0 else 0
        self._units[self.spec.baseline] = 0
        self._units[self.spec.baseline] = TOTAL - int(self._units.sum())
        return self._units

    def _point(self, arm: int) -> np.ndarray:
        self._units[:] = 0
        self._units[arm] = TOTAL
        return self._units


def policy_propensity(decision: Decision) -> float:
    """The logged propensity, or 0 for a row that the policy did not choose (a holdout cohort)."""
    return 0.0 if decision.reason == "holdout" else decision.propensity


def _fitting(spec: BanditSpec, sums: Sums | None, dimension: int) -> Sums:
    """New sums, or the given ones if they hold what the spec's policy reads; ``InputInvalid`` otherwise."""
    further = CATALOG[spec.policy.name].statistics
    if sums is None:
        return Sums(len(spec.arms), dimension, spec.bucket_rows, len(further))
    if sums.further == len(further):
        return sums
    raise InputInvalid(
        f"the sums are not those that policy '{spec.policy.name}' reads",
        expected=f"{len(further)} further statistics {list(further)}",
        found=f"{sums.further}",
        fix="refold the sums from the log with this spec",
    )


def _numbers(phi: Sequence[int]) -> Floats:
    numbers = np.array(phi, np.float64)
    numbers *= 1.0 / ONE
    return numbers


def checked_id(decision_id: object) -> str:
    """Return a usable decision id; ``InputInvalid`` for anything else."""
    if isinstance(decision_id, str) and 0 < len(decision_id) <= _MAX_ID and decision_id.isprintable():
        return decision_id
    raise InputInvalid(
        "the decision id is unusable",
        expected=f"a printable string of 1 to {_MAX_ID} characters",
        found=shown(decision_id),
        fix="use something that your retry would send again, such as 'workflow-1/step-2'",
    )
