"""Steps: checkpoints on the way that a log leaves behind when its key goes, so that it can still be shipped in parts.

A batch needs a checkpoint signed for its size, and after a rotation nobody can sign one for the old log. So all logs
of a key keep, before it goes, one about every half a MiB: `steps` in the folder of the log, a line of JSON for each
(docs/formats.md, section 7). They are signatures over the log's own tree, and nothing is lost with them but the choice
of parts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import msgspec

from evidence import note, restricted_json, signed_size, sshsig
from evidence.errors import EvidenceError
from evidence.history import trees_at
from evidence.index import Row
from evidence.journal import Journal
from evidence.keys import PrivateKey, PublicKey
from evidence.note import Checkpoint, Note, Verifier
from evidence.order import is_log_id, origin_of
from evidence.state import Folder

NAME = "steps"
STEP_BYTES = 512 * 1024
"""Envelopes and stored blobs between two steps: a batch of them passes where 1 MiB does, as by default at nginx."""
_LIMIT = 256 << 20


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file: the signed note and the SSHSIG over its text."""

    note: str
    sshsig: str


def keep_all(journal: Journal, key: PrivateKey) -> None:
    """Write the steps of each log of a key, durably. Raises: OSError."""
    for log_id in journal.layout.logs.names():
        if is_log_id(log_id) and log_id.startswith(f"{key.public.id16}-"):
            log = journal.layout.logs.folder(log_id)
            try:
                with contextlib.suppress(EvidenceError):  # a log that damage took cannot be shipped in parts either
                    _keep(journal, log, log_id, key)
            finally:
                log.close()


def _keep(journal: Journal, log: Folder, log_id: str, key: PrivateKey) -> None:
    signed = signed_size.read(log, origin_of(log_id), key.public)
    rows = journal.rows_of(log_id)[: signed.size]
    sizes = sizes_of(rows, journal.blobs.stored_size, STEP_BYTES)
    lines = []
    for tree in trees_at(rows, signed, sizes):
        text = Checkpoint(signed.origin, tree.size, tree.root()).text()
        signatures = note.sign(text, signed.origin, key), sshsig.sign(text.encode(), key)
        lines.append(restricted_json.encode(Step(note=signatures[0].encode().decode(), sshsig=signatures[1])) + b"\n")
    if lines:
        log.replace(NAME, b"".join(lines))


def sizes_of(rows: Sequence[Row], stored_size: Callable[[str], int], limit_bytes: int) -> list[int]:
    """Return where a log is to be cut into parts of at most so many bytes each, or of one entry that needs more."""
    seen: set[bytes] = set()
    found, part = [], 0
    for at, row in enumerate(rows):
        new = row.digests() - seen
        seen |= new
        more = row.length + sum(stored_size(each.hex()) for each in new)
        if part and part + more > limit_bytes:
            found.append(at)
            part = 0
        part += more
    return found


def read(log: Folder, key: PublicKey, origin: str) -> dict[int, tuple[Note, str]]:
    """Return note and SSHSIG by size, of those whose signatures hold. Raises: OSError, StateError."""
    try:
        data = log.read(NAME, _LIMIT)
    except FileNotFoundError:
        return {}
    found = {}
    for line in data.split(b"\n")[:-1]:
        with contextlib.suppress(EvidenceError, msgspec.ValidationError):
            step = msgspec.convert(restricted_json.decode(line), Step)
            signed = note.parse(step.note.encode())
            note.verify(signed, [Verifier(origin, key)])
            sshsig.verify(step.sshsig, signed.text.encode(), key)
            checkpoint = Checkpoint.parse(signed.text)
            if checkpoint.origin == origin:
                found[checkpoint.size] = (signed, step.sshsig)
    return found
