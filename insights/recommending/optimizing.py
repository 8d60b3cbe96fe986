"""``optimize_parameters``: whether parameters a step away are credibly better than the current ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from ...bandit import Arm, Learner
from ...bandit.arms import ArmTable
from ...bandit.explaining import twin_of
from ...bandit.explaining.judging import COVERAGE, Z, average_phi, judge
from ...bandit.explaining.wording import spelled_value
from ...bandit.fixed_point import reward_to_fixed
from ...bandit.history import HistoryRow
from ...bandit.parameters import ParameterValue, Range
from ...bandit.strategies import Strategy, arm_id, spelled
from ...errors import ArmUnknown, ContextInvalid, InputInvalid, OutcomeInvalid, shown
from ...features import Value
from ...rewards import price
from .execution_result import ExecutionResult
from .moves import moves_from
from .optimized import OptimizedParameters

__all__ = ["optimize_parameters"]

_MOST_STEP, _MOST_HISTORY = 1024, 100_000


def optimize_parameters(
    learner: Learner,
    current_parameters: Mapping[str, ParameterValue],
    performance_history: Iterable[ExecutionResult] | None = None,
    *,
    context: Mapping[str, Value] | None = None,
    strategy: str | None = None,
    max_step: int = 1,
    max_change: float = 0.25,
    confidence: float = 0.9,
    min_gain: float = 0.0,
    time: float | None = None,
) -> OptimizedParameters:
    """Say which parameters to run a strategy with, from the posterior; keep the current ones in doubt.

    The best candidate within the step is taken where its expected reward is higher by ``min_gain`` and, with
    probability ``confidence``, higher at all. Nothing is changed or learned for good.

    Parameters
    ----------
    current_parameters : one value for each parameter of the strategy, that the spec offers.
    performance_history : further executions. They are learned from for this answer alone, as rows of history
        are: in the same model, beside the log. Those with a ``decision_id`` are in the log already, and are
        left out; so are those of arms or contexts that the spec does not have, those without any score that
        has weight, and an ``execution_id`` that came before. One without a context counts for the context
        that is asked about.
    context : the question is about; None: about the average of all contexts known.
    strategy : whose parameters these are; None where only one strategy has parameters of these names.
    max_step : places among a parameter's listed numbers; other values have no order. max_change : of a
        range's value, as a share of it.
    confidence : from 0.5 to below 1. min_gain : reward. time : now, for overrides that expire.

    Raises
    ------
    InputInvalid, ArmUnknown, ContextInvalid : bad input.
    """
    _check(max_step, max_change, confidence, min_gain)
    owner = _strategy(learner, current_parameters, strategy)
    unit, current = _arm(learner, owner, current_parameters)
    phi = average_phi(learner) if context is None else learner.encoder.encode(context)[1]
    twin, used, skipped = learner, 0, 0
    if performance_history is not None:
        twin = twin_of(learner)
        used, skipped = _learn(twin, performance_history, owner.name, phi)
        if context is None and used:
            phi = average_phi(twin)
    moves = moves_from(owner, current.parameters, max_step, max_change)
    arms = _allowed(twin, [_arm(twin, owner, move) for move in moves], time)
    clean = None if context is None else learner.encoder.encode(context)[0]
    best = _best(twin, phi, current, arms)
    keep = _reason_to_keep(best, confidence, min_gain, arms=len(arms), moves=len(moves))
    taken = current if best is None or keep is not None else best.arm
    farther = _farthest(twin, owner, phi)
    return OptimizedParameters(
        strategy=owner.name,
        current=dict(current.parameters),
        parameters=dict(taken.parameters),
        arm_id=taken.arm_id,
        changed=taken is not current,
        candidate=None if best is None else dict(best.arm.parameters),
        gain=None if best is None else best.gain,
        gain_low=None if best is None else best.gain - Z * best.sd,
        gain_high=None if best is None else best.gain + Z * best.sd,
        coverage=COVERAGE,
        probability_better=None if best is None else best.better,
        confidence=confidence,
        best_known=None if farther is None else dict(farther.parameters),
        current_rewards=int(twin.sums.totals[unit, 0]),
        candidate_rewards=None if best is None else int(twin.sums.totals[best.unit, 0]),
        considered=len(arms),
        history_used=used,
        history_skipped=skipped,
        context=clean,
        state_seq=learner.sums.seq,
        reasons=tuple(_reasons(current, best, keep, farther, used, skipped)),
    )


class _Best(NamedTuple):
    """The candidate of the highest expected reward, beside the current arm."""

    unit: int
    arm: Arm
    gain: float
    sd: float
    better: float


def _best(
    learner: Learner, phi: Sequence[int], current: Arm, arms: Sequence[tuple[int, Arm]]
) -> _Best | None:
    if not arms:
        return None
    means = judge(learner, phi, [current, *(arm for _, arm in arms)]).mean
    known = [i for i in range(1, len(means)) if isfinite(means[i])]
    if not known or not isfinite(means[0]):
        return None
    unit, arm = arms[max(known, key=lambda i: (float(means[i]), -i)) - 1]
    pair = judge(learner, phi, [current, arm])
    gain, sd = pair.gain(1, 0)
    return _Best(unit, arm, gain, sd, float(pair.best[1])) if isfinite(sd) else None


def _reason_to_keep(
    best: _Best | None, confidence: float, min_gain: float, *, arms: int, moves: int
) -> str | None:
    if best is None:
        if arms:
            return "the policy holds no belief about the current parameters, or none about others"
        if moves:
            return "guardrails leave none within the step"
        return "there are no others within the step, which max_step and max_change widen"
    if best.gain <= min_gain:
        return f"the best others within the step are worth {best.gain:+.3f}"
    if best.better < confidence:
        return (
            f"{_spelled(best.arm)} is worth {best.gain:+.3f}, and better only with probability "
            f"{best.better:.1%}, below {confidence:.1%}"
        )
    return None


def _reasons(
    current: Arm, best: _Best | None, keep: str | None, farther: Arm | None, used: int, skipped: int
) -> Iterable[str]:
    if keep is not None:
        yield f"keep {_spelled(current)}: {keep}"
    elif best is not None:
        yield (
            f"{_spelled(best.arm)} instead of {_spelled(current)}: expected reward {best.gain:+.3f} "
            f"({best.gain - Z * best.sd:+.3f} to {best.gain + Z * best.sd:+.3f}), better with probability "
            f"{best.better:.1%}"
        )
    reached = {current.arm_id} if best is None else {current.arm_id, best.arm.arm_id}
    if farther is not None and farther.arm_id not in reached:
        yield f"the best known is {_spelled(farther)}, which is farther than one step"
    if used or skipped:
        yield f"{used:,} executions of the given history were learned from for this, {skipped:,} were not"


def _spelled(arm: Arm) -> str:
    return ", ".join(f"{name}={spelled_value(value)}" for name, value in sorted(arm.parameters.items()))


def _farthest(learner: Learner, owner: Strategy, phi: Sequence[int]) -> Arm | None:
    """The strategy's arm of the highest expected reward, where arms are listed."""
    if not isinstance(learner.arms, ArmTable):
        return None
    arms = [learner.arms[i] for i in learner.arms.spans[owner.name]]
    means = judge(learner, phi, arms).mean
    known = [i for i in range(len(arms)) if isfinite(means[i])]
    found: Arm | None = arms[max(known, key=lambda i: (float(means[i]), -i))] if known else None
    return found


