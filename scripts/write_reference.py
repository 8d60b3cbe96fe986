"""Write the tables of the reference that follow from the code: commands, errors, routes, metrics, names.

``python scripts/write_reference.py`` writes them into ``docs/reference/*.md``, between the marks
``<!-- begin: NAME -->`` and ``<!-- end -->``; what stands around the marks is written by hand. With
``--check`` nothing is written, and the exit status is 1 if a table is not what the code says.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import pkgutil
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncpg

import nyx_learning
from nyx_learning.errors import NyxError
from nyx_learning.persistence.embedded import start
from nyx_learning.persistence.migrations import migrate
from nyx_learning.service.cli.commands import COMMANDS, load
from nyx_learning.service.settings import Settings

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
MARKED = re.compile(r"(<!-- begin: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

PUBLIC = (
    "nyx_learning",
    "nyx_learning.bandit",
    "nyx_learning.bandit.guardrails",
    "nyx_learning.bandit.policies",
    "nyx_learning.rewards",
    "nyx_learning.features",
    "nyx_learning.features.monitors",
    "nyx_learning.features.expectations",
    "nyx_learning.features.trends",
    "nyx_learning.simulation",
    "nyx_learning.simulation.worlds",
    "nyx_learning.simulation.interchange",
    "nyx_learning.simulation.offpolicy",
    "nyx_learning.simulation.verdict",
    "nyx_learning.insights.patterns",
    "nyx_learning.insights.failures",
    "nyx_learning.insights.suggesting",
    "nyx_learning.persistence.embedded",
    "nyx_learning.service",
    "nyx_learning.service.client",
    "nyx_learning.errors",
)
"""Packages whose ``__all__`` people may build on."""


def sentence(text: str | None) -> str:
    """The first sentence of a docstring, as Markdown."""
    first = " ".join((text or "").strip().split("\n\n")[0].split())
    short = re.split(r"(?<=[.!?]) (?=[A-Z`])", first)[0]
    return short.replace("``", "`").replace("|", "\\|").rstrip(".")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


# --- commands


def commands() -> str:
    """Every command, with its arguments and options."""
    parts = []
    for name, summary in COMMANDS.items():
        module = load(name)
        parser = argparse.ArgumentParser(prog=f"nyx-learning {name}", add_help=False)
        module.add_arguments(parser)
        head = f"## {name}\n\n{summary[0].upper()}{summary[1:]}.\n"
        parts.append(head + "".join(f"\n{text}" for text in _parser_tables(parser, name)))
    return "\n".join(parts)


def _parser_tables(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    rows = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for word, inner in action.choices.items():
                yield f"### {name} {word}\n\n" + "".join(_parser_tables(inner, f"{name} {word}"))
        elif action.dest != "help":
            rows.append((_spelled(action), _meaning(action)))
    if rows:
        yield table(("argument", "meaning"), rows)


def _spelled(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    shown = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return f"`{shown}`"
    return f"`{', '.join(action.option_strings)}{' ' + shown if action.nargs != 0 else ''}`"


def _meaning(action: argparse.Action) -> str:
    if not action.help or action.help is argparse.SUPPRESS:
        message = f"{action.option_strings or action.dest}: an option without help"
        raise SystemExit(message)
    text = (
        (action.help.replace("%%", "%") % {"default": action.default}) if "%(" in action.help else action.help
    )
    text = text.replace("%%", "%").replace("|", "\\|").replace("<", "&lt;")
    return text + (" (needed)" if action.required and action.option_strings else "")


# --- errors


def errors() -> str:
    """Every error: code, class, status over HTTP, whether to try again."""
    from nyx_learning.service.http.problems import _STATUS  # noqa: PLC0415 - loads the server's packages

    for module in pkgutil.walk_packages(nyx_learning.__path__, "nyx_learning."):
        if not module.name.endswith(("__main__", ".worker")):
            importlib.import_module(module.name)
    rows = [
        (
            f"`{kind.code}`",
            f"`{kind.__name__}`",
            str(_STATUS.get(kind.code, 422)),
            "yes" if kind.retryable else "no",
            sentence(kind.__doc__),
        )
        for kind in sorted(_descendants(NyxError), key=lambda kind: (kind.code, kind.__name__))
    ]
    return table(("code", "class", "HTTP", "try again", "when"), rows)


def _descendants(kind: type[NyxError]) -> set[type[NyxError]]:
    ours = {sub for sub in kind.__subclasses__() if sub.__module__.startswith("nyx_learning.")}
    return ours.union(*map(_descendants, ours))


# --- HTTP


def routes() -> str:
    """Every operation of the server."""
    from nyx_learning.service.http.app import create_app  # noqa: PLC0415
    from nyx_learning.service.http.options import ServeOptions  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        document: dict[str, Any] = create_app(ServeOptions(keys=f"{folder}/keys.json")).openapi()
    rows = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            answers = " ".join(status for status in sorted(operation["responses"]))
            shown = sentence(operation.get("description") or operation.get("summary"))
            rows.append((f"`{method.upper()} {path.replace(':path', '')}`", shown, answers))
    return table(("operation", "meaning", "answers"), rows)


# --- metrics


def metrics() -> str:
    """Every metric that ``/metrics`` shows."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    from nyx_learning.service.http.metrics import Metrics  # noqa: PLC0415

    registry: CollectorRegistry = Metrics(shared=False)._registry  # noqa: SLF001 - what it registered
    rows = []
    for collector in registry._collector_to_names:  # noqa: SLF001
        (family,) = collector.collect()
        labels = ", ".join(f"`{label}`" for label in getattr(collector, "_labelnames", ()))
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((f"`{name}`", family.type, labels, family.documentation))
    return table(("metric", "kind", "labels", "meaning"), sorted(rows))


