"""Ed25519 keys, and the texts that other programs know them by.

RFC 8032 (signatures), RFC 8410 (PEM as in openssl), RFC 8709 (OpenSSH), C2SP signed-note (verifier key).
libsodium verifies strictly: S below the group order, canonical points, none of small order, no cofactor.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import msgspec
import nacl.bindings
import nacl.exceptions
import nacl.signing

from evidence import strict_base64
from evidence.errors import FormatError, SignatureError

KEY_BYTES = 32
SIGNATURE_BYTES = 64
NOTE_ED25519 = 0x01
NOTE_COSIGNATURE = 0x04
_SSH_TYPE = b"ssh-ed25519"
# DER up to the key itself; both structures have this one encoding (RFC 8410, sections 4 and 7).
_SPKI = bytes.fromhex("302a300506032b6570032100")
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")


def ssh_string(data: bytes) -> bytes:
    """Return bytes as an SSH `string`: length first (RFC 4251, section 5)."""
    return len(data).to_bytes(4, "big") + data


class PublicKey(msgspec.Struct, frozen=True):
    """One public key, as 32 raw bytes that are known to be a usable point."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES or not nacl.bindings.crypto_core_ed25519_is_valid_point(self.raw):
            raise FormatError("public key", "a point of Ed25519 in its one encoding", "other bytes")

    @property
    def ssh_blob(self) -> bytes:
        """Return the key in SSH's wire form."""
        return ssh_string(_SSH_TYPE) + ssh_string(self.raw)

    @property
    def fingerprint(self) -> str:
        """Return `SHA256:…`, as `ssh-keygen -l` prints it; this is also the DSSE key id."""
        return "SHA256:" + strict_base64.encode(hashlib.sha256(self.ssh_blob).digest()).rstrip("=")

    @property
    def id16(self) -> str:
        """Return the 16 hex digits by which origins and file names call the key."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def spki(self) -> bytes:
        """Return the key as DER SubjectPublicKeyInfo."""
        return _SPKI + self.raw

    def pem(self) -> str:
        """Return the key as openssl reads it."""
        return _pem("PUBLIC KEY", self.spki)

    def openssh(self, comment: str = "evidenced") -> str:
        """Return the key as a line of authorized_keys, with its newline."""
        return f"ssh-ed25519 {strict_base64.encode(self.ssh_blob)} {comment}\n"

    def note_id(self, name: str, kind: int = NOTE_ED25519) -> bytes:
        """Return the 4-byte key id of signed notes; it is not collision resistant."""
        return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + self.raw).digest()[:4]

    def vkey(self, name: str, kind: int = NOTE_ED25519) -> str:
        """Return the verifier key text of signed notes."""
        return f"{name}+{self.note_id(name, kind).hex()}+{strict_base64.encode(bytes([kind]) + self.raw)}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether the signature is this key's over the message."""
        try:
            nacl.signing.VerifyKey(self.raw).verify(message, signature)
        except (nacl.exceptions.BadSignatureError, nacl.exceptions.ValueError):
            return False
        return True

    def check(self, signature: bytes, message: bytes, where: str) -> None:
        """Raise SignatureError unless the signature is this key's over the message."""
        if not self.verifies(signature, message):
            raise SignatureError(where, f"a signature of {self.fingerprint}", "one that does not verify")

    @classmethod
    def from_spki(cls, der: bytes) -> PublicKey:
        """Return the key of a DER SubjectPublicKeyInfo."""
        if der[: len(_SPKI)] != _SPKI:
            raise FormatError("public key", "Ed25519 as SubjectPublicKeyInfo", "another structure")
        return cls(der[len(_SPKI) :])

    @classmethod
    def from_pem(cls, text: str) -> PublicKey:
        """Return the key of one PEM block."""
        return cls.from_spki(_unpem("PUBLIC KEY", text, "public key"))

    @classmethod
    def from_openssh(cls, line: str) -> PublicKey:
        """Return the key of one line as `openssh` writes it; options before the key are not accepted."""
        fields = line.split()
        if len(fields) < 2 or fields[0] != "ssh-ed25519":  # noqa: PLR2004  type and key; the comment may lack
            raise FormatError("public key", "a line that begins with ssh-ed25519", "another")
        blob = strict_base64.decode(fields[1], "public key")
        key = cls(blob[-KEY_BYTES:])
        if blob != key.ssh_blob:
            raise FormatError("public key", "an ssh-ed25519 key", "another structure")
        return key


class PrivateKey:
    """One private key. It never shows itself: not in repr, not in errors, not in pickles."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_BYTES:
            raise FormatError("private key", f"{KEY_BYTES} bytes", f"{len(seed)}")
        self._key = nacl.signing.SigningKey(seed)
        self.public = PublicKey(bytes(self._key.verify_key))

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes] = os.urandom) -> PrivateKey:
        """Return a new key."""
        return cls(entropy(KEY_BYTES))

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature; the same message always gives the same one."""
        return self._key.sign(message).signature

    def pkcs8_pem(self) -> str:
        """Return the key as openssl reads it: the only way it leaves this object."""
        return _pem("PRIVATE KEY", _PKCS8 + bytes(self._key))

    @classmethod
    def from_pkcs8_pem(cls, text: str, where: str = "private key") -> PrivateKey:
        """Return the key of one unencrypted PKCS#8 block.

        Raises: FormatError; it names what is wrong, never what was read.
        """
        der = _unpem("PRIVATE KEY", text, where)
        if len(der) != len(_PKCS8) + KEY_BYTES or der[: len(_PKCS8)] != _PKCS8:
            raise FormatError(where, "an Ed25519 key in PKCS#8", "another kind of key or structure")
        return cls(der[len(_PKCS8) :])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrivateKey) and self.public == other.public

    def __hash__(self) -> int:
        return hash(self.public)

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.fingerprint})"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not pickled")


class KeyCard(msgspec.Struct, frozen=True):
    """What an owner hands to an auditor, so that keys can be compared without our tools."""

    number: int
    """1 for the first key of a host, one more for each rotation."""
    fingerprint: str
    hex: str
    openssh: str
    vkey: str
    pem: str


def card(key: PublicKey, origin: str, number: int) -> KeyCard:
    """Return the card of a key that signs the log of that origin."""
    return KeyCard(
        number=number,
        fingerprint=key.fingerprint,
        hex=key.raw.hex(),
        openssh=key.openssh().rstrip("\n"),
        vkey=key.vkey(origin),
        pem=key.pem(),
    )


def _pem(label: str, der: bytes) -> str:
    """Return a PEM block; every structure here fits one line of 64 characters (RFC 7468)."""
    return f"-----BEGIN {label}-----\n{strict_base64.encode(der)}\n-----END {label}-----\n"


def _unpem(label: str, text: str, where: str) -> bytes:
    lines = text.strip().replace("\r\n", "\n").split("\n")
    if lines[0] != f"-----BEGIN {label}-----" or lines[-1] != f"-----END {label}-----":
        raise FormatError(where, f"one PEM block of kind {label}", "another kind, or none")
    return strict_base64.decode("".join(lines[1:-1]), where)
