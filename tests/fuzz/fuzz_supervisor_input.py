"""Any bytes as what the supervisor hears: a run's words, the kernel's notes, the uploader's wait, its own status."""

from __future__ import annotations

from agent.daemon.inotify import notes_in
from agent.daemon.parts import AGAIN_LIMIT_S, wait_said
from agent.daemon.pressure import share_in
from agent.daemon.results import MOST_HOMES, Result
from agent.supervision import parse


def target(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    result = Result()
    for line in text.split("\n"):
        result.take(line)
    assert len(result.homes) <= MOST_HOMES
    assert all(pid >= 0 for _, pid in result.stuck)
    assert sum(len(each.name) for each in notes_in(data)) <= len(data)
    assert 1 <= wait_said(data) <= AGAIN_LIMIT_S
    share = share_in(text)
    assert share is None or share >= 0
    parse(text, 1.0)
    assert parse("evidenced-status 1\n" + text, 1.0) is not None
