"""Bodies of the most frequent requests, read without the framework's means: they cost more than a decision.

The OpenAPI document tells of them all the same.
"""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive

__all__ = ["described", "read_body"]

_Model = TypeVar("_Model", bound=BaseModel)
_KIND = "application/json"


async def read_body(request: Request, model: type[_Model]) -> _Model:
    """The body as a model.

    Raises
    ------
    RequestValidationError : it is no JSON, says that it is none, or does not fit.
    """
    content = await _content(request.receive)
    # A page of another site may send anything but this kind without asking first.
    if not request.headers.get("content-type", "").startswith(_KIND):
        wrong = {"type": "content_type", "loc": ("header", "content-type"), "msg": f"Send {_KIND}"}
        raise RequestValidationError([wrong])
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise RequestValidationError(
            [{**told, "loc": ("body", *told["loc"])} for told in error.errors(include_url=False)]
        ) from None


async def _content(receive: Receive) -> bytes:
    """All of the body, which mostly comes at once.

    Raises
    ------
    ClientDisconnect : the rest does not come.
    """
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def described(model: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of a route that reads such a body; the model holds no others."""
    schema = model.model_json_schema()
    content = {_KIND: {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}, "security": [{"HTTPBearer": []}]}
