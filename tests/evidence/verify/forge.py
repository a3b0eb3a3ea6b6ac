"""Packs made from nothing: written from docs/formats.md alone, sharing no line with the product's writer.

A forger has keys, a story and every chance to lie: statements can be changed before they are signed, envelopes after,
members at will, and the manifest is made to fit unless the test wants it wrong.
"""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
PAYLOAD_TYPE = "application/vnd.in-toto+json"
SPKI = bytes.fromhex("302a300506032b6570032100")
MEMBER_BYTES = 512


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def time_text(when: datetime, *, milliseconds: bool = False) -> str:
    return when.isoformat(timespec="milliseconds" if milliseconds else "seconds").replace("+00:00", "Z")


class Signer:
    """A key pair from a seed, in all the forms a pack shows."""

    def __init__(self, seed: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + self.raw
        self.fingerprint = "SHA256:" + b64(hashlib.sha256(blob).digest()).rstrip("=")
        self.spki = SPKI + self.raw
        self.pem = f"-----BEGIN PUBLIC KEY-----\n{b64(self.spki)}\n-----END PUBLIC KEY-----\n"
        self.pub = f"ssh-ed25519 {b64(blob)}\n"
        self.name16 = digest(self.raw)[:16]

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def key_id(self, name: str, kind: int) -> bytes:
        return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + self.raw).digest()[:4]

    def vkey(self, name: str, kind: int = 1) -> str:
        return f"{name}+{self.key_id(name, kind).hex()}+{b64(bytes([kind]) + self.raw)}"

    def note_line(self, name: str, text: bytes) -> str:
        return f"— {name} {b64(self.key_id(name, 1) + self.sign(text))}\n"

    def cosignature(self, name: str, text: bytes, seconds: int) -> str:
        signed = self.sign(b"cosignature/v1\ntime %d\n" % seconds + text)
        return f"— {name} {b64(self.key_id(name, 4) + seconds.to_bytes(8, 'big') + signed)}\n"

    def sshsig(self, text: bytes, namespace: bytes = b"checkpoint@evidenced") -> str:
        def string(raw: bytes) -> bytes:
            return len(raw).to_bytes(4, "big") + raw

        common = string(namespace) + string(b"") + string(b"sha512")
        signature = self.sign(b"SSHSIG" + common + string(hashlib.sha512(text).digest()))
        public = string(b"ssh-ed25519") + string(self.raw)
        blob = b"SSHSIG\0\0\0\x01" + string(public) + common + string(string(b"ssh-ed25519") + string(signature))
        body = b64(blob)
        lines = [body[at : at + 70] for at in range(0, len(body), 70)]
        return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def root_of(leaves: list[bytes]) -> bytes:
    """Return the RFC 6962 root, as the definition has it: split at the largest power of two below the size."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


AGENT, SECOND, WITNESS, STRANGER = Signer(1), Signer(2), Signer(3), Signer(4)
COST = {"bytes": 1, "cpu_ms": 1, "files": 1, "peak_kib": 1, "wall_ms": 1}
HOST = {"labels": {}, "machine": "ab" * 16, "name": "web-1", "observed": "live"}
COLUMNS: list[dict[str, Any]] = [
    {"meaning": "login name", "name": "name", "nullable": False, "personal": True, "type": "text", "unit": None},
    {"meaning": "when", "name": "seen", "nullable": True, "personal": False, "type": "time", "unit": None},
    {"meaning": "groups", "name": "tags", "nullable": False, "personal": False, "type": "list of text", "unit": None},
    {"meaning": "user id", "name": "uid", "nullable": False, "personal": False, "type": "int", "unit": None},
]
HEADER: dict[str, Any] = {"fields": COLUMNS, "key": ["name"], "meaning": "One account.", "table": "users", "version": 1}
ROWS: list[dict[str, Any]] = [
    {"name": "alice", "seen": None, "tags": [], "uid": 1000},
    {"name": "bob", "seen": "2026-01-01T00:00:00Z", "tags": ["adm", "sudo"], "uid": 0},
]
GAP: dict[str, Any] = {
    "count": 2,
    "detail": "expected 7 fields, found 1",
    "line": 3,
    "reason": "malformed",
    "source": "/etc/passwd",
    "source_b64": None,
}


def blob_of(values: list[Any]) -> bytes:
    return b"".join(sorted(canonical(each) + b"\n" for each in values))


@dataclass
class Story:
    """The blobs that statements name, and the statements of one or more logs."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)
    since: datetime = START
    until: datetime = START + 3 * DAY
    manifest_edit: Callable[[dict[str, Any]], Any] | None = None
    hosts: list[dict[str, Any]] | None = None

    def keep(self, raw: bytes) -> str:
        self.blobs[digest(raw)] = raw
        return digest(raw)

    def log(self, signer: Signer = AGENT, epoch: int = 1) -> Log:
        log = Log(self, signer, epoch)
        self.logs.append(log)
        return log

    def named(self) -> set[str]:
        """Return the digests that the entries in the pack name."""
        found = set()
        for log in self.logs:
            for sequence in log.shown():
                statement = log.statements[sequence]
                found |= {each["digest"].get("sha256") for each in statement["subject"]}
                found |= {each["header"] for each in statement["predicate"].get("tables", [])} - {None}
        return found

    def members(self) -> dict[str, bytes]:
        """Return all members but the manifest, in the order of the format."""
        found: dict[str, bytes] = {}
        for log in self.logs:
            found.update(log.key_members())
        for log in self.logs:
            found.update(log.members())
        named = self.named()
        kept = {name: raw for name, raw in self.blobs.items() if name in named}
        found["blobs/00"] = b"".join(record(raw) for _, raw in sorted(kept.items()))
        found["README.txt"] = b"For people.\n"
        return found

    def manifest(self, members: dict[str, bytes]) -> dict[str, Any]:
        value = {
            "counts": {
                "blobs": sum(records_in(raw) for name, raw in members.items() if name.startswith("blobs/")),
                "entries": sum(len(log.shown()) for log in self.logs),
            },
            "format": 1,
            "hosts": self.hosts or [{"logs": [log.id for log in self.logs], "name": "web-1"}],
            "kind": "pack",
            "logs": [log.listed() for log in self.logs],
            "members": [{"name": name, "sha256": digest(raw), "size": len(raw)} for name, raw in members.items()],
            "organisation": None,
            "period": {"since": time_text(self.since), "until": time_text(self.until)},
        }
        return value if self.manifest_edit is None else self.manifest_edit(value) or value

    def sealed(self, members: dict[str, bytes] | None = None) -> dict[str, bytes]:
        """Return the members with a manifest in front that fits them."""
        members = self.members() if members is None else members
        return {"manifest.json": canonical(self.manifest(members)) + b"\n", **members}

    def tar(self, members: dict[str, bytes] | None = None) -> bytes:
        return tar_of(self.sealed(members))


