"""The local spool: records that survive torn tails, flipped bytes and kill -9, and are adopted once."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nyx_learning.persistence.spool import FORMAT, Spool
from nyx_learning.persistence.spool_file import HEADER, SpoolFile
from nyx_learning.persistence.spool_records import HEAD_BYTES, encoded, pieces

HEADER_DOCUMENT = {"bandit": "spooled", "spec": {"seed": 7}}
PAYLOADS = [b'{"a":1}', b'{"text":"\\u001eNYX"}', b"{}", b'{"b":"' + b"x" * 40 + b'"}']


def payloads(data: bytes) -> list[bytes]:
    return [piece.payload for piece in pieces(data) if piece.payload is not None]


def document(number: int) -> dict[str, Any]:
    return {"decision": {"number": number, "text": "z\u00fcrich \x1eNYX"}}


def keys(spool: Spool) -> list[str]:
    return [entry.key for entry in spool.entries()]


def left_by_a_dead_process(folder: Path, count: int) -> Path:
    """A file as a killed process leaves it: unlocked, with ``count`` records."""
    spool = Spool(folder, HEADER_DOCUMENT)
    for number in range(count):
        spool.append("decision", f"d-{number}", document(number))
    path = spool._own.path
    spool._own.release()
    return path


def adopted(folder: Path) -> Spool:
    spool = Spool(folder, HEADER_DOCUMENT)
    for file in spool.find():
        spool.adopt(file)
    return spool


def test_the_bytes_of_a_record() -> None:
    record = encoded(b"{}")
    assert record[:8] == b"\x1eNYX\x00\x00\x00\x02"
    assert len(record) == HEAD_BYTES + 2 == 18
    assert record[16:] == b"{}"


def test_a_tail_torn_at_every_byte_costs_the_last_record_alone() -> None:
    whole = b"".join(map(encoded, PAYLOADS))
    ends = [sum(len(encoded(p)) for p in PAYLOADS[: i + 1]) for i in range(len(PAYLOADS))]
    for length in range(len(whole) + 1):
        found = list(pieces(whole[:length]))
        assert [p.payload for p in found if p.payload is not None] == PAYLOADS[
            : sum(end <= length for end in ends)
        ]
        assert sum(p.end - p.begin for p in found) == length  # nothing is dropped unseen


def test_a_flipped_byte_costs_its_record_alone() -> None:
    whole = b"".join(map(encoded, PAYLOADS))
    begins = [0]
    for payload in PAYLOADS:
        begins.append(begins[-1] + len(encoded(payload)))
    for at in range(len(whole)):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[at] ^= mask
            hit = next(i for i in range(len(PAYLOADS)) if begins[i] <= at < begins[i + 1])
            assert payloads(bytes(damaged)) == PAYLOADS[:hit] + PAYLOADS[hit + 1 :]


def test_a_torn_file_is_adopted_and_the_rest_kept_aside(tmp_path: Path) -> None:
    path = left_by_a_dead_process(tmp_path, 3)
    whole = path.read_bytes()
    for cut in (1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 5):
        begin = list(pieces(whole))[-1].begin
        path.write_bytes(whole[: begin + cut])
        spool = adopted(tmp_path)
        assert keys(spool) == ["d-0", "d-1"]
        assert spool.damaged_bytes == cut
        aside = path.with_suffix(".damaged")
        assert aside.read_bytes() == whole[begin : begin + cut]
        assert stat.S_IMODE(aside.stat().st_mode) == 0o600
        spool.close()


def test_appending_and_settling(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "deep" / "spool", HEADER_DOCUMENT)
    first = spool.append("decision", "a", document(1))
    report = spool.append("report", "a", {"time": 1.0})
    assert spool.decision("a") is first
    assert first.read()["decision"] == document(1)["decision"]
    assert (len(spool), spool.reports("a"), keys(spool)) == (2, 1, ["a", "a"])
    spool.settle(first)
    spool.settle(first)
    assert (len(spool), spool.decision("a"), spool.reports("a")) == (1, None, 1)
    spool.settle(report)
    assert (len(spool), spool.reports("a")) == (0, 0)
    spool.close()
    assert not list((tmp_path / "deep" / "spool").iterdir())  # nothing to do, nothing left


def test_only_this_user_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o755)
    spool = Spool(folder, HEADER_DOCUMENT)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]
    spool.close()
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(OSError, match="no folder of this user"):
        Spool(link, HEADER_DOCUMENT)


def test_space_is_used_again(tmp_path: Path) -> None:
    """However long it runs, the file stays near what is not settled."""
    spool = Spool(tmp_path, HEADER_DOCUMENT)
    kept = spool.append("decision", "kept", document(0))
    for number in range(3000):
        spool.settle(spool.append("decision", f"d-{number}", {"text": "x" * 1000}))
        assert spool.bytes < (1 << 20) + 3000
    assert kept.read()["decision"] == document(0)["decision"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".spool"]
    spool._own.release()
    again = adopted(tmp_path)
    entry = next(again.entries())  # settled ones may follow: what was sent twice changes nothing
    assert entry.key == "kept"
    assert entry.file.header["spec"] == HEADER_DOCUMENT["spec"]
    again.close()


def test_a_full_spool_takes_nothing_and_stays_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path, HEADER_DOCUMENT, bytes_max=2000)
    while spool.bytes <= 2000:
        spool.append("decision", "a", document(0))
    with pytest.raises(OSError, match="the most that a spool may have"):
        spool.append("decision", "b", document(1))
    with pytest.raises(OSError, match="beyond"):
        Spool(tmp_path / "b", HEADER_DOCUMENT).append("decision", "a", {"text": "x" * (1 << 25)})


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a real one: part of the record is written, and then there is no room."""
    spool = Spool(tmp_path, HEADER_DOCUMENT)
    spool.append("decision", "before", document(0))
    write, size = os.write, spool.bytes

    def half(descriptor: int, data: Any) -> int:
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, bytes(data)[: len(data) // 2])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space left"):
            spool.append("decision", "full", document(1))
    assert spool.bytes == size == spool._own.path.stat().st_size
    spool.append("decision", "behind", document(2))
    spool._own.release()
    assert keys(adopted(tmp_path)) == ["before", "behind"]


def test_a_living_process_keeps_its_file(tmp_path: Path) -> None:
    one, two = Spool(tmp_path, HEADER_DOCUMENT), Spool(tmp_path, HEADER_DOCUMENT)
    one.append("decision", "a", document(1))
    assert two.find() == []
    one._own.release()
    (file,) = two.find()
    two.adopt(file)
    third = Spool(tmp_path, HEADER_DOCUMENT)
    assert third.find() == []  # adopted once
    (entry,) = two.entries()
    assert two.decision("a") is entry
    two.settle(entry)
    assert not file.path.exists()
    for spool in (two, third):
        spool.close()
    assert not list(tmp_path.iterdir())


def test_a_later_version_s_file_is_left_alone(tmp_path: Path) -> None:
    file = SpoolFile.create(tmp_path / "1-later.spool", {"format": FORMAT + 1})
    file.append("decision", "a", {})
    file.release()
    spool = adopted(tmp_path)
    assert keys(spool) == []
    assert spool.find() == []
    spool.close()
    assert (tmp_path / "1-later.spool").exists()


def test_what_a_shrinking_process_left_half_made_is_removed(tmp_path: Path) -> None:
    path = left_by_a_dead_process(tmp_path, 1)
    path.with_suffix(".new").write_bytes(b"half")
    spool = adopted(tmp_path)
    assert keys(spool) == ["d-0"]
    assert not path.with_suffix(".new").exists()
    spool.close()


def test_a_record_that_is_no_record_is_damage(tmp_path: Path) -> None:
    path = left_by_a_dead_process(tmp_path, 1)
    strange = [b"[1]", b"{}", b'{"kind":1,"key":"a"}', b"\xff", b"null"]
    with path.open("ab") as file:
        file.write(b"".join(map(encoded, strange)))
    spool = adopted(tmp_path)
    assert keys(spool) == ["d-0"]
    assert spool.damaged_bytes == sum(len(encoded(payload)) for payload in strange)


PROGRAM = """
import sys
from pathlib import Path
from nyx_learning.persistence.spool import Spool
spool = Spool(Path(sys.argv[1]), {})
for number in range(100_000):
    spool.append("decision", f"d-{number}", {"text": "x" * 3000})
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        told = [int(child.stdout.readline()) for _ in range(200)]
        child.send_signal(signal.SIGKILL)
        told += [int(line) for line in child.stdout if line.endswith("\n")]
    spool = adopted(tmp_path)
    found = keys(spool)
    assert found[: len(told)] == [f"d-{number}" for number in told]
    assert len(found) <= len(told) + 1
    spool.close()


def test_the_header_says_what_a_reader_needs(tmp_path: Path) -> None:
    path = left_by_a_dead_process(tmp_path, 0)
    (piece,) = pieces(path.read_bytes())
    assert piece.payload is not None
    assert json.loads(piece.payload) == {"kind": HEADER, "key": "", "format": FORMAT, **HEADER_DOCUMENT}
