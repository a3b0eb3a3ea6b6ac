"""Attacks on the container: what tar readers disagree about is refused, and nothing is unpacked (V2)."""

from __future__ import annotations

import gzip
import io
import os
import re
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence import verify
from tests.evidence.verify import forge
from tests.evidence.verify.forge import Story, tar_of
from tests.evidence.verify.verdict import Auditor

Attack = Callable[[Story], bytes]
BLOCK = 512


def _with(kind: bytes, name: str = "extra", **fields: object) -> Attack:
    """Return the attack that appends one more member of a kind, in an archive that is otherwise good."""

    def attack(story: Story) -> bytes:
        info = tarfile.TarInfo(name)
        info.type = kind
        for each, value in fields.items():
            setattr(info, each, value)
        tar = story.tar()
        end = _end_of_members(tar)
        return tar[:end] + info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)

    return attack


def _end_of_members(tar: bytes) -> int:
    return len(tar.rstrip(b"\0")) + -len(tar.rstrip(b"\0")) % BLOCK


def _header_edit(start: int, raw: bytes, *, checksum: bool = True) -> Attack:
    """Return the attack that changes the header of the second member, and its checksum to fit."""

    def attack(story: Story) -> bytes:
        tar = bytearray(story.tar())
        at = tar.index(b"keys/", 512)
        at -= at % BLOCK
        while tar[at + 257 : at + 262] != b"ustar":
            at += BLOCK
        tar[at + start : at + start + len(raw)] = raw
        if checksum:
            block = bytes(tar[at : at + 148]) + b" " * 8 + bytes(tar[at + 156 : at + BLOCK])
            tar[at + 148 : at + 156] = b"%06o\0 " % sum(block)
        return bytes(tar)

    return attack


def _twice(story: Story) -> bytes:
    sealed = story.sealed()
    return tar_of([*sealed.items(), ("README.txt", b"another")])


def _listed_twice(story: Story) -> bytes:
    story.manifest_edit = lambda value: value["members"].append(value["members"][-1])
    sealed = story.sealed()
    return tar_of([*sealed.items(), ("README.txt", sealed["README.txt"])])


def _listed(name: str) -> Attack:
    return lambda story: story.tar({**story.members(), name: b"x"})


def _unlisted(story: Story) -> bytes:
    return tar_of({**story.sealed(), "reports/hidden.txt": b"x"})


def _missing(story: Story) -> bytes:
    sealed = story.sealed()
    sealed.pop("README.txt")
    return tar_of(sealed)


def _swapped(story: Story) -> bytes:
    sealed = list(story.sealed().items())
    sealed[2], sealed[3] = sealed[3], sealed[2]
    return tar_of(sealed)


def _other_content(story: Story) -> bytes:
    return tar_of({**story.sealed(), "README.txt": b"For PEOPLE.\n"})


def _dirty_padding(story: Story) -> bytes:
    tar = bytearray(story.tar())
    tar[_end_of_members(bytes(tar)) - 1] = 1
    return bytes(tar)


