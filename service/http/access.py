"""Who calls, and whether they may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from .keys import ApiKey, KeyFile, Role
from .problems import Refused

__all__ = ["admin", "check_writer", "reader", "writer"]

_BEARER = HTTPBearer(auto_error=False, description="A key that 'nyx-learning key create' printed.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def check_writer(request: Request) -> None:
    """``writer`` for a route that reads its request itself.

    Raises
    ------
    Refused : there is no key, or it may not decide.
    """
    keys: KeyFile | None = request.app.state.keys
    if keys is not None:
        kind, _, presented = request.headers.get("authorization", "").partition(" ")
        _known(keys, presented if kind.lower() == "bearer" and presented else None, Role.WRITER)


def _requires(role: Role) -> Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[str]]:
    async def caller(request: Request, credentials: _Credentials) -> str:
        keys: KeyFile | None = request.app.state.keys
        if keys is None:
            return "local"
        return _known(keys, None if credentials is None else credentials.credentials, role).name

    return caller


def _known(keys: KeyFile, presented: str | None, role: Role) -> ApiKey:
    key = None if presented is None else keys.check(presented)
    if key is None:
        raise Refused(
            401,
            "key_unknown",
            "there is no key, or it is not known",
            expected="the header 'Authorization: Bearer nyx_…'",
            found="no key" if presented is None else "a key that is not known",
            fix="create one: nyx-learning key create",
        )
    if Role.named(key.role) < role:
        raise Refused(
            403,
            "key_forbids",
            "the key may not do this",
            expected=f"a key of role {role.name.lower()}",
            found=f"a {key.role}'s",
            fix=f"create one: nyx-learning key create --role {role.name.lower()}",
        )
    return key


reader = Depends(_requires(Role.READER))
"""For routes that only read."""
writer = Depends(_requires(Role.WRITER))
"""For routes that decide and report."""
admin = Depends(_requires(Role.ADMIN))
"""For routes that change bandits."""
