"""Deciding how a state goes on: with its log, or with a new one because the old one must not be continued.

Local facts decide: the identity that was remembered, the key, the machine, the inode of the secret (a copy and a
restored backup have another), the log's mark (a backup laid over the state brings an older one), the receipts. When
a whole disk image is put back, only a hub or witness can tell.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from evidence import identity as identities
from evidence import keyring, mark, receipts, signed_size
from evidence.entry import payload_of, statement_of
from evidence.epochs import Plan, Why, finish, waiting_key
from evidence.errors import DamageError
from evidence.identity import Identity
from evidence.index import Row
from evidence.keys import PrivateKey, PublicKey
from evidence.layout import Layout
from evidence.note import Checkpoint
from evidence.order import log_ids, origin_of
from evidence.predicates import Event, Receipt
from evidence.quarantine import Finding
from evidence.receipts import Kept
from evidence.recovery import BehindError, Recovered, TreeLostError, open_segments, recover
from evidence.scan import Place
from evidence.scan import read as read_segment
from evidence.state import Folder
from evidence.tree import root

ROTATED = "key-rotated"


class Continued(msgspec.Struct, frozen=True):
    """The log goes on: who signs it, and the log itself."""

    identity: Identity
    key: PrivateKey
    log: Recovered
    receipt: Receipt | None = None
    """The latest cosignature that is known of it."""


class Opening(msgspec.Struct, frozen=True):
    """What decides besides the state itself: the machine, what the index holds, and whether segments go on."""

    machine: str | None
    rows_of: Callable[[str], list[Row]]
    resume: bool


def decide(layout: Layout, opening: Opening) -> Continued | Plan:
    """Return the log to continue, or the plan of the one to open. Raises: OSError, StateError."""
    identity = _identity(layout) or _rebuilt_identity(layout)
    secret = _secret(layout, None if identity is None else identity.secret)
    if identity is None:
        return _without_identity(layout, opening.machine)
    if secret is None:
        opening = msgspec.structs.replace(opening, machine=None)  # its hash is by the secret that is gone
        identity = _with_new_secret(layout, identity)
    finish(layout, identity)
    key = _key(layout, identity)
    if key is None:
        return _new_key(layout, identity, "damaged", opening.machine)
    if None not in (identity.machine, opening.machine) and identity.machine != opening.machine:
        return _new_key(layout, identity, "cloned", opening.machine)
    copied = secret is not None and identity.inode != identities.inode(layout.keys)
    if copied or _laid_over(layout, identity):
        # A backup that was put back knows neither how far the log went nor how many epochs there were.
        return _new_key(layout, identity, "restored", opening.machine)
    identity = _remembered(layout, identity, opening.machine)
    return _with_log(layout, identity, key, opening)


def _laid_over(layout: Layout, identity: Identity) -> bool:
    """Return whether the log's mark stands beside another one, or is not the file that was made with the log."""
    try:
        log = layout.logs.folder(identity.log_id)
    except FileNotFoundError:
        return False
    try:
        sizes = mark.sizes(log)
        return len(sizes) > 1 or (len(sizes) == 1 and not _is_original(layout, log, identity, sizes[0]))
    finally:
        log.close()


def _is_original(layout: Layout, log: Folder, identity: Identity, size: int) -> bool:
    try:
        return mark.is_original(log, size)
    except DamageError as error:
        where = f"{identity.log_id}/{mark.name_of(size)}"
        layout.quarantine.take(log, mark.name_of(size), Finding(part="identity", where=where, found=error.found))
        return True


def _identity(layout: Layout) -> Identity | None:
    try:
        return identities.load(layout.keys)
    except FileNotFoundError:
        return None
    except DamageError as error:
        where = f"keys/{identities.NAME}"
        layout.quarantine.take(layout.keys, identities.NAME, Finding(part="identity", where=where, found=error.found))
        return None


def _rebuilt_identity(layout: Layout) -> Identity | None:
    """Return who we must be by the key and its logs, None if there are none."""
    key = _loaded(layout)
    epochs = [each for each in log_ids(layout.logs) if key is not None and each.startswith(key.public.id16 + "-")]
    if key is None or not epochs:
        return None
    _secret(layout, None)
    identity = Identity(
        format=identities.FORMAT,
        key=key.public.id16,
        number=1 + keyring.retired_count(layout.keys),
        epoch=max(int(each.partition("-")[2]) for each in epochs),
        machine=None,
        secret=identities.secret_check(identities.secret(layout.keys)),
        inode=identities.inode(layout.keys),
    )
    identities.save(layout.keys, identity)
    return identity


