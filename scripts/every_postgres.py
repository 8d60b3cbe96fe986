"""Run the tests of the durable path on every Postgres from 14 on that is here, one version after the other.

    python scripts/every_postgres.py
    python scripts/every_postgres.py --bin /opt/postgres-14/bin --only 14

Programs are looked for where the embedded server looks (its wheel, a system install), in the folders of
``--bin`` and in those of ``NYX_POSTGRES_BINS``. Exit code 1: a version fails; 2: there is none.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from nyx_learning.persistence.embedded.binaries import newest_of_each_major

__all__ = ["main"]

_MAJORS = range(14, 19)
_TESTS = ("tests/persistence", "tests/service", "-k", "not demo and not cli and not evaluat")


def main() -> int:
    """Run what was asked for, and say which versions were run and which are not here."""
    parser = argparse.ArgumentParser(prog="scripts/every_postgres.py", description="Tests on every Postgres.")
    parser.add_argument(
        "--bin", type=Path, action="append", default=[], help="a folder with postgres and initdb"
    )
    parser.add_argument("--only", type=int, action="append", help="this major version; may be repeated")
    parser.add_argument("rest", nargs="*", metavar="ARG", help="for pytest, in place of the usual tests")
    options = parser.parse_args()
    named = map(Path, filter(None, os.environ.get("NYX_POSTGRES_BINS", "").split(os.pathsep)))
    found = newest_of_each_major([*options.bin, *named])
    wanted = options.only or list(_MAJORS)
    results: dict[int, str] = {}
    for major in wanted:
        if major not in found:
            results[major] = "not here: skipped"
            continue
        told = ".".join(map(str, found[major].version))
        print(f"=== Postgres {told} in {found[major].folder}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "--dist=loadfile", *(options.rest or _TESTS)]
        environment = {**os.environ, "NYX_POSTGRES_BIN": str(found[major].folder)}
        code = subprocess.run(command, check=False, env=environment).returncode
        results[major] = f"{told}: {'passed' if code == 0 else f'failed, exit code {code}'}"
    for major, told in results.items():
        print(f"Postgres {major}: {told}")
    if any("failed" in told for told in results.values()):
        return 1
    return 0 if any("passed" in told for told in results.values()) else 2


if __name__ == "__main__":
    sys.exit(main())
