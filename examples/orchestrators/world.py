"""The work: documents in a store that is slow, flaky or busy, each naming a product, perhaps misspelt.

Looking a product up is real computing; the store's latencies and troubles are simulated, drawn by a keyed
hash, so that every orchestrator meets the same ones.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from itertools import product

SYLLABLES = ("ba", "do", "ki", "lu", "mer", "no", "pa", "ris", "so", "tan", "ve", "zu")
SESSION_S, CALM_S, SLOW_S = 0.004, 0.010, 0.040
AT_ONCE = {"calm": 6, "flaky": 2}


class StoreBusy(Exception):
    """More requests at once than the store takes."""


class StoreFailed(Exception):
    """The store gave up on a request."""


def draw(*names: object) -> float:
    """A number in [0, 1) that depends on the names alone."""
    digest = hashlib.blake2b("\0".join(map(str, names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


@dataclass(frozen=True, slots=True)
class Document:
    """What a step is about; ``product`` is the right answer, and only the judge looks at it."""

    document_id: str
    source: str
    noise: str
    length: str
    product: str

    def text(self) -> str:
        """The name as the document spells it: of noisy ones, about every seventh letter is wrong."""
        if self.noise == "clean":
            return self.product
        letters = [
            "abcdefghij"[int(10 * draw(self.document_id, place, "letter"))]
            if draw(self.document_id, place, "typo") < 0.15
            else letter
            for place, letter in enumerate(self.product)
        ]
        return "".join(letters)


@dataclass(frozen=True, slots=True)
class Workflow:
    """Documents to resolve, and what is known of them beforehand."""

    workflow_id: str
    size: str
    source: str
    documents: tuple[Document, ...]


def catalogue(length: str) -> list[str]:
    """All products whose names are short or long."""
    parts = {"short": 3, "long": 9}[length]
    return [
        "".join(SYLLABLES[int(12 * draw("catalogue", length, number, part))] for part in range(parts))
        for number in range(120)
    ]


CATALOGUES = {length: catalogue(length) for length in ("short", "long")}


def population(name: str, count: int) -> list[Workflow]:
    """The first ``count`` workflows of a population: each kind comes equally often."""
    kinds = list(product(("small", "large"), ("calm", "flaky"), ("clean", "noisy"), ("short", "long")))
    workflows = []
    for number in range(count):
        block, place = divmod(number, len(kinds))
        order = sorted(range(len(kinds)), key=lambda kind: draw(name, block, kind))
        size, source, noise, length = kinds[order[place]]
        workflow_id = f"{name}-{number:04d}"
        documents = tuple(
            Document(
                f"{workflow_id}/{step}",
                source,
                noise,
                length,
                CATALOGUES[length][int(120 * draw(workflow_id, step, "product"))],
            )
            for step in range(1 if size == "small" else 6)
        )
        workflows.append(Workflow(workflow_id, size, source, documents))
    return workflows


class Store:
    """Where documents are fetched; sessions open one after the other."""

    def __init__(self) -> None:
        self._opening = asyncio.Lock()
        self._running = 0
        self.begun = asyncio.Event()

    async def open_session(self) -> None:
        """What each branch of an orchestrator does once."""
        async with self._opening:
            await asyncio.sleep(SESSION_S)

    async def fetch(self, document: Document, attempt: int) -> str:
        """The text of a document. A flaky store hangs or fails sometimes, a calm one is sometimes slow."""
        if self._running >= AT_ONCE[document.source]:
            raise StoreBusy(document.document_id)
        self._running += 1
        self.begun.set()
        try:
            fate = draw(document.document_id, attempt, "fate")
            if document.source == "flaky":
                await asyncio.sleep(3600.0 if fate < 0.15 else CALM_S)
                if fate > 0.9:
                    raise StoreFailed(document.document_id)
            else:
                await asyncio.sleep(SLOW_S if fate < 0.2 else CALM_S)
            return document.text()
        finally:
            self._running -= 1
