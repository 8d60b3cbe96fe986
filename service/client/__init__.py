"""Python clients of the server: the engine's calls over HTTP, blocking and asynchronous."""

from .answers import ServedDecision, ServedReceipt
from .asynchronous import AsyncNyxClient
from .blocking import NyxClient

__all__ = ["AsyncNyxClient", "NyxClient", "ServedDecision", "ServedReceipt"]
