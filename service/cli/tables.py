"""Opening tables: plain or gzip-compressed CSV files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from ...errors import TableInvalid
from ...simulation import Rows, read_rows

__all__ = ["open_table"]

_GZIP = b"\x1f\x8b"


def open_table(path: str) -> Rows:
    """Read a CSV file, compressed or not (its first bytes tell, not its name), in UTF-8.

    Raises
    ------
    TableInvalid : the file cannot be opened or decompressed, is not UTF-8, or is no table.
    """
    name = Path(path).name
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a name that is no path raises OSError here as well
            compressed = file.read(2) == _GZIP
        if compressed:
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as lines:
                return read_rows(lines, name)
        with open(path, encoding="utf-8-sig", newline="") as lines:  # noqa: PTH123
            return read_rows(lines, name)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TableInvalid(
            f"{name} cannot be decompressed",
            expected="a complete gzip file",
            found=f"{type(error).__name__}: {error}",
            fix="the file is truncated or damaged: copy it again",
        ) from None
    except UnicodeDecodeError as error:
        raise TableInvalid(
            f"{name} is not text in UTF-8",
            expected="a CSV file in UTF-8, plain or gzip-compressed",
            found=f"{error.reason} at byte {error.start}",
            fix="convert it to UTF-8",
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, TableInvalid):
            raise
        raise TableInvalid(
            f"{name or 'the table'} cannot be opened",
            expected="the path of a readable CSV file",
            found=f"{path!r:.120}: {getattr(error, 'strerror', None) or error}",
            fix="correct the path",
        ) from None
