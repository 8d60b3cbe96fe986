"""Settings of every session: its name, and limits that keep one process from hindering all others."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import asyncpg

__all__ = ["leader_session", "session_settings"]

_LIMITS = {
    # A process that is stopped amid a transaction must not keep all others from the bandit's row.
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
}


def session_settings(dsn: str) -> dict[str, str]:
    """Server settings for asyncpg; limits that the DSN names (``?statement_timeout=5s``) are its own."""
    try:
        named = parse_qs(urlsplit(dsn).query)
    except ValueError:
        named = {}
    limits = {name: value for name, value in _LIMITS.items() if name not in named}
    # Plans of small statements that run thousands of times a second: compiling them only costs. And a plan
    # that was made while a table was small is kept when it has grown; by its key all is found at any size.
    return {"application_name": "nyx-learning", "jit": "off", "enable_seqscan": "off", **limits}


async def leader_session(dsn: str, name: str) -> asyncpg.Connection:
    """A connection of its own for whoever leads something; ``name`` : what the server calls it.

    With the limits of every session: a leader that is stopped amid a transaction must not keep all others
    from the bandit's row.
    """
    settings = {**session_settings(dsn), "application_name": name}
    return await asyncpg.connect(dsn, timeout=10.0, command_timeout=60.0, server_settings=settings)
