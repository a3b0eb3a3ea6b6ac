"""SSHSIG, so that `ssh-keygen -Y verify` can check a checkpoint: OpenSSH's PROTOCOL.sshsig."""

from __future__ import annotations

import hashlib

from evidence import strict_base64
from evidence.errors import FormatError, SignatureError
from evidence.keys import SIGNATURE_BYTES, PrivateKey, PublicKey, ssh_string

NAMESPACE = "checkpoint@evidenced"
_MAGIC = b"SSHSIG"
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_WIDTH = 70
_HASH = b"sha512"


def sign(message: bytes, key: PrivateKey, namespace: str = NAMESPACE) -> str:
    """Return the armoured signature over a message."""
    blob = _blob(key.public, namespace, key.sign(_signed(message, namespace)))
    text = strict_base64.encode(blob)
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def verify(armoured: str, message: bytes, key: PublicKey, namespace: str = NAMESPACE) -> None:
    """Check that the armoured signature is this key's over the message, for this namespace.

    What `sign` writes is the one form that is accepted (SHA-512, nothing reserved).
    Raises: FormatError, SignatureError.
    """
    where = "sshsig"
    lines = armoured.removesuffix("\n").split("\n")
    if lines[0] != _BEGIN or lines[-1] != _END:
        raise FormatError(where, "one armoured SSH signature", "another text")
    blob = strict_base64.decode("".join(lines[1:-1]), where)
    signature = blob[-SIGNATURE_BYTES:]
    if blob != _blob(key, namespace, signature):
        raise SignatureError(where, f"a signature of {key.fingerprint} for {namespace}", "another")
    key.check(signature, _signed(message, namespace), where)


def _blob(key: PublicKey, namespace: str, signature: bytes) -> bytes:
    return b"".join(
        [
            _MAGIC,
            (1).to_bytes(4, "big"),
            ssh_string(key.ssh_blob),
            ssh_string(namespace.encode()),
            ssh_string(b""),
            ssh_string(_HASH),
            ssh_string(ssh_string(b"ssh-ed25519") + ssh_string(signature)),
        ]
    )


def _signed(message: bytes, namespace: str) -> bytes:
    digest = hashlib.sha512(message).digest()
    fields = (namespace.encode(), b"", _HASH, digest)
    return _MAGIC + b"".join(ssh_string(each) for each in fields)
