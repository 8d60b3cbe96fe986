"""Templates into answers: all is escaped, browsers keep nothing, and nothing is loaded from elsewhere."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup, escape
from starlette.responses import Response

from ....bandit import Stage
from ....bandit.choice import TOTAL
from .estimates import Estimate
from .svg import meter, whisker

__all__ = ["ASSETS", "HEADERS", "asset_bytes", "asset_url", "link", "page", "short_stamp", "stamp"]

ASSETS: Mapping[str, str] = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""Files that pages refer to, and their types."""

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer of the dashboard."""

_WEB = __package__.rpartition(".")[0]
_SPANS = ((60.0, "s"), (60.0, "min"), (36.0, "h"))
_DAY_S = 86_400.0


def page(template: str, code: int = 200, /, **values: Any) -> Response:
    """A page of the dashboard; ``code`` : of HTTP."""
    text = _environment().get_template(template).render(**values)
    # A lone surrogate may stand in a name that came over HTTP; it cannot be sent.
    body = text.encode("utf-8", "replace")
    return Response(body, code, dict(HEADERS), "text/html; charset=utf-8")


@cache
def asset_bytes(name: str) -> bytes:
    """The content of a file of ``ASSETS``."""
    return (files(_WEB).joinpath("web", name)).read_bytes()


@cache
def asset_url(name: str) -> str:
    """Where a file is, with its hash, so that browsers may keep it for ever."""
    return f"/ui/static/{name}?v={sha256(asset_bytes(name)).hexdigest()[:12]}"


def link(view: str, bandit: str | None = None, **further: str) -> str:
    """The address of a page of a bandit."""
    told = ({} if bandit is None else {"bandit": bandit}) | further
    return f"/ui/{view}?{urlencode(told, errors='replace')}" if told else f"/ui/{view}"


def stamp(time: float | None) -> str:
    """A moment in UTC, for people; ``unknown`` without one."""
    told = _moment(time)
    return "unknown" if told is None else told.strftime("%d %b %Y, %H:%M:%S UTC")


def short_stamp(time: float) -> str:
    """A moment in UTC for narrow places: day and minute."""
    told = _moment(time)
    return "unknown" if told is None else told.strftime("%d %b, %H:%M")


def _broken(text: str) -> Markup:
    """An arm's id that may be broken between its parts, and nowhere else."""
    told = escape(text)
    return Markup(told.replace("(", Markup("<wbr>(")).replace(",", Markup(",<wbr>")))  # noqa: S704 - escaped


def _moment(time: float | None) -> datetime | None:
    try:
        return None if time is None else datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _iso(time: float | None) -> str:
    told = _moment(time)
    return "" if told is None else told.isoformat()


def _span(seconds: float) -> str:
    left = max(0.0, seconds)
    for size, unit in _SPANS:
        if left < size:
            return f"{left:.0f} {unit}"
        left /= size
    return f"{max(0.0, seconds) / _DAY_S:,.0f} days"


def _ago(time: float | None) -> str:
    if time is None:
        return "unknown"
    seconds = clock.time() - time
    if abs(seconds) < 2.0:
        return "just now"
    return f"{_span(seconds)} ago" if seconds > 0 else f"in {_span(-seconds)}"


def _percent(share: float | None, digits: int = 0) -> str:
    if share is None:
        return "–"
    text = f"{100.0 * share:.{digits}f} %"
    return f"<{10.0**-digits:g} %" if share > 0 and float(text[:-2]) == 0.0 else text


def _number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def _interval(found: Estimate | None, *, percent: bool = False) -> str:
    if found is None or found.low is None or found.high is None:
        return "too few for an interval" if found is not None else ""
    if percent:
        return f"{100 * found.low:.0f} to {100 * found.high:.0f} %"
    return f"{found.low:.3f} to {found.high:.3f}"


def _likeliest(stage: Stage, most: int = 20) -> list[tuple[str, float]]:
    """What a stage could choose, the likeliest first."""
    shares = [(name, mass / TOTAL) for name, mass in zip(stage.names, stage.pmf, strict=True) if mass]
    return sorted(shares, key=lambda pair: -pair[1])[:most]


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters: dict[str, Callable[..., Any]] = {
        "ago": _ago,
        "stamp": stamp,
        "iso": _iso,
        "percent": _percent,
        "number": _number,
        "interval": _interval,
        "span": _span,
        "broken": _broken,
    }
    made.filters.update(filters)
    made.globals.update(
        link=link, asset=asset_url, meter=meter, whisker=whisker, now=clock.time, likeliest=_likeliest
    )
    return made


def _source(name: str) -> str | None:
    path = files(_WEB).joinpath("web", name)
    return path.read_text("utf-8") if name.endswith(".html") else None
