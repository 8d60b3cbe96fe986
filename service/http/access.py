"""Who calls, and whether they may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from .keys import ApiKey, KeyFile, Role
from .problems import Refused

__all__ = ["admin", "reader", "writer"]

_BEARER = HTTPBearer(auto_error=False, description="A key that 'nyx-learning key create' printed.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def _requires(role: Role) -> Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[str]]:
    async def caller(request: Request, credentials: _Credentials) -> str:
        keys: KeyFile | None = request.app.state.keys
        if keys is None:
            return "local"
        key = None if credentials is None else keys.check(credentials.credentials)
        if key is None:
            raise Refused(
                401,
                "key_unknown",
                "there is no key, or it is not known",
                expected="the header 'Authorization: Bearer nyx_…'",
                found="no key" if credentials is None else "a key that is not known",
                fix="create one: nyx-learning key create",
            )
        _check(key, role)
        return key.name

    return caller


def _check(key: ApiKey, role: Role) -> None:
    if Role.named(key.role) < role:
        raise Refused(
            403,
            "key_forbids",
            "the key may not do this",
            expected=f"a key of role {role.name.lower()}",
            found=f"a {key.role}'s",
            fix=f"create one: nyx-learning key create --role {role.name.lower()}",
        )


reader = Depends(_requires(Role.READER))
"""For routes that only read."""
writer = Depends(_requires(Role.WRITER))
"""For routes that decide and report."""
admin = Depends(_requires(Role.ADMIN))
"""For routes that change bandits."""
