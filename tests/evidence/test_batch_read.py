"""Hostile batches (V2, V3, V4, V7, V12): the first bad thing is named, and nothing of them is believed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import dsse, note, statement, tree
from evidence.batch_blobs import longest
from evidence.batch_read import ElsewhereError, ForkError, Limits, open_batch
from evidence.blobs import deflated
from evidence.errors import EvidenceError, FormatError, LimitError, SignatureError
from evidence.log import EvidenceStore
from evidence.note import Checkpoint
from evidence.pack_tar import BLOCK
from evidence.tree import Frontier
from tests.evidence.batches import Forged, Shipper, canonical, encoded, taken, tar_of, unzipped, with_header
from tests.evidence.known import AGENT, OTHER, WITNESS, flipped
from tests.evidence.packs import unpacked
from tests.evidence.statements import users
from tests.evidence.store_parts import SEEN

ROWS = [b'{"name":"%d","uid":1}\n' % at for at in range(4)]


@pytest.fixture(scope="module")
def shipper(tmp_path_factory: pytest.TempPathFactory) -> Shipper:
    """Return a state of five entries, which no test appends to."""
    made = Shipper(tmp_path_factory.mktemp("shipper"))
    made.append(*ROWS)
    return made


@pytest.fixture(scope="module")
def whole(shipper: Shipper) -> bytes:
    """Return a batch of all entries."""
    return unzipped(shipper.bytes(shipper.write(shipper.logs()[0], 0)))


@pytest.fixture(scope="module")
def rest(shipper: Shipper) -> bytes:
    """Return a batch of the last two entries."""
    return unzipped(shipper.bytes(shipper.write(shipper.logs()[0], 3)))


@pytest.fixture
def forged(shipper: Shipper, whole: bytes) -> Forged:
    return Forged(unpacked(whole), shipper.key)


def test_what_the_forge_leaves_alone_is_good(forged: Forged, whole: bytes) -> None:
    assert forged.tar() == whole
    found = taken(whole)
    assert found.finished
    assert [each.kind for each in found.entries] == ["log-opened", *["snapshot"] * 4]
    assert set(ROWS) < set(found.blobs.values())
    assert found.checked.frontier.root() == found.checked.checkpoint.root
    assert tree.split(found.checked.leaves) == [each.leaf for each in found.entries]


def test_a_stream_that_gives_few_bytes_at_a_time_is_read(shipper: Shipper, whole: bytes) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(7, size or 0) if size and size > 0 else 7)

    for data in (whole, gzip.compress(whole)):
        with open_batch(Slow(data)) as batch:
            batch.check(shipper.key.public)
            assert sum(1 for _ in batch.blobs()) == len(list(shipper.state.glob("blobs/*/*")))


# -- the container

Attack = Callable[[Forged], bytes]


def _header(number: int, at: int, data: bytes) -> Attack:
    def change(block: bytearray) -> None:
        block[at : at + len(data)] = data

    return lambda forged: with_header(forged.tar(), number, change)


def _kind(kind: bytes, link: bytes = b"") -> Attack:
    def change(block: bytearray) -> None:
        block[156:157] = kind
        block[157 : 157 + len(link)] = link

    return lambda forged: with_header(forged.tar(), 2, change)


def _members(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Attack:
    """Change the members behind a manifest that lists the good ones."""

    def attack(forged: Forged) -> bytes:
        return tar_of({"manifest.json": forged.manifest(), **change(dict(forged.members))})

    return attack


def _listed(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Attack:
    """Change the members, and the manifest with them."""

    def attack(forged: Forged) -> bytes:
        forged.members = change(dict(forged.members))
        return forged.tar()

    return attack


def _swapped(members: dict[str, bytes]) -> dict[str, bytes]:
    names = list(members)
    names[1], names[2] = names[2], names[1]
    return {name: members[name] for name in names}


def _renamed(old: str, new: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda members: {new if name.endswith(old) else name: data for name, data in members.items()}


CONTAINERS: dict[str, tuple[Attack, str]] = {
    "no tar": (lambda _: b"<html>", "a tar that begins with manifest.json"),
    "nothing": (lambda _: b"", "a tar that begins with manifest.json"),
    "a manifest that is not first": (
        lambda forged: tar_of({**forged.members, "manifest.json": forged.manifest()}),
        "a tar that begins with manifest.json",
    ),
    "a member more": (_members(lambda all_: {**all_, "blobs/01": b"x"}), "two zero blocks"),
    "a member more that is listed": (_listed(lambda all_: {**all_, "x": b"x"}), "the members of a batch"),
    "a script to run": (_listed(lambda all_: {**all_, "verify.py": b"x"}), "the members of a batch"),
    "a member less": (_members(lambda all_: {k: v for k, v in all_.items() if k != "blobs/00"}), "header of blobs/00"),
    "no leaves": (_listed(lambda all_: {k: v for k, v in all_.items() if "leaves" not in k}), "the members of a batch"),
    "two members swapped": (_members(_swapped), "the header of keys/"),
    "two members swapped in the list, too": (_listed(_swapped), "the members of a batch"),
    "a way out of the folder": (_listed(_renamed("blobs/00", "../../etc/cron.d/x")), "the members of a batch"),
    "an absolute name": (_listed(_renamed("blobs/00", "/etc/passwd")), "the members of a batch"),
    "a name in capitals": (_listed(_renamed("blobs/00", "BLOBS/00")), "the members of a batch"),
    "a bundle of another number": (_listed(_renamed("entries/000", "entries/001")), "the members of a batch"),
    "a symbolic link": (_kind(b"2", b"/etc/shadow"), "a regular file"),
    "a hard link": (_kind(b"1", b"manifest.json"), "a regular file"),
    "a device": (_kind(b"3"), "a regular file"),
    "a pipe": (_kind(b"6"), "a regular file"),
    "a folder": (_kind(b"5"), "a regular file"),
    "a sparse file": (_kind(b"S"), "a regular file"),
    "a pax header": (_kind(b"x"), "a regular file"),
    "a global pax header": (_kind(b"g"), "a regular file"),
    "a GNU long name": (_kind(b"L"), "a regular file"),
    "a link name in a regular file": (_kind(b"0", b"x"), "a regular file"),
    "another mode": (_header(2, 100, b"0004755"), "a regular file"),
    "an owner": (_header(2, 108, b"0001750"), "a regular file"),
    "a time": (_header(2, 136, b"14000000000"), "a regular file"),
    "a prefix that moves a member": (_header(2, 345, b"etc"), "a regular file"),
    "a size in GNU's binary form": (_header(2, 124, b"\x80" + bytes(11)), "a regular file"),
    "a size that is too large": (_header(2, 124, b"77777777777"), "a regular file"),
    "a manifest that is endless": (_header(0, 124, b"77777777777"), "at most 2097152 bytes"),
    "a manifest of a negative size": (_header(0, 124, b"-0000000005"), "a tar that begins with manifest.json"),
    "bytes in the padding": (lambda forged: _padded(forged.tar()), "zeros behind its content"),
    "a byte behind the end": (lambda forged: forged.tar() + b"\0", "nothing behind"),
    "another tar behind the end": (lambda forged: forged.tar() * 2, "nothing behind"),
    "one zero block": (lambda forged: forged.tar()[:-BLOCK], "two zero blocks"),
    "half a header": (lambda forged: forged.tar()[: len(forged.tar()) // BLOCK // 2 * BLOCK + 9], "or the end|cut off"),
    "half a member": (lambda forged: forged.tar()[: 2 * BLOCK], "fewer: the file was cut off"),
    "a second gzip member": (lambda forged: gzip.compress(forged.tar()) * 2, "one whole gzip member"),
    "a byte behind the gzip member": (lambda forged: gzip.compress(forged.tar()) + b"x", "one whole gzip member"),
    "a gzip member that is cut off": (lambda forged: gzip.compress(forged.tar())[:-1], "one whole gzip member"),
    "a gzip member with another sum": (lambda forged: flipped(gzip.compress(forged.tar()), -6), "intact data"),
    "a bomb of zeros": (lambda forged: gzip.compress(forged.tar() + bytes(1 << 26)), "nothing behind"),
}


def _padded(tar: bytes) -> bytes:
    size = int(tar[124:135], 8)
    at = BLOCK + size
    return tar[:at] + b"x" + tar[at + 1 :]


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_exactly_what_was_announced(forged: Forged, name: str) -> None:
    attack, words = CONTAINERS[name]
    with pytest.raises(EvidenceError, match=words):
        taken(attack(forged))


def test_an_endless_line_of_zeros_behind_a_batch_is_not_read(whole: bytes) -> None:
    class Endless(io.BytesIO):
        asked = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.asked += 1
            assert self.asked < 10_000
            return super().read(size) or bytes(size or 0)

    with open_batch(Endless(whole)) as batch:
        batch.check()
        with pytest.raises(FormatError, match="nothing behind"):
            list(batch.blobs())


LIMITED: dict[str, Limits] = {
    "manifest": Limits(manifest_bytes=1000),
    "a member": Limits(member_bytes=100),
    "all": Limits(total_bytes=4000),
    "blobs": Limits(blob_bytes=100),
    "entries": Limits(entries=4),
    "names": Limits(names=3),
}


@pytest.mark.parametrize("name", LIMITED)
def test_no_batch_takes_more_than_it_may(whole: bytes, name: str) -> None:
    with pytest.raises(LimitError):
        taken(whole, limits=LIMITED[name])


# -- the manifest

Change = Callable[[Forged], None]


def _manifest(change: Callable[[dict[str, Any]], None]) -> Change:
    def attack(forged: Forged) -> None:
        forged.on_manifest = change

    return attack


def _raw(change: Callable[[bytes], bytes]) -> Change:
    def attack(forged: Forged) -> None:
        forged.on_raw = change

    return attack


def _log(**fields: Any) -> Change:
    return _manifest(lambda value: value["logs"][0].update(fields))


MANIFESTS: dict[str, tuple[Change, str]] = {
    "a pack": (_manifest(lambda value: value.update(kind="pack")), "the manifest of a batch"),
    "a later format": (_manifest(lambda value: value.update(format=2)), "format 1, found format 2"),
    "a period": (_manifest(lambda value: value.update(period={})), "the manifest of a batch"),
    "a field more": (_manifest(lambda value: value.update(note="x")), "the manifest of a batch"),
    "a field less": (_manifest(lambda value: value.pop("counts")), "the manifest of a batch"),
    "no log": (_manifest(lambda value: value.update(logs=[])), "one log, found 0"),
    "two logs": (_manifest(lambda value: value["logs"].append(value["logs"][0])), "one log, found 2"),
    "a count that is a text": (_log(count="5"), "the manifest of a batch"),
    "a count that is too large for a name": (_log(count=10**12), "the manifest of a batch"),
    "a negative first": (_log(first=-1), "the manifest of a batch"),
    "a range that ends elsewhere": (_log(size=6), "entries that end where the checkpoint does"),
    "no entries": (_log(first=5, count=0), "entries that end where the checkpoint does"),
    "another origin": (_log(origin="evidenced/0123456789abcdef/1"), "a log id and its origin"),
    "a log id that is a way": (_log(id="../../etc"), "a log id and its origin"),
    "another key": (_log(keyid=OTHER.public.fingerprint), "the key of log"),
    "more entries than there are": (_manifest(lambda value: value["counts"].update(entries=6)), "6 entries, found 5"),
    "more bundles than there are": (
        _manifest(lambda value: value["counts"].update(entries=300)),
        "the members of a batch",
    ),
    "more blobs than there are": (_manifest(lambda value: value["counts"].update(blobs=99)), "99 blobs"),
    "another host": (
        _manifest(lambda value: value["hosts"][0].update(name="other.example")),
        "the hosts that the entries name",
    ),
    "a host twice": (_manifest(lambda value: value["hosts"].append(value["hosts"][0])), "hosts sorted, each once"),
    "no host": (_manifest(lambda value: value.update(hosts=[])), "the hosts that the entries name"),
    "a digest in capitals": (
        _manifest(lambda value: value["members"][0].update(sha256="A" * 64)),
        "a SHA-256 and a size",
    ),
    "a digest of something else": (
        _manifest(lambda value: value["members"][0].update(sha256="0" * 64)),
        "the SHA-256 that the manifest says",
    ),
    "a negative size": (_manifest(lambda value: value["members"][0].update(size=-1)), "a SHA-256 and a size"),
    "a size past a tar": (_manifest(lambda value: value["members"][0].update(size=2**40)), "at most 67108864 bytes"),
    "a key twice": (_raw(lambda raw: raw.replace(b'"format":1', b'"format":1,"format":1')), "each key once"),
    "NaN": (_raw(lambda raw: raw.replace(b'"format":1', b'"format":NaN')), "integers only"),
    "1e400": (_raw(lambda raw: raw.replace(b'"format":1', b'"format":1e400')), "integers only"),
    "a space": (_raw(lambda raw: raw.replace(b'"format":1', b'"format": 1')), "another spelling"),
    "no newline": (_raw(lambda raw: raw[:-1]), "another spelling"),
    "a byte order mark": (_raw(lambda raw: b"\xef\xbb\xbf" + raw), "JSON"),
    "UTF-16": (_raw(lambda raw: raw.decode().encode("utf-16")), "UTF-8"),
    "a surrogate": (_raw(lambda raw: raw.replace(b"host.example", b"host\\ud800xample")), "Unicode text"),
    "depth": (
        _raw(lambda raw: raw.replace(b'"organisation":null', b'"organisation":' + b"[" * 99 + b"]" * 99)),
        "nested",
    ),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_agrees_with_what_follows(forged: Forged, name: str) -> None:
    change, words = MANIFESTS[name]
    change(forged)
    with pytest.raises(EvidenceError, match=words):
        taken(forged.tar())


# -- keys, checkpoint and tree


def _member(name: str, change: Callable[[bytes], bytes]) -> Change:
    def attack(forged: Forged) -> None:
        full = next(each for each in forged.members if each.endswith(name))
        forged.members[full] = change(forged.members[full])

    return attack


def _note(change: Callable[[bytes], bytes]) -> Change:
    return _member("/checkpoint", change)


def _text(change: Callable[[bytes], bytes]) -> Change:
    """Sign another text with the log's key."""

    def attack(forged: Forged) -> None:
        name = f"{forged.log_id}/checkpoint"
        text = change(note.parse(forged.members[name]).text.encode())
        origin = "evidenced/" + forged.log_id.replace("-", "/")
        line = note.SignatureLine(origin, forged.key.public.note_id(origin), forged.key.sign(text))
        forged.members[name] = text + b"\n" + line.text().encode()

    return attack


