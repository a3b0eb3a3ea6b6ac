"""Format 1 on disk is readable for ever: the golden log, byte for byte, by the reader and by its description."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from evidence import dsse, segment, tree
from evidence.log import EvidenceStore
from evidence.segment import Frame

GOLDEN = Path(__file__).parent / "golden" / "state"


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """Return a copy with the modes that a state must have; git keeps none."""
    state = tmp_path / "state"
    shutil.copytree(GOLDEN, state)
    for each in [state, *state.rglob("*")]:
        each.chmod(0o700 if each.is_dir() else 0o600)
    return state


def test_every_entry_of_the_golden_log_is_read_as_its_frames_hold_it(golden: Path) -> None:
    with EvidenceStore.read(str(golden)) as reader:
        logs = reader.logs()
        assert logs
        for log in logs:
            entries = list(reader.entries(log.id))
            key = reader.public_key(log.id)
            held = [body for path in sorted(golden.glob(f"logs/{log.id}/segments/*")) for body in bodies(path)]
            assert [each.envelope for each in entries] == held
            assert tree.root(tree.split(reader.leaves(log.id))) == reader.signed_size(log.id).root
            for each in entries:
                assert each.envelope is not None
                dsse.verify(dsse.decode(each.envelope), [key])


def bodies(path: Path) -> list[bytes]:
    """Return the bodies in a segment, read as docs/formats.md describes it and by nothing of ours."""
    data, found = path.read_bytes(), []
    head, _, data = data.partition(b"\n")
    line, _, digest = head.rpartition(b" ")
    assert digest == hashlib.sha256(line + b"\n").hexdigest().encode()
    while data:
        head, _, data = data.partition(b"\n")
        line, _, digest = head.rpartition(b" ")
        length = int(line.split(b" ")[1])
        body, data = data[:length], data[length + 1 :]
        assert digest == hashlib.sha256(line + b"\n" + body).hexdigest().encode()
        found.append(body)
    return found


def test_writing_the_golden_frames_again_gives_the_golden_segments(golden: Path) -> None:
    for path in golden.glob("logs/*/segments/*"):
        data = path.read_bytes()
        origin, first = data.split(b" ")[3].decode(), int(data.split(b" ")[4])
        start = segment.body_start(data, origin, first, path.name)
        assert start is not None
        frames = [each for each in segment.frames(data, first, start) if isinstance(each, Frame)]
        again = [segment.frame(each.sequence, each.body) for each in frames]
        assert segment.header(origin, first) + b"".join(again) == data
        assert path.name == segment.name_of(first)
