"""Create, list and revoke the keys that callers of ``nyx-learning serve`` need.

  nyx-learning key create --role writer --name orchestrator
  nyx-learning key list
  nyx-learning key revoke 3f9c01d2

A reader asks, a writer decides and reports too, an admin also creates bandits. The file holds hashes alone:
a key is shown once, when it is created. A revoked key is refused at once by a running server; the first key
makes a difference when the server is started again.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from ..http.keys import KeyFile, Role
from ..settings import Settings
from .output import print_json, print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``key``."""
    parser.add_argument(
        "--keys",
        metavar="FILE",
        type=Path,
        help="file of the keys (default: NYX_API_KEYS, or in the user's data directory)",
    )
    parser.add_argument(
        "action",
        choices=("create", "list", "revoke"),
        help="create a key and show it this once; list the keys without their secrets; or remove one",
    )
    parser.add_argument("id", nargs="?", help="the id of the key to revoke, as list shows it")
    parser.add_argument("--role", default="writer", help="reader, writer or admin (default: writer)")
    parser.add_argument("--name", default="", help="who uses the key that is created")


def run(args: argparse.Namespace) -> int:
    """Do it; print what came of it."""
    file = KeyFile(args.keys or Settings.read().api_keys)
    if args.action == "create":
        key, text = file.create(args.name, Role.named(args.role))
        if args.json:
            print_json({**key.to_dict(), "key": text})
        else:
            print_text(f"{text}\n({key.role}, for {key.name}; it cannot be shown again)")
    elif args.action == "list":
        keys = [key.to_dict() for key in file.keys().values()]
        if args.json:
            print_json({"keys": keys})
        else:
            print_text("\n".join(_line(key) for key in keys) or f"no keys in {file.path}")
    else:
        key = file.revoke(args.id or "")
        if args.json:
            print_json({"revoked": key.to_dict()})
        else:
            print_text(f"revoked {key.id} ({key.role}, for {key.name})")
    return 0


def _line(key: dict[str, object]) -> str:
    made = datetime.fromtimestamp(float(str(key["created_at"])), UTC).strftime("%Y-%m-%d")
    return f"{key['id']}  {key['role']:6}  {made}  {key['name']}"