@dataclass
class Log:
    """One log: statements to be signed, and what is shown of it."""

    story: Story
    signer: Signer
    epoch: int = 1
    statements: list[dict[str, Any]] = field(default_factory=list)
    raw: dict[int, bytes] = field(default_factory=dict)  # a payload that is not what canonical() makes
    envelopes: dict[int, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)  # edits after signing
    also_signed: dict[int, list[Signer]] = field(default_factory=dict)
    first: int = 0
    count: int | None = None
    extras: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)  # lost to damage or taken out: not shown, and still in the tree
    cosigned: list[tuple[Signer, str, int]] = field(default_factory=list)
    note_edit: Callable[[bytes], bytes] | None = None
    size: int | None = None

    @property
    def origin(self) -> str:
        return f"evidenced/{self.signer.name16}/{self.epoch}"

    @property
    def id(self) -> str:
        return f"{self.signer.name16}-{self.epoch}"

    def add(self, when: datetime, kind: str, predicate: dict[str, Any], subject: dict[str, str], **common: Any) -> None:
        body = {
            "agent": {"version": "0.1.0"},
            "clock": {
                "boot_id": "b",
                "boottime_ms": 1,
                "synchronised": True,
                "wall": time_text(when, milliseconds=True),
            },
            "host": copy.deepcopy(HOST),
            "log": {"origin": self.origin, "sequence": len(self.statements)},
            "receipt": None,
        }
        subjects = [{"digest": {"sha256": value}, "name": name} for name, value in sorted(subject.items())]
        self.statements.append(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "predicate": {**body, **predicate, **common},
                "predicateType": f"urn:evidenced:{kind}:v1",
                "subject": subjects,
            }
        )

    def event(self, when: datetime, kind: str, details: Any = None, absence: Any = None, **further: Any) -> None:
        body = {"absence": absence, "kind": kind, **further}
        raw = canonical(details if details is not None else {}) + b"\n"
        self.add(when, "event", {"event": body}, {"event": self.story.keep(raw)})

    def opened(self, when: datetime = START - DAY, why: str = "first", previous: Any = None) -> None:
        self.event(when, "log-opened", why=why, previous=previous)

    def snapshot(self, when: datetime, *tables: dict[str, Any], **common: Any) -> None:
        subject = {}
        for each in tables:
            subject.update(each.pop("subject", {}))
        run = {"privileged": True, "reason": "scheduled"}
        body = {"run": run, "tables": sorted(tables, key=lambda each: str(each["name"]))}
        self.add(when, "snapshot", body, subject, **common)

    def table(
        self, name: str = "users", rows: Any = None, gaps: Any = (), interval: int | None = 86400, **edit: Any
    ) -> Any:
        """Return a table as a statement has it, with its subjects beside; blobs are kept."""
        header = {**HEADER, "table": name}
        reasons: dict[str, int] = {}
        for gap in gaps:
            reasons[gap["reason"]] = reasons.get(gap["reason"], 0) + gap["count"]
        found = ROWS if rows is None else rows
        value = {
            "cost": dict(COST),
            "coverage": "partial" if gaps else "complete",
            "failure": None,
            "gaps": len(gaps),
            "header": self.story.keep(canonical(header) + b"\n"),
            "interval_s": interval,
            "name": name,
            "reasons": reasons,
            "rows": len(found),
            "version": 1,
            "subject": {
                name: self.story.keep(blob_of(found)),
                f"{name}.gaps": self.story.keep(blob_of(list(gaps))),
            },
        }
        return {**value, **edit}

    def unread(self, name: str, coverage: str, interval: int | None = 86400) -> Any:
        """Return a table without rows: failed, unsupported or disabled."""
        value = self.table(name, rows=[], interval=interval)
        value.update(coverage=coverage, failure="killed" if coverage == "failed" else None)
        if coverage == "disabled":
            value.update(header=None, subject={})
        else:
            value["subject"].pop(name)
        return value

    def payload(self, sequence: int) -> bytes:
        return self.raw.get(sequence) or canonical(self.statements[sequence])

    def leaves(self) -> list[bytes]:
        return [hashlib.sha256(b"\0" + self.payload(each)).digest() for each in range(len(self.statements))]

    def shown(self) -> list[int]:
        """Return the sequences that stand in the bundles."""
        return sorted({*self.main_range(), *self.extras} - {*self.gone})

    def main_range(self) -> range:
        return range(self.first, len(self.statements) if self.count is None else self.first + self.count)

    def listed(self) -> dict[str, Any]:
        return {
            "count": len(set(self.main_range()) - set(self.extras)),
            "first": self.first,
            "id": self.id,
            "keyid": self.signer.fingerprint,
            "origin": self.origin,
            "size": len(self.statements),
        }

    def text(self) -> bytes:
        return f"{self.origin}\n{len(self.statements)}\n{b64(root_of(self.leaves()))}\n".encode()

    def envelope(self, sequence: int) -> bytes:
        payload = self.payload(sequence)
        message = b"DSSEv1 28 application/vnd.in-toto+json %d " % len(payload) + payload
        signers = [self.signer, *self.also_signed.get(sequence, [])]
        signatures = [{"keyid": each.fingerprint, "sig": b64(each.sign(message))} for each in signers]
        value = {"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": signatures}
        edit = self.envelopes.get(sequence)
        edited = value if edit is None else edit(value)
        return edited if isinstance(edited, bytes) else canonical(edited)

    def key_members(self) -> dict[str, bytes]:
        return {
            f"keys/{self.id}.pem": self.signer.pem.encode(),
            f"keys/{self.id}.pub": self.signer.pub.encode(),
            f"keys/{self.id}.vkey": self.signer.vkey(self.origin).encode() + b"\n",
            f"keys/{self.id}.json": b'{"protection":"file"}\n',
        }

    def members(self) -> dict[str, bytes]:
        text = self.text()
        note = text + b"\n" + self.signer.note_line(self.origin, text).encode()
        for signer, name, seconds in self.cosigned:
            note += signer.cosignature(name, text, seconds).encode()
        found = {
            "checkpoint": note if self.note_edit is None else self.note_edit(note),
            "checkpoint.txt": text,
            "checkpoint.sig": self.signer.sign(text),
            "checkpoint.sshsig": self.signer.sshsig(text).encode(),
            "leaves": b"".join(self.leaves()),
        }
        lines = [self.envelope(each) + b"\n" for each in self.shown()]
        for number, at in enumerate(range(0, len(lines), 256)):
            found[f"entries/{number:03d}"] = b"".join(lines[at : at + 256])
        return {f"{self.id}/{name}": raw for name, raw in found.items()}

    def as_previous(self) -> dict[str, Any]:
        return {"origin": self.origin, "root": b64(root_of(self.leaves())), "size": len(self.statements)}

    def rotate(self, when: datetime, new: Signer, number: int = 2) -> None:
        key = {"key": b64(new.spki), "keyid": new.fingerprint, "number": number}
        self.event(when, "key-rotated", **key)
        self.also_signed[len(self.statements) - 1] = [new]


