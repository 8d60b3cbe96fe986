"""The experiment: calibrate, learn, find the best fixed arm, compare. Everything is measured, interleaved.

1. *Calibration.* The baseline arm runs 36 workflows; the median per (kind, size) is the reference time that
   speed is judged against.
2. *Learning.* Every workflow is run twice, by the arm that the learner chooses and by the baseline arm, in
   keyed order; only the learner's own outcome is reported to it.
3. *Selection.* The best fixed arm is found by sequential halving on workflows of its own: all arms run the
   same workflows interleaved, and the better part goes on. So it is not judged on the data that it was chosen
   on.
4. *Evaluation.* Fresh workflows, each run by the learner (which no longer learns), the baseline arm and the
   best fixed arm, in keyed order. Drifts of the machine's load meet all three alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from .executors import Execution, Orchestrator
from .workload import KINDS, SIZES, Workflow, contexts, keyed_order, population

__all__ = [
    "Arms",
    "Contestant",
    "Design",
    "Learner",
    "Phase",
    "Run",
    "calibrate",
    "evaluate",
    "learn",
    "select",
]

Phase = Literal["calibration", "learning", "selection", "evaluation"]
Contestant = Literal["learned", "baseline", "best_fixed", "candidate"]
_BLOCK: Final = len(contexts())


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of one workflow, with what it was worth.

    ``reward`` is the composite in [0, 1], None while calibrating (there is no reference time yet).
    """

    phase: Phase
    contestant: Contestant
    workflow_id: str
    kind: str
    size: str
    flaky: bool
    arm_id: str
    duration_s: float
    success: bool
    quality: float
    retries: int
    timeouts: int
    reward: float | None


class Learner(Protocol):
    """What the experiment asks of the learning side."""

    async def choose(self, workflow: Workflow) -> str:
        """Return the arm to run ``workflow`` by."""

    async def report(self, workflow: Workflow, execution: Execution) -> None:
        """Learn from what running ``workflow`` by the chosen arm came to."""

    def price(self, workflow: Workflow, execution: Execution) -> float:
        """Return the composite reward in [0, 1], without learning."""


@dataclass(frozen=True, slots=True)
class Arms:
    """The arms by id, in the spec's order, with the strategy and parameters behind each."""

    by_id: Mapping[str, tuple[str, Mapping[str, Any]]]
    baseline: str


@dataclass(frozen=True, slots=True)
class Design:
    """Sizes of the experiment.

    Parameters
    ----------
    seed : of the population and of the order of runs.
    learning : workflows to learn from.
    """

    seed: int
    learning: int

    @property
    def evaluation(self) -> int:
        """Workflows of the comparison: whole blocks of all contexts, two fifths of those learned from."""
        return _BLOCK * max(1, round(0.4 * self.learning / _BLOCK))

    def halving(self, arms: int) -> list[tuple[int, int]]:
        """(arms that run, workflows that each of them runs) of each round of the selection."""
        rounds, left = [], arms
        for workflows in (5, 8, 12) if self.learning >= 100 else (2, 2, 2):
            rounds.append((left, workflows))
            left = max(2, round(left * 0.4))
        return rounds

    def runs(self, arms: int) -> dict[Phase, int]:
        """Executions of each phase."""
        return {
            "calibration": 2 * _BLOCK,
            "learning": 2 * self.learning,
            "selection": sum(left * workflows for left, workflows in self.halving(arms)),
            "evaluation": 3 * self.evaluation,
        }


