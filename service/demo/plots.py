"""The report's plots as inline SVG, drawn by matplotlib where it is installed.

Text stays text and colours are names of CSS variables, so that a plot follows the page into dark mode and is
read by screen readers; nothing is loaded from anywhere.
"""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...errors import NyxError
from .summary import Choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PlotsUnavailable", "arm_shares", "durations", "learning_curve", "require", "strategy_map"]

# Colours that stand for CSS variables: matplotlib writes them, ``_themed`` replaces them.
_INK, _MUTED, _GRID = "#010101", "#020202", "#030303"
COLOURS: Final = {
    "learned": "#040404",
    "baseline": "#050505",
    "best_fixed": "#060606",
    "sequential": "#070707",
    "threads": "#080808",
    "processes": "#090909",
    "asyncio": "#0a0a0a",
}
_VARIABLES: Final = {_INK: "ink", _MUTED: "muted", _GRID: "line"} | {
    colour: name.replace("_", "-") for name, colour in COLOURS.items()
}


class PlotsUnavailable(NyxError):
    """The optional plotting library is not installed."""

    code = "plots_unavailable"


def require() -> None:
    """Refuse, with what to install, where matplotlib is missing.

    Raises
    ------
    PlotsUnavailable : matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise PlotsUnavailable(
            "the report was written without plots",
            expected="matplotlib, which the extra 'plots' brings",
            found="no module of that name in this environment",
            fix="pip install 'nyx-learning[plots]' and run the demo again",
        )


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    # Imported here because matplotlib is an extra, and because the demo must start without it.
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = [axes for row in figure.subplots(rows, columns, squeeze=False) for axes in row]
    for one in axes:
        one.set_facecolor("none")
        for side in ("top", "right", "left", "bottom"):
            one.spines[side].set_visible(False)
        one.tick_params(which="both", length=0, colors=_MUTED, labelsize=10)
        one.xaxis.label.set_color(_MUTED)
        one.yaxis.label.set_color(_MUTED)
        one.set_axisbelow(True)
    return figure, axes


def _inline(figure: Figure, name: str, title: str) -> str:
    """Return the figure as an SVG element without anything that points outside of it."""
    import matplotlib as mpl  # noqa: PLC0415 (an extra, see _figure)

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        stream = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    svg = stream.getvalue()
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\n?", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', body)
    body = body[body.index(">") + 1 :]
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r"(url\(|href=\")#", rf"\1#{name}-", body)
    # Only the family is replaced: sizes are part of the layout.
    body = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--font)", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    return f'<svg {box.group(0) if box else ""} role="img" aria-label="{title}">{body}'


def _running(values: Sequence[float], window: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the mean of the last ``window`` values (fewer at the start), shape (n,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(0, stop - window)
    return np.asarray((total[stop] - total[start]) / (stop - start), dtype=np.float64)


def learning_curve(learned: Sequence[float], baseline: Sequence[float], window: int) -> str:
    """Draw the composite reward over the learning phase: each workflow, and running means of both."""
    figure, (axes,) = _figure(5.4, 4.1)
    x = np.arange(1, len(learned) + 1)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.scatter(x, learned, s=7, color=COLOURS["learned"], alpha=0.28, linewidths=0)
    for name, values in (("baseline", baseline), ("learned", learned)):
        running = _running(values, window)
        # A mean of fewer than five workflows says nothing, and its swings would hide the rest.
        axes.plot(x[4:], running[4:], color=COLOURS[name], linewidth=2.2, solid_capstyle="round")
        axes.annotate(
            name,
            (float(x[-1]), float(running[-1])),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=COLOURS[name],
            fontsize=11,
            fontweight="bold",
        )
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, len(learned) * 1.18)  # room for the names of the lines
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= len(learned)])
    axes.set_xlabel("workflows learned from")
    axes.set_ylabel("composite reward")
    return _inline(figure, "curve", "Composite reward over the learning phase, learned policy and baseline")


def strategy_map(choices: Sequence[Choice]) -> str:
    """Draw the probability of each strategy in each context as a heat map."""
    strategies = list(choices[0].strategies)
    figure, (axes,) = _figure(5.4, 0.6 + 0.3 * len(choices))
    from matplotlib.patches import FancyBboxPatch  # noqa: PLC0415 (an extra, see _figure)

    for row, choice in enumerate(choices):
        for column, strategy in enumerate(strategies):
            share = choice.strategies[strategy]
            axes.add_patch(
                FancyBboxPatch(
                    (column + 0.06, row + 0.12),
                    0.88,
                    0.76,
                    boxstyle="round,pad=0,rounding_size=0.08",
                    facecolor=COLOURS[strategy],
                    alpha=0.06 + 0.84 * share,
                    linewidth=0,
                )
            )
            if share >= 0.01:
                axes.text(
                    column + 0.5, row + 0.5, f"{share:.0%}", ha="center", va="center", fontsize=9, color=_INK
                )
    axes.set_xlim(0, len(strategies))
    axes.set_ylim(len(choices), 0)
    axes.set_xticks([column + 0.5 for column in range(len(strategies))], strategies)
    labels = [f"{c.kind} · {c.size} · {'flaky' if c.flaky else 'calm'}" for c in choices]
    axes.set_yticks([row + 0.5 for row in range(len(choices))], labels)
    axes.xaxis.tick_top()
    return _inline(figure, "map", "Probability of each strategy in each context")


def arm_shares(shares: Mapping[str, tuple[str, float]]) -> str:
    """Draw how often each arm was chosen, given (strategy, share) per label, most frequent first."""
    figure, (axes,) = _figure(5.4, 0.5 + 0.3 * len(shares))
    rows = range(len(shares))
    axes.barh(
        list(rows),
        [share for _, share in shares.values()],
        color=[COLOURS[strategy] for strategy, _ in shares.values()],
        height=0.62,
    )
    for row, (_, share) in enumerate(shares.values()):
        axes.annotate(
            f"{share:.0%}",
            (share, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=_INK,
            fontsize=10,
        )
    axes.set_yticks(list(rows), list(shares))
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xlim(0, 1.15 * max(share for _, share in shares.values()))
    axes.set_xticks([])
    return _inline(figure, "arms", "Share of each arm among the learned policy's decisions")


def durations(seconds: Mapping[str, Mapping[str, float]]) -> str:
    """Draw median durations per kind and size of batch, one dot per contestant, on a logarithmic axis."""
    figure, (axes,) = _figure(5.4, 0.7 + 0.32 * len(seconds))
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    for row, by in enumerate(seconds.values()):
        values = [1e3 * value for value in by.values()]
        axes.plot([min(values), max(values)], [row, row], color=_GRID, linewidth=3, zorder=1)
        for name, value in by.items():
            axes.scatter([1e3 * value], [row], s=52, color=COLOURS[name], zorder=2, linewidths=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_yticks(range(len(seconds)), list(seconds))
    axes.set_ylim(len(seconds) - 0.4, -0.6)
    axes.set_xlabel("median duration in ms (logarithmic)")
    return _inline(figure, "durations", "Median duration per kind and size of batch")