def _allowed(learner: Learner, arms: Sequence[tuple[int, Arm]], time: float | None) -> list[tuple[int, Arm]]:
    """Those that no guardrail has taken out; in a space guardrails are about whole strategies."""
    if learner.guards.idle:
        return list(arms)
    kept = learner.guards.rules(time, learner.sums.totals).narrowed(None, len(learner.arms))[0]
    return [(unit, arm) for unit, arm in arms if kept is None or unit in kept]


def _learn(
    twin: Learner, history: Iterable[ExecutionResult], strategy: str, phi: Sequence[int]
) -> tuple[int, int]:
    """Learn a history into a twin; returns how many were, and how many were not."""
    used = skipped = 0
    seen = set[str]()
    for result in history:
        if not isinstance(result, ExecutionResult):
            raise InputInvalid(
                "the performance history is not made of executions",
                expected="a list of ExecutionResult",
                found=shown(result),
                fix="ExecutionResult(success=True, parameters={…}), or ExecutionResult.from_dict(…)",
            )
        if used + skipped == _MOST_HISTORY:
            raise InputInvalid(
                "the performance history is too long",
                expected=f"at most {_MOST_HISTORY:,} executions",
                found="more",
                fix="import them into the log, or pass the newest ones",
            )
        known = result.decision_id is not None or result.execution_id in seen
        if result.execution_id is not None:
            seen.add(result.execution_id)
        row = None if known else _row(twin, result, strategy, phi)
        if row is None:
            skipped += 1
            continue
        twin.absorb_history(row, twin.sums.seq + 1)
        used += 1
    return used, skipped


