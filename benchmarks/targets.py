"""The plan's targets, over worlds of the frozen prior: the tables and the plot of docs/targets.md.

    python -m benchmarks.targets [--worlds 0:50] [--replications 200] [--into FOLDER] [--report]

Without options: 4 worlds, 20 replications, in a few seconds. With ``--into``, each world's results are
written to a file of their own there, and worlds that have one are not played again: a full run can be made in
pieces, and by several processes. ``--report`` plays nothing, and reads what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from nyx_learning.simulation.targets.judging import (
    PERIODS,
    TargetInWorld,
    TargetOverWorlds,
    from_document,
    judge_world,
    over_worlds,
)
from nyx_learning.simulation.targets.playing import play_world
from nyx_learning.simulation.targets.prior import WORLDS

__all__ = ["main", "plot", "table"]

_QUICK = (range(4), 20)


def table(found: list[TargetOverWorlds], period: str) -> str:
    """As Markdown, one line for each target, learner and start."""
    heads: tuple[str, ...] = (
        "target",
        "learns from",
        "start",
        "reachable",
        "met, of these (95 %)",
        "surely met",
    )
    heads += ("gain: median (quartiles)", "median ceiling", "share of the ceiling: median (quartiles)")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for one in found:
        if one.period != period:
            continue
        shares = sure = "–"
        if one.ceiling_shares is not None:
            low, middle, high = one.ceiling_shares
            shares = f"{middle:.0%} ({low:.0%} to {high:.0%})"
        if one.met_interval is not None:
            low, high = one.met_interval
            sure = f"{one.met_of_reachable} = {one.met_of_reachable / one.reachable:.0%} "
            sure += f"({low:.0%} to {high:.0%})"
        cells = (
            f"{one.target} {one.asked:.0%}",
            one.learner,
            one.start,
            f"{one.reachable} of {one.worlds}",
            sure,
            str(one.surely_met),
            f"{one.gains[2]:+.1%} ({one.gains[1]:+.1%} to {one.gains[3]:+.1%})",
            f"{one.ceilings[2]:+.1%}",
            shares,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(found: list[TargetInWorld], path: Path) -> None:
    """Gain against ceiling, one panel for each target, warm start, the learner that is told the target."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    names = list(dict.fromkeys(one.target for one in found))
    figure, axes = plt.subplots(2, len(names), figsize=(3.4 * len(names), 6.6), constrained_layout=True)
    for column, name in enumerate(names):
        learners = list(dict.fromkeys(one.learner for one in found if one.target == name))
        for row, learner in enumerate(learners):
            axis = axes[row][column]
            for start, color in (("cold", "#7f7f7f"), ("warm", "#1f77b4")):
                shown = [
                    one
                    for one in found
                    if (one.target, one.learner, one.start, one.period) == (name, learner, start, "1-100")
                ]
                x = [min(1.0, one.ceiling) for one in shown]
                y = [max(-0.5, min(1.0, one.gain)) for one in shown]
                axis.errorbar(
                    x,
                    y,
                    yerr=[1.96 * one.standard_error for one in shown],
                    fmt="o",
                    markersize=3,
                    linewidth=0.7,
                    color=color,
                    label=start,
                )
            asked = shown[0].asked
            axis.axhline(asked, color="#d62728", linewidth=0.8)
            axis.axvline(asked, color="#d62728", linewidth=0.8, linestyle=":")
            axis.plot([0, 1], [0, 1], color="black", linewidth=0.6)
            axis.set(xlim=(-0.05, 1.05), ylim=(-0.55, 1.05), title=f"{name}\nlearns from: {learner}")
            axis.set_xlabel("gain of the oracle")
            if column == 0:
                axis.set_ylabel("gain within 100 workflows")
    axes[0][0].legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Play what is asked for, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--worlds", metavar="A:B", help="numbers of the worlds, B not among them")
    parser.add_argument("--replications", type=int, default=_QUICK[1], help="of each world")
    parser.add_argument("--into", type=Path, help="folder for the results of each world")
    parser.add_argument("--report", action="store_true", help="play nothing: read the folder")
    parser.add_argument("--plot", type=Path, help="write the plot to this file")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no further world after so long")
    options = parser.parse_args()
    worlds = _QUICK[0]
    if options.worlds:
        first, _, last = options.worlds.partition(":")
        worlds = range(int(first), int(last))
    found: list[TargetInWorld] = []
    began = time.perf_counter()
    for number in range(WORLDS) if options.report else worlds:
        path = None if options.into is None else options.into / f"world-{number}.json"
        if path is not None and path.exists():
            found += [from_document(one) for one in json.loads(path.read_text(encoding="utf-8"))]
            continue
        if options.report or time.perf_counter() - began > options.seconds:
            continue
        results = judge_world(play_world(number, options.replications))
        found += results
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps([one.to_dict() for one in results]), encoding="utf-8")
    judged = over_worlds(found)
    for period in PERIODS:
        print(f"workflows {period}, {judged[0].worlds} worlds\n\n{table(judged, period)}\n")
    if options.plot is not None:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
