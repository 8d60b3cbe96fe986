"""What is read from the environment; nothing else of the project reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the database is, and what waits for it.

    Attributes
    ----------
    database_url : ``NYX_DATABASE_URL``: DSN of a Postgres server; None for the embedded one.
    data_home : ``NYX_DATA_HOME``: folder of the embedded server; by default in the user's data directory.
    postgres_bin : ``NYX_POSTGRES_BIN``: folder of Postgres's programs; None to look for them.
    spool : ``NYX_SPOOL``: folder for what waits for the database; by default in the user's data directory.
    api_keys : ``NYX_API_KEYS``: file of the server's keys; by default in the user's data directory.
    serve : ``NYX_SERVE``: how a worker of ``nyx-learning serve`` is to run; set by its parent alone.
    """

    database_url: str | None
    data_home: Path
    postgres_bin: Path | None
    spool: Path
    api_keys: Path
    serve: str | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the environment; an empty variable counts as unset."""
        given = os.environ if environment is None else environment
        home = given.get("NYX_DATA_HOME")
        programs = given.get("NYX_POSTGRES_BIN")
        spool = given.get("NYX_SPOOL")
        keys = given.get("NYX_API_KEYS")
        return cls(
            given.get("NYX_DATABASE_URL") or None,
            Path(home) if home else user_data_path("nyx-learning") / "postgres",
            Path(programs) if programs else None,
            Path(spool) if spool else user_data_path("nyx-learning") / "spool",
            Path(keys) if keys else user_data_path("nyx-learning") / "api-keys.json",
            given.get("NYX_SERVE") or None,
        )