def _row(twin: Learner, result: ExecutionResult, strategy: str, phi: Sequence[int]) -> HistoryRow | None:
    """A result as a row of history; None where it is none for this spec."""
    try:
        name = strategy if result.strategy is None else result.strategy
        unit, arm = twin.arms.locate(arm_id(name, dict(sorted(result.parameters.items()))))
        encoded = list(phi) if not result.context else twin.encoder.encode(result.context)[1]
        reward = result.reward
        if reward is None:
            reward = price(result.outcome, twin.spec.reward, context=result.context or None).value
        reward_to_fixed(reward)
    except (ArmUnknown, ContextInvalid, OutcomeInvalid, InputInvalid):
        return None
    whole = (*encoded, *twin.arms.encode(unit, arm.parameters))
    return HistoryRow(dict(result.context), arm.arm_id, float(reward), unit, whole, twin.sums.epochs[unit])


def _strategy(learner: Learner, parameters: object, name: str | None) -> Strategy:
    if not isinstance(parameters, Mapping) or not parameters:
        raise InputInvalid(
            "the current parameters are no mapping",
            expected='a value for each parameter of a strategy, such as {"workers": 4}',
            found=shown(parameters),
            fix="pass decision.parameters, or the configuration's",
        )
    known = list(learner.spec.strategies)
    if name is not None:
        known = [strategy for strategy in known if strategy.name == name]
        if not known:
            names = [strategy.name for strategy in learner.spec.strategies]
            raise ArmUnknown(
                "the strategy is not part of the spec",
                expected=f"one of {names!r:.160}",
                found=shown(name),
                fix="name a strategy, not an arm",
            )
    fitting = [strategy for strategy in known if set(strategy.parameters) == set(parameters)]
    if len(fitting) == 1:
        return fitting[0]
    offered = {strategy.name: sorted(strategy.parameters) for strategy in known}
    raise InputInvalid(
        "it cannot be told whose parameters these are",
        expected=f"the parameters of one strategy: {offered!r:.160}",
        found=f"{sorted(map(str, parameters))!r:.160}, which are those of {len(fitting)}",
        fix="name all parameters of the strategy, and strategy=… where several have the same",
    )


def _arm(learner: Learner, owner: Strategy, parameters: Mapping[str, ParameterValue]) -> tuple[int, Arm]:
    """The arm of these parameters; ``InputInvalid`` where the spec does not offer a value."""
    values: dict[str, ParameterValue] = {}
    for name, offered in sorted(owner.parameters.items()):
        value: Any = parameters[name]
        if isinstance(offered, Range):
            good = _number(value) and offered.low <= value <= offered.high
            told = f"a number from {offered.low:g} to {offered.high:g}"
        else:
            same = [v for v in offered if spelled(v) == spelled(value) or (_number(v) and v == value)]
            good, told = bool(same), f"one of {list(offered)!r:.160}"
            value = same[0] if same else value
        if not good:
            raise InputInvalid(
                f"parameter '{name}' of strategy '{owner.name}' has a value that the spec does not offer",
                expected=told,
                found=shown(value),
                fix="pass an offered value near it, or add it to the spec",
            )
        values[name] = value
    if isinstance(learner.arms, ArmTable):
        return learner.arms.locate(arm_id(owner.name, values))
    unit = learner.arms.units.index(owner.name)
    return unit, learner.arms.arm(unit, values)


def _check(max_step: object, max_change: object, confidence: object, min_gain: object) -> None:
    checks = (
        (type(max_step) is int and 0 <= max_step <= _MOST_STEP, "max_step", "a whole number >= 0", max_step),
        (_within(max_change, 0.0, 10.0), "max_change", "a number from 0 to 10", max_change),
        (_within(confidence, 0.5, 1.0 - 1e-9), "confidence", "a number from 0.5 to below 1", confidence),
        (_within(min_gain, 0.0, 1.0), "min_gain", "a number from 0 to 1", min_gain),
    )
    for good, name, expected, found in checks:
        if not good:
            raise InputInvalid(
                f"'{name}' is out of its domain", expected=expected, found=shown(found), fix=f"correct {name}"
            )


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
