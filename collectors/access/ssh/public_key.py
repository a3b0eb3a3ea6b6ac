"""Public keys as they stand in authorized_keys: type, size and fingerprint.

Source: RFC 4253 (6.6), RFC 5656 (3.1), RFC 8709, and OpenSSH's PROTOCOL.u2f and PROTOCOL.certkeys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable

import msgspec

from collectors.access.ssh import wire
from collectors.contract import MalformedError

CERTIFICATE_SUFFIX = "-cert-v01@openssh.com"

ED25519_BYTES = 32
CURVE_BITS = {b"nistp256": 256, b"nistp384": 384, b"nistp521": 521}


class PublicKey(msgspec.Struct, frozen=True):
    """A public key without its bytes."""

    type: str
    """The type itself where the line, or the blob, has the name of one of its signatures (rsa-sha2-512)."""
    bits: int | None
    """None for a type this program does not know: its fields cannot be told apart."""
    fingerprint: str
    """As `ssh-keygen -lf` prints it: of the plain key, also for a certificate."""
    certificate: bool = False
    ca_fingerprint: str | None = None
    """For a certificate, the key that signed it. The signature itself is not checked."""


def parse_public_key(type_name: str, encoded: str) -> PublicKey:
    """Return the key of a type name and the base64 text after it.

    A type unknown here is accepted if the blob names the same type, so that a key of tomorrow is a row.
    The names of signatures stand for their type, before a blob and in it (sshkey_type_from_name in sshkey.c); the
    fingerprint is that of the blob with the type's own name.
    Raises: MalformedError if the base64 is not exact, the blob names another type, a length lies, a field
    is out of range, or bytes are left over. Points of elliptic curves are not checked to lie on the curve.
    """
    blob = _decoded(encoded)
    inner = wire.Fields(blob).text()
    type_name = _SIGNATURES.get(type_name, type_name)
    if inner != type_name.encode("ascii", "replace"):
        blob = _renamed(blob, inner, type_name)
    fields = wire.Fields(blob)
    fields.text()
    if type_name in _SIZES:
        bits = _SIZES[type_name](fields)
        fields.end()
        return PublicKey(type_name, bits, fingerprint(blob))
    if type_name in _CERTIFIED:
        return _certificate(type_name, fields)
    return PublicKey(type_name, None, fingerprint(blob))


def _renamed(blob: bytes, inner: bytes, type_name: str) -> bytes:
    """Return a blob under the name of its type, if it has another name of that type."""
    name = inner.decode("ascii", "replace")
    if type_name not in {_SIGNATURES.get(name), _SHORT.get(name.lower())}:
        raise MalformedError("the type in the key that stands before it", "another one")
    return wire.text(type_name.encode("ascii")) + blob[len(wire.text(inner)) :]


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as OpenSSH shows it: SHA-256 in base64 without padding."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return "SHA256:" + digest.rstrip("=")


def _decoded(encoded: str) -> bytes:
    try:
        raw = encoded.encode("ascii")
        blob = base64.b64decode(raw, validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise MalformedError("base64", "something else") from None
    if base64.b64encode(blob) != raw:  # OpenSSH refuses bits after the end too
        raise MalformedError("base64 with proper padding", "something else")
    return blob


def _certificate(type_name: str, fields: wire.Fields) -> PublicKey:
    plain = _CERTIFIED[type_name]
    fields.text()  # nonce
    start = fields.position
    bits = _SIZES[plain](fields)
    key = wire.text(plain.encode("ascii")) + fields.since(start)
    fields.skip(8 + 4)  # serial, kind of certificate
    fields.text()  # key id: a person's name more often than not
    fields.text()  # principals
    fields.skip(8 + 8)  # valid after, valid before
    for _ in ("critical options", "extensions", "reserved"):
        fields.text()
    signer = fields.text()
    fields.text()  # signature
    fields.end()
    return PublicKey(type_name, bits, fingerprint(key), certificate=True, ca_fingerprint=fingerprint(signer))


def _rsa(fields: wire.Fields) -> int:
    fields.number()  # exponent
    return wire.bit_length(fields.number())


def _dsa(fields: wire.Fields) -> int:
    bits = wire.bit_length(fields.number())
    for _ in ("q", "g", "y"):
        fields.number()
    return bits


def _ecdsa(curve: bytes) -> Callable[[wire.Fields], int]:
    size = 2 * ((CURVE_BITS[curve] + 7) // 8) + 1

    def bits(fields: wire.Fields) -> int:
        if fields.text() != curve:
            raise MalformedError("the curve that the type names", "another one")
        point = fields.text()
        if len(point) != size or point[0] != 4:  # noqa: PLR2004  SEC 1, 2.3.3: 4 marks an uncompressed point
            raise MalformedError(f"an uncompressed point of {size} bytes", f"{len(point)} bytes")
        return CURVE_BITS[curve]

    return bits


def _ed25519(fields: wire.Fields) -> int:
    size = len(fields.text())
    if size != ED25519_BYTES:
        raise MalformedError(f"{ED25519_BYTES} bytes of key", f"{size}")
    return 8 * ED25519_BYTES


def _on_token(inner: Callable[[wire.Fields], int]) -> Callable[[wire.Fields], int]:
    """Return the reader for the same key held by a FIDO token: an application name follows."""

    def bits(fields: wire.Fields) -> int:
        size = inner(fields)
        fields.text()
        return size

    return bits


_SIZES: dict[str, Callable[[wire.Fields], int]] = {
    "ssh-rsa": _rsa,
    "ssh-dss": _dsa,
    "ecdsa-sha2-nistp256": _ecdsa(b"nistp256"),
    "ecdsa-sha2-nistp384": _ecdsa(b"nistp384"),
    "ecdsa-sha2-nistp521": _ecdsa(b"nistp521"),
    "ssh-ed25519": _ed25519,
    "sk-ecdsa-sha2-nistp256@openssh.com": _on_token(_ecdsa(b"nistp256")),
    "sk-ssh-ed25519@openssh.com": _on_token(_ed25519),
}

_SIGNATURES = {
    "rsa-sha2-256": "ssh-rsa",
    "rsa-sha2-512": "ssh-rsa",
    "rsa-sha2-256-cert-v01@openssh.com": "ssh-rsa-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com": "ssh-rsa-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com": "sk-ecdsa-sha2-nistp256@openssh.com",
}
# In a blob these count too, in any case of letters; before one they have not since OpenSSH 7.7. Those of ECDSA never
# do, since the curve is looked for in the name.
_SHORT = {
    "rsa": "ssh-rsa",
    "dsa": "ssh-dss",
    "ed25519": "ssh-ed25519",
    "ed25519-sk": "sk-ssh-ed25519@openssh.com",
}

# sk-ssh-ed25519@openssh.com becomes sk-ssh-ed25519-cert-v01@openssh.com.
_CERTIFIED = {name.removesuffix("@openssh.com") + CERTIFICATE_SUFFIX: name for name in _SIZES}
