"""A spec from a file, for the commands that take one."""

from __future__ import annotations

import json
from pathlib import Path

from ...bandit import BanditSpec
from ...errors import DocumentInvalid, NyxError

__all__ = ["read_spec_file"]


def read_spec_file(path: str) -> BanditSpec:
    """The spec whose ``to_dict()`` a file has as JSON.

    Raises
    ------
    DocumentInvalid : the file cannot be read, or is no spec's.
    SpecInvalid : the spec is of no use.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8"))
        return BanditSpec.from_dict(document)
    except NyxError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DocumentInvalid(
            "the spec cannot be read",
            expected="a file with the JSON of BanditSpec.to_dict()",
            found=f"{path!r:.120}: {type(error).__name__}: {getattr(error, 'strerror', None) or error}"[:240],
            fix="write it with json.dumps(spec.to_dict())",
        ) from None
