"""The sweep of a recorded host: only what was recorded counts, never the owners and modes of a checkout."""

from __future__ import annotations

import os
from collections.abc import Sequence

from collectors.reading.facts import Facts, facts_of
from collectors.reading.mounts import Mount
from collectors.reading.recording import Recording
from collectors.reading.sweep_harvest import Harvest
from collectors.reading.sweep_mounts import MountMap
from collectors.reading.sweep_question import Budget, Question


def walk_recording(question: Question, recording: Recording, mounts: Sequence[Mount], budget: Budget) -> Harvest:
    """Return what the interests would have been shown where the recording was made."""
    harvest = Harvest.of(len(question.interests))
    places = MountMap(mounts)
    for path, said in sorted(recording.files.items()):
        mount = places.over(path)
        if "mode" not in said or (mount and (mount.is_pseudo or mount.is_refused)):
            continue
        facts = recording.facts(path, _kept(os.path.join(recording.folder, "root", path.lstrip("/"))))
        capability = recording.capability(path) if question.capabilities else None
        harvest.entries += 1
        for index in question.asking(os.path.basename(path), facts, capable=capability is not None):
            harvest.find(index, path, facts, capability, budget)
    return harvest


def _kept(path: str) -> Facts:
    """Return the facts of what the recording keeps of a file, which may be nothing but a line about it."""
    try:
        return facts_of(os.lstat(path))
    except FileNotFoundError:
        return Facts("file", 0, 0, 0, 0, 0.0, 0, 0, 1)