def _other_signer(forged: Forged) -> None:
    text = note.parse(forged.members[f"{forged.log_id}/checkpoint"]).text
    origin = "evidenced/" + forged.log_id.replace("-", "/")
    line = note.SignatureLine(origin, forged.key.public.note_id(origin), OTHER.sign(text.encode()))
    signed = note.sign(text, "someone", OTHER).with_line(line)
    forged.members[f"{forged.log_id}/checkpoint"] = signed.encode()


def _witness_first(forged: Forged) -> None:
    name = f"{forged.log_id}/checkpoint"
    found = note.parse(forged.members[name])
    line = note.cosign(found.text, "hub.example", WITNESS, 1)
    forged.members[name] = note.Note(found.text, (line, *found.lines)).encode()


def _leaves(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    return _member("/leaves", lambda data: b"".join(change(tree.split(data))))


JUNK = "— someone.else " + encoded(bytes(68)) + "\n"
HEADS: dict[str, tuple[Change, str]] = {
    "another key": (_member(".pem", lambda _: OTHER.public.pem().encode()), "the key of log"),
    "two keys": (_member(".pem", lambda data: data * 2), r"\.pem: expected"),
    "a key with words before it": (_member(".pem", lambda data: b"x\n" + data), r"\.pem: expected"),
    "line ends of Windows": (_member(".pem", lambda data: data.replace(b"\n", b"\r\n")), "one PEM block"),
    "a key of small order": (
        _member(".pem", lambda _: b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA" + b"A" * 43 + b"=\n"),
        r"\.pem: expected",
    ),
    "another key for OpenSSH": (
        _member(".pub", lambda _: OTHER.public.openssh("x").encode()),
        r"\.pub: expected the same key",
    ),
    "another key for notes": (_member(".vkey", lambda data: data[:-9] + b"AAAAAAAA\n"), r"\.vkey: expected the same"),
    "a protection that nobody knows": (_member(".json", lambda _: b'{"protection":"none"}\n'), "file, sealed, memory"),
    "CRLF": (_note(lambda data: data.replace(b"\n", b"\r\n")), "no control character"),
    "two empty lines": (_note(lambda data: data.replace(b"\n\n", b"\n\n\n")), "checkpoint"),
    "a hyphen for the dash": (_note(lambda data: data.replace("—".encode(), b"-")), "a signature line"),
    "size 007": (_text(lambda text: text.replace(b"\n5\n", b"\n005\n")), "without leading zeros"),
    "size -1": (_text(lambda text: text.replace(b"\n5\n", b"\n-1\n")), "a decimal size"),
    "size 2^64": (_text(lambda text: text.replace(b"\n5\n", b"\n18446744073709551616\n")), "a decimal size"),
    "size 4": (_text(lambda text: text.replace(b"\n5\n", b"\n4\n")), "of size 5, found another"),
    "another origin": (_text(lambda text: text.replace(b"/1\n", b"/2\n")), "found another log or size"),
    "a fourth line": (_text(lambda text: text + b"more\n"), "origin, size and root"),
    "10,000 signatures": (_note(lambda data: data + JUNK.encode() * 10_000), "at most 65536 bytes"),
    "101 signatures": (_note(lambda data: data + JUNK.encode() * 100), "at most 100 signature lines"),
    "a bad line of the known key, a good one of another": (_other_signer, "one that does not verify"),
    "a flipped signature": (
        _note(lambda data: note.Note(note.parse(data).text, (_flipped(note.parse(data).lines[0]),)).encode()),
        "one that does not verify",
    ),
    "no line of the key": (_note(lambda data: data.partition(b"\n\n")[0] + b"\n\n" + JUNK.encode()), "a known key"),
    "a witness before the log": (_witness_first, "the log's own line first"),
    "the log's line twice": (_note(lambda data: data + data.partition(b"\n\n")[2]), "the log's own line once"),
    "another text by itself": (_member("checkpoint.txt", lambda data: data + b"x"), "what stands in the checkpoint"),
    "another signature by itself": (_member("checkpoint.sig", flipped), "what stands in the checkpoint"),
    "an SSHSIG over another text": (_member(".sshsig", lambda data: flipped(data, 200)), "sshsig"),
    "no SSHSIG": (_member(".sshsig", lambda _: b"\xff"), "ASCII"),
    "a frontier for an empty tree": (_member("/frontier", lambda _: bytes(32)), "0 hashes for 0 leaves, found 1"),
    "half a hash": (_member("/frontier", lambda _: bytes(31)), "a multiple of 32"),
    "a leaf more": (_leaves(lambda leaves: [*leaves, leaves[0]]), "5 leaf hashes"),
    "a leaf less": (_leaves(lambda leaves: leaves[:-1]), "5 leaf hashes"),
    "no leaves": (_leaves(lambda _: []), "5 leaf hashes"),
    "two leaves swapped": (_leaves(lambda leaves: [leaves[1], leaves[0], *leaves[2:]]), "give the signed root"),
    "a leaf of another entry": (_leaves(lambda leaves: [leaves[1], *leaves[1:]]), "give the signed root"),
}


def _flipped(line: note.SignatureLine) -> note.SignatureLine:
    return note.SignatureLine(line.name, line.key_id, flipped(line.signature))


@pytest.mark.parametrize("name", HEADS)
def test_a_head_proves_the_tree_or_is_refused(forged: Forged, name: str) -> None:
    change, words = HEADS[name]
    change(forged)
    with pytest.raises(EvidenceError, match=words):
        taken(forged.tar())


def test_a_frontier_of_another_tree_does_not_give_the_root(shipper: Shipper, rest: bytes) -> None:
    made = Forged(unpacked(rest), shipper.key)
    name = f"{made.log_id}/frontier"
    made.members[name] = flipped(made.members[name])
    with pytest.raises(EvidenceError, match="give the signed root"):
        taken(made.tar())


def test_a_batch_of_another_key_is_refused_where_the_key_is_known(whole: bytes, shipper: Shipper) -> None:
    words = re.escape(f"the key {OTHER.public.fingerprint}, found {shipper.key.public.fingerprint}")
    with pytest.raises(SignatureError, match=words):
        taken(whole, OTHER.public)


def test_a_batch_goes_on_from_a_known_tree_also_where_they_overlap(shipper: Shipper, rest: bytes) -> None:
    with EvidenceStore.read(str(shipper.state)) as reader:
        leaves = tree.split(reader.leaves(shipper.logs()[0]))
    for size in (3, 4, 5):
        found = taken(rest, shipper.key.public, Frontier(leaves[:size]))
        assert found.checked.frontier.full == Frontier(leaves).full
    for size in (0, 2, 6):
        with pytest.raises(ElsewhereError, match=f"entries that go on at {size}, found entries 3 to 4") as caught:
            taken(rest, shipper.key.public, Frontier((leaves * 2)[:size]))
        assert caught.value.size == size


@pytest.mark.parametrize("size", [3, 4, 5])
def test_a_fork_is_told_with_both_checkpoints(shipper: Shipper, rest: bytes, size: int) -> None:
    known = Frontier([bytes(32)] * size)
    with pytest.raises(ForkError, match=f"the tree known at size {size} within size 5, found another tree") as caught:
        taken(rest, shipper.key.public, known)
    origin = "evidenced/" + shipper.logs()[0].replace("-", "/")
    assert caught.value.known == Checkpoint(origin, size, known.root())
    assert caught.value.checkpoint.size == 5
    with EvidenceStore.read(str(shipper.state)) as reader:
        leaves = tree.split(reader.leaves(shipper.logs()[0]))
    assert caught.value.root == tree.root(leaves[:size])
    note.verify(caught.value.other, [note.Verifier(origin, shipper.key.public)])


def test_a_frontier_that_leads_to_no_signature_is_no_fork(shipper: Shipper, rest: bytes) -> None:
    """A fork has to be proved by the log's own signature, or anyone could accuse it of one."""
    made = Forged(unpacked(rest), shipper.key)
    name = f"{made.log_id}/frontier"
    made.members[name] = flipped(made.members[name])
    with pytest.raises(EvidenceError) as caught:
        taken(made.tar(), shipper.key.public, Frontier([bytes(32)] * 3))
    assert not isinstance(caught.value, ForkError)


# -- entries


def _say(change: Callable[[dict[str, Any]], None], at: int = 1) -> Change:
    return lambda forged: forged.statement(at, change)


def _wrap(change: Callable[[dict[str, Any]], None], at: int = 1) -> Change:
    return lambda forged: forged.envelope(at, change)


def _payload(change: Callable[[bytes], bytes]) -> Change:
    def attack(forged: Forged) -> None:
        payloads = forged.payloads()
        payloads[1] = change(payloads[1])
        forged.sign_again(payloads)

    return attack


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    return lambda forged: forged.put_lines(change(forged.lines()))


def _signed_over(message: Callable[[bytes], bytes]) -> Change:
    def attack(forged: Forged) -> None:
        signature = encoded(forged.key.sign(message(forged.payloads()[1])))
        forged.envelope(1, lambda value: value["signatures"][0].update(sig=signature))

    return attack


def _rotation(*signers: Any, at_end: bool = True, **fields: Any) -> Change:
    """Put an entry that closes the log at the end, or in place of the one before it."""

    def attack(forged: Forged) -> None:
        payloads = forged.payloads()
        where = -1 if at_end else -2
        value = json.loads(payloads[where])
        predicate = value["predicate"]
        for name in ("run", "tables"):
            predicate.pop(name)
        told = {**statement.key_rotated(OTHER.public, 2), **fields}
        predicate["event"] = {**told, "absence": None, "kind": "key-rotated"}
        value["predicateType"] = "urn:evidenced:event:v1"
        value["subject"] = [{**value["subject"][0], "name": "event"}]
        payloads[where] = canonical(value)
        forged.sign_again(payloads)
        lines = forged.lines()
        keys = [forged.key if each is None else each for each in signers]
        lines[where] = dsse.sign(payloads[where], keys).encode()
        forged.put_lines(lines)

    return attack


ENTRIES: dict[str, tuple[Change, str]] = {
    "a flipped signature": (
        _wrap(lambda value: value["signatures"][0].update(sig=encoded(bytes(64)))),
        "entries/000 line 2: expected a signature of",
    ),
    "another key's id": (_wrap(lambda v: v["signatures"][0].update(keyid=OTHER.public.fingerprint)), "key id SHA256"),
    "a hexadecimal key id": (_wrap(lambda value: value["signatures"][0].update(keyid="ab" * 32)), "key id SHA256"),
    "no key id": (_wrap(lambda value: value["signatures"][0].pop("keyid")), "in its one spelling"),
    "a field more": (_wrap(lambda value: value.update(note="x")), "in its one spelling"),
    "a field more in a signature": (_wrap(lambda v: v["signatures"][0].update(cert="x")), "in its one spelling"),
    "no signature": (_wrap(lambda value: value.update(signatures=[])), "1 to 16 signatures"),
    "the same signature twice": (_wrap(lambda v: v.update(signatures=v["signatures"] * 2)), "signatures: 1, found 2"),
    "another payload type": (_wrap(lambda value: value.update(payloadType="text/plain")), "an in-toto statement"),
    "the alphabet of URLs": (_wrap(lambda v: v.update(payload="_" + v["payload"][1:])), "base64"),
    "base64 without padding": (
        _wrap(lambda v: v["signatures"][0].update(sig=v["signatures"][0]["sig"].rstrip("="))),
        "base64",
    ),
    "a signature over the bare payload": (_signed_over(lambda raw: raw), "one that does not verify"),
    "a signature over another type": (_signed_over(lambda raw: dsse.pae("text/plain", raw)), "does not verify"),
    "white space in a line": (_lines(lambda lines: [lines[0].replace(b":", b": "), *lines[1:]]), "one spelling"),
    "an empty line": (_lines(lambda lines: [b"", *lines]), "line 1: expected JSON"),
    "an entry twice": (_lines(lambda lines: [lines[0], *lines]), "an entry from 1 to 4, found 0"),
    "two entries swapped": (_lines(lambda l_: [l_[0], l_[2], l_[1], *l_[3:]]), "an entry from 3 to 4, found 1"),
    "an endless line": (_lines(lambda lines: [b"A" * 200_000, *lines]), "lines of at most"),
    "a line of 130 KiB": (_lines(lambda lines: [b"A" * 133_000, *lines]), "at most"),
    "an entry of another log": (
        _say(lambda value: value["predicate"]["log"].update(origin="evidenced/0123456789abcdef/1")),
        "one of another log",
    ),
    "a sequence of the entry before": (
        _say(lambda v: v["predicate"]["log"].update(sequence=0)),
        "from 1 to 4, found 0",
    ),
    "a sequence that is too large": (_say(lambda v: v["predicate"]["log"].update(sequence=5)), "from 1 to 4, found 5"),
    "a sequence of another leaf": (_say(lambda v: v["predicate"]["log"].update(sequence=2)), "the payload of leaf 2"),
    "a log that opens twice": (
        lambda forged: _opening_twice(forged),  # noqa: PLW0108  it stands below
        "log-opened first, and only there",
    ),
    "a field that no format knows": (_say(lambda value: value["predicate"].update(more=1)), "exactly the keys"),
    "an unknown predicate": (_say(lambda value: value.update(predicateType="urn:x")), "statement of format 1"),
    "subjects unsorted": (_say(lambda value: value["subject"].reverse()), "names sorted and unique"),
    "a wall clock of no day": (
        _say(lambda v: v["predicate"]["clock"].update(wall="2026-02-30T00:00:00.000Z")),
        "a time in UTC",
    ),
    "NaN": (_payload(lambda raw: raw.replace(b'"cpu_ms":2', b'"cpu_ms":NaN')), "restricted JSON"),
    "a key twice": (_payload(lambda raw: raw.replace(b'"cpu_ms":2', b'"cpu_ms":2,"cpu_ms":2')), "restricted JSON"),
    "UTF-16": (_payload(lambda raw: raw.decode().encode("utf-16")), "restricted JSON"),
    "a surrogate": (_payload(lambda raw: raw.replace(b"host.example", b"host\\ud800")), "restricted JSON"),
    "no document": (_payload(lambda _: b""), "restricted JSON"),
    "a rotation signed once": (_rotation(None), "signatures: 2, found 1"),
    "a rotation not signed by the new key": (_rotation(None, AGENT), "key id SHA256"),
    "a rotation not signed by the old key": (_rotation(OTHER, None), "key id SHA256"),
    "a rotation to a key of another name": (
        _rotation(None, OTHER, keyid=AGENT.public.fingerprint),
        "the fingerprint of the new key",
    ),
    "a rotation to no key": (_rotation(None, OTHER, key="AAAA"), "Ed25519"),
    "entries behind a rotation": (_rotation(None, OTHER, at_end=False), "nothing behind key-rotated"),
}


def _opening_twice(forged: Forged) -> None:
    payloads = forged.payloads()
    value = json.loads(payloads[0])
    value["predicate"]["log"]["sequence"] = 1
    payloads[1] = canonical(value)
    forged.sign_again(payloads)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_signed_well_formed_and_in_its_place(forged: Forged, name: str) -> None:
    change, words = ENTRIES[name]
    change(forged)
    with pytest.raises(EvidenceError, match=words):
        taken(forged.tar())


def test_a_rotation_that_both_keys_signed_is_taken(forged: Forged) -> None:
    _rotation(None, OTHER)(forged)
    assert taken(forged.tar()).entries[-1].kind == "key-rotated"


def test_an_entry_that_is_left_out_is_lost_and_its_blobs_may_not_come(forged: Forged) -> None:
    forged.put_lines(forged.lines()[:-1])
    with pytest.raises(EvidenceError, match="an entry that names it"):
        taken(forged.tar())
    forged.members.pop("blobs/00")
    forged.facts["counts"]["blobs"] = 0
    assert [each.kind for each in taken(forged.tar()).entries] == ["log-opened", *["snapshot"] * 3, "lost"]


def test_entries_fill_their_bundles(tmp_path: Path) -> None:
    shipper = Shipper(tmp_path)
    log = shipper.append(*(b'{"name":"%d","uid":1}\n' % at for at in range(259)))
    forged = Forged(shipper.pack(shipper.write(log, 0)), shipper.key)
    assert len(taken(forged.tar()).entries) == 260
    second = f"{log}/entries/001"
    *lines, last = forged.lines()
    forged.put_lines(lines)
    forged.members[second] = last + b"\n" + forged.members[second]
    forged.facts["counts"]["entries"] = 260
    with pytest.raises(FormatError, match="entries/000: expected 256 entries, found 255"):
        taken(forged.tar())


# -- blobs


def _records(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    def attack(forged: Forged) -> None:
        data, records = forged.members["blobs/00"], []
        while data:
            head, _, rest = data.partition(b"\n")
            size = int(head.split(b" ")[2])
            records.append(head + b"\n" + rest[: size + 1])
            data = rest[size + 1 :]
        records = change(records)
        forged.members["blobs/00"] = b"".join(records)
        forged.facts["counts"]["blobs"] = len(records)

    return attack


def _head(change: Callable[[list[bytes]], list[bytes]]) -> Change:
    """Change digest, length and compressed length of the first record."""

    def edit(records: list[bytes]) -> list[bytes]:
        head, _, rest = records[0].partition(b"\n")
        return [b" ".join(change(head.split(b" "))) + b"\n" + rest, *records[1:]]

    return _records(edit)


def _unnamed(records: list[bytes]) -> list[bytes]:
    stored = zlib.compress(b"a stranger")
    name = hashlib.sha256(b"a stranger").hexdigest().encode()
    return sorted([*records, b"%s 10 %d\n%s\n" % (name, len(stored), stored)])


def _blown_up(records: list[bytes]) -> list[bytes]:
    """Spell the first blob with a thousand empty blocks in front: valid, and far too long."""
    head, _, rest = records[0].partition(b"\n")
    name, length, _ = head.split(b" ")
    stored = b"\x78\x9c" + b"\0\0\0\xff\xff" * 1000 + rest[2:-1]
    assert zlib.decompress(stored) == zlib.decompress(rest[:-1])
    return [b"%s %s %d\n%s\n" % (name, length, len(stored), stored), *records[1:]]


BLOBS: dict[str, tuple[Change, str]] = {
    "a blob that no entry names": (_records(_unnamed), "an entry that names it"),
    "a blob twice": (_records(lambda all_: [all_[0], *all_]), "digests that rise"),
    "two blobs swapped": (_records(lambda all_: [all_[1], all_[0], *all_[2:]]), "digests that rise"),
    "another digest": (_head(lambda head: [b"0" * 64, *head[1:]]), "an entry that names it"),
    "a digest in capitals": (_head(lambda head: [b"A" * 64, *head[1:]]), "a line of digest"),
    "a length that is too small": (_head(lambda head: [head[0], b"1", head[2]]), "of this SHA-256"),
    "a length that is too large": (_head(lambda head: [head[0], b"99999999", head[2]]), "at most 67108864"),
    "a length with a zero before it": (_head(lambda head: [head[0], b"0" + head[1], head[2]]), "a line of digest"),
    "a compressed length that goes beyond": (_head(lambda head: [*head[:2], b"99999999"]), "within its member"),
    "a compressed length of 0": (_head(lambda head: [*head[:2], b"0"]), "a line of digest"),
    "an endless first line": (_member("blobs/00", lambda data: b"0" * 999 + data), "a line of digest"),
    "bytes behind the last record": (_member("blobs/00", lambda data: data + b"x"), "a line of digest"),
    "no newline behind a record": (_member("blobs/00", lambda data: data[:-1] + b"x"), "a newline behind each"),
    "zlib data far longer than what it holds": (_records(_blown_up), "bytes of zlib data"),
    "other bytes": (_member("blobs/00", lambda data: flipped(data, -8)), "blob "),
    "an empty member": (_member("blobs/00", lambda _: b""), "1 to 33554432 bytes"),
}


@pytest.mark.parametrize("name", BLOBS)
def test_a_blob_is_what_its_name_says_and_an_entry_names_it(forged: Forged, name: str) -> None:
    change, words = BLOBS[name]
    change(forged)
    with pytest.raises(EvidenceError, match=words):
        taken(forged.tar())


@given(data=st.binary(max_size=5000), level=st.sampled_from((0, 1, 6, 9)))
def test_what_zlib_writes_is_never_too_long(data: bytes, level: int) -> None:
    assert len(zlib.compress(data, level)) <= longest(len(data))
    noise = hashlib.shake_256(data).digest(100 * len(data))
    assert len(deflated(noise)) <= longest(len(noise))


# -- its use


def test_a_batch_is_read_in_its_order_and_once(whole: bytes) -> None:
    with open_batch(io.BytesIO(whole)) as batch:
        with pytest.raises(RuntimeError, match="checked before"):
            list(batch.entries())
        batch.check()
        with pytest.raises(RuntimeError, match="checked once"):
            batch.check()
        next(iter(batch.entries()))
        with pytest.raises(RuntimeError, match="read to their end"):
            list(batch.blobs())
        assert not batch.finished


def test_a_batch_of_which_not_all_was_read_is_not_finished(whole: bytes) -> None:
    with open_batch(io.BytesIO(whole)) as batch:
        batch.check()
        assert len(list(batch.entries())) == 5
        assert not batch.finished
        next(iter(batch.blobs()))
        assert not batch.finished


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="a regular file"), open_batch(str(tmp_path / "pipe")):
        pass


def test_a_pack_is_no_batch() -> None:
    path = Path(__file__).parent / "golden" / "pack.tar.gz"
    with pytest.raises(FormatError, match="the manifest of a batch of format 1"), open_batch(str(path)):
        pass


@settings(max_examples=100)
@given(at=st.floats(0, 1), piece=st.binary(max_size=4), cut=st.integers(0, 4), reseal=st.booleans())
def test_any_change_is_refused_or_changes_nothing_that_is_signed(
    shipper: Shipper, whole: bytes, at: float, piece: bytes, cut: int, *, reseal: bool
) -> None:
    if reseal:
        forged = Forged(unpacked(whole), shipper.key)
        name = list(forged.members)[int(at * 997) % len(forged.members)]
        data = forged.members[name]
        place = int(at * len(data))
        forged.members[name] = data[:place] + piece + data[place + cut :]
        changed = forged.tar()
    else:
        place = int(at * len(whole))
        changed = whole[:place] + piece + whole[place + cut :]
    try:
        found = taken(changed, shipper.key.public)
    except EvidenceError:
        return
    good = taken(whole, shipper.key.public)
    assert found.entries == good.entries
    assert found.checked.leaves == good.checked.leaves
    assert found.blobs.items() <= good.blobs.items()


def test_every_kind_of_snapshot_that_is_written_is_read(tmp_path: Path) -> None:
    shipper = Shipper(tmp_path)
    odd = users(
        coverage="failed", failure="killed", rows=b"", row_count=0, interval_s=None, name="groups", header=b"{}\n"
    )
    off = users(coverage="disabled", rows=b"", row_count=0, header=None, name="units")
    with shipper.opened() as store:
        entry = store.append_snapshot([users(), odd, off], SEEN)
        store.append_event("gap", {"failures": 3}, {}, SEEN)
        store.rotate(SEEN)
    assert len(taken(shipper.bytes(shipper.write(entry.origin[10:].replace("/", "-"), 0))).entries) == 4
