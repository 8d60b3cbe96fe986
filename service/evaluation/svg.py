"""Plots of the report as inline SVG: text stays text, colours are CSS variables, nothing is loaded.

So a plot follows the page into dark mode, is read by screen readers, and needs no plotting library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

__all__ = ["Interval", "bars", "curve", "forest", "histogram"]

_WIDE, _NARROW = 760.0, 500.0
_LABEL = 210.0
_ROW = 34.0
_TONES = ("learned", "baseline")


@dataclass(frozen=True, slots=True)
class Interval:
    """One row of ``forest``: label, two bounds and the estimate; ``tone`` : a CSS variable."""

    label: str
    low: float | None
    value: float | None
    high: float | None
    tone: str = "learned"


def forest(rows: Sequence[Interval], marks: Sequence[tuple[float, str]], title: str) -> str:
    """Shares with intervals, and vertical marks (value, name); what is unbounded ends in an arrow."""
    numbers = [x for row in rows for x in (row.low, row.value, row.high) if x is not None]
    least, most, ticks = _axis([*numbers, *(value for value, _ in marks)])
    scale = _Scale(least, most, _LABEL, _WIDE - 24.0)
    top, bottom = 26.0, 26.0 + _ROW * len(rows)
    parts: list[str] = []
    for tick in ticks:
        x = scale(tick)
        parts += [_line(x, top, x, bottom, "grid"), _text(x, bottom + 18.0, _signed(tick), "small")]
    for value, name in marks:
        x = scale(value)
        parts += [_line(x, top, x, bottom, "mark"), _text(x, top - 9.0, name, "small")]
    for i, row in enumerate(rows):
        y = top + _ROW * (i + 0.5)
        low, high = (
            scale(least if row.low is None else row.low),
            scale(most if row.high is None else row.high),
        )
        parts.append(_text(0.0, y + 4.0, _short(row.label), "label", "start"))
        parts.append(_line(low, y, high, y, "interval", row.tone))
        if row.high is None:
            parts.append(f'<path d="M{high:.1f} {y:.1f} l-8 -5 v10 z" {_fill(row.tone)}/>')
        if row.value is not None:
            parts.append(f'<circle cx="{scale(row.value):.1f}" cy="{y:.1f}" r="5.5" {_fill(row.tone)}/>')
    return _svg(parts, _WIDE, bottom + 24.0, title)


def bars(rows: Sequence[tuple[str, float, float]], names: tuple[str, str], title: str) -> str:
    """Two shares for each label, one above the other."""
    scale = _Scale(0.0, max([0.01, *(max(pair) for _, *pair in rows)]), _LABEL, _WIDE - 64.0)
    parts: list[str] = []
    for j, name in enumerate(names):
        x = _LABEL + 150.0 * j
        parts += [_rect(x, 2.0, 11.0, 11.0, _TONES[j]), _text(x + 17.0, 12.0, name, "small", "start")]
    for i, (label, *pair) in enumerate(rows):
        y = 24.0 + _ROW * i
        parts.append(_text(0.0, y + 18.0, _short(label), "label", "start"))
        for j, share in enumerate(pair):
            width, top = max(scale(share) - _LABEL, 1.0), y + 2.0 + 13.0 * j
            parts.append(_rect(_LABEL, top, width, 11.0, _TONES[j]))
            parts.append(_text(_LABEL + width + 6.0, top + 10.0, f"{100 * share:.1f} %", "small", "start"))
    return _svg(parts, _WIDE, 30.0 + _ROW * len(rows), title)


def curve(lines: Sequence[tuple[str, str, Sequence[tuple[float, float]]]], title: str, below: str) -> str:
    """Lines (name, CSS variable, points)."""
    points = [point for _, _, listed in lines for point in listed]
    furthest = max(x for x, _ in points)
    left, right, top, height = 42.0, _NARROW - 104.0, 12.0, 230.0
    least, most, ticks = _axis([y for _, y in points])
    across, up = _Scale(0.0, furthest, left, right), _Scale(least, most, top + height, top)
    parts: list[str] = []
    for tick in ticks:
        y = up(tick)
        parts.append(_line(left, y, right, y, "grid"))
        parts.append(_text(left - 8.0, y + 4.0, f"{tick:.4g}", "small", "end"))
    ends: list[float] = []
    for name, tone, listed in lines:
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in listed)
        parts.append(f'<polyline points="{path}" class="line" style="stroke:var(--{tone})"/>')
        place = up(listed[-1][1])
        while any(abs(place - other) < 15.0 for other in ends):
            place += 3.0
        ends.append(place)
        parts.append(_text(across(listed[-1][0]) + 8.0, place + 4.0, name, "name", "start", tone))
    parts += [
        _text(across(tick), top + height + 20.0, _rows(tick), "small")
        for tick in _axis([0.0, furthest])[2]
        if 0.0 <= tick <= furthest
    ]
    parts.append(_text((left + right) / 2.0, top + height + 40.0, below, "small"))
    return _svg(parts, _NARROW, top + height + 48.0, title)


def histogram(bins: Sequence[tuple[str, float]], title: str, below: str) -> str:
    """Shares by bin."""
    most = max(0.01, *(share for _, share in bins))
    top, height = 22.0, 200.0
    step = _NARROW / len(bins)
    parts: list[str] = []
    for i, (label, share) in enumerate(bins):
        tall, middle = height * share / most, step * (i + 0.5)
        parts.append(_rect(step * i + 2.0, top + height - tall, step - 4.0, max(tall, 0.8), _TONES[0]))
        parts.append(_text(middle, top + height + 18.0, label, "small"))
        if share > 0.0:
            written = f"{100 * share:.0f} %" if share >= 0.01 else "<1 %"
            parts.append(_text(middle, top + height - tall - 6.0, written, "small"))
    parts.append(_text(_NARROW / 2.0, top + height + 40.0, below, "small"))
    return _svg(parts, _NARROW, top + height + 48.0, title)


class _Scale:
    """From numbers to places."""

    def __init__(self, least: float, most: float, first: float, last: float) -> None:
        self._least, self._first = least, first
        self._slope = (last - first) / ((most - least) or 1.0)

    def __call__(self, value: float) -> float:
        return self._first + (value - self._least) * self._slope


def _rows(count: float) -> str:
    """A number of rows, short enough to stand beside others."""
    return f"{count / 1e6:g} M" if count >= 1e6 else f"{count:,.0f}"


def _axis(numbers: Sequence[float]) -> tuple[float, float, list[float]]:
    """Ends and ticks at round numbers around all of these."""
    least, most = min(numbers), max(numbers)
    span = (most - least) or max(abs(most), 1.0)
    size: float = 10.0 ** floor(log10(span / 4.0))
    step = next(size * k for k in (1.0, 2.0, 2.5, 5.0, 10.0) if span / (size * k) <= 5.0)
    ticks = [step * i for i in range(floor(least / step), ceil(most / step) + 1)]
    return ticks[0], ticks[-1], ticks


def _signed(share: float) -> str:
    return "0 %" if abs(share) < 1e-9 else f"{100 * share:+.4g} %"


def _short(text: str, most: int = 25) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(x: float, y: float, text: str, kind: str, anchor: str = "middle", tone: str | None = None) -> str:
    fill = "" if tone is None else f" {_fill(tone)}"
    place = f'x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"'
    return f"<text {place}{fill}>{escape(text)}</text>"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str, tone: str | None = None) -> str:
    stroke = "" if tone is None else f' style="stroke:var(--{tone})"'
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"{stroke}/>'


def _rect(x: float, y: float, width: float, height: float, tone: str) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="3" {_fill(tone)}/>'


def _fill(tone: str) -> str:
    return f'style="fill:var(--{tone})"'


def _svg(parts: Sequence[str], width: float, height: float, title: str) -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg {box} role="img" aria-label="{escape(title, quote=True)}">{"".join(parts)}</svg>'
