"""The proof with which a key enrols at a hub: an SSHSIG over four lines (docs/hub-protocol.md, section 5).

The namespace is its own, so that the signature is of no use for anything else.
"""

from __future__ import annotations

from evidence import sshsig
from evidence.errors import FormatError
from evidence.keys import PrivateKey

NAMESPACE = "enrol@evidenced"


def text(hub: str, nonce: str, origin: str) -> bytes:
    """Return what is signed. Raises: FormatError if one of the three would not stay on its line."""
    for what, each in (("name of a hub", hub), ("nonce", nonce), ("origin", origin)):
        if not each or not each.isprintable() or " " in each:
            raise FormatError("enrolment", f"a {what} without space or control character", "another text")
    return f"evidenced enrolment v1\n{hub}\n{nonce}\n{origin}\n".encode()


def prove(key: PrivateKey, hub: str, nonce: str, origin: str) -> str:
    """Return the armoured signature that this key enrols with."""
    return sshsig.sign(text(hub, nonce, origin), key, NAMESPACE)
