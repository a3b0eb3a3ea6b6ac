"""Which system calls faults are injected into: all that change what is on disk, and a new one does not go unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evidence.faults.injection import CALLS, Victim, copied

ACTIONS = ("append", "rotate", "prune")
LOOKS = frozenset({"fcntl", "fstat", "getdents64", "ioctl", "lseek", "newfstatat", "pread64", "statx"})
"""These ask, or move what this process alone sees."""
OWN = frozenset({
    "brk", "clock_gettime", "exit_group", "futex", "geteuid", "getpid", "getrandom", "madvise", "mmap", "mprotect",
    "mremap", "munmap", "rt_sigaction", "rt_sigprocmask",
})  # fmt: skip
"""These concern the process alone. What is mapped is read, or SQLite's index, which is made anew from the log."""
TALK = frozenset({"readv", "writev"})
"""The victim's own, with the test."""
OF_SQLITE = frozenset({"fchown"})
"""As root, SQLite gives a journal to the owner of its database, who is root here: a refusal changes nothing."""


@pytest.mark.slow
@pytest.mark.needs_program("strace")
@pytest.mark.parametrize("action", ACTIONS)
def test_every_call_of_the_commit_path_is_injected_into_or_changes_nothing(
    victim: Victim, template: Path, scratch: Path, action: str
) -> None:
    made = victim.counts(action, copied(template, scratch / "state"), ("all",))
    assert {"write", "fsync"} <= made.keys()
    assert made.keys() - {*CALLS, *LOOKS, *OWN, *TALK, *OF_SQLITE} == set()