ATTACKS: dict[str, tuple[Attack, str]] = {
    "the same member twice": (_twice, "only what the manifest lists"),
    "the same member twice and listed twice": (_listed_twice, "unique in any case"),
    "two names that differ in case": (_listed("readme.txt"), "unique in any case"),
    "a name in capitals": (_listed("reports/Score.txt"), "an allowed name"),
    "a way out of the folder": (_listed("reports/../../etc/cron.d/x"), "an allowed name"),
    "two dots within a name": (_listed("reports/a..b"), "an allowed name"),
    "a name that folders read in two ways": (_listed("reports/./x"), "an allowed name"),
    "an absolute name": (_listed("/etc/passwd"), "an allowed name"),
    "a name with a newline": (_listed("reports/a\nb"), "an allowed name"),
    "a name of another script": (_listed("reports/\u0430"), "an allowed name"),
    "a name that is too long": (_listed("reports/" + "/".join(["a" * 60, "b" * 60, "c" * 90])), "an allowed name"),
    "a member that no rule knows": (_listed("setup.py"), "a member that the format knows"),
    "a member of a log that is none": (_listed("0" * 16 + "-1/leaves"), "a member that the format knows"),
    "a member that is not listed": (_unlisted, "only what the manifest lists"),
    "a member that is listed and missing": (_missing, "the end"),
    "two members in another order": (_swapped, "expected this member, of "),
    "a member of other content": (_other_content, "SHA-256"),
    "a symbolic link": (_with(tarfile.SYMTYPE, linkname="/etc/shadow"), "a regular file"),
    "a hard link": (_with(tarfile.LNKTYPE, linkname="README.txt"), "a regular file"),
    "a device": (_with(tarfile.CHRTYPE), "a regular file"),
    "a pipe": (_with(tarfile.FIFOTYPE), "a regular file"),
    "a folder": (_with(tarfile.DIRTYPE), "a regular file"),
    "a sparse file": (_with(tarfile.GNUTYPE_SPARSE), "a regular file"),
    "a pax header": (_with(tarfile.XHDTYPE), "a regular file"),
    "a global pax header": (_with(tarfile.XGLTYPE), "a regular file"),
    "a GNU long name": (_with(tarfile.GNUTYPE_LONGNAME), "a regular file"),
    "a regular file that names a link": (_with(tarfile.REGTYPE, linkname="x"), "no link name"),
    "an empty member more": (_with(tarfile.REGTYPE), "only what the manifest lists"),
    "a size that no file has": (_header_edit(124, b"77777777777\0"), "a size of at most"),
    "a size in GNU's binary form": (_header_edit(124, b"\x80" + bytes(10) + b"\x05"), "a size of at most"),
    "a size with a minus": (_header_edit(124, b"-0000000005\0"), "a size of at most"),
    "a size that is too small": (_header_edit(124, b"00000000001\0"), "expected this member, of "),
    "a header with another checksum": (_header_edit(0, b"X", checksum=False), "its checksum"),
    "a header of the seventies": (_header_edit(257, bytes(8)), "a ustar header"),
    "a name with more behind its end": (_header_edit(90, b"hidden"), "expected this member, of "),
    "a prefix that moves the member": (_header_edit(345, b"reports"), "expected this member, of "),
    "bytes in the padding of a member": (_dirty_padding, "zeros behind its content"),
    "bytes behind the end": (lambda story: story.tar() + b"x" * BLOCK, "at the end"),
    "a block that is cut short behind the end": (lambda story: story.tar() + b"\0", "at the end"),
    "another tar behind the end": (lambda story: story.tar() + story.tar(), "at the end"),
    "endless zeros": (lambda story: story.tar() + bytes(verify.PADDING_MAX), "at the end"),
    "one zero block only": (lambda story: story.tar()[: _end_of_members(story.tar()) + BLOCK], "at the end"),
    "no end": (lambda story: story.tar()[: _end_of_members(story.tar())], "a header or two zero blocks"),
    "half a member": (lambda story: story.tar()[: _end_of_members(story.tar()) - BLOCK], "fewer"),
    "a second gzip member": (lambda story: gzip.compress(story.tar()) + gzip.compress(b""), "nothing behind"),
    "zeros behind the gzip member": (lambda story: gzip.compress(story.tar()) + b"\0", "nothing behind"),
    "another gzip checksum": (
        lambda story: gzip.compress(story.tar())[:-8] + bytes(4) + gzip.compress(story.tar())[-4:],
        "intact data",
    ),
    "gzip cut short": (lambda story: gzip.compress(story.tar())[:-9], "more data"),
}


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_container_that_readers_may_read_in_two_ways_is_tampered(auditor: Auditor, name: str, compress: bool) -> None:
    attack, words = ATTACKS[name]
    data = attack(forge.small())
    if compress and data[:2] != b"\x1f\x8b":
        data = gzip.compress(data)
    verdict = auditor.ask(data)
    assert verdict.code == 1
    assert verdict.lines[0].startswith("✗ Tampered: ")
    assert words in verdict.lines[0]


NOT_PACKS: dict[str, bytes] = {
    "nothing": b"",
    "text": b"hello\n",
    "gzip of text": gzip.compress(b"hello\n"),
    "a broken gzip": b"\x1f\x8b" + b"x" * 100,
    "another tar": tar_of({"etc/passwd": b"root"}),
    "a tar of nothing": bytes(10240),
    "a zip": b"PK\3\4" + bytes(100),
}


@pytest.mark.parametrize("name", NOT_PACKS)
def test_what_is_no_pack_is_wrong_use_and_one_clear_line(auditor: Auditor, name: str) -> None:
    verdict = auditor.ask(NOT_PACKS[name])
    assert verdict.code == 2
    assert len(verdict.lines) == 1
    assert re.match("✗ Not verified: /[^:]*: expected a pack", verdict.lines[0])


def test_a_file_that_is_not_there_and_a_folder_without_manifest_are_wrong_use(auditor: Auditor, tmp_path: Path) -> None:
    assert auditor.run(str(tmp_path / "nowhere")).code == 2
    (tmp_path / "folder").mkdir()
    assert auditor.run(str(tmp_path / "folder")).code == 2


def test_a_newer_format_is_not_judged(auditor: Auditor) -> None:
    story = forge.small()
    story.manifest_edit = lambda value: value.update(format=2)
    verdict = auditor.ask(story)
    assert verdict.code == 2
    assert "use a newer verify.py" in verdict.text


def _folder(path: Path, members: dict[str, bytes]) -> Path:
    for name, raw in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


def _link(folder: Path) -> None:
    (folder / "README.txt").rename(folder.parent / "elsewhere")
    (folder / "README.txt").symlink_to(folder.parent / "elsewhere")


def _folder_link(folder: Path) -> None:
    (folder / "keys").rename(folder.parent / "keys")
    (folder / "keys").symlink_to(folder.parent / "keys")


def _pipe(folder: Path) -> None:
    (folder / "README.txt").unlink()
    os.mkfifo(folder / "README.txt")


def _socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "socket"))