def _secret(layout: Layout, remembered: str | None) -> bytes | None:
    """Return the secret if it is the one that was remembered; else put a new one in its place and return None."""
    try:
        data = identities.secret(layout.keys)
    except FileNotFoundError:
        found = "no file"
    except DamageError as error:
        found = error.found
    else:
        if remembered in (None, identities.secret_check(data)):
            return data
        found = "other bytes than were remembered"
    finding = _lost(layout, "secret", f"keys/{identities.SECRET}", found)
    if layout.keys.facts(identities.SECRET) is not None:
        layout.quarantine.take(layout.keys, identities.SECRET, finding)
    elif remembered is not None:
        layout.quarantine.note(finding)
    identities.make_secret(layout.keys)
    return None


def _with_new_secret(layout: Layout, identity: Identity) -> Identity:
    """Return the identity with the secret that was made just now, remembered; the next opening learns the machine."""
    unknown = msgspec.structs.replace(identity, machine=None)
    return _remembered(layout, unknown, None)


def _remembered(layout: Layout, identity: Identity, machine: str | None) -> Identity:
    """Return the identity with what is newly known of it, remembered."""
    known = msgspec.structs.replace(
        identity,
        machine=identity.machine or machine,
        secret=identities.secret_check(identities.secret(layout.keys)),
        inode=identities.inode(layout.keys),
    )
    if known != identity:
        identities.save(layout.keys, known)
    return known


def _without_identity(layout: Layout, machine: str | None) -> Plan:
    """Return the plan of a first log, or of one after the memory of all others was lost."""
    ids = log_ids(layout.logs)
    key = _loaded(layout)
    if not ids and key is None:
        return Plan(why="first", key=None, number=1, epoch=1, machine=machine)
    previous = _checkpoint(layout, ids[-1]) if ids else None
    number = 2 + keyring.retired_count(layout.keys)
    retiring = None if key is None else key.public
    return Plan(why="lost", key=None, number=number, epoch=1, machine=machine, previous=previous, retiring=retiring)


def _loaded(layout: Layout) -> PrivateKey | None:
    try:
        return keyring.private(layout.keys, keyring.AGENT)
    except DamageError:
        return None


def _key(layout: Layout, identity: Identity) -> PrivateKey | None:
    """Return the key the identity names; None if it is gone, with what stood there in quarantine."""
    where = f"keys/{keyring.AGENT}"
    try:
        key = keyring.private(layout.keys, keyring.AGENT)
    except DamageError as error:
        layout.quarantine.take(layout.keys, keyring.AGENT, _lost(layout, "key", where, error.found))
        return None
    if key is None:
        layout.quarantine.note(_lost(layout, "key", where, "no file"))
        return None
    if key.public.id16 != identity.key:
        layout.quarantine.take(layout.keys, keyring.AGENT, _lost(layout, "key", where, "another key"))
        return None
    _check_public(layout, key.public)
    return key


def _lost(layout: Layout, part: str, where: str, found: str) -> Finding:
    """Return the report of a lost file; whoever opens the state again before it is signed finds no other one lost."""
    told = any(each.where == where for each in layout.quarantine.unrecorded().values())
    return Finding(part=part, where=where, found=found, count=0 if told else 1)


def _check_public(layout: Layout, key: PublicKey) -> None:
    """Write the public key again where it is not what it was; a retired one stands there between two steps."""
    there = keyring.published(layout.keys)
    if there == key:
        return
    retired = there is not None and keyring.is_retired(layout.keys, there)
    if not retired and layout.keys.facts(keyring.PUBLIC) is not None:
        finding = Finding(part="key", where=f"keys/{keyring.PUBLIC}", found="another key, or none")
        layout.quarantine.take(layout.keys, keyring.PUBLIC, finding)
    keyring.publish(layout.keys, key)


def _new_key(layout: Layout, identity: Identity, why: Why, machine: str | None) -> Plan:
    try:
        log: Folder | None = layout.logs.folder(identity.log_id)
    except FileNotFoundError:
        log = None
    try:
        retiring = keyring.public(layout.keys, log, identity.key)
    except DamageError:
        retiring = None
    finally:
        if log is not None:
            log.close()
    return Plan(
        why=why,
        key=None,
        number=identity.number + 1,
        epoch=1,
        machine=machine or identity.machine,
        previous=_checkpoint(layout, identity.log_id),
        retiring=retiring,
    )


