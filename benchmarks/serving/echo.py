"""The bare framework: one route that answers with what it was sent."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.post("/echo")
async def echo(body: dict[str, Any]) -> dict[str, Any]:
    """Answer with the body."""
    return body


if __name__ == "__main__":
    config = uvicorn.Config(app, port=0, log_level="error", access_log=False)
    listening = config.bind_socket()
    sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listening])
