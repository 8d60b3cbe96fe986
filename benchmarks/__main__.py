"""Run the benchmarks: ``python -m benchmarks [--list] [WORD ...]``.

Each module of this folder that defines ``main() -> None`` is a benchmark and prints its own table. Words
choose the modules whose name contains one of them. The exit status is 1 if one of them failed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent


def discover() -> list[str]:
    """Names of the modules that define ``main``, found without importing them."""
    found = []
    for path in sorted(HERE.rglob("*.py")):
        names = path.relative_to(HERE).with_suffix("").parts
        if names[-1].startswith("_"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found.append(".".join(names))
    return found


def run(name: str) -> bool:
    """Run one benchmark; False if it failed."""
    print(f"=== {name}", flush=True)
    began = time.perf_counter()
    arguments, sys.argv = sys.argv, [name]
    try:
        importlib.import_module(f"benchmarks.{name}").main()
    except Exception:  # noqa: BLE001  # one failure must not hide the other tables
        traceback.print_exc()
        return False
    finally:
        sys.argv = arguments
    print(f"    ({time.perf_counter() - began:.1f} s)\n", flush=True)
    return True


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Print speed tables.")
    parser.add_argument("word", nargs="*", help="run only modules whose name contains one of these")
    parser.add_argument("--list", action="store_true", help="say what there is, run nothing")
    options = parser.parse_args()
    available = discover()
    chosen = [name for name in available if not options.word or any(word in name for word in options.word)]
    if options.list:
        print("\n".join(chosen))
        return 0
    if not chosen:
        print(
            f"no benchmark matches {' '.join(options.word)} [input_invalid]\n"
            f"  expected: part of one of {', '.join(available)}\n"
            f"  found:    {' '.join(options.word)}\n"
            "  fix:      choose one of these, or leave the word out",
            file=sys.stderr,
        )
        return 2
    failed = [name for name in chosen if not run(name)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
