"""All checks; running some of them; what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...errors import InputInvalid, shown
from .anchors import anchors
from .check import Check, Finding
from .coverage import coverage
from .drift import drift
from .golden import golden
from .propensities import propensities
from .quadrature import quadrature
from .regret_bounds import regret_bounds
from .slopes import slopes
from .staged import staged
from .tail_bounds import tail_bounds
from .verdicts import verdicts

__all__ = ["Summary", "run_checks", "selected", "suite", "summary"]


@dataclass(frozen=True, slots=True)
class Summary:
    """How many checks passed, failed and were skipped, and the family-wise false-alarm probability.

    ``false_alarm``: an upper bound on the probability that at least one check fails although everything is
    right, over the choice of the seed: the sum of the checks' own (Boole), whatever their dependence.
    """

    passed: int
    failed: int
    skipped: int
    false_alarm: float


def suite() -> tuple[Check, ...]:
    """Every check there is, in the order in which they are printed."""
    return (
        *regret_bounds(),
        *tail_bounds(),
        *anchors(),
        *slopes(),
        *propensities(),
        *staged(),
        *quadrature(),
        *drift(),
        *golden(),
        *verdicts(),
        *coverage(),
    )


def selected(*, full: bool, only: str | None = None) -> list[Check]:
    """The checks of a quick or full run, or those of them whose title contains a word, in any case.

    Raises
    ------
    InputInvalid : no check is left.
    """
    checks = [check for check in suite() if check.effort.of(full=full) > 0]
    found = [check for check in checks if only is None or only.casefold() in check.title.casefold()]
    if found:
        return found
    raise InputInvalid(
        "no check is selected",
        expected="a word out of a check's line, such as one of "
        + ", ".join(sorted({f"'{check.kind}'" for check in checks})),
        found=shown(only),
        fix="choose another word, or run without --quick: it leaves the long checks out",
    )


def run_checks(checks: Sequence[Check], *, full: bool, workers: int = 1) -> Iterator[Finding]:
    """Findings in the order of the checks; ``workers`` processes change nothing but the time.

    Raises
    ------
    InputInvalid : fewer than one worker, or more than 1,024.
    """
    if type(workers) is not int or not 1 <= workers <= 1024:
        raise InputInvalid(
            "the number of workers is out of its domain",
            expected="a whole number from 1 to 1024",
            found=shown(workers),
            fix="use as many as there are cores",
        )
    if workers == 1:
        return (check.run(full=full) for check in checks)
    return _in_processes(checks, full=full, workers=min(workers, len(checks)))


def run_one(check: Check, *, full: bool) -> Finding:
    """``check.run`` as a function, for workers."""
    return check.run(full=full)


def _in_processes(checks: Sequence[Check], *, full: bool, workers: int) -> Iterator[Finding]:
    # Imported here: joblib takes long to import, and one process does without it.
    from joblib import Parallel, delayed  # noqa: PLC0415
    from joblib.externals.loky import get_reusable_executor  # noqa: PLC0415

    try:
        pool = Parallel(n_jobs=workers, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1)
        yield from pool(delayed(run_one)(check, full=full) for check in checks)
    finally:
        # joblib would keep the workers waiting for more.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def summary(findings: Iterable[Finding]) -> Summary:
    """Count the findings, and add up their false-alarm probabilities."""
    listed = list(findings)
    count = Counter(finding.status for finding in listed)
    alarm = min(1.0, sum(finding.false_alarm for finding in listed))
    return Summary(count["pass"], count["fail"], count["skipped"], alarm)
