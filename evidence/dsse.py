"""DSSE v1.0.2 envelopes: a payload, what it is, and signatures over both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from evidence import restricted_json, strict_base64
from evidence.errors import FormatError, SignatureError
from evidence.keys import PrivateKey, PublicKey

IN_TOTO = "application/vnd.in-toto+json"
MAX_ENVELOPE = 128 * 1024
MAX_SIGNATURES = 16


class Signature(msgspec.Struct, frozen=True):
    """One signature; the key id is a hint that nobody has checked."""

    keyid: str
    sig: bytes


class Envelope(msgspec.Struct, frozen=True):
    """The exact payload bytes and the signatures over them."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """Return the envelope as one JSON line, without its newline."""
        signatures = [{"keyid": each.keyid, "sig": strict_base64.encode(each.sig)} for each in self.signatures]
        return restricted_json.encode(
            {
                "payload": strict_base64.encode(self.payload),
                "payloadType": self.payload_type,
                "signatures": signatures,
            }
        )


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: lengths are counted in bytes, so no two inputs meet."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, keys: Sequence[PrivateKey], payload_type: str = IN_TOTO) -> Envelope:
    """Return an envelope with one signature of each key, in their order."""
    message = pae(payload_type, payload)
    signatures = tuple(Signature(key.public.fingerprint, key.sign(message)) for key in keys)
    return Envelope(payload, payload_type, signatures)


def decode(data: bytes, where: str = "envelope") -> Envelope:
    """Return the envelope in one JSON text, without believing any of it.

    As the specification asks, fields it does not know are passed over, and a key id may lack. Base64 is
    accepted in the alphabet that we write only.
    Raises: FormatError, LimitError.
    """
    value = restricted_json.decode(data, where=where, limit=MAX_ENVELOPE)
    payload, kind, signatures = (_field(value, each, where) for each in ("payload", "payloadType", "signatures"))
    if not isinstance(payload, str) or not isinstance(kind, str) or not isinstance(signatures, list):
        raise FormatError(where, "payload and payloadType as text, signatures as a list", "other types")
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise FormatError(where, f"1 to {MAX_SIGNATURES} signatures", f"{len(signatures)}")
    return Envelope(strict_base64.decode(payload, where), kind, tuple(_signature(each, where) for each in signatures))


def verify(
    envelope: Envelope, keys: Sequence[PublicKey], *, threshold: int = 1, where: str = "envelope"
) -> tuple[PublicKey, ...]:
    """Return the keys that signed, each once, in the order of `keys`.

    Each key is tried on each signature: a key id is a hint and decides nothing.
    Raises: SignatureError if fewer keys than `threshold` signed.
    """
    message = pae(envelope.payload_type, envelope.payload)
    unique = tuple(dict.fromkeys(keys))
    signed = tuple(key for key in unique if any(key.verifies(each.sig, message) for each in envelope.signatures))
    if len(signed) < threshold:
        raise SignatureError(where, f"signatures of {threshold} known keys", f"{len(signed)}")
    return signed


def _field(value: Any, name: str, where: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise FormatError(where, f"an object with {name}", "none")
    return value[name]


def _signature(value: Any, where: str) -> Signature:
    sig = _field(value, "sig", where)
    keyid = value.get("keyid", "")
    if not isinstance(sig, str) or not isinstance(keyid, str):
        raise FormatError(where, "keyid and sig as text", "other types")
    return Signature(keyid, strict_base64.decode(sig, where))