def record(raw: bytes, name: str | None = None, length: int | None = None) -> bytes:
    packed = zlib.compress(raw)
    size = len(raw) if length is None else length
    return f"{name or digest(raw)} {size} {len(packed)}\n".encode() + packed + b"\n"


def records_in(raw: bytes) -> int:
    """Count the records of a member of blobs, as far as it is one."""
    count = 0
    while raw:
        head, _, rest = raw.partition(b"\n")
        try:
            length = int(head.split(b" ")[2])
        except (IndexError, ValueError):
            return count
        count, raw = count + 1, rest[length + 1 :]
    return count


def tar_of(members: dict[str, bytes] | list[tuple[str, bytes]]) -> bytes:
    """Return a ustar archive, as POSIX has it and the format wants it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, raw in members.items() if isinstance(members, dict) else members:
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return out.getvalue()


def packed(tar: bytes) -> bytes:
    return gzip.compress(tar, mtime=0)


def small() -> Story:
    """Return an honest story of three days: one log, two tables, an event without further meaning."""
    story = Story()
    log = story.log()
    log.opened()
    log.snapshot(START, log.table(), log.table("groups", gaps=[GAP]), log.unread("rpm", "unsupported", 7 * 86400))
    log.snapshot(START + DAY, log.table(), log.table("groups", rows=[]))
    log.event(START + DAY, "agent-started", details={"why": "boot"})
    log.snapshot(START + 2 * DAY, log.table(rows=ROWS[:1]), log.table("groups"))
    log.snapshot(START + 3 * DAY, log.table(), log.table("groups"))
    return story


def rotated() -> Story:
    """Return an honest story with a rotation in the middle of its period."""
    story = Story()
    old, new = story.log(), story.log(SECOND)
    old.opened()
    old.snapshot(START, old.table())
    old.snapshot(START + DAY, old.table())
    old.rotate(START + DAY, SECOND)
    new.opened(START + DAY, "rotated", old.as_previous())
    new.snapshot(START + 2 * DAY, new.table())
    new.snapshot(START + 3 * DAY, new.table())
    return story
