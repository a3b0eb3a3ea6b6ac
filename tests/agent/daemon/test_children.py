"""What a child is given: rights, descriptors, an end of its own; and that it never makes anybody wait."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time

import pytest

from agent.daemon import children, clocks, rights
from agent.daemon.children import FIRST_PASSED, MOUNTINFO, OUTPUT_LIMIT, Child
from agent.daemon.family import STUCK, Family
from agent.daemon.rights import FILE_READER, NOTHING, PROCESS_READER, User
from agent.daemon.starting import _heard
from agent.daemon.waiting import Waiting
from collectors.reading import mounts
from tests.agent.daemon.starting_children import BARE, answer, exists, gone, started, told

STATUS = "print(open('/proc/self/status').read())"
NOBODY = User(65534, 65534, [65534])


def sets(**facts: object) -> dict[str, str]:
    """Return the lines of a child's status."""
    lines = (line.partition(":\t") for line in told(STATUS, **facts).splitlines())
    return {name: value.strip() for name, _, value in lines}


def test_a_child_leads_a_group_dies_first_for_want_of_memory_and_gains_nothing() -> None:
    child = started("import os; print(os.getpgid(0), os.getpid(), open('/proc/self/oom_score_adj').read())")
    _, text = answer(child)
    group, pid, score = text.split()
    assert group == pid == str(child.pid)
    assert int(score) >= 500
    assert sets()["NoNewPrivs"] == "1"


def test_a_child_has_nothing_of_ours_open_and_reads_nothing() -> None:
    with socket.socket() as one:
        inode = os.readlink(f"/proc/self/fd/{one.fileno()}")
        every = "[os.readlink(f + n) for n in os.listdir(f) if os.path.lexists(f + n)]"
        script = f"import os,sys; f = '/proc/self/fd/'; print({every})"
        opened = told(f"{script}; print(sys.stdin.read() == '')")
    assert inode not in opened
    assert opened.endswith("True")


def test_signals_mean_to_a_child_what_they_mean_to_anybody() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert told("import signal; print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)") == "True"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_not_there_cannot_be_started_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    order = children.Order("test", ["/nonexistent/program"], 5)
    assert answer(children.start(order, 0))[0] == 127
    assert "test: could not be started: No such file" in capfd.readouterr().err


@pytest.mark.needs_root
@pytest.mark.parametrize(("wanted", "bits"), [(FILE_READER, 1 << 2), (PROCESS_READER, 1 << 2 | 1 << 19), (NOTHING, 0)])
@pytest.mark.parametrize("user", [None, NOBODY], ids=["root", "user"])
def test_a_child_has_the_capabilities_it_needs_and_no_other(wanted: int, bits: int, user: User | None) -> None:
    found = sets(capabilities=wanted, user=user)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[name], 16) == bits, name
    if user is not None:
        assert found["Uid"].split() == found["Gid"].split() == ["65534"] * 4
        assert found["Groups"].split() == ["65534"]


@pytest.mark.needs_root
def test_a_reader_of_files_reads_what_is_closed_and_writes_nothing_and_looks_into_nobody() -> None:
    script = """
import os
def can(act):
    try: act()
    except OSError: return False
    return True
print(can(lambda: open('/etc/shadow').read()), can(lambda: open('/etc/shadow', 'a')),
      can(lambda: open('/proc/1/mem', 'rb')), can(lambda: os.readlink('/proc/1/exe')), can(lambda: os.setuid(0)))
"""
    assert told(script, capabilities=FILE_READER, user=NOBODY) == "True False False False False"
    assert told(script, capabilities=NOTHING, user=NOBODY) == "False False False False False"


@pytest.mark.needs_root
def test_a_reader_of_files_is_handed_the_mounts_of_the_host() -> None:
    assert MOUNTINFO == mounts.INHERITED
    script = f"import os; n = int(os.environ[{MOUNTINFO!r}]); print(os.readlink(f'/proc/self/fd/{{n}}'))"
    assert told(script, sees_mounts=True, capabilities=FILE_READER, user=NOBODY) == "/proc/1/mountinfo"
    assert told(f"import os; print({MOUNTINFO!r} in os.environ)") == "False"


@pytest.mark.parametrize("low", [True, False], ids=["at its number", "elsewhere"])
def test_a_child_is_handed_its_socket_as_systemd_would(low: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "7")
    monkeypatch.setenv("NOTIFY_SOCKET", "@ours")
    saved = os.dup(FIRST_PASSED) if os.path.exists(f"/proc/self/fd/{FIRST_PASSED}") else None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()
        number = listener.fileno()
        if low:
            os.dup2(number, FIRST_PASSED, inheritable=False)
            number = FIRST_PASSED
        script = """
import os, socket
ours = os.environ["LISTEN_PID"] == str(os.getpid()) and os.environ["LISTEN_FDS"] == "1"
print(ours, "NOTIFY_SOCKET" in os.environ, socket.socket(fileno=3).getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
"""
        try:
            assert told(script, listens=number) == "True False 1"
        finally:
            if low and saved is not None:
                os.dup2(saved, FIRST_PASSED, inheritable=False)
            elif low:
                os.close(FIRST_PASSED)
            if saved is not None:
                os.close(saved)