FOLDER_ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file more": (
        lambda folder: (folder / "keys/x").write_text("x"),
        "a member more",
    ),
    "a file less": (lambda folder: (folder / "README.txt").unlink(), "the end"),
    "other content": (lambda folder: (folder / "README.txt").write_text("for PEOPLE.\n"), "SHA-256"),
    "more content": (lambda folder: (folder / "README.txt").write_text("For people.\n\n"), "expected this member, of "),
    "a link to a file": (_link, "a regular file"),
    "a link to a folder": (_folder_link, "a regular file"),
    "a pipe": (_pipe, "a regular file"),
    "a socket": (_socket, "a regular file"),
    "a file that is too large": (
        lambda folder: os.truncate(folder / "README.txt", verify.MEMBER_MAX + 1),
        "a file of at",
    ),
}


@pytest.mark.parametrize("name", FOLDER_ATTACKS)
def test_a_folder_is_held_to_the_same_rules(
    auditor: Auditor, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    attack, words = FOLDER_ATTACKS[name]
    folder = _folder(tmp_path / "pack", forge.small().sealed())
    attack(folder)
    verdict = auditor.run(str(folder))
    assert verdict.code == 1
    assert words in verdict.lines[0]


@pytest.mark.parametrize("what", ["nothing", "files", "a link", "a link to nowhere", "a pipe", "a pack below"])
def test_a_folder_without_a_manifest_is_no_pack_whatever_is_in_it(auditor: Auditor, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    if what == "files":
        (folder / "hosts").write_text("x")
    elif what == "a pipe":
        os.mkfifo(folder / "pipe")
    elif what == "a pack below":
        _folder(folder / "pack", forge.small().sealed())
    elif what != "nothing":
        (folder / "vconsole.conf").symlink_to("/etc" if what == "a link" else "/nowhere")
    verdict = auditor.run(str(folder))
    assert verdict.code == 2
    assert re.match("✗ Not verified: /[^:]*: expected a pack, which begins with manifest.json", verdict.lines[0])


def test_a_manifest_that_is_a_link_is_tampered(auditor: Auditor, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "pack", forge.small().sealed())
    (folder / "manifest.json").rename(tmp_path / "manifest.json")
    (folder / "manifest.json").symlink_to(tmp_path / "manifest.json")
    assert auditor.run(str(folder)).code == 1


def test_a_download_that_was_cut_off_is_called_so(auditor: Auditor) -> None:
    data = forge.packed(forge.small().tar())
    verdict = auditor.ask(data[: len(data) // 2])
    assert verdict.code == 1
    assert "the file was cut off" in verdict.lines[0]


def test_a_link_in_the_place_of_a_listed_file_is_not_followed_even_if_it_appears_late(
    tmp_path: Path,
) -> None:
    folder = _folder(tmp_path / "pack", forge.small().sealed())
    pack = verify.FolderPack(str(folder))
    _link(folder)
    report = verify.Report(str(folder))
    with pytest.raises(OSError, match="symbolic"):
        verify.inspect(report, pack, verify.Options())


@pytest.mark.parametrize("compress", [False, True])
def test_a_bomb_is_refused_within_its_bounds(auditor: Auditor, compress: bool) -> None:
    story = forge.small()
    members = story.members()
    members["blobs/00"] = forge.record(bytes(200 * 1024 * 1024), length=10)
    data = story.tar(members)
    verdict = auditor.ask(gzip.compress(data) if compress else data)
    assert verdict.code == 1


WITHIN_128_MIB = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (128 << 20, 128 << 20))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.parametrize(("bomb", "code"), [(False, 0), (True, 1)])
def test_a_verdict_takes_no_more_than_128_mib_of_memory(auditor: Auditor, bomb: bool, code: int) -> None:
    story = forge.small()
    members = story.members()
    if bomb:
        members["blobs/00"] = forge.record(bytes(200 * 1024 * 1024), length=10)
    path = auditor.file(gzip.compress(story.tar(members), 1))
    command = [sys.executable, "-I", "-S", "-c", WITHIN_128_MIB, verify.__file__, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, ""), done.stdout


def test_a_pack_larger_than_all_limits_is_stopped_at_the_header(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "TOTAL_MAX", 4000)
    verdict = auditor.ask(forge.small())
    assert verdict.code == 1
    assert "in all" in verdict.lines[0]


def test_a_manifest_that_is_too_large_is_refused(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MANIFEST_MAX", 100)
    assert "manifest.json: expected at most 100 bytes" in auditor.ask(forge.small()).text


def test_what_would_not_fit_into_memory_is_not_judged(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 64
    codes = set()
    while limit < 10**6:
        monkeypatch.setattr(verify, "HELD_MAX", limit)
        verdict = auditor.ask(forge.small())
        codes.add(verdict.code)
        assert verdict.code == 0 or "export shorter periods" in verdict.text
        limit = limit * 5 // 4
    assert codes == {0, 2}


def test_a_member_that_is_read_in_pieces_is_the_same() -> None:
    raw = os.urandom(10_000) + b"\nrest"
    member = verify.Member("x", len(raw), io.BytesIO(raw).read)
    assert member.line(20_000) == raw.partition(b"\n")[0] or b"\n" in raw[:10_000]
    assert member.finish() == forge.digest(raw)
