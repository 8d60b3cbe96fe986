"""Where blocks are run: in this process, in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import InputInvalid
from .blocks import Block, run_block
from .worlds.base import Floats

__all__ = ["BACKENDS", "check_backend", "dask_client", "run_blocks"]

BACKENDS = ("processes", "dask")

_Done = tuple[int, Floats]


def check_backend(backend: str, workers: int, scheduler: str | None) -> None:
    """Refuse what cannot run, before anything is started.

    Raises
    ------
    InputInvalid : an unknown backend, no or unused scheduler, fewer than one worker, or Dask is missing.
    """
    if backend not in BACKENDS:
        raise _unusable(f"a backend out of {list(BACKENDS)}", f"{backend!r}"[:80], "name one of them")
    if type(workers) is not int or not 1 <= workers <= 1024:
        raise _unusable("1 to 1,024 workers", f"{workers!r}"[:80], "use as many as there are cores")
    if backend == "dask" and not scheduler:
        raise _unusable(
            "the address of a Dask scheduler", "none", "start one with 'dask scheduler', and name its address"
        )
    if backend != "dask" and scheduler is not None:
        raise _unusable(
            "a scheduler only with the backend 'dask'", f"{scheduler!r}"[:80], "add backend 'dask'"
        )
    if backend == "dask" and importlib.util.find_spec("distributed") is None:
        raise _unusable(
            "the packages dask and distributed",
            "no module of that name in this environment",
            "pip install 'nyx-learning[dask]'",
        )


def run_blocks(
    blocks: Sequence[Block], *, workers: int, backend: str, scheduler: str | None
) -> Iterator[_Done]:
    """Run the blocks and yield (position, result) of each as it is done, in any order."""
    if backend == "dask":
        return _on_dask(blocks, scheduler)
    if workers == 1 or len(blocks) == 1:
        return ((i, run_block(block)) for i, block in enumerate(blocks))
    return _in_processes(blocks, min(workers, len(blocks)))


def numbered(position: int, block: Block) -> _Done:
    """``run_block``, with the block's position beside it."""
    return position, run_block(block)


def _in_processes(blocks: Sequence[Block], workers: int) -> Iterator[_Done]:
    # Imported here: most simulations run in one process, and joblib takes longer to import than they run.
    from joblib import Parallel, delayed  # noqa: PLC0415
    from joblib.externals.loky import get_reusable_executor  # noqa: PLC0415

    try:
        pool = Parallel(
            n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1
        )
        yield from pool(delayed(numbered)(i, block) for i, block in enumerate(blocks))
    finally:
        # joblib would keep the workers waiting for more.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def dask_client(scheduler: str | None) -> Any:
    """A client of a running cluster; closing it leaves the cluster as it was.

    Raises
    ------
    InputInvalid : no scheduler answers at that address.
    """
    from distributed import Client  # noqa: PLC0415 - an extra

    try:
        return Client(scheduler, set_as_default=False, timeout="10s")
    except (OSError, ValueError) as error:
        raise _unusable(
            "the address of a running Dask scheduler",
            f"{scheduler!r}: {error}"[:200],
            "start it with 'dask scheduler', and check the address that it prints",
        ) from None


def _on_dask(blocks: Sequence[Block], scheduler: str | None) -> Iterator[_Done]:
    from distributed import as_completed  # noqa: PLC0415 - an extra

    with dask_client(scheduler) as client:
        futures = [client.submit(numbered, i, block, pure=False) for i, block in enumerate(blocks)]
        for future in as_completed(futures, loop=client.loop):
            yield future.result()
            future.release()


def _unusable(expected: str, found: str, fix: str) -> InputInvalid:
    return InputInvalid("the simulation cannot be run as asked", expected=expected, found=found, fix=fix)