# --- schema

_COLUMNS = """
SELECT t.relname AS table, obj_description(t.oid, 'pg_class') AS about, a.attname AS column,
    format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS needed,
    col_description(t.oid, a.attnum) AS meaning
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
WHERE t.relnamespace = 'nyx'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
    AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY t.relname, a.attnum
"""


def schema() -> str:
    """Every table of the newest schema, from a database that is made for it."""
    with tempfile.TemporaryDirectory(prefix="nyx-reference-", dir="/tmp") as folder:
        # Closed to others by default; for root, another account runs the server.
        Path(folder).chmod(0o755)
        with start(Path(folder) / "data", durable=False) as server:
            rows = asyncio.run(_migrated(server.dsn))
    parts = []
    for name, group in groupby(rows, key=lambda row: str(row["table"])):
        columns = list(group)
        lines = [
            (f"`{row['column']}`", row["type"] + ("" if row["needed"] else "?"), row["meaning"] or "")
            for row in columns
        ]
        about = columns[0]["about"]
        if not about:
            message = f"table nyx.{name} has no comment"
            raise SystemExit(message)
        parts.append(f"## {name}\n\n{about}\n\n" + table(("column", "type", "meaning"), lines))
    return "\n".join(parts)


async def _migrated(dsn: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection)
        return list(await connection.fetch(_COLUMNS))
    finally:
        await connection.close()


# --- names and settings


def names() -> str:
    """Every public name, with the first sentence of its description."""
    parts = []
    for package in PUBLIC:
        module = importlib.import_module(package)
        rows = []
        for name in sorted(module.__all__, key=str.casefold):
            value = getattr(module, name)
            kind = "class" if inspect.isclass(value) else "function" if callable(value) else "constant"
            text = sentence(value.__doc__) if kind != "constant" else _remark(module, name)
            if not text:
                message = f"{package}.{name} has no description"
                raise SystemExit(message)
            rows.append((f"`{name}`", kind, text))
        parts.append(
            f"## {package}\n\n{sentence(module.__doc__)}.\n\n" + table(("name", "kind", "meaning"), rows)
        )
    return "\n".join(parts)


def _remark(module: Any, name: str) -> str:
    """The string below a constant, in the module that defines it."""
    value = getattr(module, name)
    # The lines of the value are indented, or close a bracket.
    below = re.compile(
        rf'^{name}\b[^\n]*=[^\n]*(?:\n[ )\]}}][^\n]*)*\n"""(?P<text>.*?)"""', re.DOTALL | re.MULTILINE
    )
    for place in sorted(sys.modules):
        if place.startswith(module.__name__) and getattr(sys.modules[place], name, None) is value:
            found = below.search(inspect.getsource(sys.modules[place]))
            if found:
                return sentence(found["text"])
    return ""


def settings() -> str:
    """Every variable of the environment that is read."""
    text = inspect.getdoc(Settings) or ""
    lines = re.findall(r"^\w+ : ``(NYX_\w+)``: ((?:.|\n(?!\w+ : ))*)", text, re.MULTILINE)
    return table(("variable", "meaning"), [(f"`{name}`", sentence(text)) for name, text in lines])


TABLES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "errors": errors,
    "routes": routes,
    "metrics": metrics,
    "schema": schema,
    "names": names,
    "settings": settings,
}


def main() -> int:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing; tell what would change")
    check = parser.parse_args().check
    changed = []
    for page in sorted(PAGES.rglob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = MARKED.sub(lambda mark: f"{mark[1]}\n{TABLES[mark['name']]()}\n{mark[3]}", before)
        if after != before:
            changed.append(page.name)
            if not check:
                page.write_text(after, encoding="utf-8")
    for name in changed:
        print(
            f"{name}: {'run python scripts/write_reference.py: the code says more' if check else 'written'}"
        )
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
