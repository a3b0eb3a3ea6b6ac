"""Receipts: notes that came back from a hub or witness, kept as they came in `receipts/LOGID/`.

Each is our checkpoint with the lines of those who saw it. One of a larger size than the log itself is proof, by
our own signature, that the state was put back to an older one.
"""

from __future__ import annotations

from evidence import layout, note, signed_size
from evidence.errors import DamageError
from evidence.keys import PublicKey
from evidence.note import Checkpoint
from evidence.quarantine import Finding
from evidence.state import Folder

_LIMIT = note.MAX_NOTE


def newest(root: Folder, log_id: str, origin: str, key: PublicKey) -> tuple[Checkpoint | None, list[str]]:
    """Return the largest checkpoint that a receipt proves, and the names of receipts that prove nothing."""
    largest: Checkpoint | None = None
    damaged = []
    try:
        receipts = root.folder(layout.RECEIPTS)
    except FileNotFoundError:
        return None, []
    try:
        folder = receipts.folder(log_id)
    except FileNotFoundError:
        return None, []
    finally:
        receipts.close()
    try:
        for name in folder.names():
            try:
                found = signed_size.parse(folder.read(name, _LIMIT), folder.where(name), origin, key)
            except DamageError:
                damaged.append(name)
                continue
            if largest is None or found.size > largest.size:
                largest = found
    finally:
        folder.close()
    return largest, damaged


def set_aside(layout_: layout.Layout, log_id: str, names: list[str]) -> None:
    """Move damaged receipts to quarantine."""
    receipts = layout_.root.folder(layout.RECEIPTS)
    folder = receipts.folder(log_id)
    try:
        for name in names:
            finding = Finding(part="receipt", where=f"receipts/{log_id}/{name}", found="no note of ours", count=1)
            layout_.quarantine.take(folder, name, finding)
    finally:
        folder.close()
        receipts.close()
