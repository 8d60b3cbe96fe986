"""Times one library's rounds, in that library's interpreter, when asked to: JSON lines on stdin and stdout.

    python serve.py MODULE
    → {"ready": {"versions": {…}, "entries": [[case, label, note], …]}}
    ← {"entry": 0, "seconds": 0.1}
    → {"us": 6.41, "rounds": 15000}      processor time of a round; or {"error": "…"}

The first request of an entry sets it up, plays it until it is warm, and finds out how many rounds take so
long; later ones time one block of so many rounds.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM_ROUNDS = 20
WARM_SECONDS_MAX = 1.0
MAX_ROUNDS = 2_000_000


Run = Callable[[int], int | None]


def timed(run: Run, rounds: int) -> tuple[float, int]:
    """Processor seconds, of all threads, and the rounds that were played."""
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        played = run(rounds) or rounds
        return time.process_time() - began, played
    finally:
        gc.enable()


def warm(run: Run) -> None:
    """Play some rounds; fewer, if they are slow."""
    run(1)  # compiles, where anything is compiled
    began = time.process_time()
    for _ in range(WARM_ROUNDS):
        run(1)
        if time.process_time() - began > WARM_SECONDS_MAX:
            break


def fitting(run: Run, seconds: float) -> int:
    """How many rounds take about so long."""
    rounds = 1
    while True:
        taken, played = timed(run, rounds)
        if taken >= seconds / 4 or rounds >= MAX_ROUNDS:
            return max(1, min(MAX_ROUNDS, round(played * seconds / max(taken, 1e-6))))
        rounds *= 2 if taken > seconds / 40 else 4


def serve(module: Any) -> None:
    """Answer requests until the input ends."""
    entries = module.entries()
    versions = {name: importlib.metadata.version(name) for name in module.PACKAGES}
    say({"ready": {"versions": versions, "entries": [entry[:3] for entry in entries]}})
    playing: dict[int, tuple[Run, int]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        number = request["entry"]
        try:
            if number not in playing:
                run = entries[number][3]()
                warm(run)
                playing[number] = run, fitting(run, request["seconds"])
            run, rounds = playing[number]
            taken, played = timed(run, rounds)
            say({"us": taken / played * 1e6, "rounds": played})
        except Exception as error:  # noqa: BLE001  # one entry that fails must not hide the others
            say({"error": f"{type(error).__name__}: {error}"})


def say(answer: dict[str, Any]) -> None:
    """Write one line to the caller."""
    print(json.dumps(answer), file=ANSWERS, flush=True)


# Libraries print; what they say goes to stderr, and the answers keep stdout to themselves.
ANSWERS = sys.stdout

if __name__ == "__main__":
    sys.stdout = sys.stderr
    # Last, and without this folder: our names must not hide a library's.
    sys.path[:] = [*sys.path[1:], str(Path(__file__).resolve().parents[3])]
    serve(importlib.import_module(sys.argv[1]))
