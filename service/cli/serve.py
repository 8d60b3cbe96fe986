"""Answer over HTTP until it is stopped: decisions, outcomes, beliefs, health and metrics.

  nyx-learning serve
  nyx-learning key create --role writer --name orchestrator
  nyx-learning serve --host 0.0.0.0 --workers 2 --dsn postgresql://user@host/database

What there is to ask stands in /openapi.json of the running server. Without keys it answers this machine
alone, and everybody there; with keys, only who has one. See docs/how-to/serve.md.
"""

from __future__ import annotations

import argparse
import sys

from ...errors import InputInvalid, PackageMissing
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``serve``."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8321, help="port; 0 for a free one (default: 8321)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument(
        "--dsn", metavar="DSN", help="Postgres to use (default: NYX_DATABASE_URL, or the embedded one)"
    )
    parser.add_argument(
        "--keys", metavar="FILE", help="API keys (default: NYX_API_KEYS, or in the user's data directory)"
    )
    parser.add_argument(
        "--body-bytes",
        type=int,
        default=1 << 20,
        metavar="N",
        help="longest body of a request (default: 1 MiB)",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.0,
        metavar="R",
        help="requests a second and caller (default: any number)",
    )
    parser.add_argument(
        "--burst",
        type=int,
        default=100,
        metavar="N",
        help="requests at once, where there is a rate (default: 100)",
    )
    parser.add_argument(
        "--batch", type=int, default=1000, metavar="N", help="items in one request (default: 1000)"
    )
    parser.add_argument(
        "--deadline",
        type=float,
        default=0.05,
        metavar="S",
        help="seconds until a decision that is not stored yet waits on the local disk (default: 0.05)",
    )
    parser.add_argument(
        "--close-windows",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds between two looks for reward windows that have passed; 0: never (default: 60)",
    )
    parser.add_argument(
        "--bandits", type=int, default=64, metavar="N", help="bandits open in each process (default: 64)"
    )
    parser.add_argument(
        "--streams",
        type=int,
        default=100,
        metavar="N",
        help="pages of the dashboard that each process keeps up to date (default: 100)",
    )
    parser.add_argument(
        "--streams-each",
        type=int,
        default=10,
        metavar="N",
        help="of them, for one key (default: 10)",
    )
    parser.add_argument(
        "--analyses",
        type=int,
        default=2,
        metavar="N",
        help="analyses of logs (trends, patterns, reports) that run at once (default: 2)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve; the address is told as soon as it is open."""
    try:
        from ..http.options import ServeOptions  # noqa: PLC0415 - needs an extra
        from ..http.serving import serve  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise PackageMissing(
            "the server's packages are not installed",
            expected="fastapi, uvicorn and prometheus-client",
            found=f"no {error.name}",
            fix="pip install 'nyx-learning[server]'",
        ) from error
    if not 1 <= args.workers <= 64:
        raise InputInvalid(
            "'workers' of the server is unusable",
            expected="a number from 1 to 64",
            found=str(args.workers),
            fix="one for each core is a good number",
        )
    options = ServeOptions(
        host=args.host,
        port=args.port,
        dsn=args.dsn,
        keys=args.keys,
        body_bytes=args.body_bytes,
        rate=args.rate,
        burst=args.burst,
        batch=args.batch,
        bandits=args.bandits,
        deadline_s=args.deadline,
        close_windows_s=args.close_windows,
        analyses=args.analyses,
        streams=args.streams,
        streams_each=args.streams_each,
    )

    def listening(url: str, guarded: bool) -> None:
        if args.json:
            print_json({"url": url, "workers": args.workers, "keys": guarded})
        else:
            who = "callers need a key" if guarded else "no keys: this machine alone, and everybody on it"
            print_text(f"listening on {url} ({who}); Ctrl-C ends it")
        sys.stdout.flush()

    serve(options, workers=args.workers, listening=listening)
    return 0
