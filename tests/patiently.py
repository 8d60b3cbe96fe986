"""A busy machine is no outage: engines here wait long for the database, in this process or in a program's.

    python tests/patiently.py PROGRAM [ARGUMENT ...]

With the defaults, a machine that stands still for a moment lets a decision be made from memory, or a report
be spooled. Both are right, and not what a test means that is about something else.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nyx_learning import LearningEngine

if TYPE_CHECKING:
    import pytest

__all__ = ["PATIENTLY", "wait_long"]

PATIENTLY = str(Path(__file__))
_LONG = {"deadline_s": 60.0, "patience_s": 60.0}
_DEFAULTS = vars(LearningEngine)["open"].__func__.__kwdefaults__
assert _DEFAULTS.keys() >= _LONG.keys()


def wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the end of the test."""
    for name, seconds in _LONG.items():
        assert _DEFAULTS[name] < seconds
        monkeypatch.setitem(_DEFAULTS, name, seconds)


if __name__ == "__main__":
    _DEFAULTS.update(_LONG)
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)  # as Python itself does
    runpy.run_path(sys.argv[0], run_name="__main__")
