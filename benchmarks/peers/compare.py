"""The same rounds by this project and by other libraries, in one run: ``python -m benchmarks.peers``.

    python -m benchmarks.peers --install [DIR]    venvs of the others, below DIR; minutes, once
    python -m benchmarks.peers [--peers DIR]      the tables

Each library runs in its own interpreter, one at a time. Blocks of rounds are interleaved, so that
whatever else the machine does falls on all alike. Figures are processor time, medians over blocks, with the
best block beside them; numerical libraries are held to one thread. Less than 1.3 × apart is a tie.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import platformdirs

from .cases import CASES, Case
from .install import RECIPES, install, interpreter
from .library import Entry, Library, LibraryFailed

__all__ = ["main"]

TIE = 1.3
OURS = "nyx-learning"
HERE = "python -m benchmarks.peers"

Blocks = dict[Entry, list[float]]


def measure(entries: Sequence[Entry], blocks: int, seconds: float) -> tuple[Blocks, dict[Entry, str]]:
    """µs of each block of each entry, interleaved; and what the failed ones said."""
    taken: Blocks = {entry: [] for entry in entries}
    failed: dict[Entry, str] = {}
    for block in range(blocks + 1):  # the first one finds out how many rounds fill a block
        turn = block % len(entries)
        for entry in [*entries[turn:], *entries[:turn]]:
            if entry in failed:
                continue
            try:
                found = entry.library.time(entry.number, seconds)
            except LibraryFailed as error:
                failed[entry] = str(error)
                continue
            if block:
                taken[entry].append(found)
    return {entry: values for entry, values in taken.items() if entry not in failed}, failed


def ratio(theirs: float, ours: float) -> str:
    """How many times our cost theirs is."""
    times = theirs / ours
    if 1 / TIE < times < TIE:
        return "tie"
    return f"{times:.2f} ×" if times < 1 else f"{times:.1f} ×" if times < 100 else f"{times:,.0f} ×"


def figure(us: float, *, simulated: bool) -> str:
    """µs a round, or rounds a second to three digits."""
    if not simulated:
        return f"{us:,.1f}"
    rate = 1e6 / us
    if rate < 1e4:
        return f"{rate:,.0f}"
    return f"{rate / 1e6:,.2f} M" if rate >= 1e6 else f"{rate / 1e3:,.1f} k"


def show(case: Case, taken: Blocks, failed: dict[Entry, str]) -> None:
    """Print the table of one case."""
    ours = [entry for entry in taken if entry.library.name == OURS]
    medians = {entry: statistics.median(values) for entry, values in taken.items()}
    heads = "".join(f"{'÷ ' + entry.label:>12}" for entry in ours)
    print(f"\n{case.title}\n{'':44}{'median':>10}{'best':>10}{heads}")
    for entry in sorted(taken, key=lambda entry: (entry.library.name != OURS, medians[entry])):
        cells = [figure(us, simulated=case.simulated) for us in (medians[entry], min(taken[entry]))]
        times = ["" if entry in ours else ratio(medians[entry], medians[own]) for own in ours]
        print(
            f"  {entry.library.name + ' ' + entry.label:42}"
            + "".join(f"{cell:>10}" for cell in cells)
            + "".join(f"{cell:>12}" for cell in times)
            + (f"   {entry.note}" if entry.note else "")
        )
    if len(taken) == len(ours):
        print("  none of the others computes this")
    for entry, said in failed.items():
        print(f"  {entry.library.name} {entry.label}: failed: {said[:200]}")


def compare(folder: Path, libraries: Sequence[str], options: argparse.Namespace) -> None:
    """Start every library, and print a table a case."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"Python {platform.python_version()}, {platform.machine()}; load average {load:.1f} before")
    if load > 1.0:  # what ran just before leaves up to 1 behind
        print("other work is running: these figures are preliminary")
    with ExitStack() as stack:
        started = [
            stack.enter_context(Library(OURS, Path(sys.executable), "benchmarks.peers.ours")),
            *(
                stack.enter_context(
                    Library(name, interpreter(folder, name), f"benchmarks.peers.drivers.on_{name}")
                )
                for name in libraries
            ),
        ]
        for library in list(started):
            try:
                library.open()
            except LibraryFailed as error:
                print(f"{library.name} does not start: {error}")
                started.remove(library)
                continue
            print(f"  {library.name}: " + ", ".join(f"{k} {v}" for k, v in library.versions.items()))
        for name, case in CASES.items():
            entries = [entry for library in started for entry in library.entries if entry.case == name]
            if entries and all(word in name for word in options.word):
                show(case, *measure(entries, options.blocks, options.seconds))
                sys.stdout.flush()
    if hasattr(os, "getloadavg"):
        print(f"\nload average {os.getloadavg()[0]:.1f} after")


def main() -> None:
    """Print the tables, or say what is missing."""
    parser = argparse.ArgumentParser(prog=HERE, description="Speed beside other libraries.")
    parser.add_argument("word", nargs="*", help="only cases whose name contains all of these")
    home = platformdirs.user_cache_path("nyx-learning") / "peers"
    parser.add_argument(
        "--peers", type=Path, metavar="DIR", default=home, help=f"their venvs (default {home})"
    )
    parser.add_argument(
        "--install", type=Path, metavar="DIR", nargs="?", const=home, help="make the venvs, and stop"
    )
    parser.add_argument("--blocks", type=int, default=15, help="timed blocks of each (default 15)")
    parser.add_argument("--seconds", type=float, default=0.1, help="length of a block (default 0.1)")
    options = parser.parse_args()
    if options.install:
        folder = options.install.absolute()
        failed = install(folder)
        print(f"in {folder}: {', '.join(name for name in RECIPES if name not in failed)}")
        if failed:
            sys.exit(f"not installed: {', '.join(failed)}")
        return
    folder = options.peers.absolute()
    present = [name for name in RECIPES if interpreter(folder, name).exists()]
    missing = [name for name in RECIPES if name not in present]
    if missing:
        where = "" if options.peers == home else f" {options.peers}"
        print(f"not installed: {', '.join(missing)}\n  fix: {HERE} --install{where}")
    if present:
        compare(folder, present, options)
