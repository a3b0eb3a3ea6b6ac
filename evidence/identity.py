"""Who this state is: `keys/identity.json`, what must not be forgotten even if every log is.

It names the key, the highest epoch that was ever begun with it, the machine it was made on, and the file system
object it lives beside. It is on disk before anything of an epoch can be seen, so that no origin is used twice. One
line of JSON and a line with its SHA-256.
"""

from __future__ import annotations

import hashlib
import os

import msgspec

from evidence import restricted_json
from evidence.errors import DamageError, EvidenceError, NewerStateError, UnsafeStateError
from evidence.state import Folder

FORMAT = 1
NAME = "identity.json"
SECRET = "secret"  # noqa: S105  the name of a file
SECRET_BYTES = 32
_LIMIT = 4096


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered; `machine` as statements carry it, `inode` that of `keys/secret`, which stays in place.

    `number` counts the keys of this host; `secret` is `secret_check` of the secret.
    """

    format: int
    key: str
    number: int
    epoch: int
    machine: str | None
    secret: str
    inode: int

    @property
    def origin(self) -> str:
        """Return the origin of the log that is being written."""
        return f"evidenced/{self.key}/{self.epoch}"

    @property
    def log_id(self) -> str:
        """Return the name of that log's folder."""
        return f"{self.key}-{self.epoch}"


def load(keys: Folder) -> Identity:
    """Return what is remembered.

    Raises: FileNotFoundError; DamageError; NewerStateError when a later version wrote it.
    """
    where = keys.where(NAME)
    line, newline, check = keys.read(NAME, _LIMIT, private=True).partition(b"\n")
    if not newline or check != _check(line):
        raise DamageError(where, "a line and its hash", "bytes that do not fit each other")
    value = restricted_json.decode(line, where=where)
    if isinstance(value, dict) and value.get("format") != FORMAT:
        step = "use the version of evidenced that wrote it, or a later one"
        raise NewerStateError(where, f"state of format {FORMAT}", f"format {value.get('format')}", step)
    try:
        return msgspec.convert(value, Identity)
    except msgspec.ValidationError:
        raise DamageError(where, f"an identity of format {FORMAT}", "another object") from None


def current_log(keys: Folder) -> str | None:
    """Return the log that goes on, None if that is not known. Raises: OSError."""
    try:
        return load(keys).log_id
    except (FileNotFoundError, EvidenceError):
        return None


def save(keys: Folder, identity: Identity) -> None:
    """Remember it, durably."""
    line = restricted_json.encode(identity)
    keys.replace(NAME, line + b"\n" + _check(line))


def _check(line: bytes) -> bytes:
    return hashlib.sha256(line).hexdigest().encode() + b"\n"


def secret(keys: Folder) -> bytes:
    """Return the secret for keyed hashes of personal data.

    Raises: FileNotFoundError; DamageError on another length; UnsafeStateError when others may read it.
    """
    data = keys.read(SECRET, SECRET_BYTES, private=True)
    if len(data) != SECRET_BYTES:
        raise DamageError(keys.where(SECRET), f"{SECRET_BYTES} bytes", f"{len(data)}")
    return data


def make_secret(keys: Folder) -> bytes:
    """Make the secret, durably, and return it."""
    data = os.urandom(SECRET_BYTES)
    keys.replace(SECRET, data)
    return data


def secret_check(data: bytes) -> str:
    """Return what tells a flipped bit in the secret and nothing else about it."""
    return hashlib.sha256(b"evidenced secret\n" + data).hexdigest()


def inode(keys: Folder) -> int:
    """Return the inode of the secret: a copy of the state, or one that was restored, has another."""
    facts = keys.facts(SECRET)
    if facts is None:
        raise UnsafeStateError(keys.where(SECRET), "the file that was just read", "none")
    return facts.st_ino
