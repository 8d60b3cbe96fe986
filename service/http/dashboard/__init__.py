"""The dashboard: pages that are made on the server, for people who look after bandits."""

from . import doors, ordering, pages
from .desk import Desk

__all__ = ["ROUTERS", "Desk"]

ROUTERS = (pages.router, ordering.router, doors.router)
