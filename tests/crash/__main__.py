"""Kill writers and Postgres at random instants, and check that nothing was lost or counted twice.

    python -m tests.crash --kills 200
    python -m tests.crash --kills 10 --mutants

``--mutants`` goes on with faults that are put in on purpose, each of which must be found: by a promise that
it breaks, not by a writer that died of it. The exit code is 1 where something does not hold, or a mutant is
not found.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys

from tests.crash.harness import Plan, Report, Site, crash
from tests.crash.mutants import MUTANTS

__all__ = ["main"]


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="Randomised crash test.")
    parser.add_argument("--kills", type=int, default=200, help="how often something is killed (200)")
    parser.add_argument("--seed", type=int, default=1, help="of what is done and killed (1)")
    parser.add_argument("--writers", type=int, default=3, help="processes that write at once (3)")
    parser.add_argument("--mutants", action="store_true", help="run each mutant too, until it is found")
    parser.add_argument("--mutant-kills", type=int, default=25, help="at most so many kills a mutant (25)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    logging.disable()  # the last flush tells of every record that is kept and not learned from
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, too
    plans = [Plan(options.kills, options.seed, options.writers)]
    plans += [
        Plan(options.mutant_kills, options.seed, options.writers, mutant=name, whole_every=1)
        for name in MUTANTS
        if options.mutants
    ]
    reports = []
    with Site() as site:
        for plan in plans:
            reports.append(crash(site, plan, _progress))
            if not options.json:
                print(_told(reports[-1]), flush=True)  # noqa: T201 (a command)
    if options.json:
        print(json.dumps({"runs": [report.to_dict() for report in reports]}))  # noqa: T201
    good = [bool(report.found) == (report.mutant is not None) for report in reports]
    return 0 if all(good) else 1


def _progress(report: Report) -> None:
    """A line now and then: a long run that is cut short has told how far it came."""
    if report.kills % 10 == 0:
        told = f"{report.kills} kills, {report.checks} checks, {report.seconds} s"
        print(told, file=sys.stderr, flush=True)  # noqa: T201 (a command)


def _told(report: Report) -> str:
    name = "crash test" if report.mutant is None else f"mutant {report.mutant}"
    verdict = "nothing found" if not report.found else f"found {len(report.found)}: {report.found[0]}"
    ended = f" ({len(report.ended)} ended by themselves)" if report.ended else ""
    return (
        f"{name}: {report.kills} kills {report.killed}, {report.lives} writers' lives{ended},"
        f" {report.checks} checks"
        f" ({report.whole_checks} whole), {report.counts}, {report.settings}, {report.seconds} s: {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
