"""Mid-run adaptation beside fixed timeouts: in worlds written down here, and on recorded runs of agents.

    python -m benchmarks.adaptation [--worlds 25] [--workflows 600] [--first-seed 1000]

The tables of docs/how-to/adapt-mid-run.md. The worlds (``draw_world``) are frozen: constants were chosen on
seeds 1 to 10, figures come from 1000 and on. Whoever adapts learns from what it ran itself, its own stops
censored, from the first workflow on. A fixed timeout is the best in hindsight: of 40 timeouts and of what
may follow one (abort, one more attempt, a change to a fixed strategy), on the same draws.

Recorded runs stand in ``shared/data`` beside the repository: a run is given up or runs on to where it ended
(at the recorded limit at the latest), tasks split into halves by trial: trials 1 to 3 teach, 4 and 5 judge.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.prediction_streams import RECORDED
from nyx_learning.bandit.adapting import AdaptationStakes, should_adapt_workflow
from nyx_learning.bandit.lifetimes import Lifetimes
from nyx_learning.features.monitors import PerformanceMetrics

__all__ = ["Judged", "Workflow", "World", "adaptive", "best_fixed", "draw_world", "judge", "main", "recorded"]

Floats = npt.NDArray[np.float64]

ARMS, KINDS = ("direct", "parallel", "recursive"), ("code", "text", "data")


class Workflow(NamedTuple):
    """A workflow, and what each attempt would do: seconds and success, (arms, attempts)."""

    kind: int
    arm: int
    seconds: Floats
    success: npt.NDArray[np.bool_]


class World(NamedTuple):
    """``time_cost`` : reward for each second."""

    workflows: list[Workflow]
    time_cost: float


def draw_world(seed: int, workflows: int) -> World:
    """A world drawn from the prior: failures crash early or hang, and hard workflows are hard for all arms.

    By arm and kind: logit of success N(0.8, 1); median of a success's seconds 60·e^N(0, .7), sd of its
    logarithm U(.25, .7); a failure crashes with chance U(.1, .6) at U(.05, .4) of the median, else it hangs
    for e^N(log U(2, 8), .5) of it. A workflow adds N(0, 1) to the logit of all its attempts. A second costs
    U(.05, .3) divided by 60.
    """
    rng = np.random.default_rng(seed)
    shape = (len(ARMS), len(KINDS))
    logit, median = rng.normal(0.8, 1, shape), 60 * np.exp(rng.normal(0, 0.7, shape))
    spread, crash = rng.uniform(0.25, 0.7, shape), rng.uniform(0.1, 0.6, shape)
    early, hang = rng.uniform(0.05, 0.4, shape), rng.uniform(2, 8, shape)
    cost = float(rng.uniform(0.05, 0.3) / 60)
    found = []
    for _ in range(workflows):
        kind, arm, hard = int(rng.integers(len(KINDS))), int(rng.integers(len(ARMS))), rng.normal()
        chance = 1 / (1 + np.exp(-(logit[:, kind, None] + hard)))
        success = rng.random((len(ARMS), 2)) < chance
        good = np.exp(spread[:, kind, None] * rng.normal(size=success.shape))
        crashes = rng.random(success.shape) < crash[:, kind, None]
        tail = np.exp(0.5 * rng.normal(size=success.shape))
        bad = np.where(crashes, early[:, kind, None], hang[:, kind, None]) * tail
        found.append(Workflow(kind, arm, median[:, kind, None] * np.where(success, good, bad), success))
    return World(found, cost)


def adaptive(world: World, *, restarts: bool = True) -> Floats:
    """Reward of each workflow where every attempt follows the advice."""
    known, rewards = Lifetimes(), []
    stakes = AdaptationStakes(time_cost=world.time_cost)
    for flow in world.workflows:
        spent, arm, attempts, won, open_ = 0.0, flow.arm, [0] * len(ARMS), False, restarts
        while True:
            seconds = float(flow.seconds[arm, attempts[arm]])
            success = bool(flow.success[arm, attempts[arm]])
            attempts[arm] += 1
            now, cell, name = 0.0, KINDS[flow.kind], ARMS[arm]
            others = [other for other in ARMS if other != name] if open_ else []
            while True:
                told = should_adapt_workflow(
                    PerformanceMetrics(duration_s=now),
                    None,
                    known=known,
                    arm_id=name,
                    cell=cell,
                    stakes=stakes,
                    retries=open_,
                    alternatives=others,
                )
                until = float("inf") if told.until_s is None else told.until_s
                if told.action != "continue" or seconds <= until:
                    break
                now = until
            ended = told.action == "continue"
            known.learn(name, seconds if ended else now, success if ended else None, cell)
            spent += seconds if ended else now
            if ended:
                won = success
                break
            if told.action == "abort":
                break
            open_ = False
            arm = arm if told.arm_id is None else ARMS.index(told.arm_id)
        rewards.append(won - world.time_cost * spent)
    return np.array(rewards)


def best_fixed(world: World, *, restarts: bool = True) -> tuple[float, float]:
    """Mean reward of the best fixed timeout in hindsight, of one for all and of one for each strategy."""
    arm = np.array([flow.arm for flow in world.workflows])
    seconds = np.array([flow.seconds for flow in world.workflows])
    success = np.array([flow.success for flow in world.workflows])
    rows = np.arange(len(arm))
    first, won = seconds[rows, arm, 0], success[rows, arm, 0]
    limits = [*np.quantile(first, np.linspace(0.02, 1, 40)), np.inf]
    overall, by_arm = [], []
    for limit in limits:
        base = np.where(first <= limit, won, 0.0) - world.time_cost * np.minimum(first, limit)
        for then in (None, *range(-1, len(ARMS))) if restarts else (None,):
            reward = base
            if then is not None:
                target = arm if then < 0 else np.full_like(arm, then)
                again = np.where(target == arm, 1, 0)
                more, fine = seconds[rows, target, again], success[rows, target, again]
                extra = np.where(more <= limit, fine, 0.0) - world.time_cost * np.minimum(more, limit)
                reward = base + np.where(first > limit, extra, 0.0)
            overall.append(reward.mean())
            by_arm.append([reward[arm == a].sum() for a in range(len(ARMS))])
    return float(max(overall)), float(np.max(by_arm, axis=0).sum() / len(arm))


class Judged(NamedTuple):
    """Mean rewards over worlds: never stopping, the best fixed timeouts, the advice; and its gains."""

    never: float
    fixed: float
    fixed_by_arm: float
    advised: float
    gains: Floats

    @property
    def gain(self) -> float:
        """Of the advice over the best fixed timeout, as a share of this."""
        return self.advised / self.fixed - 1


def judge(first_seed: int, worlds: int, workflows: int, *, restarts: bool = True) -> Judged:
    """Run the worlds."""
    table = []
    for seed in range(first_seed, first_seed + worlds):
        world = draw_world(seed, workflows)
        never = np.mean(
            [f.success[f.arm, 0] - world.time_cost * f.seconds[f.arm, 0] for f in world.workflows]
        )
        fixed, by_arm = best_fixed(world, restarts=restarts)
        table.append((float(never), fixed, by_arm, float(adaptive(world, restarts=restarts).mean())))
    never_s, fixed_s, by_arm_s, advised = np.array(table).T
    means = [float(x.mean()) for x in (never_s, fixed_s, by_arm_s, advised)]
    return Judged(means[0], means[1], means[2], means[3], advised - fixed_s)


class Recorded(NamedTuple):
    """Mean rewards of the judged runs, and the share of agent seconds and of successes that is left."""

    runs: int
    as_recorded: float
    advised: float
    standard_error: float
    seconds: float
    success: float
    best_fixed: float


def recorded(time_cost: float) -> Recorded | None:
    """The advice on recorded runs, which may only be given up; None where they are absent.

    ``best_fixed`` : the best timeout in hindsight, which is chosen on the judged runs themselves.
    """
    if not RECORDED.exists():
        return None
    with gzip.open(RECORDED, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if float(row["agent_s"] or 0) > 0]
    known, judged = Lifetimes(), []
    for row in rows:
        seconds, success = float(row["agent_s"]), row["resolved"] == "1"
        if int(row["trial_no"]) <= 3:
            known.learn(row["submission"], seconds, success, row["task"])
        else:
            judged.append((row["submission"], row["task"], seconds, success))
    stakes = AdaptationStakes(time_cost=time_cost)
    spent, won = [], []
    for arm, task, seconds, success in judged:
        now, action = 0.0, "continue"
        while True:
            told = should_adapt_workflow(
                PerformanceMetrics(duration_s=now),
                None,
                known=known,
                arm_id=arm,
                cell=task,
                stakes=stakes,
                retries=False,
            )
            action = told.action
            if action != "continue" or told.until_s is None or seconds <= told.until_s:
                break
            now = told.until_s
        spent.append(seconds if action == "continue" else now)
        won.append(success and action == "continue")
    all_s = np.array([row[2] for row in judged])
    all_won = np.array([row[3] for row in judged])
    before = all_won - time_cost * all_s
    after = np.array(won) - time_cost * np.array(spent)
    fixed = max(
        float(np.mean((all_won & (all_s <= limit)) - time_cost * np.minimum(all_s, limit)))
        for limit in np.quantile(all_s, np.linspace(0, 1, 200))
    )
    return Recorded(
        len(judged),
        float(before.mean()),
        float(after.mean()),
        float((after - before).std(ddof=1) / len(judged) ** 0.5),
        float(np.sum(spent) / all_s.sum()),
        float(np.sum(won) / all_won.sum()),
        fixed,
    )


def speed() -> tuple[float, float]:
    """Median and 99th percentile of a call, in milliseconds, behind news each: 600 executions, 3 arms."""
    known = Lifetimes()
    for flow in draw_world(1, 600).workflows:
        known.learn(ARMS[flow.arm], float(flow.seconds[flow.arm, 0]), bool(flow.success[flow.arm, 0]))
    taken = []
    for i in range(1000):
        known.learn(ARMS[i % 3], 30.0 + i % 50, i % 3 > 0)
        begin = time.perf_counter()
        should_adapt_workflow(
            PerformanceMetrics(duration_s=float(i % 100)),
            None,
            known=known,
            arm_id=ARMS[0],
            alternatives=ARMS[1:],
            limit_s=120.0,
        )
        taken.append((time.perf_counter() - begin) * 1e3)
    return float(np.median(taken)), float(np.quantile(taken, 0.99))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Mid-run adaptation beside fixed timeouts.")
    parser.add_argument("--worlds", type=int, default=25, help="how many worlds")
    parser.add_argument("--workflows", type=int, default=600, help="of each world")
    parser.add_argument("--first-seed", type=int, default=1000, help="of the worlds")
    options = parser.parse_args()
    for restarts, name in ((False, "abort only"), (True, "one restart")):
        found = judge(options.first_seed, options.worlds, options.workflows, restarts=restarts)
        error = found.gains.std(ddof=1) / len(found.gains) ** 0.5
        print(
            f"{name}: never stopped {found.never:.4f}, best fixed timeout {found.fixed:.4f} (one for each "
            f"strategy {found.fixed_by_arm:.4f}), advised {found.advised:.4f}: {found.gain:+.1%} "
            f"(± {1.96 * error / found.fixed:.1%}), better in {(found.gains > 0).mean():.0%} of worlds"
        )
    for tenths in (0.1, 0.25, 0.5, 1.0):
        runs = recorded(tenths / 900)
        if runs is None:
            print("recorded runs: skipped, there are none in shared/data beside the repository")
            break
        print(
            f"recorded runs, {tenths} for 900 s: as recorded {runs.as_recorded:.4f}, advised "
            f"{runs.advised:.4f} (difference's standard error {runs.standard_error:.4f}), best fixed timeout "
            f"{runs.best_fixed:.4f}; left: {runs.seconds:.1%} of seconds, {runs.success:.1%} of successes"
        )
    middle, late = speed()
    print(f"a call: median {middle:.3f} ms, 99th percentile {late:.3f} ms")


if __name__ == "__main__":
    main()
