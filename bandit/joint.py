"""Choice among listed arms: one stage, whose pmf has a mass for every arm of the spec."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..features import ONE
from . import kernels
from .arms import Arm, ArmTable
from .choice import TOTAL, Keyed
from .conservative import Conservative
from .decision import ARM_STAGE, GUARDED, Beliefs, Stage
from .forgetting import Forgetting
from .guardrails.acting import Rules, guard
from .policies import Setting, build
from .policies.base import Contenders, Floats
from .spec import BanditSpec
from .sums import Sums

__all__ = ["JointChooser", "numbers"]


class JointChooser:
    """Reads the sums through the spec's policy, and draws an arm from its pmf."""

    def __init__(
        self, spec: BanditSpec, arms: ArmTable, groups: tuple[int, ...], sums: Sums, keyed: Keyed
    ) -> None:
        self._arms, self._sums, self._keyed = arms, sums, keyed
        self._baseline = spec.baseline
        setting = Setting(arms, groups, spec.baseline, spec.policy.parameters)
        self._policy = build(spec.policy.name, setting)
        self._floor = spec.policy.floor
        common = spec.policy.common
        self._forgetting = Forgetting.of(common, sums)
        self._conservative = (
            None
            if common.conservative is None
            else Conservative(common.conservative, common.delta, spec.baseline)
        )
        self._everything = np.ones(len(arms), np.bool_)
        self._no_context = np.zeros(1 + len(groups))
        self._pmf = np.zeros(len(arms))
        self._units = np.zeros(len(arms), np.int64)

    def choose(
        self,
        phi: Sequence[int],
        allowed: tuple[int, ...] | None,
        decision_id: str,
        rules: Rules | None = None,
    ) -> tuple[tuple[Stage, ...], int, Arm, str]:
        """Draw an arm; returns the stages, the arm's index, the arm and the reason.

        ``rules`` : guardrails that act on the pmf; where they change it, the reason is theirs.
        """
        only = len(self._arms) == 1 if allowed is None else len(allowed) == 1
        if self._holds_back(allowed):
            reason, pmf = "conservative", self._kept(allowed)
        else:
            reason, pmf = "policy", self._mass(phi, allowed)
        if rules is not None and not only:
            # Where the guarded pmf enters: whoever derives pmfs otherwise calls the same function here.
            guarded = guard(pmf.tolist(), rules, self._mask(allowed).tolist(), self._baseline)
            if guarded != pmf.tolist():
                pmf, reason = np.array(guarded, np.int64), guarded_by(rules)
        index = kernels.choice.draw(pmf, self._keyed.uniform(decision_id, ARM_STAGE))
        stage = Stage(ARM_STAGE, self._arms.ids, tuple(pmf.tolist()), index)
        return (stage,), index, self._arms[index], "only_arm" if only else reason

    def serve_baseline(self) -> tuple[tuple[Stage, ...], int, Arm]:
        """The baseline arm, for certain."""
        pmf = tuple(TOTAL if i == self._baseline else 0 for i in range(len(self._arms)))
        return (
            (Stage(ARM_STAGE, self._arms.ids, pmf, self._baseline),),
            self._baseline,
            self._arms[self._baseline],
        )

    def increments(self, propensity: float, reward: int, seq: int) -> tuple[int, ...]:
        """What a row adds to the further statistics that the policy declares; mostly nothing."""
        return self._policy.increments(propensity, reward, seq) if self._sums.further else ()

    def beliefs(self, phi: Sequence[int], allowed: tuple[int, ...] | None) -> list[Beliefs]:
        """What the policy holds of each arm."""
        mass = self._mass(phi, allowed).tolist()
        if self._holds_back(allowed):
            mass = self._kept(allowed).tolist()
        mean, sd = self._policy.beliefs(numbers(phi))
        counts = self._sums.totals[:, 0]
        return [
            Beliefs(arm.arm_id, float(mean[i]), float(sd[i]), mass[i] / TOTAL, int(counts[i]))
            for i, arm in enumerate(self._arms)
        ]

    def contenders(self, phi: Sequence[int], arms: Sequence[Arm]) -> Contenders:
        """What the policy holds of these arms as rivals of each other."""
        self._refresh()
        found = self._policy.contenders(numbers(phi) if self._policy.reads_context else self._no_context)
        chosen = [self._arms.index(arm.arm_id) for arm in arms]
        return Contenders(found.weight, found.mean[:, chosen], found.own[:, chosen], found.whole[:, chosen])

    def _refresh(self) -> None:
        if self._forgetting is not None:
            if self._forgetting.due:
                changed = self._forgetting.refresh()
                self._policy.refresh(self._forgetting.reading, changed)
        elif self._sums.stale:
            changed = self._sums.refresh()
            self._policy.refresh(self._sums.reading, changed)

    def _mass(self, phi: Sequence[int], allowed: tuple[int, ...] | None) -> npt.NDArray[np.int64]:
        self._refresh()
        mask = self._mask(allowed)
        context = numbers(phi) if self._policy.reads_context else self._no_context
        self._policy.pmf(context, mask, self._pmf)
        kernels.choice.quantise(self._pmf, mask, self._floor, self._units)
        return self._units

    def _mask(self, allowed: tuple[int, ...] | None) -> npt.NDArray[np.bool_]:
        if allowed is None:
            return self._everything
        mask = np.zeros(len(self._arms), np.bool_)
        mask[list(allowed)] = True
        return mask

    def _holds_back(self, allowed: tuple[int, ...] | None) -> bool:
        if self._conservative is None or not (allowed is None or self._baseline in allowed):
            return False
        return not self._conservative.allows(self._sums.totals)

    def _kept(self, allowed: tuple[int, ...] | None) -> npt.NDArray[np.int64]:
        """The baseline arm; the others keep one unit each while there is a floor, and no share of it."""
        self._units[:] = self._mask(allowed) if self._floor > 0.0 else 0
        self._units[self._baseline] = 0
        self._units[self._baseline] = TOTAL - int(self._units.sum())
        return self._units


def guarded_by(rules: Rules) -> str:
    """The reason of a decision whose pmf was changed by these rules: those that can have."""
    names = sorted({cap.rule for cap in rules.caps})
    if rules.share is not None:
        names.append("service")
    return f"{GUARDED}:{','.join(names)}"


def numbers(phi: Sequence[int]) -> Floats:
    """An encoded vector in natural units."""
    vector = np.array(phi, np.float64)
    vector *= 1.0 / ONE
    return vector
