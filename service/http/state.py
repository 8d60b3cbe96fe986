"""How a server is, apart from its bandits: its keys, and the reward windows that it closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from .keys import KeyFile
from .windows import Windows, WindowsStatus

__all__ = ["ServerProblem", "ServerState", "state_of"]

_CODES = ("keys_unreadable", "windows_open")


@dataclass(frozen=True, slots=True)
class ServerProblem:
    """Something that concerns all bandits: a stable code, what it is, what to do."""

    code: str
    what: str
    fix: str


@dataclass(frozen=True, slots=True)
class ServerState:
    """What ``/health/learning`` tells of the server that is asked."""

    windows: WindowsStatus
    problems: tuple[ServerProblem, ...]

    def codes(self) -> Mapping[str, bool]:
        """Of every problem that there can be, whether it is there."""
        there = {problem.code for problem in self.problems}
        return {code: code in there for code in _CODES}

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        problems = [{"code": each.code, "what": each.what, "fix": each.fix} for each in self.problems]
        return {"windows": self.windows.to_dict(), "problems": problems}


def state_of(app: FastAPI) -> ServerState:
    """As of now."""
    keys: KeyFile | None = app.state.keys
    windows: Windows = app.state.windows
    status = windows.status()
    problems = []
    if keys is not None and (damage := keys.problem()) is not None:
        what = f"the file of API keys cannot be read ({damage.found}): the keys that were read before hold on"
        # Where it lies is for who has the machine, not for who has a key.
        problems.append(ServerProblem("keys_unreadable", what, damage.fix))
    if status.problem is not None:
        what = f"reward windows that have passed stay open: {status.problem}"
        fix = "it is tried again all the time; see the log, and the rights of the database's role"
        problems.append(ServerProblem("windows_open", what, fix))
    return ServerState(status, tuple(problems))
