"""What the runs say: levels and paired differences with 95 % intervals, and the verdict. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .experiment import Contestant, Phase, Run
from .intervals import Estimate, mean, paired_rates, rate

__all__ = ["Choice", "Level", "Paired", "Summary", "Verdict", "summarise"]

Verdict = Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True, slots=True)
class Level:
    """One contestant in one phase: mean composite reward, success rate, mean duration in seconds."""

    phase: Phase
    contestant: Contestant
    reward: Estimate
    success: Estimate
    duration_s: Estimate


@dataclass(frozen=True, slots=True)
class Paired:
    """The learned policy minus another contestant, workflow by workflow."""

    phase: Phase
    other: Contestant
    reward: Estimate
    success: Estimate

    @property
    def verdict(self) -> Verdict:
        """Whether the interval of the reward's difference lies above 0, below 0, or around it."""
        return _verdict(self.reward)

    @property
    def success_verdict(self) -> Verdict:
        """Whether the interval of the success rate's difference lies above 0, below 0, or around it."""
        return _verdict(self.success)


@dataclass(frozen=True, slots=True)
class Choice:
    """What the learner believes and would do in one context.

    Parameters
    ----------
    arm_id : the most probable arm, ``probability`` its share of the pmf.
    mean, sd : belief about that arm's composite reward here.
    strategies : share of each strategy, summing to 1.
    """

    kind: str
    size: str
    flaky: bool
    arm_id: str
    probability: float
    mean: float
    sd: float
    strategies: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Summary:
    """Levels of all contestants and the learned policy's differences to the others."""

    levels: tuple[Level, ...]
    paired: tuple[Paired, ...]

    def level(self, phase: Phase, contestant: Contestant) -> Level:
        """Return one contestant's level."""
        return next(x for x in self.levels if (x.phase, x.contestant) == (phase, contestant))

    def against(self, phase: Phase, other: Contestant) -> Paired:
        """Return the learned policy's difference to ``other``."""
        return next(x for x in self.paired if (x.phase, x.other) == (phase, other))


def summarise(runs: Sequence[Run]) -> Summary:
    """Summarise the learning and the evaluation phase; every contestant must have run the same workflows."""
    compared: list[tuple[Phase, tuple[Contestant, ...]]] = [
        ("learning", ("learned", "baseline")),
        ("evaluation", ("learned", "baseline", "best_fixed")),
    ]
    levels, paired = [], []
    for phase, contestants in compared:
        by: dict[Contestant, list[Run]] = {
            contestant: sorted(
                (run for run in runs if (run.phase, run.contestant) == (phase, contestant)),
                key=lambda run: run.workflow_id,
            )
            for contestant in contestants
        }
        for contestant, group in by.items():
            levels.append(
                Level(
                    phase,
                    contestant,
                    reward=mean(_column(group, _reward)),
                    success=rate([run.success for run in group]),
                    duration_s=mean(_column(group, lambda run: run.duration_s)),
                )
            )
        for other in contestants[1:]:
            pairs = list(zip(by["learned"], by[other], strict=True))
            paired.append(
                Paired(
                    phase,
                    other,
                    reward=mean([_reward(a) - _reward(b) for a, b in pairs]),
                    success=paired_rates([a.success for a, _ in pairs], [b.success for _, b in pairs]),
                )
            )
    return Summary(tuple(levels), tuple(paired))


def _verdict(difference: Estimate) -> Verdict:
    if difference.low > 0.0:
        return "better"
    return "worse" if difference.high < 0.0 else "not distinguishable"


def _reward(run: Run) -> float:
    return run.reward or 0.0


def _column(runs: Sequence[Run], value: Callable[[Run], float]) -> list[float]:
    return [value(run) for run in runs]
