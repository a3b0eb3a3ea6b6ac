"""Every bit, every cut, every entry of a real pack: it fails, or it is the same pack with the same verdict (V1).

All of it runs in this process, over the golden pack. Of functions that depend on nothing but their arguments it is
remembered what they returned for the sound pack; what is remembered is what the script itself has computed.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evidence import verify
from tests.evidence.verify import forge
from tests.evidence.verify.verdict import Auditor

GOLDEN = Path(__file__).parent.parent / "golden" / "pack.tar.gz"
SLICES = 16
Outcome = tuple[int, Any]


def outcome(data: bytes) -> Outcome:
    """Return (exit code, what is in the pack and was found); of one that fails, the first bad thing."""
    report = verify.Report("")
    try:
        verify.inspect(report, verify.TarPack(io.BytesIO(data)), verify.Options())
    except verify.TamperedError as error:
        return verify.TAMPERED, str(error)
    except verify.UnusableError as error:
        return verify.UNUSABLE, str(error)
    return report.code, (tuple(report.members), tuple(verify.page(report)))


class Memory:
    """Pure functions that remember what they returned, or raised, while the sound pack was read, and nothing since."""

    def __init__(self) -> None:
        self.learns = False

    def learn(self, data: bytes) -> Outcome:
        """Return the outcome of a sound pack, and know from then on what its parts come to."""
        self.learns = True
        found = outcome(data)
        self.learns = False
        return found

    def remembered(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that remembers."""
        known: dict[Any, Any] = {}

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            key = tuple(each if isinstance(each, (bytes, str, int)) else id(each) for each in arguments)
            if key in known:
                return known[key]
            value = function(*arguments)
            if self.learns:
                known[key] = value
            return value

        return call


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Let a thousand flips of one pack cost little more than reading it."""
    memory = Memory()
    signed = memory.remembered(lambda raw, message, signature: verify_signature(verify.Key(raw), message, signature))
    verify_signature = verify.Key.signed
    monkeypatch.setattr(verify.Key, "signed", lambda self, message, signature: signed(self.raw, message, signature))
    monkeypatch.setattr(verify, "TABLES_FROM", 0)  # each run begins with new keys, but tables are made once for all
    for name in ("document", "roots_of", "point_of"):
        monkeypatch.setattr(verify, name, memory.remembered(getattr(verify, name)))
    return memory


def flips(data: bytes, start: int, step: int) -> Iterator[tuple[int, bytes]]:
    """Yield (bit, data with it flipped) for every step-th bit."""
    for bit in range(start, len(data) * 8, step):
        at = bit // 8
        yield bit, data[:at] + bytes([data[at] ^ 1 << bit % 8]) + data[at + 1 :]


def same_or_failed(data: bytes, good: Outcome, what: object) -> bool:
    """Check the one rule, and return whether the pack passed."""
    found = outcome(data)
    if found[0] == good[0]:
        assert found == good, what
        return True
    assert found[0] in (verify.TAMPERED, verify.UNUSABLE), what
    assert "expected" in found[1], what
    return False


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
def test_a_flipped_bit_fails_or_means_nothing(part: int, memory: Memory) -> None:
    data = GOLDEN.read_bytes()
    assert len(data) <= 20 * 1024
    good = memory.learn(data)
    assert good[0] == 0
    passed = [bit for bit, flipped in flips(data, part, SLICES) if same_or_failed(flipped, good, bit)]
    tar = gzip.decompress(data)
    for bit in passed:  # behind gzip's own header, a few bits of deflate have two spellings of the same bytes
        assert bit < 10 * 8 or gzip.decompress(next(flips(data, bit, len(data) * 8))[1]) == tar, bit


@pytest.mark.slow
@pytest.mark.parametrize("form", ["gzip", "tar"])
def test_no_cut_is_overlooked(form: str, memory: Memory) -> None:
    data = GOLDEN.read_bytes() if form == "gzip" else forge.small().tar()
    good = memory.learn(data)
    whole = len(data.rstrip(b"\0"))
    for end in range(0, len(data), 1 if form == "gzip" else 7):
        passed = same_or_failed(data[:end], good, end)
        assert not passed or (form == "tar" and end > whole), end


@pytest.mark.slow
def test_a_flipped_bit_of_a_bare_tar_fails_or_means_nothing(memory: Memory) -> None:
    """Without gzip's own checksum the manifest, which nobody signs, may say another period: it is judged as printed."""
    data = forge.small().tar()
    good = memory.learn(data)
    assert good[0] == 0
    kept = len(data.rstrip(b"\0")) + 2048
    period = range(data.index(b'"period":'), data.index(b"\n"))
    for bit, flipped in flips(data[:kept], 3, 61):
        found = outcome(flipped + data[kept:])
        if found == good:  # of a header, only the two characters that end its checksum mean nothing
            assert bit // 8 % 512 in (154, 155), bit
        elif found[0] == 0:
            assert bit // 8 in period, bit
            assert found[1][0][1:] == good[1][0][1:]


