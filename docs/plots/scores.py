"""Draw ``docs/images/scores.svg``: what each score does. Run by path; needs the ``plots`` extra."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

from nyx_learning.rewards import Gate, RewardSpec, ValidationResult, composite
from nyx_learning.rewards.efficiency import efficiency_score
from nyx_learning.rewards.quality import quality_score
from nyx_learning.rewards.speed import speed_bulk
from nyx_learning.rewards.success import success_score
from nyx_learning.rewards.usefulness import usefulness_score

mpl.use("Agg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "nyx-learning",  # else ids, and so the file, differ from run to run
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
    }
)
from matplotlib import pyplot as plt  # noqa: E402 - the backend is chosen first
from matplotlib.axes import Axes  # noqa: E402 - the backend is chosen first

TARGET = Path(__file__).resolve().parents[1] / "images" / "scores.svg"
BLUE, ORANGE, GREEN, GREY = "#1f77b4", "#d95f02", "#1b9e77", "#888888"


def speed(axes: Axes) -> None:
    """Speed over time, finished and timed out."""
    x = np.geomspace(1 / 16, 16, 200)
    axes.plot(x, speed_bulk(x, 1.0), color=BLUE, label="finished, power 1")
    axes.plot(x, speed_bulk(x, 1.0, power=2), color=GREEN, label="finished, power 2")
    axes.plot(x, speed_bulk(x, 1.0, timed_out=True), color=ORANGE, ls="--", label="timed out, power 1")
    axes.plot([1], [0.5], "o", color=GREY)
    axes.set_xscale("log", base=2)
    axes.set(title="speed", xlabel="time / reference time", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)


def quality(axes: Axes) -> None:
    """Quality over the share of checks passed, by the other parts."""
    passed = list(range(11))

    def score(n: int, goal: float | None, *, required: bool = False) -> float:
        checks = [
            ValidationResult(name=str(i), passed=i < n, required=required and i == 9) for i in range(10)
        ]
        return quality_score(checks, None, goal) or 0.0

    axes.plot(passed, [score(n, None) for n in passed], "o-", color=BLUE, ms=3, label="checks alone")
    axes.plot(passed, [score(n, 1.0) for n in passed], "s-", color=GREEN, ms=3, label="goal achieved")
    axes.plot(
        passed,
        [score(n, 1.0, required=True) for n in passed],
        "^--",
        color=ORANGE,
        ms=3,
        label="goal achieved, last required",
    )
    axes.set(title="quality", xlabel="checks passed, of 10", ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def success(axes: Axes) -> None:
    """Success over retries, and over the share of agents that failed."""
    n = list(range(11))
    axes.plot(
        n, [success_score(True, retries=i) for i in n], "o-", color=BLUE, ms=3, label="succeeded, n retries"
    )
    axes.plot(
        n, [success_score(True, errors=i) for i in n], "s-", color=GREEN, ms=3, label="succeeded, n errors"
    )
    axes.plot(
        n,
        [success_score(True, agents_succeeded=10 - i, agents_failed=i) for i in n],
        "^-",
        color=GREY,
        ms=3,
        label="succeeded, n of 10 agents failed",
    )
    axes.plot(
        n,
        [success_score(False, agents_succeeded=10 - i, agents_failed=i) for i in n],
        "^--",
        color=ORANGE,
        ms=3,
        label="failed, n of 10 agents failed",
    )
    axes.set(title="success", xlabel="n", ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8, loc="center", bbox_to_anchor=(0.5, 0.5))


def usefulness(axes: Axes) -> None:
    """Usefulness over alignment and impact, by what the user said."""
    m = np.linspace(0, 1, 101)
    for feedback, colour, label in ((1.0, GREEN, "feedback 1"), (0.0, ORANGE, "feedback 0")):
        axes.plot(m, [usefulness_score(x, feedback, x) or 0.0 for x in m.tolist()], color=colour, label=label)
    axes.plot(m, [usefulness_score(x, None, x) or 0.0 for x in m.tolist()], color=BLUE, label="no feedback")
    axes.plot(m, m, color=GREY, lw=0.8, ls=":", label="mean of the others")
    axes.set(title="usefulness", xlabel="goal alignment = business impact", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)


def efficiency(axes: Axes) -> None:
    """Efficiency over tokens, by cost."""
    x = np.geomspace(1 / 16, 16, 200)
    axes.plot(x, [efficiency_score(t, 1.0) or 0.0 for t in x.tolist()], color=BLUE, label="cost not reported")
    for cost, colour in ((0.25, GREEN), (4.0, ORANGE)):
        axes.plot(
            x,
            [efficiency_score(t, 1.0, cost, 1.0) or 0.0 for t in x.tolist()],
            color=colour,
            label=f"cost {cost:g} × its reference",
        )
    axes.set_xscale("log", base=2)
    axes.set(title="efficiency", xlabel="tokens / reference tokens", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)


def means(axes: Axes) -> None:
    """The composite over one score."""
    weights = {"speed": 1.0, "quality": 1.0, "success": 1.0}
    x = np.linspace(0, 1, 401)
    for mean, colour in (("arithmetic", BLUE), ("geometric", GREEN)):
        spec = RewardSpec(weights=weights, mean=mean)  # type: ignore[arg-type]
        values = [composite({"speed": v, "quality": 0.8, "success": 0.9}, spec).value for v in x.tolist()]
        axes.plot(x, values, color=colour, label=f"{mean} mean")
    gated = RewardSpec(weights=weights, gates=(Gate("speed", below=0.3, cap=0.4),))
    values = [composite({"speed": v, "quality": 0.8, "success": 0.9}, gated).value for v in x.tolist()]
    below = x < 0.3
    axes.plot(x[below], np.array(values)[below], color=ORANGE, ls="--", label="gate: speed < .3 caps at .4")
    axes.set(title="composite", xlabel="speed (quality .8, success .9)", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def missing(axes: Axes) -> None:
    """Which weights count when scores are missing."""
    weights = RewardSpec().weights
    cases = {
        "all reported": (),
        "usefulness missing": ("usefulness",),
        "no reference time": ("speed",),
        "success alone": ("speed", "quality", "usefulness"),
    }
    colours = {"speed": BLUE, "quality": GREEN, "success": ORANGE, "usefulness": GREY}
    for row, gone in enumerate(cases.values()):
        total = sum(weight for name, weight in weights.items() if name not in gone)
        left = 0.0
        for name, weight in weights.items():
            if name not in gone:
                share = weight / total
                axes.barh(row, share, left=left, color=colours[name], height=0.6)
                text = f"{name}\n{share:.2f}"
                axes.text(left + share / 2, row, text, ha="center", va="center", fontsize=7, color="white")
                left += share
    axes.set_yticks(range(len(cases)), list(cases), fontsize=8)
    axes.invert_yaxis()
    axes.set(title="weights that count, by what is missing", xlim=(0, 1), xlabel="share of the composite")


def main() -> None:
    """Draw all panels; a path as argument replaces the target (its suffix is the format)."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    figure = plt.figure(figsize=(14, 6.6))
    grid = figure.add_gridspec(2, 4)
    for i, draw in enumerate((speed, quality, success, usefulness, efficiency, means)):
        axes = figure.add_subplot(grid[i // 4, i % 4])
        draw(axes)
        axes.grid(alpha=0.25)
        axes.set_ylabel("score")
    missing(figure.add_subplot(grid[1, 2:]))
    figure.tight_layout()
    target.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if target.suffix == ".svg" else None
    figure.savefig(target, metadata=metadata, dpi=110)


if __name__ == "__main__":
    main()
