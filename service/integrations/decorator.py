"""``@learned``: a function whose strategy is chosen, and whose outcome is learned from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar

from ...errors import InputInvalid, shown
from ..execution import Execution
from .blocking import BlockingExecution

__all__ = ["learned"]

_Result = TypeVar("_Result")
_GIVEN = ("arm_id", "parameters", "run", "strategy")


def learned(
    learner: Any,
    *,
    context: Mapping[str, Any] | Callable[..., Mapping[str, Any]],
    decision_id: Callable[..., str] | None = None,
    eligible: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    report: Callable[[Any], Mapping[str, Any]] | None = None,
) -> Callable[[Callable[..., _Result]], Callable[..., _Result]]:
    """Choose an arm at each call, hand it to the function, time it, and report how it ended.

    Of ``strategy``, ``parameters``, ``arm_id`` and ``run`` (the ``Execution``: ``run.report(quality=.9)``)
    the function is given those that it has parameters for; its callers leave them out. An exception is a
    failure and passes on; a cancelled call is abandoned.

    Parameters
    ----------
    learner : for an ``async`` function an engine or ``AsyncNyxClient``, for another one a ``BlockingEngine``
        or ``NyxClient``; or a function without arguments that returns one, asked at each call.
    context : of every call; or a function of the call's arguments.
    decision_id : a function of the call's arguments; a retried call with the same id is the same decision.
        By default each call is a decision of its own.
    eligible, exclude : arm ids or strategy names.
    report : fields of ``Outcome`` read from what the function returned.

    Raises
    ------
    InputInvalid : the function takes nothing of what was chosen, or learner and function do not fit.
    """
    allowed = (
        None if eligible is None else tuple(eligible),
        None if exclude is None else tuple(exclude),
    )

    def decorate(function: Callable[..., _Result]) -> Callable[..., _Result]:
        waits = inspect.iscoroutinefunction(function)
        signature = inspect.signature(function)
        given = tuple(name for name in _GIVEN if name in signature.parameters)
        if not given:
            raise InputInvalid(
                f"'{function.__name__}' takes nothing of what is chosen",
                expected=f"at least one parameter out of {', '.join(_GIVEN)}",
                found=f"the parameters {', '.join(signature.parameters) or '(none)'}",
                fix="add 'strategy', and act by it",
            )
        if hasattr(learner, "select_arm"):
            _check_fits(learner, function, waits=waits)

        def execution(kind: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
            used = learner
            if not hasattr(used, "select_arm"):
                used = used()
                _check_fits(used, function, waits=waits)
            asked = context(*arguments, **named) if callable(context) else context
            key = None if decision_id is None else decision_id(*arguments, **named)
            return kind(used, asked, key, eligible=allowed[0], exclude=allowed[1])

        def handed(run: Any) -> dict[str, Any]:
            every = {
                "arm_id": run.decision.arm_id,
                "parameters": dict(run.decision.parameters),
                "run": run,
                "strategy": run.decision.strategy,
            }
            return {name: every[name] for name in given}

        @wraps(function)
        async def waiting(*arguments: Any, **named: Any) -> Any:
            async with execution(Execution, arguments, named) as run:
                result: Any = function(*arguments, **named, **handed(run))
                result = await result
                if report is not None:
                    run.report(**report(result))
            return result

        @wraps(function)
        def blocking(*arguments: Any, **named: Any) -> Any:
            with execution(BlockingExecution, arguments, named) as run:
                result = function(*arguments, **named, **handed(run))
                if report is not None:
                    run.report(**report(result))
            return result

        decorated: Any = waiting if waits else blocking
        # What callers pass: frameworks that read signatures should not ask them for the choice.
        kept = [parameter for name, parameter in signature.parameters.items() if name not in given]
        decorated.__signature__ = signature.replace(parameters=kept)
        return decorated  # type: ignore[no-any-return]  # as the function, without what it is given

    return decorate


def _check_fits(learner: Any, function: Callable[..., Any], *, waits: bool) -> None:
    select = getattr(learner, "select_arm", None)
    if select is None or inspect.iscoroutinefunction(select) is not waits:
        kinds = ("a BlockingEngine or NyxClient", "a LearningEngine or AsyncNyxClient")
        raise InputInvalid(
            f"'{function.__name__}' and its learner do not fit",
            expected=f"{kinds[waits]} for {'an async' if waits else 'a blocking'} function",
            found=shown(type(learner).__name__),
            fix=f"pass {kinds[waits]}, or write the function {'without' if waits else 'with'} async",
        )
