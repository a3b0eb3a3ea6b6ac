"""The writer and the auditor's script never disagree: whatever happened on a host, its pack of any period verifies."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence import pack, verify
from evidence.keys import PrivateKey
from evidence.pack_range import EmptyPeriodError
from tests.evidence.memory_store import MemoryStore
from tests.evidence.statements import GAP, observation, users

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
TAMPERED, INCOMPLETE = 1, 3

STEPS = st.sampled_from(
    ["snapshot", "partial", "failed", "image", "rotate", "epoch", "prune", "damage", "jump", "rest"]
)
STORIES = st.lists(STEPS, min_size=1, max_size=25)
HOURS = st.integers(0, 24 * 12)


class Story:
    """A store that things happen to, some hours apart."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = BEGIN
        self.count = 0

    def happen(self, step: str) -> None:
        self.count += 1
        self.now += timedelta(hours=11)
        wall = self.now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        if step in ("snapshot", "partial", "failed", "image"):
            self._snapshot(step, wall)
        elif step == "rotate":
            self.store.rotate(PrivateKey(self.count.to_bytes(32, "big")), wall)
        elif step == "epoch":
            self.store.new_epoch(wall)
        elif step == "prune":
            there = [each for each in self.store.blobs if each in self.store.rows]
            if there:
                self.store.prune(there[:2], wall)
        elif step == "damage":
            self.store.event("damage", {"part": "blob", "count": 1}, {"findings": []}, wall)
        elif step == "jump":
            self.now += timedelta(days=-3 if self.count % 2 else 3)

    def _snapshot(self, step: str, wall: str) -> None:
        rows = b'{"name":"root","uid":%d}\n' % self.count
        changes: dict[str, Any] = {"rows": rows, "row_count": 1, "interval_s": None}
        if step == "partial":
            changes |= {"coverage": "partial", "gaps": GAP, "gap_count": 1, "reasons": {"malformed": 1}}
        if step == "failed":
            changes |= {"coverage": "failed", "failure": "killed", "rows": b"", "row_count": 0}
        seen = observation(name="image", machine=None, observed="image") if step == "image" else None
        self.store.snapshot([users(**changes)], wall, seen)


def verdict(path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", verify.__file__, path], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STORIES, HOURS, HOURS)
def test_any_pack_of_any_story_verifies(steps: list[str], start: int, length: int) -> None:
    story = Story()
    for step in steps:
        story.happen(step)
    since = BEGIN + timedelta(hours=start - 24)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/pack.tar"
        try:
            pack.export(story.store, path, since=since, until=since + timedelta(hours=length + 1), with_script=False)
        except EmptyPeriodError:
            return
        seen = verdict(path)
    # Nothing was promised, so only an attempt that failed or a period before the first reading may be a gap.
    assert seen.returncode in (0, INCOMPLETE), seen.stdout + seen.stderr
    assert "not pruned" not in seen.stdout
    assert "goes on" not in seen.stdout
    assert "right before it" not in seen.stdout
    assert "✓ Signature valid" in seen.stdout
