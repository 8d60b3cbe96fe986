"""Who looks: a signed cookie stands for a key, and never holds it.

    <random id>.<id of the key, or ->.<end, seconds since 1970>.<HMAC of all that, and of the key's hash>

Whatever the cookie says, the key must still be in the file: a revoked key's sessions end with it. Forms carry
a token that only who has read a page with this cookie can know; the cookie is SameSite=Strict beside that.
"""

from __future__ import annotations

import hmac
import secrets
import time as clock
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from ..keys import ApiKey, KeyFile, Role
from ..limits import is_foreign
from ..problems import Refused

__all__ = ["COOKIE", "Sessions", "Visitor", "check_form", "set_cookie"]

COOKIE = "nyx_session"
_LIFE_S = 12 * 3600
_NOBODY = "-"
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page.

    token : the cookie's value. csrf : what forms carry. role : None for who has not logged in. name, key : of
    the key, its name and id; None where the server has no keys. fresh : the cookie has to be set.
    """

    token: str
    csrf: str
    role: Role | None
    name: str | None
    key: str | None
    fresh: bool

    @property
    def acts(self) -> bool:
        """Whether they may order and revoke overrides."""
        return self.role is not None and self.role >= Role.ADMIN


class Sessions:
    """Makes cookies and reads them; workers that share the secret share the sessions."""

    def __init__(self, secret: str, keys: KeyFile | None) -> None:
        self._secret, self._keys = secret.encode(), keys

    @property
    def guarded(self) -> bool:
        """Whether a key is needed."""
        return self._keys is not None

    def visitor(self, cookies: Mapping[str, str]) -> Visitor:
        """Who sends these cookies; a new visitor where they say nothing that is true."""
        token = cookies.get(COOKIE, "")
        read = self._read(token)
        if read is None:
            return self._seen(self._made(None), None, fresh=True)
        return self._seen(token, read[0], fresh=False)

    def open(self, presented: str) -> Visitor | None:
        """Who presents a key; None where it is not known."""
        key = None if self._keys is None else self._keys.check(presented)
        return None if key is None else self._seen(self._made(key), key, fresh=True)

    def closed(self) -> Visitor:
        """Nobody, with a cookie of their own."""
        return self._seen(self._made(None), None, fresh=True)

    def _seen(self, token: str, key: ApiKey | None, *, fresh: bool) -> Visitor:
        csrf = self._mac("form", token)
        if self._keys is None:
            return Visitor(token, csrf, Role.ADMIN, None, None, fresh)
        if key is None:
            return Visitor(token, csrf, None, None, None, fresh)
        return Visitor(token, csrf, Role.named(key.role), key.name, key.id, fresh)

    def _made(self, key: ApiKey | None) -> str:
        end = int(clock.time()) + _LIFE_S
        said = f"{secrets.token_hex(16)}.{_NOBODY if key is None else key.id}.{end}"
        return f"{said}.{self._signature(said, key)}"

    def _read(self, token: str) -> tuple[ApiKey | None] | None:
        """The key that a cookie stands for, in a tuple; None where the cookie is not ours, or has ended."""
        parts = token.split(".")
        if len(parts) != 4 or len(token) > _LONGEST or not token.isascii():
            return None
        _, number, end, signature = parts
        key = None
        if number != _NOBODY:
            key = None if self._keys is None else self._keys.find(number)
            if key is None:
                return None
        right = hmac.compare_digest(self._signature(".".join(parts[:3]), key), signature)
        if not right or int(end) < clock.time():
            return None
        return (key,)

    def _signature(self, said: str, key: ApiKey | None) -> str:
        return self._mac("session", said, "" if key is None else key.hash)

    def _mac(self, *parts: str) -> str:
        return hmac.new(self._secret, "\n".join(parts).encode(), sha256).hexdigest()


def set_cookie(request: Request, response: Response, visitor: Visitor) -> None:
    """Let the browser keep who this is; over TLS alone where it was reached so."""
    proxied = request.headers.get("x-forwarded-proto", "").lower() == "https"
    response.set_cookie(
        COOKIE,
        visitor.token,
        max_age=_LIFE_S,
        path="/",
        httponly=True,
        samesite="strict",
        secure=proxied or request.url.scheme == "https",
    )


def check_form(request: Request, visitor: Visitor, form: Mapping[str, str]) -> None:
    """Refuse a form that did not come from a page of this server.

    Raises
    ------
    Refused : it came from another site, or without the token of this visitor's pages.
    """
    foreign = is_foreign(request.headers)
    foreign = foreign or request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
    given = form.get("csrf", "").encode("utf-8", "replace")
    if foreign or visitor.fresh or not hmac.compare_digest(given, visitor.csrf.encode()):
        raise Refused(
            403,
            "form_refused",
            "the form did not come from a page of this dashboard, or the page was too old",
            expected="a form of a page that was loaded in this session",
            found="another site's form" if foreign else "a form without this session's token",
            fix="go back, reload the page, and send the form again",
        )
