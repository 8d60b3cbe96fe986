"""What the documents and docstrings show, runs; where they point, something is.

Every ```` ```python ```` block of a document is run, in order, in one namespace per document. ``await`` may
stand at the top level of a block. A line ``<!-- not run: reason -->`` directly above a block leaves it out.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

import nyx_learning
from tests.patiently import wait_long

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for folder in ("docs", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.md")),
    ]
)
FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,})\s*(?P<language>[\w+-]*)")
NOT_RUN = re.compile(r"^\s*<!--\s*not run:(?P<reason>.*?)-->\s*$")
LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^()\s]+(?:\([^()\s]*\))?)(?:\s+\"[^\"]*\")?\)")
LINK_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s+(?P<target>\S+)")
LINK_HTML = re.compile(r"<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)=\"(?P<target>[^\"]+)\"")
HEADING = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: what is inside, and the number of its first line."""

    language: str
    text: str
    line: int
    not_run: str | None


def split(document: str) -> tuple[list[Block], list[tuple[int, str]]]:
    """Part a document into its fenced blocks and its other lines, both with their line numbers."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    lines = document.splitlines()
    number = 0
    while number < len(lines):
        opening = FENCE.match(lines[number])
        if opening is None:
            prose.append((number + 1, lines[number]))
            number += 1
            continue
        above = NOT_RUN.match(lines[number - 1]) if number else None
        indent, marks = opening["indent"], opening["marks"]
        first = number + 1
        number = first
        while number < len(lines) and not re.fullmatch(
            rf" *{re.escape(marks[0])}{{{len(marks)},}} *", lines[number]
        ):
            number += 1
        if number == len(lines):
            message = f"line {first}: the block that begins here is never closed"
            raise ValueError(message)
        text = "\n".join(line.removeprefix(indent) for line in lines[first:number])
        blocks.append(Block(opening["language"], text, first + 1, above["reason"].strip() if above else None))
        number += 1
    return blocks, prose


def run_blocks(document: str, name: str) -> int:
    """Run the Python blocks of a document; how many there were.

    Compiled so that a traceback names the document and its line.
    """
    blocks = [block for block in split(document)[0] if block.language == "python"]
    module = types.ModuleType("__main__")
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        with asyncio.Runner() as runner:
            count = 0
            for block in blocks:
                if block.not_run is not None:
                    assert block.not_run, f"{name}:{block.line - 2}: say why the block is not run"
                    continue
                source = "\n" * (block.line - 1) + block.text
                code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
                waiting = eval(code, module.__dict__)  # noqa: S307  # the project's own documents
                if inspect.iscoroutine(waiting):
                    runner.run(waiting)
                count += 1
        return count
    finally:
        sys.modules["__main__"] = before


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(document: str) -> set[str]:
    """All anchors of a document; a heading that comes again gets a number."""
    found: set[str] = set()
    for _, line in split(document)[1]:
        found.update(re.findall(r"<a\s+(?:id|name)=\"([^\"]+)\"", line))
        heading = HEADING.match(line)
        if heading:
            base = slug(heading["text"])
            name, again = base, 0
            while name in found:
                again += 1
                name = f"{base}-{again}"
            found.add(name)
    return found


def broken_links(path: Path) -> list[str]:
    """Relative links of a document that lead nowhere."""
    text = path.read_text(encoding="utf-8")
    broken = []
    for number, line in split(text)[1]:
        shown = re.sub(r"`[^`]*`", "", line)
        targets = [match["target"] for pattern in (LINK, LINK_HTML) for match in pattern.finditer(shown)]
        definition = LINK_DEFINITION.match(shown)
        if definition:
            targets.append(definition["target"])
        for target in targets:
            if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
                continue
            place, _, anchor = target.partition("#")
            file = (path.parent / unquote(place)).resolve() if place else path
            if not file.exists() or not (file.is_relative_to(ROOT) or file.is_relative_to(path.parent)):
                broken.append(f"line {number}: {target}")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
                broken.append(f"line {number}: {target} (no such heading)")
    return broken


@pytest.fixture
def quiet_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder and an environment of the example's own.

    Not pytest's folder: its path is too long for a socket, and closed to the account that a database
    server started by root runs under.
    """
    folder = Path(tempfile.mkdtemp(prefix="nyx-doc-"))
    folder.chmod(0o755)
    for name in [name for name in os.environ if name.startswith("NYX_") and name != "NYX_POSTGRES_BIN"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NYX_DATA_HOME", str(folder / "data"))
    work = folder / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    yield work
    monkeypatch.undo()
    shutil.rmtree(folder, ignore_errors=True)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def has_python(path: Path) -> bool:
    return any(block.language == "python" for block in split(path.read_text(encoding="utf-8"))[0])


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if has_python(path)], ids=relative)
@pytest.mark.usefixtures("quiet_place")
def test_the_examples_of_a_document_run(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first document begins where a newcomer does, without a database; making one for each takes long.
    if path != ROOT / "README.md":
        monkeypatch.setenv("NYX_DATABASE_URL", request.getfixturevalue("migrated_dsn"))
    wait_long(monkeypatch)  # what an example decided from memory alone it would not have learned from
    run_blocks(path.read_text(encoding="utf-8"), relative(path))


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_the_links_of_a_document_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []


def module_names() -> list[str]:
    found = pkgutil.walk_packages(nyx_learning.__path__, "nyx_learning.", onerror=lambda _: None)
    return ["nyx_learning", *sorted(module.name for module in found if not module.name.endswith(".__main__"))]


@pytest.mark.parametrize("name", module_names())
@pytest.mark.usefixtures("quiet_place")
def test_the_docstrings_of_a_module_hold(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0, capsys.readouterr().out


# --- the harness itself can fail


SHARED = """
```python
x = 20
```
A block knows those before it.
```python
import asyncio
y = await asyncio.sleep(0, x + 1)
```
```python
assert y == 21
```
"""


def test_blocks_share_a_namespace_and_may_await() -> None:
    assert run_blocks(SHARED, "shared.md") == 3


def test_a_wrong_block_fails_at_its_own_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_blocks("# Title\n\n```python\nx = 1\nx / 0\n```\n", "wrong.md")
    last = caught.traceback[-1]
    assert (last.frame.code.path, last.lineno + 1) == ("wrong.md", 5)


def test_a_block_in_a_list_and_in_another_language() -> None:
    assert (
        run_blocks(
            "- item\n\n  ```python\n  if True:\n      x = 1\n  ```\n\n```console\n$ false\n```\n", "list.md"
        )
        == 1
    )


def test_a_marked_block_is_left_out_and_the_mark_needs_a_reason() -> None:
    assert run_blocks("<!-- not run: needs a cluster -->\n```python\n1 / 0\n```\n", "marked.md") == 0
    with pytest.raises(AssertionError, match="say why"):
        run_blocks("<!-- not run: -->\n```python\n1 / 0\n```\n", "marked.md")


def test_an_open_block_is_refused() -> None:
    with pytest.raises(ValueError, match=r"line 2.*never closed"):
        split("text\n```python\nx = 1\n")


def test_links_are_found_in_every_form_and_only_outside_code(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One heading\n## One heading\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) ![b](gone.png) [c](there.md#one-heading-1) [d](there.md#two)\n"
        '<img src="lost.png"> [e](https://example.org) `[f](code.md)`\n[g]: away.md\n'
        "```text\n[h](fenced.md)\n```\n[i](#nowhere)\n",
        encoding="utf-8",
    )
    assert broken_links(page) == [
        "line 1: gone.png",
        "line 1: there.md#two (no such heading)",
        "line 2: lost.png",
        "line 3: away.md",
        "line 7: #nowhere (no such heading)",
    ]