def _checkpoint(layout: Layout, log_id: str) -> Checkpoint | None:
    """Return the checkpoint of a log that is not continued, None if it cannot be read."""
    try:
        log = layout.logs.folder(log_id)
    except FileNotFoundError:
        return None
    try:
        key = keyring.public(layout.keys, log, log_id.partition("-")[0])
        return signed_size.read(log, origin_of(log_id), key)
    except (FileNotFoundError, DamageError):
        return None
    finally:
        log.close()


def _with_log(layout: Layout, identity: Identity, key: PrivateKey, opening: Opening) -> Continued | Plan:
    """Return the log of the identity; or the plan of the next one, if it is lost, closed or behind a receipt."""
    next_epoch = Plan(
        why="lost",
        key=key,
        number=identity.number,
        epoch=identity.epoch + 1,
        machine=identity.machine,
    )
    try:
        log = layout.logs.folder(identity.log_id)
    except FileNotFoundError:
        return next_epoch
    segments = open_segments(log)
    try:
        place = Place(segments, identity.origin, key, layout.quarantine)
        recovered = recover(log, place, key, opening.rows_of(identity.log_id), resume=opening.resume)
        if signed_size.was_closed(log) and recovered.rows[-1].kind != ROTATED:  # by a state that came after this one
            recovered.writer.close()
            return _new_key(layout, identity, "restored", opening.machine)
        return _continued(layout, Continued(identity, key, recovered), next_epoch, segments)
    except BehindError as error:
        return _new_key(layout, identity, "restored" if error.checkpoint else "damaged", opening.machine)
    except TreeLostError as error:
        log.close()
        return msgspec.structs.replace(next_epoch, why="damaged", previous=error.checkpoint)
    finally:
        segments.close()


def _continued(layout: Layout, found: Continued, next_epoch: Plan, segments: Folder) -> Continued | Plan:
    identity, writer = found.identity, found.log.writer
    if found.log.rows[-1].kind == ROTATED:
        checkpoint = writer.checkpoint
        named = _named_key(segments, identity.origin, found.log.rows[-1])
        writer.close()
        return _after_rotation(layout, found, named, checkpoint)
    layout.keys.remove(keyring.NEXT)  # of a rotation that was never committed
    kept = _receipts(layout, identity, found.key.public)
    behind = _restored(kept, found.log)
    if behind is not None:
        writer.close()
        return msgspec.structs.replace(next_epoch, why="restored", previous=behind)
    return Continued(identity, found.key, found.log, receipts.latest(kept))


def _receipts(layout: Layout, identity: Identity, key: PublicKey) -> list[Kept]:
    """Return the receipts of a log; what is damaged among them goes to quarantine."""
    with receipts.opened(layout.root, identity.log_id) as folder:
        if folder is None:
            return []
        kept, damaged = receipts.load(folder, identity.origin, key)
        receipts.set_aside(layout, folder, identity.log_id, damaged)
    return kept


def _restored(kept: list[Kept], log: Recovered) -> Checkpoint | None:
    """Return the checkpoint to name if receipts prove that this state is not the one that was left."""
    writer = log.writer
    if kept and kept[-1].checkpoint.size > writer.size:
        return kept[-1].checkpoint
    for each in (each.checkpoint for each in kept if each.is_fork):
        if root(row.leaf for row in log.rows[: each.size]) != each.root:
            return writer.checkpoint  # what was signed elsewhere is no part of the log that is here
    return None


def _named_key(segments: Folder, origin: str, row: Row) -> str | None:
    """Return the fingerprint that a `key-rotated` entry names."""
    frames = read_segment(segments, origin, row.segment).frames.values()
    body = next(each.body for each in frames if each.offset == row.offset)
    statement = statement_of(payload_of(body))
    return statement.predicate.event.get("keyid") if isinstance(statement, Event) else None


def _after_rotation(layout: Layout, found: Continued, named: str | None, checkpoint: Checkpoint) -> Plan:
    waiting = waiting_key(layout)
    there = waiting is not None and waiting.public.fingerprint == named
    if not there:
        where = f"keys/{keyring.NEXT}"
        finding = Finding(part="key", where=where, found="not the key that the rotation names", count=1)
        layout.quarantine.note(finding)
    return Plan(
        why="rotated" if there else "damaged",
        key=waiting if there else None,
        number=found.identity.number + 1,
        epoch=1,
        machine=found.identity.machine,
        previous=checkpoint,
        retiring=found.key.public,
    )
