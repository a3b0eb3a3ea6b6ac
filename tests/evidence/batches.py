"""Batches in tests: written by the real store, taken apart, changed, and put together again by somebody hostile."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evidence import dsse, note, sshsig, strict_base64, tree
from evidence.batch import BatchInfo
from evidence.batch_entries import BatchEntry
from evidence.batch_read import LIMITS, CheckedBatch, Limits, open_batch
from evidence.keys import PrivateKey, PublicKey
from evidence.log import EvidenceStore
from evidence.note import Checkpoint
from evidence.pack_tar import BLOCK, TarStream, header
from evidence.tree import Frontier
from tests.evidence.packs import Pack, unpacked
from tests.evidence.statements import users
from tests.evidence.store_parts import SEEN, ticking

HERE = "aa" * 32


class Shipper:
    """A state with an outbox beside it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.outbox = folder / "outbox"
        self.outbox.mkdir()
        self._clock = ticking()

    def opened(self) -> EvidenceStore:
        return EvidenceStore.open(str(self.state), machine=HERE, clock=self._clock, wait_s=0)

    def append(self, *rows: bytes) -> str:
        """Append a snapshot for each, and return the log's id."""
        with self.opened() as store:
            for each in rows:
                entry = store.append_snapshot([users(rows=each, row_count=1)], SEEN)
        return entry.origin.removeprefix("evidenced/").replace("/", "-")

    def logs(self) -> list[str]:
        with EvidenceStore.read(str(self.state)) as reader:
            return [each.id for each in reader.logs()]

    def write(self, log_id: str, first: int, **options: Any) -> BatchInfo:
        with self.opened() as store:
            return store.write_batch(str(self.outbox), log_id, first, **options)

    def all(self, **options: Any) -> list[BatchInfo]:
        """Write batches of everything there is."""
        found = []
        with self.opened() as store:
            for log_id in self.logs():
                at = 0
                while store.unshipped(log_id, at):
                    found.append(store.write_batch(str(self.outbox), log_id, at, **options))
                    at = found[-1].size
        return found

    def path(self, info: BatchInfo) -> str:
        return str(self.outbox / info.name)

    def bytes(self, info: BatchInfo) -> bytes:
        return (self.outbox / info.name).read_bytes()

    def pack(self, info: BatchInfo) -> Pack:
        return unpacked(self.bytes(info))

    @property
    def key(self) -> PrivateKey:
        return PrivateKey.from_pkcs8_pem((self.state / "keys" / "agent.pem").read_text())


class Taken:
    """What somebody learns who takes a whole batch in."""

    def __init__(
        self, source: Any, key: PublicKey | None = None, known: Frontier | None = None, limits: Limits = LIMITS
    ) -> None:
        with open_batch(source, limits) as batch:
            self.checked: CheckedBatch = batch.check(key, known)
            self.entries: list[BatchEntry] = list(batch.entries())
            self.blobs = {each.digest: b"".join(each.chunks()) for each in batch.blobs()}
            self.finished = batch.finished


def taken(data: bytes, key: PublicKey | None = None, known: Frontier | None = None, limits: Limits = LIMITS) -> Taken:
    return Taken(io.BytesIO(data), key, known, limits)


def canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


class Forged:
    """The members of a good batch, to be changed; `tar` gives them a manifest that fits, unless it is changed, too."""

    def __init__(self, good: Pack, key: PrivateKey) -> None:
        self.members = {name: data for name, data in good.members.items() if name != "manifest.json"}
        self.facts = good.manifest
        self.key = key
        self.log_id: str = self.facts["logs"][0]["id"]
        self.on_manifest: Callable[[dict[str, Any]], None] = lambda _: None
        self.on_raw: Callable[[bytes], bytes] = lambda raw: raw

    @property
    def bundle(self) -> str:
        return f"{self.log_id}/entries/000"

    def lines(self) -> list[bytes]:
        return self.members[self.bundle].split(b"\n")[:-1]

    def put_lines(self, lines: list[bytes]) -> None:
        self.members[self.bundle] = b"".join(each + b"\n" for each in lines)
        self.facts["counts"]["entries"] = len(lines)

    def payloads(self) -> list[bytes]:
        return [dsse.decode(each).payload for each in self.lines()]

    def sign_again(self, payloads: list[bytes]) -> None:
        """Sign entries, leaves and checkpoint anew, as who holds the key can."""
        self.put_lines([dsse.sign(each, [self.key]).encode() for each in payloads])
        self.put_leaves([tree.leaf_hash(each) for each in payloads])

    def put_leaves(self, leaves: list[bytes]) -> None:
        log = self.facts["logs"][0]
        frontier = Frontier.of(log["first"], tree.split(self.members[f"{self.log_id}/frontier"]))
        for each in leaves:
            frontier.append(each)
        log["count"], log["size"] = len(leaves), log["first"] + len(leaves)
        self.members[f"{self.log_id}/leaves"] = b"".join(leaves)
        self.put_checkpoint(Checkpoint(log["origin"], log["size"], frontier.root()))

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        signed = note.sign(checkpoint.text(), checkpoint.origin, self.key)
        self.members[f"{self.log_id}/checkpoint"] = signed.encode()
        self.members[f"{self.log_id}/checkpoint.txt"] = signed.text.encode()
        self.members[f"{self.log_id}/checkpoint.sig"] = signed.lines[0].signature
        self.members[f"{self.log_id}/checkpoint.sshsig"] = sshsig.sign(signed.text.encode(), self.key).encode()

    def statement(self, at: int, change: Callable[[dict[str, Any]], None]) -> None:
        """Change what an entry says, and sign it."""
        payloads = self.payloads()
        value = json.loads(payloads[at])
        change(value)
        payloads[at] = canonical(value)
        self.sign_again(payloads)

    def envelope(self, at: int, change: Callable[[dict[str, Any]], None]) -> None:
        """Change what stands around a payload."""
        lines = self.lines()
        value = json.loads(lines[at])
        change(value)
        lines[at] = canonical(value)
        self.put_lines(lines)

    def manifest(self) -> bytes:
        listed = [
            {"name": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for name, data in self.members.items()
        ]
        value = {**self.facts, "members": listed}
        self.on_manifest(value)
        return self.on_raw(canonical(value) + b"\n")

    def tar(self) -> bytes:
        return tar_of({"manifest.json": self.manifest(), **self.members})


def tar_of(members: dict[str, bytes]) -> bytes:
    parts: list[bytes] = []
    stream = TarStream(parts.append, compressed=False)
    for name, data in members.items():
        stream.add(name, len(data), [data])
    stream.close()
    return b"".join(parts)


def with_header(data: bytes, number: int, change: Callable[[bytearray], None]) -> bytes:
    """Return a tar of which one member's header was changed, its checksum made to fit."""
    at = 0
    for _ in range(number):
        size = int(data[at + 124 : at + 135], 8)
        at += BLOCK + size + -size % BLOCK
    block = bytearray(data[at : at + BLOCK])
    change(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:at] + bytes(block) + data[at + BLOCK :]


def unzipped(data: bytes) -> bytes:
    return gzip.decompress(data)


def encoded(data: bytes) -> str:
    return strict_base64.encode(data)


def raw_member(name: str, data: bytes) -> bytes:
    return header(name, len(data)) + data + bytes(-len(data) % BLOCK)


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))
