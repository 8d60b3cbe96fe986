"""How numbers, arms and verdicts are put into words, on the terminal and in the report alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...bandit import VerifyReport
from .intervals import Estimate
from .summary import Paired

__all__ = [
    "NAMES",
    "arm_label",
    "difference",
    "headline",
    "level",
    "percent",
    "points",
    "total_line",
    "verification_line",
]

NAMES: Final[Mapping[str, str]] = {
    "learned": "learned policy",
    "baseline": "baseline",
    "best_fixed": "best fixed arm",
}


def percent(share: float) -> str:
    """Return a share as a whole percentage.

    >>> percent(0.876)
    '88 %'
    """
    return f"{100 * share:.0f} %"


def level(estimate: Estimate, digits: int = 3) -> str:
    """Return the bounds of an interval: ``0.812 – 0.871``."""
    return f"{estimate.low:.{digits}f} – {estimate.high:.{digits}f}"


def difference(estimate: Estimate, digits: int = 3) -> str:
    """Return a signed difference with its interval.

    >>> difference(Estimate(0.1234, 0.08, 0.167, 90))
    '+0.123 [+0.080, +0.167]'
    """
    return f"{estimate.value:+.{digits}f} [{estimate.low:+.{digits}f}, {estimate.high:+.{digits}f}]"


def points(estimate: Estimate) -> str:
    """Return a difference of rates in percentage points, with its interval.

    >>> points(Estimate(0.08, -0.012, 0.18, 72))
    '+8 pp [-1, +18]'
    """
    low, value, high = (100 * x for x in (estimate.low, estimate.value, estimate.high))
    return f"{value:+.0f} pp [{low:+.0f}, {high:+.0f}]"


def total_line(duration_s: float, compiled_s: float) -> str:
    """Return how long it all took, and what of it happens the first time only.

    >>> total_line(61.2, 18.4), total_line(42.8, 0.0)
    ('61 s, of which 18 s compiled kernels', '43 s')
    """
    return f"{duration_s:.0f} s" + (f", of which {compiled_s:.0f} s compiled kernels" if compiled_s else "")


def arm_label(arm_id: str) -> str:
    """Return an arm id in the words of a reader.

    >>> arm_label("threads(retries=2,timeout_s=0.025,workers=8)")
    'threads · 8 workers, 25 ms, 2 retries'
    """
    strategy, _, inside = arm_id.rstrip(")").partition("(")
    values = dict(part.split("=") for part in inside.split(",") if part)
    words = []
    if "workers" in values:
        words.append(f"{values['workers']} workers")
    if "timeout_s" in values:
        words.append(f"{1e3 * float(values['timeout_s']):.0f} ms")
    if "retries" in values:
        words.append(f"{values['retries']} retries")
    return f"{strategy} · {', '.join(words)}" if words else strategy


def headline(pair: Paired) -> tuple[str, str, str]:
    """Return the verdict on the learned policy against ``pair.other`` as (before, verdict, after)."""
    other = f"the {NAMES[pair.other]}"
    if pair.verdict == "not distinguishable":
        return "The learned policy is ", "not distinguishable", f" from {other} on this evidence."
    return "The learned policy is ", pair.verdict, f" than {other}."


def verification_line(report: VerifyReport) -> str:
    """Return what verifying the log came to, in one sentence."""
    sums = "the sums match" if report.sums_match else "the sums differ"
    text = (
        f"verify: {report.matched:,} of {report.decisions:,} decisions re-derived and matched, "
        f"{report.rewards:,} rewards folded, {sums}"
    )
    return f"{text}; first divergence: {report.first_divergence}" if report.first_divergence else f"{text}."