def test_a_child_ends_with_whoever_started_it() -> None:
    reading, writing = os.pipe()
    middle = os.fork()
    if middle == 0:
        child = started("import time; time.sleep(60)")
        os.write(writing, str(child.pid).encode())
        time.sleep(60)
        os._exit(0)
    pid = int(os.read(reading, 20))
    os.kill(middle, signal.SIGKILL)
    os.waitpid(middle, 0)
    assert gone(pid)
    os.close(reading)
    os.close(writing)


class TestFamily:
    @pytest.fixture
    def ended(self) -> list[int]:
        return []

    def family(self, script: str, ended: list[int], limit_s: float = 20) -> tuple[Family, Child]:
        family = Family(Waiting())
        order = children.Order("test", [*BARE, script], limit_s)
        child = family.start(order, 0.0, lambda _child, code, _now: ended.append(code))
        assert child is not None
        return family, child

    def turn(self, family: Family, now: float) -> None:
        family.tend(now)
        if family.members:
            family.hear(family._waiting.wait(family.fds), now)

    def test_what_a_child_said_before_it_ended_is_heard(self, ended: list[int]) -> None:
        family, child = self.family("print('x' * 200_000); raise SystemExit(5)", ended)
        while family.members:
            self.turn(family, 1)
        assert (ended, len(child.held)) == ([5], 200_001)

    def test_a_child_that_has_had_its_time_is_killed_with_its_group(
        self, ended: list[int], capfd: pytest.CaptureFixture[str]
    ) -> None:
        script = (
            "import subprocess,sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid"
        )
        family, child = self.family(f"{script}, flush=True); import time; time.sleep(60)", ended, limit_s=5)
        self.turn(family, 1)
        grandchild = int(child.held)
        assert family.next_time == 5
        while family.members:
            self.turn(family, 6)
        assert ended == [128 + signal.SIGKILL]
        assert gone(grandchild)
        assert "expected its end within 5 s" in capfd.readouterr().err

    def test_a_child_that_is_killed_and_does_not_end_is_left_behind(
        self, ended: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        family, child = self.family("import time; time.sleep(60)", ended, limit_s=5)
        monkeypatch.setattr(Child, "kill", lambda self, now: setattr(self, "killed_at", now))
        family.tend(6)
        assert family.next_time == 16
        family.tend(15)
        assert ended == []
        family.tend(16)
        assert (ended, family.members) == ([STUCK], [])
        assert exists(child.pid)
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)

    def test_a_child_that_is_stopped_makes_nobody_wait(self, ended: list[int]) -> None:
        family, child = self.family("import time; time.sleep(60)", ended, limit_s=5)
        os.kill(child.pid, signal.SIGSTOP)
        while family.members:
            self.turn(family, 6)
        assert ended == [128 + signal.SIGKILL]

    def test_a_child_that_closes_its_output_and_goes_on_wakes_nobody(self, ended: list[int]) -> None:
        family, child = self.family("import os,time; os.close(1); time.sleep(60)", ended)
        while child.pipe in family.fds:
            self.turn(family, 1)
        assert family.fds == {child.pidfd}
        assert not select.select([child.pidfd], [], [], 0)[0]
        child.kill(1)
        while family.members:
            self.turn(family, 1)

    def test_output_without_end_ends_the_child(self, ended: list[int]) -> None:
        family, child = self.family("while True: print('x' * 65536)", ended)
        while family.members:
            self.turn(family, 1)
        assert ended == [128 + signal.SIGKILL]
        assert len(child.held) <= OUTPUT_LIMIT

    def test_without_descriptors_nothing_starts_and_nothing_breaks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_flags: int) -> tuple[int, int]:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(os, "pipe2", refuse)
        family = Family(Waiting())
        assert family.start(children.Order("test", [*BARE, ""], 5), 0.0, lambda *_: None) is None
        assert family.members == []


def test_what_is_held_is_what_the_kernel_says() -> None:
    with open("/proc/self/status", encoding="ascii") as file:
        permitted = next(line for line in file if line.startswith("CapPrm:"))
    assert rights.held() == int(permitted.split()[1], 16)


def test_a_plan_longer_than_a_pipe_holds_is_heard_to_its_end() -> None:
    child = started("print('x' * 300_000)")
    child.deadline = clocks.boot() + 20
    try:
        assert _heard(child) == (0, b"x" * 300_000 + b"\n")
    finally:
        child.close()


def test_a_plan_that_does_not_come_is_none() -> None:
    child = started("import os, time; os.close(1); time.sleep(60)")
    child.deadline = clocks.boot() + 0.2
    try:
        assert _heard(child) == (1, b"")
        assert gone(child.pid)
    finally:
        child.close()


def test_a_child_that_cannot_be_told_of_does_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def refuse(pid: int) -> int:
        begun.append(pid)
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(OSError, match="too many"):
        started("import time; time.sleep(60)")
    with pytest.raises(ChildProcessError):
        os.waitpid(begun[0], os.WNOHANG)
