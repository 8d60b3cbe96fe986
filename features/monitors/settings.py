"""What is watched, and how much evidence an alarm needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ...errors import SpecInvalid, shown

__all__ = ["Monitors"]

_LEAST, _MOST = 1.0, 100.0
_MOST_ALERTS = 10_000


@dataclass(frozen=True, slots=True)
class Monitors:
    """Which monitors watch a bandit.

    Parameters
    ----------
    reward : shifts of an arm's or a strategy's rewards, given the context; a shift starts a new epoch.
    duration : shifts of an arm's durations, given the context; what is expected of them starts anew.
    context : contexts that are not what they were; a warning.
    evidence : nats that a shift of rewards needs; more is slower, and rarer where nothing changed. At the
        default a stationary stream of 10,000 rewards gives about one false alarm.
    anomaly : single executions that are odd; an alarm each.
    alerts_a_day : how many anomalies in 24 hours may be sent as alerts; the others are written and held back.

    >>> Monitors(duration=False, anomaly=False).to_dict()
    {'reward': True, 'duration': False, 'context': True, 'evidence': 6.0}

    Raises
    ------
    SpecInvalid : a value outside its domain, or nothing to watch.
    """

    reward: bool = True
    duration: bool = True
    context: bool = True
    evidence: float = 6.0
    anomaly: bool = True
    alerts_a_day: int = 20

    def __post_init__(self) -> None:
        switches = (self.reward, self.duration, self.context, self.anomaly)
        if not all(type(switch) is bool for switch in switches) or not any(switches):
            raise SpecInvalid(
                "the monitors are not switched on or off",
                expected="reward, duration, context and anomaly True or False, one of them True",
                found=shown(switches),
                fix="Monitors() watches all of them; without any, leave monitors out of the spec",
            )
        if type(self.alerts_a_day) is not int or not 0 <= self.alerts_a_day <= _MOST_ALERTS:
            raise SpecInvalid(
                "'alerts_a_day' of the monitors is unusable",
                expected=f"a whole number from 0 to {_MOST_ALERTS}",
                found=shown(self.alerts_a_day),
                fix="leave it out for 20 a day; 0 writes anomalies and sends none",
            )
        evidence = self.evidence
        if isinstance(evidence, bool) or not isinstance(evidence, (int, float)):
            raise _no_evidence(evidence)
        if not _LEAST <= evidence <= _MOST:
            raise _no_evidence(evidence)
        object.__setattr__(self, "evidence", float(evidence))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON. Without anomalies it does not name them: older specs keep their hash."""
        document = {f.name: getattr(self, f.name) for f in fields(self)}
        if not self.anomaly:
            del document["anomaly"], document["alerts_a_day"]
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Monitors:
        """The settings that ``to_dict`` wrote."""
        return cls(**{"anomaly": False, **document})


def _no_evidence(found: object) -> SpecInvalid:
    return SpecInvalid(
        "'evidence' of the monitors is unusable",
        expected=f"nats from {_LEAST:g} to {_MOST:g}",
        found=shown(found),
        fix="leave it out for the setting that was measured",
    )
