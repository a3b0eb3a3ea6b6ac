"""Any bytes as a batch, any change to a good one: our error, or the same entries, and never more."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from evidence.batch_read import Limits
from evidence.errors import EvidenceError
from evidence.keys import PrivateKey
from tests.evidence.batches import Forged, Shipper, Taken, taken
from tests.evidence.packs import Pack, unpacked

LIMITS = Limits(manifest_bytes=1 << 20, total_bytes=1 << 24, blob_bytes=1 << 24)


@functools.lru_cache(maxsize=1)
def good() -> tuple[Pack, PrivateKey, Taken]:
    """Return a good batch, the key of its log, and what is in it."""
    with tempfile.TemporaryDirectory() as folder:
        shipper = Shipper(Path(folder))
        data = shipper.bytes(shipper.write(shipper.append(b'{"name":"a","uid":1}\n', b'{"name":"b","uid":2}\n'), 0))
        return unpacked(data), shipper.key, taken(data)


def target(data: bytes) -> None:
    """Read the bytes as they are, and as a replacement of one piece of one member of a good batch."""
    try:
        taken(data, limits=LIMITS)
    except EvidenceError:
        pass
    else:
        raise AssertionError("expected no bytes of chance to be a good batch")
    pack, key, expected = good()
    forged = Forged(pack, key)
    names = sorted(forged.members)
    name, at, piece = names[sum(data[:1]) % len(names)], int.from_bytes(data[1:4], "big"), data[4:]
    raw = forged.members[name]
    at %= len(raw) + 1
    forged.members[name] = raw[:at] + piece + raw[at + len(piece) :]
    try:
        found = taken(forged.tar(), key.public, limits=LIMITS)
    except EvidenceError:
        return
    same = found.entries == expected.entries and found.checked.leaves == expected.checked.leaves
    if not same or not found.blobs.items() <= expected.blobs.items():
        raise AssertionError("expected what is signed to be what is accepted")
