"""A figure of a simulation: regret with bands, regret on logarithmic scales beside theory, best-arm shares.

Colours and ink are chosen for a contrast of at least 3 both on white and on near-black, and the background
stays transparent: one file serves light and dark pages.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputInvalid
from .contender import Contender
from .results import Results
from .validation import bounds
from .worlds import RandomBernoulli
from .worlds.base import Floats, World

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "draw", "require_plots", "write_plot"]

FORMATS = (".png", ".svg", ".pdf")
"""Endings of the files that ``write_plot`` writes."""

_INK = "#7d838c"
_COLOURS = ("#2f81d6", "#d9730d", "#3f9142", "#c4559b", "#8b6fd0", "#c8453b", "#0f9190", "#97803a")
_STYLES = ("-", "--", "-.", ":")
_LEGEND_FROM = 7  # policies from which names at the ends of lines would overlap


def write_plot(results: Results, path: Path | str) -> None:
    """Write the figure of ``draw``; the ending of the path chooses the format.

    Raises
    ------
    InputInvalid : another ending, matplotlib is missing, or the file cannot be written.
    """
    target = Path(path)
    require_plots(target)
    from matplotlib import rc_context  # noqa: PLC0415 - an extra

    # Neither the time nor random ids: the same results give the same file.
    stable = {"Date": None} if target.suffix == ".svg" else {}
    stable |= {"CreationDate": None} if target.suffix == ".pdf" else {}
    with rc_context({"svg.hashsalt": "nyx-learning"}):
        figure = draw(results)
        try:
            figure.savefig(target, transparent=True, dpi=150, metadata=stable)
        except OSError as error:
            raise _unusable("a file that can be written", f"{target}: {error.strerror or error}") from None


def require_plots(path: Path | str) -> None:
    """Refuse, before anything is simulated, what ``write_plot`` could not write."""
    if Path(path).suffix not in FORMATS:
        raise _unusable(f"a file name that ends in one of {list(FORMATS)}", repr(str(path)))
    if importlib.util.find_spec("matplotlib") is None:
        raise _unusable("the package matplotlib: pip install 'nyx-learning[plots]'", "no module of that name")


def draw(results: Results) -> Figure:
    """Three panels over the rounds, a colour for each policy.

    1. mean regret, and a band that holds 90 % of the replications;
    2. the same on logarithmic scales, with the line C ln t of Lai and Robbins where the world is stationary
       and without context, and, dotted in the policy's colour, its proven bound where there is one;
    3. share of rounds in which (one of) the best arms was chosen.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    figure = Figure(figsize=(13.5, 4.3), layout="constrained")
    plain, logarithmic, share = figure.subplots(1, 3)
    rounds = np.array(results.rounds, np.float64)
    rows = results.table()
    many = len(results.curves) >= _LEGEND_FROM
    ends: list[list[tuple[float, str, str]]] = [[], []]
    for i, (contender, (label, curves)) in enumerate(
        zip(results.contenders, results.curves.items(), strict=True)
    ):
        own = [row for row in rows if row["policy"] == label]
        mean = np.array([row["mean_regret"] for row in own])
        colour, style = _COLOURS[i % len(_COLOURS)], _STYLES[i // len(_COLOURS) % len(_STYLES)]
        low, high = np.quantile(curves.regret, (0.05, 0.95), axis=0)
        plain.fill_between(rounds, low, high, color=colour, alpha=0.14, linewidth=0)
        plain.plot(rounds, mean, style, color=colour, linewidth=2, label=label)
        positive = mean > 0.0
        logarithmic.plot(rounds[positive], mean[positive], style, color=colour, linewidth=2)
        shares = np.array([row["best_arm_share"] for row in own])
        share.plot(rounds, shares, style, color=colour, linewidth=2)
        ends[0].append((float(mean[-1]), label, colour))
        ends[1].append((float(shares[-1]), label, colour))
        bound = _bound(results.world, contender)
        if bound is not None and len(rounds) > 1:
            later = rounds[rounds >= 2]
            logarithmic.plot(later, [bound(int(t)) for t in later], ":", color=colour, linewidth=1.4)
    _style(plain, "regret: mean, and 90 % of the replications")
    _style(logarithmic, "the same, logarithmic")
    _style(share, "share of rounds with the best arm")
    plain.set_xlim(0, results.horizon)
    plain.locator_params(axis="x", nbins=5)
    plain.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    plain.set_ylim(bottom=min(0.0, plain.get_ylim()[0]))
    for axes in (logarithmic, share):
        axes.set_xscale("log")
        axes.set_xlim(1, max(2, results.horizon))
    logarithmic.set_yscale("log")
    share.set_ylim(0, 1.02)
    share.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _theory(logarithmic, results, rounds)
    if many:
        figure.legend(
            *plain.get_legend_handles_labels(), loc="outside right center", frameon=False, labelcolor=_INK
        )
    else:
        _name_ends(plain, ends[0])
        _name_ends(share, ends[1])
    figure.suptitle(
        f"{results.world_label}: {results.horizon:,} rounds × {results.replications:,} replications, "
        f"seed {results.seed}",
        color=_INK,
        fontsize=11,
        x=0.005,
        horizontalalignment="left",
    )
    return figure


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, color=_INK, fontsize=11, loc="left")
    axes.set_xlabel("round", color=_INK)
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_INK)
    axes.tick_params(which="both", colors=_INK, labelsize=9)
    axes.grid(axis="y", color=_INK, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def _theory(axes: Axes, results: Results, rounds: Floats) -> None:
    """The line of Lai and Robbins, from where it is above the regret of one bad choice."""
    means = _stationary_means(results.world)
    if means is None or not 0.0 < min(means) <= max(means) < 1.0 or len(set(means)) == 1:
        return
    constant = bounds.lai_robbins(means)
    later = rounds[rounds >= 2]
    axes.plot(later, constant * np.log(later), color=_INK, linewidth=1.2)
    if len(later):
        axes.annotate(
            f"{constant:.3g} ln t (Lai–Robbins)",
            (float(later[0]), constant * log(float(later[-1]))),
            verticalalignment="bottom",
            color=_INK,
            fontsize=8,
        )


def _bound(world: World, contender: Contender) -> Callable[[int], float] | None:
    """A proven bound on the expected regret after t rounds, where one applies."""
    policy = contender.policy
    if policy.floor > 0.0 or policy.common.given():
        return None
    if isinstance(world, RandomBernoulli) and policy.name == "thompson_beta":
        prior = policy.parameters["a"], policy.parameters["b"]
        return (lambda t: bounds.thompson_bayes(world.arms, t)) if prior == (1.0, 1.0) else None
    means = _stationary_means(world)
    if means is None or len(set(means)) == 1:
        return None
    if policy.name == "ucb1" and policy.parameters["alpha"] == 4.0:
        return lambda t: bounds.ucb1(means, t)
    return None


def _stationary_means(world: World) -> list[float] | None:
    """True means of K arms that pay successes and failures, always the same and at once."""
    if isinstance(world, RandomBernoulli):
        return None
    segments = world.segments(0, 0)
    if segments is None or len(segments.starts) > 1 or segments.sd >= 0.0 or segments.delay:
        return None
    found: list[float] = segments.expected[0].tolist()
    return found


def _name_ends(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Write each policy's name at the end of its line, apart from each other."""
    low, high = axes.get_ylim()
    step = 0.065 * (high - low)
    ordered = sorted(ends)
    places = [value for value, _, _ in ordered]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + step)
    places[-1] = min(places[-1], high)
    for i in range(len(places) - 1, 0, -1):
        places[i - 1] = min(places[i - 1], places[i] - step)
    for place, (_, label, colour) in zip(places, ordered, strict=True):
        axes.annotate(
            label,
            (axes.get_xlim()[1], place),
            xytext=(5, 0),
            textcoords="offset points",
            verticalalignment="center",
            color=colour,
            fontsize=9,
            annotation_clip=False,
        )


def _unusable(expected: str, found: str) -> InputInvalid:
    return InputInvalid(
        "the plot cannot be written",
        expected=expected,
        found=found,
        fix="name another file, such as regret.png",
    )