def _lines(members: dict[str, bytes], name: str) -> list[bytes]:
    return members[name].split(b"\n")[:-1]


def _changes(found: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (at, lines) with each entry removed, doubled and swapped with the next."""
    for at in range(len(found)):
        yield at, found[:at] + found[at + 1 :]
        yield at, found[: at + 1] + found[at:]
        if at + 1 < len(found):
            yield at, [*found[:at], found[at + 1], found[at], *found[at + 2 :]]


def test_every_entry_removed_doubled_or_swapped_is_found_even_if_the_manifest_is_made_to_fit(
    memory: Memory,
) -> None:
    """An entry of its own before or behind the main range may be left out: nothing else in the pack may lean on it."""
    members = _members(gzip.decompress(GOLDEN.read_bytes()))
    assert memory.learn(_sealed(members))[0] == 0
    logs = {each["id"]: each for each in json.loads(members["manifest.json"])["logs"]}
    left_out = []
    for name in (each for each in members if "/entries/" in each):
        log = logs[name.split("/")[0]]
        for at, changed in _changes(_lines(members, name)):
            altered = {**members, name: b"".join(line + b"\n" for line in changed)}
            assert outcome(forge.tar_of(altered))[0] == 1
            if outcome(_sealed(altered))[0] == 0:
                left_out.append((log["id"], _sequence(_lines(members, name)[at])))
    assert all(not 0 <= sequence - logs[log]["first"] < logs[log]["count"] for log, sequence in left_out), left_out
    assert len(left_out) <= 2


def _sequence(line: bytes) -> int:
    payload = json.loads(verify.decoded(json.loads(line)["payload"]))
    found: int = payload["predicate"]["log"]["sequence"]
    return found


def test_every_member_removed_doubled_or_swapped_is_found_even_if_the_manifest_is_made_to_fit(
    memory: Memory,
) -> None:
    members = _members(gzip.decompress(GOLDEN.read_bytes()))
    assert memory.learn(_sealed(members))[0] == 0
    text = {name for name in members if name.startswith("reports/") or name in ("README.txt", "verify.py")}
    names = [name for name in members if name != "manifest.json"]
    for at, name in enumerate(names):
        less = {each: raw for each, raw in members.items() if each != name}
        code = outcome(_sealed(less))[0]
        assert code == 0 if name in text else code in (1, 3), name
        doubled = [*members.items(), (name, members[name])]
        assert outcome(forge.tar_of(doubled))[0] == 1, name
        swapped = names[:at] + names[at : at + 2][::-1] + names[at + 2 :]
        in_order = forge.tar_of(
            {"manifest.json": members["manifest.json"], **{each: members[each] for each in swapped}}
        )
        assert outcome(in_order)[0] == (0 if swapped == names else 1), name


def _members(tar: bytes) -> dict[str, bytes]:
    pack = verify.TarPack(io.BytesIO(tar))
    return {member.name: member.whole(verify.MEMBER_MAX) for member in pack.members()}


def _sealed(members: dict[str, bytes]) -> bytes:
    """Return a tar with a manifest that an attacker has made to fit, as far as it can be."""
    rest = {name: raw for name, raw in members.items() if name != "manifest.json"}
    manifest = json.loads(members["manifest.json"])
    manifest["members"] = [{"name": name, "sha256": forge.digest(raw), "size": len(raw)} for name, raw in rest.items()]
    entries = [raw.count(b"\n") for name, raw in rest.items() if "/entries/" in name]
    blobs = [forge.records_in(raw) for name, raw in rest.items() if name.startswith("blobs/")]
    manifest["counts"] = {"blobs": sum(blobs), "entries": sum(entries)}
    return forge.tar_of({"manifest.json": forge.canonical(manifest) + b"\n", **rest})


def test_what_the_outcome_is_made_of_is_what_the_script_says(auditor: Auditor) -> None:
    data = GOLDEN.read_bytes()
    code, (members, lines) = outcome(data)
    verdict = auditor.run(str(GOLDEN))
    assert (verdict.code, tuple(verdict.lines)) == (code, lines)
    assert next(name for name, _ in members) == "manifest.json"
