"""How long the front door takes to open: ``from nyx_learning import Bandit, LearningEngine``.

Each figure is a fresh interpreter, files in the page cache, minus an empty interpreter. Limit: 0.5 s.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time

RUNS = 9
LIMIT_S = 0.5
STATEMENTS = {
    "an empty interpreter": "pass",
    "import nyx_learning": "import nyx_learning",
    "… import Bandit": "from nyx_learning import Bandit",
    "… import Bandit, LearningEngine": "from nyx_learning import Bandit, LearningEngine",
}


def seconds(statement: str) -> float:
    """Run one fresh interpreter."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


def heaviest(statement: str, count: int = 8) -> list[tuple[float, str]]:
    """The modules whose own code takes longest, in ms."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement], check=True, capture_output=True, text=True
    )
    rows = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr)
    return sorted(((int(us) / 1000, name) for us, name in rows), reverse=True)[:count]


def main() -> None:
    """Print the table."""
    taken: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(RUNS + 1):  # the first round fills the page cache; rounds alternate, so noise is shared
        for name, statement in STATEMENTS.items():
            taken[name].append(seconds(statement))
    empty = min(taken["an empty interpreter"][1:])
    print(f"{'':34}{'best':>9}{'median':>9}   ms, {RUNS} runs; from the second row on, above the first")
    for name, times in taken.items():
        base = 0.0 if name == "an empty interpreter" else empty
        best, median = (1000 * (value - base) for value in (min(times[1:]), statistics.median(times[1:])))
        print(f"{name:34}{best:9.0f}{median:9.0f}")
    print(f"limit for the last row: {1000 * LIMIT_S:.0f} ms\n\nown time of the heaviest modules, ms")
    for own_ms, module in heaviest(list(STATEMENTS.values())[-1]):
        print(f"  {own_ms:7.1f}  {module}")


if __name__ == "__main__":
    main()
