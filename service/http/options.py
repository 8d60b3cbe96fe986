"""How the server is to run: one value, which worker processes read back from JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address

from ...errors import InputInvalid, shown

__all__ = ["ServeOptions"]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of ``nyx-learning serve``.

    Attributes
    ----------
    host, port : where to listen; 0 lets the system choose a free port.
    dsn : a Postgres DSN; None for ``NYX_DATABASE_URL``, and without that the embedded server.
    keys : file of the API keys' hashes; None for ``NYX_API_KEYS``, or one in the user's data directory.
    body_bytes : a longer body of a request is refused.
    rate : requests a second that each caller may make, in the mean; 0 for any number.
    burst : requests that it may make at once.
    batch : decisions or outcomes in one request, at most.
    bandits : at most so many are open in one process.
    connections : to the database, for each open bandit.
    close_windows_s : seconds between two looks for decisions whose reward window has passed in silence; they
        get the default reward. 0: never.
    deadline_s : for so long a decision may take until it is stored; then it waits on the local disk.
    analyses : so many analyses of logs run at once in each process; others wait.
    metrics : folder that several workers share their metrics in; None for one worker.
    streams : pages of the dashboard that one process keeps up to date, at most.
    streams_each : of them, for one key.
    secret : signs the dashboard's sessions; workers share it. Empty: each process makes its own.
    """

    host: str = "127.0.0.1"
    port: int = 8321
    dsn: str | None = None
    keys: str | None = None
    body_bytes: int = 1 << 20
    rate: float = 0.0
    burst: int = 100
    batch: int = 1000
    bandits: int = 64
    connections: int = 4
    deadline_s: float = 0.05
    close_windows_s: float = 60.0
    analyses: int = 2
    metrics: str | None = None
    streams: int = 100
    streams_each: int = 10
    secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        limits = {
            "port": (self.port, 0, 65535),
            "body_bytes": (self.body_bytes, 1024, 1 << 30),
            "burst": (self.burst, 1, 1_000_000),
            "batch": (self.batch, 1, 100_000),
            "bandits": (self.bandits, 1, 10_000),
            "streams": (self.streams, 0, 10_000),
            "streams_each": (self.streams_each, 1, 10_000),
            "analyses": (self.analyses, 1, 1000),
            "connections": (self.connections, 1, 1000),
            "rate": (self.rate, 0, 1_000_000),
            "deadline_s": (self.deadline_s, 0, 3600),
            "close_windows_s": (self.close_windows_s, 0, 86_400),
        }
        for name, (value, low, high) in limits.items():
            if not low <= value <= high:
                raise InputInvalid(
                    f"'{name}' of the server is unusable",
                    expected=f"a number from {low} to {high:,}",
                    found=shown(value),
                    fix=f"correct {name}",
                )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def to_json(self) -> str:
        """As text for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ServeOptions:
        """What ``to_json`` wrote."""
        return cls(**json.loads(text))
