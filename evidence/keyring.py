"""The keys of a state: one private key at a time, and the public keys of all logs.

A new key waits as `next.pem` until the identity names it; only then it takes the old one's place. So there is
always exactly one private key that belongs to the identity, whenever the process was killed.
"""

from __future__ import annotations

import contextlib
import os

from evidence import key_file, signed_size, strict_base64
from evidence.errors import DamageError, EvidenceError, FormatError, KeyFileError
from evidence.keys import PrivateKey, PublicKey
from evidence.quarantine import Finding, Quarantine
from evidence.state import Folder, write_all

AGENT = "agent.pem"
NEXT = "next.pem"
PUBLIC = "agent.pub"
RETIRED = "retired"
_LIMIT = 4096
# Where the raw key stands in an SSHSIG: magic, version, and the lengths and type in front of it.
_SSHSIG_KEY = slice(6 + 4 + 4 + 4 + 11 + 4, 6 + 4 + 4 + 4 + 11 + 4 + 32)


def private(keys: Folder, name: str) -> PrivateKey | None:
    """Return a private key, None if there is none.

    Raises: UnsafeStateError (another's file, or one others can read); DamageError when it is no key.
    """
    try:
        os.close(keys.open(name, os.O_RDONLY, private=True))
        return key_file.load(keys.where(name))
    except FileNotFoundError:
        return None
    except KeyFileError as error:
        raise DamageError(error.where, error.expected, error.found) from None


def make_next(keys: Folder) -> PrivateKey:
    """Return a new key that waits for its turn, durably; an older one that waited is forgotten."""
    key = PrivateKey.generate()
    keys.remove(NEXT)
    key_file.store(keys.where(NEXT), key)
    return key


def install_next(keys: Folder, key: PrivateKey) -> None:
    """Put the waiting key in the old one's place, and overwrite the old one as far as a file system allows."""
    old = _opened(keys)
    try:
        os.rename(NEXT, AGENT, src_dir_fd=keys.descriptor, dst_dir_fd=keys.descriptor)
        keys.sync()
        if old is not None:
            _overwrite(old)
    finally:
        if old is not None:
            os.close(old)
    publish(keys, key.public)


def _opened(keys: Folder) -> int | None:
    try:
        return keys.open(AGENT, os.O_WRONLY, private=True)
    except FileNotFoundError:
        return None


def _overwrite(descriptor: int) -> None:
    """Write zeros over a key that no name leads to any more; the rotation does not depend on it."""
    with contextlib.suppress(OSError):
        write_all(descriptor, bytes(os.fstat(descriptor).st_size))
        os.fsync(descriptor)


def publish(keys: Folder, key: PublicKey) -> None:
    """Write the public key beside the private one, durably."""
    keys.replace(PUBLIC, key.openssh().encode())


def retire(keys: Folder, key: PublicKey) -> None:
    """Keep the public key of a log that is closed, durably."""
    retired = keys.folder(RETIRED, create=True)
    try:
        retired.replace(f"{key.id16}.pub", key.openssh().encode())
    finally:
        retired.close()


def published(keys: Folder) -> PublicKey | None:
    """Return the public key in its file, None if it is not there or is no key."""
    return _read(keys, PUBLIC)


def is_retired(keys: Folder, key: PublicKey) -> bool:
    """Return whether a key was retired."""
    return _retired(keys, key.id16) == key


def mend_retired(keys: Folder, quarantine: Quarantine, key: PublicKey) -> None:
    """Write the public key of a closed log again where its file is not what it was."""
    if published(keys) == key or is_retired(keys, key):
        return
    name = f"{key.id16}.pub"
    retired = keys.folder(RETIRED, create=True)
    try:
        finding = Finding(part="key", where=f"keys/{RETIRED}/{name}", found="another key, or none")
        if retired.facts(name) is None:
            quarantine.note(finding)
        else:
            quarantine.take(retired, name, finding)
    finally:
        retired.close()
    retire(keys, key)


def retired_count(keys: Folder) -> int:
    """Return how many keys were retired."""
    try:
        retired = keys.folder(RETIRED)
    except FileNotFoundError:
        return 0
    try:
        return sum(each.endswith(".pub") and not each.startswith(".") for each in retired.names())
    finally:
        retired.close()


def public(keys: Folder, log: Folder | None, id16: str) -> PublicKey:
    """Return the public key of a log: from its file or, if that is damaged, from the SSHSIG of the log.

    Raises: DamageError when none of them holds a key of that id.
    """
    for found in (_read(keys, PUBLIC), _retired(keys, id16), _signed(log)):
        if found is not None and found.id16 == id16:
            return found
    raise DamageError(keys.path, f"the public key {id16}", "none that fits")


def _retired(keys: Folder, id16: str) -> PublicKey | None:
    try:
        retired = keys.folder(RETIRED)
    except FileNotFoundError:
        return None
    try:
        return _read(retired, f"{id16}.pub")
    finally:
        retired.close()


def _read(folder: Folder, name: str) -> PublicKey | None:
    try:
        return PublicKey.from_openssh(folder.read(name, _LIMIT).decode("ascii"))
    except (FileNotFoundError, UnicodeDecodeError, FormatError, DamageError):
        return None


def _signed(log: Folder | None) -> PublicKey | None:
    if log is None:
        return None
    try:
        armour = signed_size.read_sshsig(log).removesuffix("\n").split("\n")
        return PublicKey(strict_base64.decode("".join(armour[1:-1]), signed_size.SSHSIG)[_SSHSIG_KEY])
    except (FileNotFoundError, EvidenceError):
        return None
