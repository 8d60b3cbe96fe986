"""The kernels of the demo's policy, made ready before anything is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..warming import warm_up

__all__ = ["compile_kernels"]


async def compile_kernels(policies: Iterable[str], say: Callable[[str], None]) -> float:
    """Load or compile what the policies need; return the seconds that compiling took, 0 from the cache.

    ``say`` is told beforehand where nothing was compiled on this machine yet.
    """
    before = _compiled()
    if not before:
        say("compiling kernels (first time only)")
    started = time.perf_counter()
    await asyncio.to_thread(warm_up, policies, staged=False)
    return time.perf_counter() - started if _compiled() - before else 0.0


def _compiled() -> frozenset[Path]:
    from ...jit import cache_folder  # noqa: PLC0415 - imports numba, and bad options fail before it

    return frozenset(Path(cache_folder()).rglob("*.nbc"))
