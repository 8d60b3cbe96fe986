"""Run a function over many tasks: here, in processes of this machine, or on a Dask cluster.

The results stand in the order of the tasks, whatever ran them and in whatever order: a task that takes its
randomness from its own key gives the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .backends import check_backend, dask_client

__all__ = ["run_tasks"]

_Shared = TypeVar("_Shared")
_Task = TypeVar("_Task")
_Found = TypeVar("_Found")


def run_tasks(
    work: Callable[[_Shared, _Task], _Found],
    shared: _Shared,
    tasks: Sequence[_Task],
    *,
    workers: int = 1,
    backend: str = "processes",
    scheduler: str | None = None,
) -> list[_Found]:
    """``[work(shared, task) for task in tasks]``.

    Parameters
    ----------
    shared : what all tasks read, a log for example; it is sent to each worker once.
    workers : processes on this machine; 1 runs the tasks in this one. backend : ``processes`` or ``dask``.
    scheduler : the address of a Dask scheduler. The cluster is used, and left as it was.

    Raises
    ------
    InputInvalid : see ``check_backend``; or the scheduler does not answer. And what ``work`` raises.
    """
    check_backend(backend, workers, scheduler)
    if backend == "dask":
        return _on_dask(work, shared, tasks, scheduler)
    if workers == 1 or len(tasks) < 2:
        return [work(shared, task) for task in tasks]
    # Imported here: most evaluations run in one process, and joblib takes long to import.
    from joblib import Parallel, delayed  # noqa: PLC0415
    from joblib.externals.loky import get_reusable_executor  # noqa: PLC0415

    try:
        return list(Parallel(n_jobs=min(workers, len(tasks)))(delayed(work)(shared, task) for task in tasks))
    finally:
        # joblib would keep the workers waiting for more.
        get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _on_dask(
    work: Callable[[Any, Any], Any], shared: object, tasks: Sequence[Any], scheduler: str | None
) -> list[Any]:
    with dask_client(scheduler) as client:
        (everywhere,) = client.scatter([shared], broadcast=True, hash=False)
        futures = [client.submit(work, everywhere, task, pure=False) for task in tasks]
        try:
            return list(client.gather(futures))
        finally:
            client.cancel(futures)
