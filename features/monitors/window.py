"""Rows that a monitor remembers: those since its last reset, at most a thousand."""

from __future__ import annotations

__all__ = ["KEPT", "MOST"]

MOST = 1000
"""At so many rows a monitor is rebuilt …"""

KEPT = 500
"""… from the newest of them: so it is a function of the rows that it remembers, and of nothing older."""
