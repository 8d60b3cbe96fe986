"""Docstrings of the project, as reStructuredText.

They are written to be read in the source: ``name : meaning`` for each parameter, one after the other, under a
heading or without one. Here each becomes an entry of a list.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

__all__ = ["as_restructured", "leaves_out", "restructured"]

_HEADING = re.compile(r"^[A-Z][A-Za-z ]+$")
_UNDERLINE = re.compile(r"^-{3,}$")
_NAMES = r"\*{0,2}``?[\w.()]+``?|\*{0,2}[A-Za-z_][\w.]*"
_ENTRY = re.compile(
    rf"(?:^|(?<=[.;:)\]!?`] ))(?P<names>(?:{_NAMES})(?:, (?:{_NAMES}))*)(?P<remark> \([^)]*\))? : "
)
_LITERAL = re.compile(r"(``.*?``)", re.DOTALL)


def as_restructured(
    _app: object, _what: str, _name: str, _of: object, _options: object, lines: list[str]
) -> None:
    """For Sphinx's ``autodoc-process-docstring``: replaces the lines in place."""
    parts = _LITERAL.split(restructured("\n".join(lines)))
    # Formulas have bars; in reStructuredText they would be substitutions.
    parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
    lines[:] = "".join(parts).splitlines()


def leaves_out(_app: object, _what: str, _name: str, member: object, skip: bool, _options: object) -> bool:
    """For ``autodoc-skip-member``: fields of named tuples, which their class describes."""
    return skip or (getattr(member, "__doc__", None) or "").startswith("Alias for field number")


def restructured(docstring: str) -> str:
    r"""The docstring with its headings as rubrics and its entries as lists.

    >>> print(restructured("Adds.\n\nParameters\n----------\na : one number. b, c : two\n    more."))
    Adds.
    <BLANKLINE>
    .. rubric:: Parameters
    <BLANKLINE>
    * **a** – one number.
    * **b, c** – two more.
    <BLANKLINE>
    """
    out: list[str] = []
    for block in _blocks(docstring):
        lines = block.splitlines()
        if len(lines) > 1 and _HEADING.match(lines[0]) and _UNDERLINE.match(lines[1]):
            out += [f".. rubric:: {lines[0]}", ""]
            lines = lines[2:]
        text = " ".join(line.strip() for line in lines)
        if lines and not lines[0].startswith((" ", ">>>", "- ", "* ", "|", "..")) and _ENTRY.match(text):
            out += _entries(text)
        else:
            out += lines
        out.append("")
    return "\n".join(out)


def _blocks(docstring: str) -> Iterator[str]:
    yield from re.split(r"\n\s*\n", textwrap.dedent(docstring).strip("\n"))


def _entries(text: str) -> Iterator[str]:
    found = list(_ENTRY.finditer(text))
    for entry, following in zip(found, [*found[1:], None], strict=True):
        meaning = text[entry.end() : following.start() if following else None].strip()
        names = entry["names"].replace("`", "").replace("*", r"\*")
        yield f"* **{names}**{entry['remark'] or ''} – {meaning}"
