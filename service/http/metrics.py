"""What the server counts, for Prometheus. Labels are bandits, arms' strategies and modes: never a context.

Names of bandits and strategies come from callers: the first ones have their own labels, the rest share
``other``, so that no caller can make the server count for ever more.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping
from operator import mul
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ...bandit import Decision, Receipt
from ...bandit.choice import TOTAL
from ..engine import LearningEngine
from .standings import STATES, Standing

__all__ = ["CONTENT_TYPE", "OTHER", "Metrics", "forget_dead"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_MISSED = {"spooled"}
_BANDITS, _STRATEGIES = 100, 50
_NOTED_S = 5.0
_LOG_TOTAL = math.log(TOTAL)
OTHER = "other"
"""Label of the bandits behind the first 100, and of a bandit's strategies behind the first 50."""


class _Names:
    """The first so many names; the others are one."""

    def __init__(self, most: int) -> None:
        self._most, self._known = most, set[str]()

    def __call__(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


class Metrics:
    """Counters of one process; with a shared folder, those of all its sisters are told together."""

    def __init__(self, *, shared: bool) -> None:
        # In several processes, values live in files of the folder, and the registry only registers names.
        registry = self._registry = CollectorRegistry()
        self._shared = shared
        self.requests = Histogram(
            "nyx_request_seconds",
            "Time of a request until its answer.",
            ["route", "method", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._decisions = Counter(
            "nyx_decisions",
            "Decisions that were answered.",
            ["bandit", "strategy", "mode"],
            registry=registry,
        )
        # To find a child by its labels takes longer than to count.
        self._answers: dict[tuple[str, str, int], Histogram] = {}
        self._decided: dict[tuple[str, str, str], Counter] = {}
        self._entropies: dict[str, Histogram] = {}
        self._fallbacks = Counter(
            "nyx_fallbacks",
            "Decisions that were not stored within their deadline, or not made from what was learned.",
            ["bandit", "reason"],
            registry=registry,
        )
        self._entropy = Histogram(
            "nyx_decision_entropy_ratio",
            "Entropy of the pmf that was drawn from, over that of a uniform one: 0 is certain.",
            ["bandit"],
            buckets=(0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0),
            registry=registry,
        )
        self._rewards = Counter(
            "nyx_rewards",
            "Reports that were applied, by the state of the reward.",
            ["bandit", "state"],
            registry=registry,
        )
        self._duplicates = Counter(
            "nyx_reward_duplicates", "Reports that had come before.", ["bandit"], registry=registry
        )
        self._windows_closed = Counter(
            "nyx_windows_closed",
            "Decisions whose reward window passed in silence, closed by this server.",
            ["bandit"],
            registry=registry,
        )
        self._windows_looked = Gauge(
            "nyx_windows_looked_timestamp_seconds",
            "When it was last looked for reward windows that have passed.",
            ["bandit"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._problem = Gauge(
            "nyx_server_problem",
            "1 where something concerns the whole server; /health/learning says what.",
            ["code"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._bandit, self._strategies = _Names(_BANDITS), dict[str, _Names]()
        self._recent = Gauge(
            "nyx_recent_decisions",
            "Where the newest decisions stand (at most 1000 of each bandit): pending, or the reward's state.",
            ["bandit", "state"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._events = Gauge(
            "nyx_monitor_events",
            "Rows of the log that monitors and guardrails concluded, and that people ordered.",
            ["bandit", "kind", "monitor"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        gauges: tuple[tuple[str, str, Literal["livemax", "livemin", "livesum"]], ...] = (
            ("state_seq", "Last row of the log that is known.", "livemax"),
            ("lag_rows", "Rows of the log behind it, when last looked at.", "livemax"),
            ("state_age_seconds", "Time since the end of the log was last seen.", "livemax"),
            ("spool_records", "Decisions and reports that wait on the local disk.", "livesum"),
            ("unlearned", "Reports that are stored and not learned from.", "livemax"),
            ("learning", "1 where what is told reaches the log.", "livemin"),
            ("monitors_lag_rows", "Rows of the log that the monitors have not seen.", "livemax"),
        )
        self._gauges = {
            name: Gauge(f"nyx_{name}", text, ["bandit"], registry=registry, multiprocess_mode=mode)
            for name, text, mode in gauges
        }

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        key = (route, method, status)
        child = self._answers.get(key)
        if child is None:
            child = self._answers[key] = self.requests.labels(route, method, str(status))
        child.observe(seconds)

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        bandit = self._bandit(decision.bandit)
        key = (bandit, self._strategy(bandit, decision.strategy), decision.mode)
        child = self._decided.get(key)
        if child is None:
            child = self._decided[key] = self._decisions.labels(*key)
        child.inc()
        if decision.mode in _MISSED:
            self._fallbacks.labels(bandit, decision.mode).inc()
        pmf = decision.pmf
        if len(pmf) > 1:
            masses = [mass for mass in pmf if mass]
            # log T − Σ m·log m / T: without a frame of Python for each arm.
            entropy = max(0.0, _LOG_TOTAL - sum(map(mul, masses, map(math.log, masses))) / TOTAL)
            histogram = self._entropies.get(bandit)
            if histogram is None:
                histogram = self._entropies[bandit] = self._entropy.labels(bandit)
            histogram.observe(entropy / math.log(len(pmf)))

    def rewarded(self, bandit: str, receipt: Receipt) -> None:
        """Count a report."""
        bandit = self._bandit(bandit)
        if receipt.applied:
            self._rewards.labels(bandit, receipt.state).inc()
        else:
            self._duplicates.labels(bandit).inc()

    def _strategy(self, bandit: str, strategy: str) -> str:
        names = self._strategies.get(bandit)
        if names is None:
            names = self._strategies[bandit] = _Names(_STRATEGIES)
        return names(strategy)

    def logged(self, bandit: str, standing: Standing) -> None:
        """Note what the database says of a bandit's log."""
        if self._bandit(bandit) == OTHER:
            return
        for state in STATES:
            self._recent.labels(bandit, state).set(standing.states.get(state, 0))
        for (kind, monitor), count in standing.events.items():
            self._events.labels(bandit, kind, monitor).set(count)

    def windows_closed(self, bandit: str, count: int) -> None:
        """Count decisions that were closed without an outcome; 0: it was looked, and there were none."""
        bandit = self._bandit(bandit)
        self._windows_closed.labels(bandit).inc(count)
        self._windows_looked.labels(bandit).set(time.time())

    def noted_problems(self, codes: Mapping[str, bool]) -> None:
        """Note what concerns the server as a whole."""
        for code, there in codes.items():
            self._problem.labels(code).set(float(there))

    def note(self, engines: Mapping[str, LearningEngine]) -> None:
        """Note where these engines stand."""
        for name, engine in engines.items():
            if self._bandit(name) == OTHER:
                continue
            health = engine.health()
            values: dict[str, float | None] = {
                "state_seq": health.state_seq,
                "lag_rows": health.lag_rows,
                "state_age_seconds": health.state_age_s,
                "spool_records": health.spool.records,
                "unlearned": health.unlearned,
                "learning": float(health.learning),
                "monitors_lag_rows": health.monitors_lag_rows,
            }
            for gauge, value in values.items():
                if value is not None:
                    self._gauges[gauge].labels(name).set(value)

    async def noting(
        self, engines: Callable[[], Mapping[str, LearningEngine]], problems: Callable[[], Mapping[str, bool]]
    ) -> None:
        """Note it every five seconds, without end: another of the workers may be asked for all of them."""
        while True:
            self.note(engines())
            self.noted_problems(problems())
            await asyncio.sleep(_NOTED_S)

    def text(self, engines: Mapping[str, LearningEngine]) -> bytes:
        """All of it as Prometheus reads it."""
        self.note(engines)
        if not self._shared:
            return generate_latest(self._registry)
        forget_dead(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def forget_dead(folder: Path) -> None:
    """Remove what workers that have ended said of themselves; what they counted stays."""
    for path in folder.glob("gauge_live*_*.db"):
        number = path.stem.rpartition("_")[2]
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except PermissionError:  # it is there, and another's
            continue
