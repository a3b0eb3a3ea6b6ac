"""Small packs that would take a great deal of memory or time: refused or judged, within bounds (V2)."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import verify
from tests.evidence.verify import forge
from tests.evidence.verify.forge import DAY, GAP, START, Story, b64, time_text
from tests.evidence.verify.test_containers import WITHIN_128_MIB
from tests.evidence.verify.verdict import Auditor

LONG = "\U0001f600" + "x" * 55_000
"""Takes four times as many bytes in memory as in a pack."""


def _names() -> bytes:
    story = forge.small()
    for count in range(400):
        story.logs[0].event(START + 3 * DAY, "heartbeat")
        story.logs[0].statements[-1]["predicate"]["host"].update(name=f"{count}{LONG}", machine=None)
    return story.tar()


def _absences() -> bytes:
    story = forge.small()
    for count in range(400):
        absence = {"from": time_text(START), "reason": f"{count}{LONG}", "until": time_text(START)}
        story.logs[0].event(START + 3 * DAY, "suspended", absence=absence)
    return story.tar()


def _reasons() -> bytes:
    story = forge.small()
    for count in range(150):
        table = story.logs[0].table(gaps=[GAP])
        table["reasons"] = {f"{count}.{each:x}": 1 for each in range(3600)}
        story.logs[0].snapshot(START + 3 * DAY, table)
    return story.tar()


def _organisation() -> bytes:
    story = forge.small()
    story.manifest_edit = lambda value: value.update(organisation="\U0001f600" + "x" * (15 << 20))
    return story.tar()


def _objects() -> bytes:
    story = forge.small()
    deep: Any = {}
    for _ in range(29):
        deep = {"a": deep}
    story.manifest_edit = lambda value: value.update(organisation=[deep] * ((verify.MANIFEST_NODES_MAX - 1000) // 61))
    return story.tar()


def _lines() -> bytes:
    story = Story()
    for count in range(140):
        log = story.log(epoch=1 + count)
        log.opened(START)
        line = "— x ".encode() + b64(bytes(780_000)).encode() + b"\n"
        log.note_edit = lambda note, line=line: note + line
    return story.tar()


def _leaves() -> bytes:
    story = forge.small()
    return story.tar(_grown(story, (64 << 20) // 32 - 4000))


def _grown(story: Story, size: int) -> dict[str, bytes]:
    """Return the members of a story whose first log goes on with leaves that compress to nothing."""
    log, members = story.logs[0], story.members()
    raw = b"".join(log.leaves())
    raw += bytes(size * 32 - len(raw))
    text = f"{log.origin}\n{size}\n{b64(verify.roots_of(raw, size)[size])}\n".encode()
    members[f"{log.id}/leaves"] = raw
    members[f"{log.id}/checkpoint"] = text + b"\n" + log.signer.note_line(log.origin, text).encode()
    members[f"{log.id}/checkpoint.txt"] = text
    members[f"{log.id}/checkpoint.sig"] = log.signer.sign(text)
    members[f"{log.id}/checkpoint.sshsig"] = log.signer.sshsig(text).encode()
    story.manifest_edit = lambda value: value["logs"][0].update(size=size)
    return members


BOMBS = {
    "names of hosts": _names,
    "reasons of absences": _absences,
    "reasons of gaps": _reasons,
    "the name of the organisation": _organisation,
    "objects within objects": _objects,
    "lines of unknown keys": _lines,
    "leaves": _leaves,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_pack_that_swells_is_judged_within_128_mib(auditor: Auditor, bomb: str) -> None:
    path = auditor.file(gzip.compress(BOMBS[bomb](), 1))
    command = [sys.executable, "-I", "-S", "-c", WITHIN_128_MIB, verify.__file__, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode in range(4), done.stderr) == (True, ""), done.stdout


SHA256 = hashlib.sha256


class Counted:
    """SHA-256 that counts how often it was begun."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, data: bytes = b"") -> Any:
        self.count += 1
        return SHA256(data)


def test_the_roots_of_one_log_at_many_sizes_are_computed_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = [bytes([each]) * 32 for each in range(250)]
    hashes = Counted()
    monkeypatch.setattr(hashlib, "sha256", hashes)
    sizes = range(0, len(leaves), 4)
    roots = verify.roots_of(b"".join(leaves), *sizes)
    monkeypatch.undo()
    assert hashes.count < len(leaves) + len(sizes) * 12
    assert all(roots[size] == forge.root_of(leaves[:size]) for size in sizes)


Stretches = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)))


@given(Stretches, st.integers(-60, 60), st.integers(-60, 60))
def test_time_that_no_stretch_covers_is_counted_once(stretches: list[tuple[int, int]], start: int, end: int) -> None:
    joined = verify.joined(sorted(stretches))
    left = [at for at in range(start, end) if not any(since <= at < until for since, until in stretches)]
    assert verify.present(joined, max(start, end)) - verify.present(joined, start) == len(left)


class Looked(list[tuple[int, ...]]):
    """Stretches that count how often one of them was looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        self.looks += 1
        return super().__getitem__(at)

    def __iter__(self) -> Any:
        raise AssertionError("all of them were looked at")


def test_each_reading_looks_at_few_absences() -> None:
    absences = Looked(verify.joined((at * 900_000, at * 900_000 + 1) for at in range(4_000)))
    readings: list[tuple[int, ...]] = [(at * 900_000, 900) for at in range(4_000)]
    assert verify.judge(readings, 0, 4_000 * 900_000, absences) == ([], False)
    assert absences.looks < len(readings) * 2 * 14
