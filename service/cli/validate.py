"""Check policies against theory, published figures and independent computation.

Regret bounds that say something at practical horizons, known mean regrets, slopes, propensities (drawn as
logged, and as defined), integrals, and digests of simulated runs. One line each: what was checked, measured
value and standard error, what it is compared with, their ratio, the verdict, and the probability that it
would fail a policy that is right. Seeds are fixed: two runs find the same.

  nyx-learning validate --quick
  nyx-learning validate --only kl_ucb
  nyx-learning validate --workers 4 --json

Exit code 1: a check failed.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from math import isfinite
from typing import Any

from ...simulation.validation import Finding, run_checks, selected, summary
from .output import print_json, print_text, progress_bar

__all__ = ["add_arguments", "run"]

_LINE = "{:<11} {:<28} {:<50} {:<27} {:>17} {:>20} {:>6} {:<7} {:>8}  {}"
_HEAD = (
    "check",
    "policy",
    "world",
    "quantity",
    "measured",
    "compared with",
    "ratio",
    "verdict",
    "alarm",
    "note",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``validate``."""
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer replications, without the longest checks: for CI")
    add("--only", metavar="WORD", help="only checks in whose line WORD occurs")
    add("--workers", metavar="N", type=_whole, default=1, help="processes (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run the checks; print their findings."""
    full = not args.quick
    checks = selected(full=full, only=args.only)
    findings: list[Finding] = []
    running = run_checks(checks, full=full, workers=args.workers)
    if not args.json:
        print_text(_LINE.format(*_HEAD).rstrip())
    with progress_bar("checking", len(checks)) as progress:
        for finding in running:
            findings.append(finding)
            if not args.json:
                print_text(_line(finding))
            progress(len(findings))
    result = summary(findings)
    if args.json:
        document = {"checks": [_document(finding) for finding in findings], "quick": args.quick}
        print_json({**document, **asdict(result)})
    else:
        print_text(
            f"\n{result.passed} passed, {result.failed} failed, {result.skipped} skipped. If everything is "
            f"right, at least one check fails with probability {result.false_alarm:.2g} at most.\n"
            "(*) as commonly stated; not checked against the paper."
        )
    return 1 if result.failed else 0


def _line(finding: Finding) -> str:
    measured = "-" if finding.measured is None else _number(finding.measured)
    if finding.standard_error is not None and isfinite(finding.standard_error):
        measured += f" ± {finding.standard_error:.2g}"
    compared = "" if finding.reference is None else _number(finding.reference)
    if finding.check == "anchor":
        compared += f" {finding.reference_text}"
    return _LINE.format(
        finding.check,
        finding.policy,
        finding.world,
        finding.quantity,
        measured,
        compared,
        "" if finding.ratio is None else f"{finding.ratio:.3g}",
        finding.status,
        f"{finding.false_alarm:.1e}" if finding.false_alarm else "0",
        finding.note,
    ).rstrip()


def _number(value: float) -> str:
    return f"{value:.2f}" if 0.1 <= abs(value) < 1e6 else f"{value:.3g}"


def _document(finding: Finding) -> dict[str, Any]:
    """A finding with numbers unrounded; those that are not finite are null."""
    return {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in finding.to_dict().items()
    }


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise argparse.ArgumentTypeError(f"a whole number is needed, not {text!r}")
    return int(text)