Watch = Callable[[Run], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """What all phases share: who runs the workflows, the arms, the design, and who is told of each run."""

    orchestrator: Orchestrator
    arms: Arms
    design: Design
    watch: Watch

    async def execute(self, workflow: Workflow, arm_id: str) -> Execution:
        """Run ``workflow`` by ``arm_id``."""
        strategy, parameters = self.arms.by_id[arm_id]
        return await self.orchestrator.execute(workflow, strategy, parameters)

    def record(
        self,
        phase: Phase,
        contestant: Contestant,
        workflow: Workflow,
        arm_id: str,
        execution: Execution,
        reward: float | None,
    ) -> Run:
        """Note one run and tell the watcher."""
        run = Run(
            phase=phase,
            contestant=contestant,
            workflow_id=workflow.workflow_id,
            kind=workflow.kind,
            size=workflow.size,
            flaky=workflow.flaky,
            arm_id=arm_id,
            duration_s=execution.duration_s,
            success=execution.success,
            quality=execution.quality,
            retries=execution.retries,
            timeouts=execution.timeouts,
            reward=reward,
        )
        self.watch(run)
        return run


async def calibrate(bench: Bench) -> tuple[dict[tuple[str, str], float], list[Run]]:
    """Measure the baseline arm's median duration in seconds per (kind, size)."""
    baseline = bench.arms.baseline
    # The first executions pay for connections, pools and caches; they are not counted.
    for workflow in population(bench.design.seed, "warm-up", _BLOCK):
        if workflow.size == "small":
            for arm_id in bench.arms.by_id:
                await bench.execute(workflow, arm_id)
    runs = []
    for workflow in population(bench.design.seed, "calibration", 2 * _BLOCK):
        execution = await bench.execute(workflow, baseline)
        runs.append(bench.record("calibration", "baseline", workflow, baseline, execution, None))
    return {
        (kind, size): statistics.median(
            run.duration_s for run in runs if (run.kind, run.size) == (kind, size)
        )
        for kind in KINDS
        for size in SIZES
    }, runs


async def _fixed(
    bench: Bench, learner: Learner, phase: Phase, contestant: Contestant, workflow: Workflow, arm_id: str
) -> Run:
    execution = await bench.execute(workflow, arm_id)
    reward = learner.price(workflow, execution)
    return bench.record(phase, contestant, workflow, arm_id, execution, reward)


async def _learned(bench: Bench, learner: Learner, phase: Phase, workflow: Workflow, *, report: bool) -> Run:
    arm_id = await learner.choose(workflow)
    execution = await bench.execute(workflow, arm_id)
    if report:
        await learner.report(workflow, execution)
    reward = learner.price(workflow, execution)
    return bench.record(phase, "learned", workflow, arm_id, execution, reward)


async def _interleaved(
    bench: Bench, phase: Phase, workflow: Workflow, turns: Sequence[Callable[[], Awaitable[Run]]]
) -> list[Run]:
    """Take the turns in an order drawn for this workflow."""
    return [await turn() for turn in keyed_order(turns, bench.design.seed, phase, workflow.workflow_id)]


async def learn(bench: Bench, learner: Learner) -> list[Run]:
    """Run the learning phase: the learner and, beside it, the baseline arm."""
    runs = []
    for workflow in population(bench.design.seed, "learning", bench.design.learning):

        def learned(workflow: Workflow = workflow) -> Awaitable[Run]:
            return _learned(bench, learner, "learning", workflow, report=True)

        def baseline(workflow: Workflow = workflow) -> Awaitable[Run]:
            return _fixed(bench, learner, "learning", "baseline", workflow, bench.arms.baseline)

        runs += await _interleaved(bench, "learning", workflow, [learned, baseline])
    return runs


async def select(bench: Bench, learner: Learner) -> tuple[str, list[Run]]:
    """Find the best fixed arm by sequential halving, and return it with all runs that it took.

    The last round's winner is the arm with the highest mean over all the workflows that the finalists ran.

    References
    ----------
    Karnin, Koren & Somekh (2013), "Almost optimal exploration in multi-armed bandits", ICML.
    """
    rounds = bench.design.halving(len(bench.arms.by_id))
    workflows = iter(population(bench.design.seed, "selection", sum(count for _, count in rounds)))
    rewards: dict[str, list[float]] = {arm_id: [] for arm_id in bench.arms.by_id}
    runs: list[Run] = []
    ranked = list(rewards)
    for left, count in rounds:
        ranked = ranked[:left]
        for _ in range(count):
            workflow = next(workflows)
            for arm_id in keyed_order(ranked, bench.design.seed, "selection", workflow.workflow_id):
                run = await _fixed(bench, learner, "selection", "candidate", workflow, arm_id)
                rewards[arm_id].append(run.reward or 0.0)
                runs.append(run)
        ranked.sort(key=lambda arm_id: -statistics.fmean(rewards[arm_id]))
    return ranked[0], runs


async def evaluate(bench: Bench, learner: Learner, best_fixed: str) -> list[Run]:
    """Compare the learner, which no longer learns, with the baseline arm and the best fixed arm."""
    runs = []
    for workflow in population(bench.design.seed, "evaluation", bench.design.evaluation):

        def learned(workflow: Workflow = workflow) -> Awaitable[Run]:
            return _learned(bench, learner, "evaluation", workflow, report=False)

        def baseline(workflow: Workflow = workflow) -> Awaitable[Run]:
            return _fixed(bench, learner, "evaluation", "baseline", workflow, bench.arms.baseline)

        def fixed(workflow: Workflow = workflow) -> Awaitable[Run]:
            return _fixed(bench, learner, "evaluation", "best_fixed", workflow, best_fixed)

        runs += await _interleaved(bench, "evaluation", workflow, [learned, baseline, fixed])
    return runs
