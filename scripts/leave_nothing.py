"""Run a command and fail if a process that it started outlives it.

    python scripts/leave_nothing.py [--grace SECONDS] make test

On Linux this process makes itself the reaper of its descendants: whatever is orphaned, however often it
has forked or changed its session or user, becomes its child. So what is left behind is known exactly, and
a server of somebody else is never mistaken for ours. Elsewhere the command is run without the check, and
that is said.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 10.0  # a server that was told to stop needs a moment
UNSEEN_S = 1.0  # so that what a list has missed is in the next one


def become_reaper() -> bool:
    """Adopt all orphaned descendants; False where the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def reap() -> bool:
    """Collect the children that have ended; False where none is left, and so no descendant either."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def children(parent: int) -> list[int]:
    """List the living children of a process."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # The name in parentheses may itself hold spaces and parentheses.
            state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(ppid) == parent and state != "Z":
            found.append(int(folder.name))
    return sorted(found)


def command_line(pid: int) -> str:
    """Say what a process is."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "(ended)"


def left_behind(grace_s: float) -> list[int] | None:
    """Wait for stragglers, then list those that stay; None where there are none.

    The list is empty where what stays cannot be seen, such as the threads of a process whose first has ended.
    """
    deadline = time.monotonic() + grace_s
    while reap():
        # Empty where a child ended that had forked while they were listed: its own is listed the next time.
        living, late = children(os.getpid()), time.monotonic() - deadline
        if late > (0.0 if living else UNSEEN_S):
            return living
        time.sleep(0.1)
    return None


def end(roots: list[int]) -> None:
    """End what was left, descendants as they are orphaned included."""
    for _ in range(100):
        for pid in roots:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        if not reap():
            return
        roots = children(os.getpid())


def main(command: list[str]) -> int:
    """Run ``command``; its exit status, or 1 if it left something behind."""
    grace_s = GRACE_S
    if command[:1] == ["--grace"]:
        grace_s, command = float(command[1]), command[2:]
    if not command:
        print("usage: leave_nothing.py [--grace SECONDS] COMMAND [ARGUMENT ...]", file=sys.stderr)
        return 2
    watched = become_reaper()
    status = subprocess.run(command, check=False).returncode
    if not watched:
        print("processes left behind are looked for on Linux only: not checked here", file=sys.stderr)
        return status
    left = left_behind(grace_s)
    if left is None:
        return status
    found = "; ".join(f"{pid}: {command_line(pid)}" for pid in left) or "one that cannot be listed"
    print(
        f"`{' '.join(command)}` left processes behind [processes_left]\n"
        f"  expected: none, {grace_s:g} s after it ended\n"
        f"  found:    {found}\n"
        "  fix:      close what was opened (servers, pools, executors); they have been ended now",
        file=sys.stderr,
    )
    end(left)
    return status or 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
