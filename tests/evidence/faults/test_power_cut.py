"""S3: the power goes at any moment; what was not synced is lost, torn or out of order; no promise is broken."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from evidence import dsse, order, recovery, statement
from evidence.keys import PrivateKey
from evidence.layout import opened as opened_layout
from evidence.log import EvidenceStore
from evidence.scan import Place
from evidence.state import open_state
from evidence.statement import Context
from tests.evidence.faults.injection import adopt, checkpoints, copied, judge
from tests.evidence.faults.power_cut import Recorder, image, recording, settled
from tests.evidence.store_parts import SEEN, START, table, ticking

Work = Callable[[EvidenceStore, Recorder], None]
ODDS = (0.0, 0.7)
"""How kind the disk is to what was not synced: all of it is lost, or some of it. (All kept is a kill: S1.)"""

READY_S = 10
"""Five times what it may take (S3, which `bench` measures): machines of tests are slow and busy, but not that much."""


def append(store: EvidenceStore, disk: Recorder) -> None:
    for at in range(2):
        entry = store.append_snapshot([table("users", b'{"n":%d}' % at), table("fresh", b"[%d]" % at)], SEEN)
        disk.promised.append((entry.origin, entry.sequence, entry.leaf_hash.hex()))


def rotate(store: EvidenceStore, disk: Recorder) -> None:
    entry = store.rotate(SEEN)
    disk.promised.append((entry.origin, entry.sequence, entry.leaf_hash.hex()))


def prune(store: EvidenceStore, disk: Recorder) -> None:
    assert store.prune(START + timedelta(days=3650), SEEN)
    append(store, disk)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "first"), [(append, False), (rotate, False), (prune, False), (append, True), (rotate, True)]
)
def test_after_a_power_cut_at_any_moment_every_promise_holds(
    template: Path, scratch: Path, work: Work, first: bool
) -> None:
    place = scratch / "disk"
    place.mkdir()
    if not first:
        copied(template, place / "state")
    state = place / "state" if not first else place
    with recording(state) as disk, opened(place / "state") as store:
        work(store, disk)
    chance = random.Random(20260101)  # noqa: S311  the same cuts in each run
    cut = scratch / "cut"
    for moment in disk.moments:
        image(settled(moment), disk.root, cut, chance, 1.0)
        seen = checkpoints(cut / "disk" / "state") if first else checkpoints(cut / "state")
        for odds in ODDS:
            image(moment, disk.root, cut, chance, odds)
            left = cut / "disk" / "state" if first else cut / "state"
            with contextlib.suppress(FileNotFoundError):
                adopt(left)
            judge(left, list(moment.promised), seen)


def opened(state: Path) -> EvidenceStore:
    return EvidenceStore.open(str(state), machine="aa" * 32, clock=ticking(), wait_s=0)


def test_the_disk_of_these_tests_really_forgets(template: Path, scratch: Path) -> None:
    """A store that never syncs must fail the test above, or it proves nothing."""
    place = scratch / "disk"
    place.mkdir()
    state = copied(template, place / "state")
    with recording(state) as disk, pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _descriptor: None)
        with opened(state) as store:
            append(store, disk)
    image(disk.moments[-1], disk.root, scratch / "cut", random.Random(1), 0.0)  # noqa: S311
    adopt(scratch / "cut" / "state")
    with pytest.raises((AssertionError, IndexError, KeyError)):
        judge(scratch / "cut" / "state", disk.promised, [])


def a_long_log(state: Path) -> None:
    """Append ten thousand snapshots of a dozen tables, as the store does; but the size is signed once, at the end."""
    tables = [table(f"table_{at:02}", b'{"n":1}') for at in range(12)]
    with opened(state) as store:
        origin = store.append_snapshot(tables, SEEN).origin
    key = PrivateKey.from_pkcs8_pem((state / "keys" / "agent.pem").read_text())
    context = Context(origin=origin, sequence=0, clock=ticking()(), observation=SEEN)
    first = statement.snapshot(tables, context)
    with contextlib.closing(open_state(str(state), create=False)) as root, opened_layout(root) as layout:
        log = layout.logs.folder(order.id_of(origin))
        with contextlib.closing(recovery.open_segments(log)) as segments:
            place = Place(segments, origin, key, layout.quarantine)
            writer = recovery.recover(log, place, key, [], resume=True).writer
        with contextlib.closing(writer):
            for at in range(writer.size, 10_000):
                payload = first.replace(b'"sequence":0', b'"sequence":%d' % at)
                writer.append(dsse.sign(payload, [key]).encode(), payload)
            writer.sign()


@pytest.mark.slow
def test_ten_thousand_entries_are_ready_in_a_moment_also_without_the_index(scratch: Path) -> None:
    state = scratch / "state"
    a_long_log(state)
    with opened(state):
        pass  # the index is written
    times = []
    for removed in (False, True):
        if removed:
            (state / "index.sqlite").unlink()
        begun = time.process_time()  # of this process: others may be busy on the same machine
        with opened(state):
            pass
        times.append(time.process_time() - begun)
    assert max(times) < READY_S, times
