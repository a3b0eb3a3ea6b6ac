"""Opening a log: a new epoch of the key, or the first epoch of a new key.

A log never signs two histories, and no origin is used twice. So a log is made complete under a name that nobody
reads; then the identity names it, durably; then it appears:

1. a new key waits as `keys/next.pem`              5. the new key takes its place
2. `logs/.new` holds the first entry, signed       6. `logs/.new` becomes `logs/LOGID`
3. the old public key is kept
4. `keys/identity.json` names the key and epoch    after this step `finish` completes what was begun
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from evidence import identity as identities
from evidence import keyring, signed_size, strict_base64
from evidence.errors import DamageError
from evidence.identity import Identity
from evidence.keys import PrivateKey, PublicKey
from evidence.layout import Layout
from evidence.note import Checkpoint
from evidence.order import id_of
from evidence.state import Folder
from evidence.tree import Frontier
from evidence.writer import SEGMENTS, LogWriter

NEW = ".new"
Why = Literal["first", "rotated", "restored", "cloned", "damaged", "lost"]
Encoded = tuple[bytes, bytes]
"""An envelope, and the payload in it."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A log that must be opened before anything can be appended.

    `key` is None where a new one must be made; `retiring` is the key that signed before, if it is known. `number`
    counts keys. A plan that was interrupted is made again from what is on disk.
    """

    why: Why
    key: PrivateKey | None
    number: int
    epoch: int
    machine: str | None
    previous: Checkpoint | None = None
    retiring: PublicKey | None = None

    def fields(self) -> dict[str, Any]:
        """Return what the `log-opened` event says."""
        before = self.previous
        previous = before and {
            "origin": before.origin,
            "root": strict_base64.encode(before.root),
            "size": before.size,
        }
        return {"previous": previous, "why": self.why}


def begin(
    layout: Layout, plan: Plan, secret: bytes, opening: Callable[[str, PrivateKey], Encoded]
) -> tuple[Identity, PrivateKey]:
    """Open a log as planned and return who signs it; `opening` makes its first entry for an origin and key.

    Raises: OSError; whatever was written by then is overwritten or completed by the next attempt.
    """
    key = plan.key or keyring.make_next(layout.keys)
    identity = Identity(
        format=identities.FORMAT,
        key=key.public.id16,
        number=plan.number,
        epoch=plan.epoch,
        machine=plan.machine,
        secret=identities.secret_check(secret),
        inode=identities.inode(layout.keys),
    )
    if not _is_new(layout, identity, key.public):  # the same place is never signed twice
        _write_new(layout, identity.origin, key, opening)
    if plan.retiring is not None and plan.retiring != key.public:
        keyring.retire(layout.keys, plan.retiring)
    if plan.previous is not None:
        _keep_last(layout, plan.previous.origin)
    identities.save(layout.keys, identity)
    finish(layout, identity)
    return identity, key


def _keep_last(layout: Layout, origin: str) -> None:
    """Keep a copy of the checkpoint that closes a log."""
    if layout.logs.facts(id_of(origin)) is not None:
        log = layout.logs.folder(id_of(origin))
        try:
            signed_size.keep_copy(log)
        finally:
            log.close()


def finish(layout: Layout, identity: Identity) -> None:
    """Complete what was begun when the identity was written; does nothing if it is complete."""
    waiting = waiting_key(layout)
    if waiting is not None and waiting.public.id16 == identity.key:
        keyring.install_next(layout.keys, waiting)
    if layout.logs.facts(identity.log_id) is None and _is_new(layout, identity):
        logs = layout.logs
        os.rename(NEW, identity.log_id, src_dir_fd=logs.descriptor, dst_dir_fd=logs.descriptor)
        logs.sync()


def waiting_key(layout: Layout) -> PrivateKey | None:
    """Return the key that waits for its turn, None if there is none that can be used."""
    try:
        return keyring.private(layout.keys, keyring.NEXT)
    except DamageError:
        return None


def _is_new(layout: Layout, identity: Identity, key: PublicKey | None = None) -> bool:
    """Return whether the log that waits is the one the identity names, complete."""
    try:
        new = layout.logs.folder(NEW)
    except FileNotFoundError:
        return False
    try:
        key = key or keyring.public(layout.keys, new, identity.key)
        return signed_size.read(new, identity.origin, key).size == 1
    except (FileNotFoundError, DamageError):
        return False
    finally:
        new.close()


def _write_new(layout: Layout, origin: str, key: PrivateKey, opening: Callable[[str, PrivateKey], Encoded]) -> None:
    _remove_new(layout)
    body, payload = opening(origin, key)
    writer = LogWriter(layout.logs.folder(NEW, create=True), origin, key, Frontier())
    try:
        writer.append(body, payload)
        writer.sign()
    finally:
        writer.close()


def _remove_new(layout: Layout) -> None:
    """Remove what an interrupted attempt left; nobody has seen it."""
    try:
        new = layout.logs.folder(NEW)
    except FileNotFoundError:
        return
    try:
        if new.facts(SEGMENTS) is not None:
            _empty(new.folder(SEGMENTS))
            os.rmdir(SEGMENTS, dir_fd=new.descriptor)
        _empty(new)
    finally:
        new.close()
    os.rmdir(NEW, dir_fd=layout.logs.descriptor)


def _empty(folder: Folder) -> None:
    for name in folder.names():
        folder.remove(name)
