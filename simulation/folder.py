"""A folder of finished blocks: an interrupted simulation goes on where it stopped.

One file a block, ``<key>.json``, whose name is the hash of everything that its numbers depend on, and which
carries a hash of its numbers. A file appears whole or not at all; one that is damaged all the same counts as
not there, and is written anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from ..canonical import canonical_json, digest
from ..errors import InputInvalid
from .blocks import CURVES, Block
from .worlds.base import Floats

__all__ = ["BlockFolder"]


class BlockFolder:
    """Blocks that were run, by their key.

    Raises
    ------
    InputInvalid : the folder cannot be made or written to.
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def get(self, block: Block) -> Floats | None:
        """What the block came to; None where it is not known, or its file is damaged."""
        try:
            document = json.loads((self.path / f"{block.key}.json").read_text(encoding="utf-8"))
            curves = document["curves"]
            if document["digest"] != digest(curves):
                return None
            found = np.array(curves, np.float64)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        shape = (block.stop - block.first, len(CURVES), len(block.checkpoints))
        return found if found.shape == shape else None

    def put(self, block: Block, found: Floats) -> None:
        """Keep what a block came to."""
        curves = found.tolist()
        text = canonical_json({"curves": curves, "digest": digest(curves)})
        target = self.path / f"{block.key}.json"
        draft = target.with_suffix(f".{os.getpid()}.part")
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(target)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise _unwritable(self.path, error) from None


def _unwritable(path: Path, error: OSError) -> InputInvalid:
    return InputInvalid(
        "results cannot be kept in the folder",
        expected="a folder that can be made and written to",
        found=f"{path}: {error.strerror or error}"[:200],
        fix="name another folder",
    )
