"""Signed notes, checkpoints and cosignatures: C2SP signed-note, tlog-checkpoint and tlog-cosignature, v1."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from evidence import strict_base64
from evidence.errors import FormatError, LimitError, SignatureError
from evidence.keys import NOTE_COSIGNATURE, NOTE_ED25519, SIGNATURE_BYTES, PrivateKey, PublicKey
from evidence.tree import HASH_BYTES

MAX_NOTE = 1_000_000
MAX_LINES = 100
MAX_NUMBER = 2**63 - 1
_DASH = "\u2014 "
_ID_BYTES = 4
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\Z")


class Checkpoint(msgspec.Struct, frozen=True):
    """How large a log is and what it holds."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{strict_base64.encode(self.root)}\n"

    @classmethod
    def parse(cls, text: str, where: str = "checkpoint") -> Checkpoint:
        """Return the checkpoint in a note's text; ours has no extension lines, so none are accepted."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:  # noqa: PLR2004  three lines, each ended
            raise FormatError(where, "origin, size and root, each on a line", f"{len(lines) - 1} lines")
        origin, size, root = lines[:3]
        _check_name(origin, where)
        if not _SIZE.match(size) or int(size) > MAX_NUMBER:
            raise FormatError(where, "a decimal size without leading zeros, below 2^63", "another text")
        digest = strict_base64.decode(root, where)
        if len(digest) != HASH_BYTES:
            raise FormatError(where, f"a root of {HASH_BYTES} bytes", f"{len(digest)}")
        return cls(origin, int(size), digest)


class SignatureLine(msgspec.Struct, frozen=True):
    """One line below a note's text: whose it says it is, and the bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def text(self) -> str:
        """Return the line with its newline."""
        return f"{_DASH}{self.name} {strict_base64.encode(self.key_id + self.signature)}\n"


class Note(msgspec.Struct, frozen=True):
    """A text and the signature lines below it, none of them checked yet."""

    text: str
    lines: tuple[SignatureLine, ...]

    def encode(self) -> bytes:
        """Return the note as it is stored and sent."""
        return "".join([self.text, "\n", *(each.text() for each in self.lines)]).encode()

    def with_line(self, line: SignatureLine) -> Note:
        """Return the note with one more line behind the others, unless it is there already."""
        return self if line in self.lines else Note(self.text, (*self.lines, line))


class Verifier(msgspec.Struct, frozen=True):
    """A key that notes are checked with, under the one name it signs as."""

    name: str
    key: PublicKey
    kind: int = NOTE_ED25519

    @property
    def key_id(self) -> bytes:
        """Return the id its lines carry."""
        return self.key.note_id(self.name, self.kind)

    @classmethod
    def parse(cls, vkey: str, where: str = "verifier key") -> Verifier:
        """Return the verifier of `name+hex8+base64(type, key)`."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:  # noqa: PLR2004  the form above
            raise FormatError(where, "name+id+key", "fewer parts")
        name, key_id, data = parts
        _check_name(name, where)
        raw = strict_base64.decode(data, where)
        if not raw or raw[0] not in (NOTE_ED25519, NOTE_COSIGNATURE):
            raise FormatError(where, "type 1 (Ed25519) or 4 (cosignature)", "another type")
        verifier = cls(name, PublicKey(raw[1:]), raw[0])
        if verifier.key_id.hex() != key_id:
            raise FormatError(where, "the id of its name and key", "another id")
        return verifier


class Verified(msgspec.Struct, frozen=True):
    """A line that verified; `time` is POSIX seconds, and only a cosignature has one."""

    verifier: Verifier
    time: int | None


def parse(data: bytes, where: str = "note") -> Note:
    """Return the text and lines of a note, without believing any of it.

    Raises: LimitError past 1,000,000 bytes or 100 lines; FormatError.
    """
    if len(data) > MAX_NOTE:
        raise LimitError(where, f"at most {MAX_NOTE} bytes", f"{len(data)}")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError(where, "UTF-8", "other bytes") from None
    if _CONTROL.search(whole):
        raise FormatError(where, "no control character but the newline", "one")
    body, empty_line, below = whole.rpartition("\n\n")  # the last empty line: a text may hold others
    if not empty_line or not below.endswith("\n"):
        raise FormatError(where, "a text, an empty line and signature lines", "another shape")
    lines = below[:-1].split("\n")
    if len(lines) > MAX_LINES:
        raise LimitError(where, f"at most {MAX_LINES} signature lines", f"{len(lines)}")
    return Note(body + "\n", tuple(_line(each, where) for each in lines))


def _line(text: str, where: str) -> SignatureLine:
    name, space, data = text[len(_DASH) :].partition(" ")
    if not text.startswith(_DASH) or not space:
        raise FormatError(where, "a signature line: dash, name and base64", "another line")
    _check_name(name, where)
    raw = strict_base64.decode(data, where)
    if len(raw) <= _ID_BYTES:
        raise FormatError(where, "a key id and a signature", f"{len(raw)} bytes")
    return SignatureLine(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def verify(note: Note, verifiers: Sequence[Verifier], where: str = "note") -> tuple[Verified, ...]:
    """Return what verified, each verifier once, in the order of the lines.

    A line of a key that is not among the verifiers says nothing and is passed over.
    Raises: SignatureError if the line of a known key fails, or if there is no line of a known key;
    FormatError if two verifiers cannot be told apart by name and id.
    """
    known = {(each.name, each.key_id): each for each in verifiers}
    if len(known) != len(verifiers):
        raise FormatError("verifiers", "each name and key id once", "two alike")
    found: dict[tuple[str, bytes], Verified] = {}
    for line in note.lines:
        verifier = known.get((line.name, line.key_id))
        if verifier is not None:
            verified = Verified(verifier, _check_line(note.text, line, verifier, where))
            found.setdefault((line.name, line.key_id), verified)
    if not found:
        raise SignatureError(where, "a signature of a known key", "none")
    return tuple(found.values())


def _check_line(text: str, line: SignatureLine, verifier: Verifier, where: str) -> int | None:
    """Return the time in a cosignature, None for a plain signature."""
    if verifier.kind == NOTE_ED25519:
        verifier.key.check(line.signature, text.encode(), where)
        return None
    stamp, signature = line.signature[:8], line.signature[8:]
    time = int.from_bytes(stamp, "big")
    if len(signature) != SIGNATURE_BYTES or time > MAX_NUMBER:
        raise SignatureError(where, "a time and a signature of 64 bytes", "another length or time")
    verifier.key.check(signature, _cosigned(text, time), where)
    return time


def sign(text: str, name: str, key: PrivateKey) -> Note:
    """Return a note with one signature; `text` ends with a newline.

    Raises: FormatError when the result would not be read again.
    """
    line = SignatureLine(name, key.public.note_id(name), key.sign(text.encode()))
    return parse(Note(text, (line,)).encode())


def cosign(text: str, name: str, key: PrivateKey, time: int) -> SignatureLine:
    """Return a witness's line: at `time` (POSIX seconds) it had seen this text, and no other history."""
    signature = key.sign(_cosigned(text, time))
    return SignatureLine(name, key.public.note_id(name, NOTE_COSIGNATURE), time.to_bytes(8, "big") + signature)


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _check_name(name: str, where: str) -> None:
    if not name or "+" in name or any(each.isspace() for each in name):
        raise FormatError(where, "a name without space or plus", "another")
