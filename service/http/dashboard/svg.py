"""Plots as inline SVG: places along the page are shares of its width, so that text keeps its size on a phone.

Colours are classes of the style sheet, which is all that the page's content security policy lets in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

__all__ = ["Mark", "Point", "meter", "over_time", "timeline", "whisker"]

_TOP, _BOTTOM = 14.0, 26.0
_HEIGHT = 190.0
_LANE = 40.0
_WIDE = 1000.0


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval, at a place from 0 to 1."""

    x: float
    low: float
    value: float
    high: float


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: place from 0 to 1, lane from 0 on, a class of the style sheet, and what."""

    x: float
    lane: int
    kind: str
    text: str


def over_time(
    name: str, title: str, told: str, points: Sequence[Point], ends: tuple[str, str], tone: str
) -> Markup:
    """A line with the band of its intervals; the last value is written beside it.

    name : unique on the page. told : what the plot shows, in a sentence. ends : below its two ends.
    """
    least, most, ticks = _axis(
        min(min(p.low, p.value) for p in points), max(max(p.high, p.value) for p in points)
    )

    def up(value: float) -> float:
        return _TOP + _HEIGHT * (most - value) / ((most - least) or 1.0)

    parts: list[Markup] = []
    labels: list[Markup] = []
    for tick in ticks:
        y = up(tick)
        parts.append(Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(f"{y:.1f}"))
        labels.append(_text("0", y - 4.0, f"{tick:.4g}", "tick", "start"))
    across = [(_WIDE * p.x, p) for p in points]
    around = [f"{x:.1f},{up(p.high) - _TOP:.1f}" for x, p in across]
    around += [f"{x:.1f},{up(p.low) - _TOP:.1f}" for x, p in reversed(across)]
    along = " ".join(f"{x:.1f},{up(p.value) - _TOP:.1f}" for x, p in across)
    parts.append(
        Markup(
            '<svg x="0" y="{0:.0f}" width="100%" height="{1:.0f}" viewBox="0 0 {2:.0f} {1:.0f}"'
            ' preserveAspectRatio="none"><polygon class="band {3}" points="{4}"/>'
            '<polyline class="line {3}" points="{5}"/></svg>'
        ).format(_TOP, _HEIGHT, _WIDE, tone, " ".join(around), along)
    )
    last = points[-1]
    if len(points) == 1:
        parts.append(
            Markup(
                '<line class="whisker {0}" x1="{1:.2f}%" x2="{1:.2f}%" y1="{2:.1f}" y2="{3:.1f}"/>'
            ).format(tone, 100.0 * last.x, up(last.high), up(last.low))
        )
    parts.append(
        Markup('<circle class="dot {0}" cx="{1:.2f}%" cy="{2:.1f}" r="4"/>').format(
            tone, 100.0 * last.x, up(last.value)
        )
    )
    bottom = _TOP + _HEIGHT + 18.0
    labels += [_text("0", bottom, ends[0], "tick", "start"), _text("100%", bottom, ends[1], "tick", "end")]
    return _svg(name, title, told, _TOP + _HEIGHT + _BOTTOM, [*parts, *labels])


def timeline(
    name: str, title: str, told: str, lanes: Sequence[str], marks: Sequence[Mark], ends: tuple[str, str]
) -> Markup:
    """What happened when, a lane for each kind."""
    parts: list[Markup] = []
    for i, lane in enumerate(lanes):
        y = _LANE * i + 30.0
        parts.append(Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(f"{y:.1f}"))
        parts.append(_text("0", y - 11.0, lane, "tick", "start"))
    # Half a symbol of room at both ends.
    parts += [
        Markup(
            '<circle class="event {0}" cx="{1:.2f}%" cy="{2:.1f}" r="5.5"><title>{3}</title></circle>'
        ).format(mark.kind, 1.0 + 98.0 * mark.x, _LANE * mark.lane + 30.0, mark.text)
        for mark in marks
    ]
    bottom = _LANE * len(lanes) + 18.0
    parts += [_text("0", bottom, ends[0], "tick", "start"), _text("100%", bottom, ends[1], "tick", "end")]
    return _svg(name, title, told, bottom + 8.0, parts)


def meter(share: float, tone: str = "learned") -> Markup:
    """A bar of a share, beside the number in words."""
    return Markup(
        '<svg class="meter" aria-hidden="true" focusable="false" height="8">'
        '<rect class="track" width="100%" height="8" rx="4"/>'
        '<rect class="{0}" width="{1:.2f}%" height="8" rx="4"/></svg>'
    ).format(tone, 100.0 * min(1.0, max(0.0, share)))


def whisker(low: float, value: float, high: float, tone: str = "learned") -> Markup:
    """A value between its bounds on the scale from 0 to 1, beside the numbers in words."""
    a, b, c = (100.0 * min(1.0, max(0.0, x)) for x in (low, value, high))
    return Markup(
        '<svg class="meter" aria-hidden="true" focusable="false" height="10">'
        '<rect class="track" y="4" width="100%" height="2"/>'
        '<rect class="{0} soft" x="{1:.2f}%" y="2" width="{2:.2f}%" height="6" rx="3"/>'
        '<circle class="{0}" cx="{3:.2f}%" cy="5" r="4.5"/></svg>'
    ).format(tone, a, max(c - a, 0.2), b)


def _axis(least: float, most: float) -> tuple[float, float, list[float]]:
    """Ends and ticks at round numbers around values of [0, 1]."""
    span = max(most - least, 0.02)
    size: float = 10.0 ** floor(log10(span / 3.0))
    step = next(size * k for k in (1.0, 2.0, 2.5, 5.0, 10.0) if span / (size * k) <= 4.0)
    first, last = floor(least / step + 1e-9), ceil(most / step - 1e-9)
    ticks = [round(step * i, 10) for i in range(first, max(last, first + 1) + 1)]
    return ticks[0], ticks[-1], ticks


def _text(x: str, y: float, text: str, kind: str, anchor: str) -> Markup:
    return Markup('<text x="{0}" y="{1:.1f}" class="{2}" text-anchor="{3}">{4}</text>').format(
        x, y, kind, anchor, text
    )


def _svg(name: str, title: str, told: str, height: float, parts: Sequence[Markup]) -> Markup:
    inner = Markup("").join(parts)
    return Markup(
        '<svg class="plot" role="img" aria-labelledby="{0}-title {0}-told" height="{1:.0f}">'
        '<title id="{0}-title">{2}</title><desc id="{0}-told">{3}</desc>{4}</svg>'
    ).format(escape(name), height, title, told, inner)
