"""The hub's two keys: one says that entries are stored, one that a checkpoint was seen.

docs/hub-protocol.md, section 2. C2SP tlog-cosignature asks for distinct keys where one operator makes statements of
two kinds, since the signed message does not name its signer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from evidence import key_file, note
from evidence.errors import FormatError
from evidence.keys import NOTE_COSIGNATURE, PrivateKey
from evidence.note import SignatureLine, Verifier
from evidence.state import Folder

STORAGE = "storage.pem"
WITNESS = "witness.pem"
NAME = "name"
MAX_NAME = 200


@dataclass(frozen=True)
class Cosigner:
    """One key under the one name it signs as."""

    name: str
    key: PrivateKey

    @property
    def vkey(self) -> str:
        """Return the verifier key that others pin."""
        return self.key.public.vkey(self.name, NOTE_COSIGNATURE)

    @property
    def verifier(self) -> Verifier:
        """Return what its lines are checked with."""
        return Verifier(self.name, self.key.public, NOTE_COSIGNATURE)

    def line(self, text: str, time: int) -> SignatureLine:
        """Return the cosignature over a checkpoint's text at a POSIX time."""
        return note.cosign(text, self.name, self.key, time)


@dataclass(frozen=True)
class Signers:
    """Both keys of a hub."""

    storage: Cosigner
    witness: Cosigner


def signers(keys: Folder, name: str) -> Signers:
    """Return the hub's keys; they are made at first use.

    Raises: KeyFileError; FormatError on an impossible name, or another one than before.
    """
    if len(name) > MAX_NAME:
        raise FormatError("--name", f"at most {MAX_NAME} characters", f"{len(name)}")
    both = Signers(
        storage=Cosigner(name, _key(keys, STORAGE)),
        witness=Cosigner(f"{name}/witness", _key(keys, WITNESS)),
    )
    Verifier.parse(both.storage.vkey, "--name")
    _keep_name(keys, name)
    return both


def _keep_name(keys: Folder, name: str) -> None:
    """Refuse another name than the keys have signed as: whoever pinned it would take nothing any more."""
    try:
        known = keys.read(NAME, 4 * MAX_NAME).decode("utf-8").removesuffix("\n")
    except FileNotFoundError:
        keys.replace(NAME, f"{name}\n".encode())
        return
    if known != name:
        raise FormatError("--name", f"{known}, as which these keys have signed", name, "use another folder")


def _key(keys: Folder, file: str) -> PrivateKey:
    path = os.path.join(keys.path, file)
    try:
        return key_file.load(path)
    except FileNotFoundError:
        key = PrivateKey.generate()
        key_file.store(path, key)
        return key
