"""The tar stream: any tar reads it, and nothing but names and bytes decides what it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import LimitError
from evidence.pack_tar import MAX_MEMBER, TarStream, header
from tests.evidence.known import run

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,40}(/[a-z0-9._-]{1,50})?", fullmatch=True)
MEMBERS = st.dictionaries(NAMES, st.binary(max_size=2000), max_size=6)


def written(members: dict[str, bytes], *, compressed: bool = False) -> tuple[bytes, str]:
    out = io.BytesIO()
    tar = TarStream(out.write, compressed=compressed)
    for name, data in members.items():
        tar.add(name, len(data), [data[:100], data[100:]])
    digest = tar.close()
    return out.getvalue(), digest


@given(MEMBERS)
def test_the_standard_library_reads_what_was_written(members: dict[str, bytes]) -> None:
    data, digest = written(members)
    assert hashlib.sha256(data).hexdigest() == digest
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.getmembers()
        assert {each.name: tar.extractfile(each).read() for each in found} == members  # type: ignore[union-attr]
    for each in found:
        assert (each.mode, each.uid, each.gid, each.mtime, each.uname, each.gname) == (0o644, 0, 0, 0, "", "")
        assert each.type == tarfile.REGTYPE
    assert data.endswith(bytes(1024))
    assert len(data) % 512 == 0


@given(MEMBERS)
def test_the_hash_is_over_the_tar_and_not_over_the_gzip(members: dict[str, bytes]) -> None:
    plain, digest = written(members)
    compressed, same = written(members, compressed=True)
    assert digest == same
    assert gzip.decompress(compressed) == plain


def test_the_gzip_header_has_neither_time_nor_name() -> None:
    data, _ = written({"a": b"b"}, compressed=True)
    assert data[:4] == b"\x1f\x8b\x08\x00"
    assert data[4:8] == bytes(4)


@pytest.mark.needs_program("tar")
def test_gnu_tar_lists_it_without_a_word_on_stderr() -> None:
    data, _ = written({"manifest.json": b"{}\n", "blobs/00": b"x" * 700})
    seen = run("tar", "--list", "--verbose", "--file", "-", stdin=data)
    assert seen.returncode == 0
    assert seen.stderr == b""
    assert [line.split()[-1] for line in seen.stdout.decode().splitlines()] == ["manifest.json", "blobs/00"]


@pytest.mark.parametrize(("name", "size"), [("a" * 101, 1), ("", 1), ("a", MAX_MEMBER + 1)])
def test_what_a_header_cannot_hold_is_refused(name: str, size: int) -> None:
    with pytest.raises(LimitError):
        header(name, size)


def test_a_member_of_another_size_than_announced_is_refused() -> None:
    tar = TarStream(io.BytesIO().write, compressed=False)
    with pytest.raises(LimitError, match="expected 3 bytes of a, found 2"):
        tar.add("a", 3, [b"ab"])


def test_more_than_4_gib_in_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evidence.pack_tar.MAX_TOTAL", 10)
    tar = TarStream(io.BytesIO().write, compressed=False)
    tar.add("a", 6, [b"x" * 6])
    with pytest.raises(LimitError, match="export a shorter period"):
        tar.add("b", 6, [b"x" * 6])
