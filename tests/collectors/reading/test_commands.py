"""Listed programs run without environment, input, time or output to spare, and only if they are root's."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors.reading.commands import LISTED, SSHD_TEST, Command, run_program
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host

SH = os.path.realpath("/bin/sh")


def shell(script: str, **limits: object) -> Command:
    """Return a command that runs a script; only a test may ask for a shell."""
    return Command("script", (SH, "-c", script), **limits)  # type: ignore[arg-type]


def failure(command: Command) -> tuple[str, str]:
    with pytest.raises(ReadError) as caught:
        run_program(command)
    assert caught.value.gap().source == "command:script"
    return caught.value.reason, caught.value.detail


def running(mark: str) -> list[str]:
    """Return the processes whose arguments contain a text."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in arguments and int(pid) != os.getpid():
            found.append(pid)
    return found


def soon_gone(mark: str) -> bool:
    """Return whether processes that were killed are gone; the kernel takes a moment for it."""
    until = time.monotonic() + 10
    while running(mark) and time.monotonic() < until:
        time.sleep(0.01)
    return not running(mark)


def test_output_is_returned_and_errors_are_not() -> None:
    assert run_program(shell("echo out; echo err >&2")) == b"out\n"


def test_nothing_of_our_surroundings_reaches_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "canary")
    said = run_program(shell("export -p; pwd; read line || echo no input; cat || echo nothing is found by name"))
    assert said.split(b"\n") == [
        b"export LC_ALL='C'",
        b"export PATH='/nonexistent'",
        b"export PWD='/'",
        b"/",
        b"no input",
        b"nothing is found by name",
        b"",
    ]


def test_the_program_leads_a_session_of_its_own() -> None:
    said = run_program(shell('echo $$; read -r line < /proc/$$/stat; echo "$line"')).decode()
    pid, line = said.split("\n", 1)
    _state, _parent, group, session = line.rpartition(")")[2].split()[:4]
    assert pid == group == session


def test_no_descriptor_of_ours_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "mine").open("w") as file:
        os.dup2(file.fileno(), 77, inheritable=True)
    try:
        assert run_program(shell("[ -e /proc/$$/fd/77 ] && echo open || echo closed")) == b"closed\n"
    finally:
        os.close(77)


@pytest.mark.parametrize("code", [1, 3, 127])
def test_another_exit_code_is_a_gap_that_names_it(code: int) -> None:
    assert failure(shell(f"echo half; exit {code}")) == ("command_failed", f"expected exit code 0, found {code}")


def test_an_exit_code_can_be_expected() -> None:
    assert run_program(shell("echo none; exit 1", ok_codes=(0, 1))) == b"none\n"


def test_a_signal_is_a_failure() -> None:
    assert failure(shell("kill -9 $$")) == ("command_failed", "expected exit code 0, found -9")


@pytest.mark.parametrize(
    "script",
    [
        "while :; do :; done",
        "exec >&- 2>&-; while :; do :; done",
        "trap '' TERM INT HUP; while :; do :; done",
        "(while :; do :; done) & (while :; do :; done) & wait",
    ],
    ids=["silent", "closes its output", "ignores signals", "has children"],
)
def test_what_is_late_is_killed_with_all_it_started(script: str) -> None:
    mark = f"late-{time.monotonic_ns()}"
    started = time.monotonic()
    assert failure(shell(f": {mark}; {script}", deadline_s=0.4))[0] == "timed_out"
    assert time.monotonic() - started < 10
    assert soon_gone(mark)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'line 3: Bad option: canary' >&2; exit 1", "an option is unknown"),
        ("exec >&-; echo 'canary: Bad option' >&2; exit 1", "an option is unknown"),
        ("echo canary >&2; exit 1", "ask it yourself"),
        ("head -c 1000000 /dev/zero >&2; exit 1", "ask it yourself"),
    ],
    ids=["known", "behind the end of its output", "unknown", "long"],
)
def test_a_complaint_becomes_words_of_ours_and_is_not_repeated(script: str, why: str) -> None:
    known = ((b"Bad option", "an option is unknown"),)
    command = shell(f"PATH=/usr/bin:/bin; {script}", reasons=known, otherwise="ask it yourself")
    assert failure(command) == ("command_failed", f"expected exit code 0, found 1: {why}")


@pytest.mark.needs_program("sshd")
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("-f", "/dev/null", "-h", "/nonexistent"), "there is no host key that it may read"),
        (("-o", "Canary=1"), "an option that it does not know"),
        (("-f", "/nonexistent/sshd_config"), "run sshd -t as root to see why"),
    ],
)
def test_what_sshd_itself_complains_of_is_known(arguments: tuple[str, ...], why: str) -> None:
    asked = (*SSHD_TEST.argv, *arguments)
    command = Command("script", asked, reasons=SSHD_TEST.reasons, otherwise=SSHD_TEST.otherwise)
    reason, detail = failure(command)
    assert reason == "command_failed"
    assert why in detail
    assert "anary" not in detail


def test_what_it_leaves_behind_is_killed_too() -> None:
    mark = f"left-{time.monotonic_ns()}"
    assert run_program(shell(f": {mark}; (while :; do :; done) >&- 2>&- & echo done")) == b"done\n"
    assert soon_gone(mark)


def test_it_does_not_outlive_a_collector_that_is_killed() -> None:
    mark = "outlives-46d1"
    collector = os.fork()
    if collector == 0:
        with contextlib.suppress(BaseException):
            run_program(shell(f"/bin/sleep 60; : {mark}"))
        os._exit(0)
    until = time.monotonic() + 5
    while not running(mark) and time.monotonic() < until:
        time.sleep(0.01)
    assert running(mark)
    os.kill(collector, signal.SIGKILL)
    os.waitpid(collector, 0)
    assert soon_gone(mark)


def test_endless_output_is_cut_off() -> None:
    started = time.monotonic()
    assert failure(shell("while :; do echo yes; done", output_limit=1000))[0] == "truncated"
    assert time.monotonic() - started < 10


def test_output_of_exactly_the_limit_is_whole() -> None:
    assert run_program(shell("printf 12345", output_limit=5)) == b"12345"


class TestWhoMayReplaceIt:
    """H9: a program that anyone but root could have put there is not run."""

    @pytest.fixture
    def home(self) -> Iterator[Path]:
        """Return a folder below none that others may write, as /tmp is."""
        with tempfile.TemporaryDirectory(dir="/root" if os.geteuid() == 0 else None) as folder:
            yield Path(folder)

    @pytest.fixture
    def program(self, home: Path) -> Path:
        path = home / "bin" / "program"
        path.parent.mkdir()
        path.parent.chmod(0o755)  # whatever the umask: that of a user may let his group write
        path.write_bytes(Path(SH).read_bytes())
        path.chmod(0o755)
        return path

    def run(self, path: Path) -> bytes:
        return run_program(Command("script", (str(path), "-c", "echo ran")))

    @pytest.mark.needs_root
    def test_roots_own_program_is_run(self, program: Path) -> None:
        assert self.run(program) == b"ran\n"

    @pytest.mark.needs_root
    def test_a_link_that_root_made_is_followed(self, program: Path) -> None:
        (program.parent.parent / "sbin").symlink_to("bin")
        assert self.run(program.parent.parent / "sbin" / "program") == b"ran\n"

    @pytest.mark.needs_root
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: os.chown(path, 1000, 0),
            lambda path: path.chmod(0o775),
            lambda path: path.chmod(0o757),
            lambda path: os.chown(path.parent, 1000, 0),
            lambda path: path.parent.chmod(0o777),
            lambda path: path.parent.chmod(0o1777),
            lambda path: path.parent.parent.chmod(0o720),
        ],
        ids=["owner", "group writes", "others write", "folder's owner", "folder", "sticky folder", "folder above"],
    )
    def test_one_that_others_may_replace_is_not(self, program: Path, spoil: Callable[[Path], None]) -> None:
        spoil(program)
        with pytest.raises(ReadError) as caught:
            self.run(program)
        assert caught.value.reason == "permission_denied"

    @pytest.mark.needs_root
    def test_a_link_that_leads_through_an_open_folder_is_not(self, program: Path, tmp_path: Path) -> None:
        (tmp_path / "program").write_bytes(program.read_bytes())
        (tmp_path / "program").chmod(0o755)
        program.unlink()
        program.symlink_to(tmp_path / "program")
        with pytest.raises(ReadError) as caught:
            self.run(program)
        assert caught.value.reason == "permission_denied"  # /tmp is everyone's

    @pytest.mark.needs_root
    def test_what_is_no_file_is_not(self, program: Path) -> None:
        program.unlink()
        os.mkfifo(program, 0o755)
        program.chmod(0o755)
        assert stat.S_ISFIFO(program.stat().st_mode)
        with pytest.raises(ReadError) as caught:
            self.run(program)
        assert caught.value.reason == "not_regular"

    def test_a_missing_one_is_absent(self) -> None:
        with pytest.raises(AbsentError):
            self.run(Path("/usr/sbin/no-such-program"))

    def test_one_that_cannot_be_started_is_a_failure(self, program: Path) -> None:
        program.write_bytes(b"\x7fELF but no more")
        with pytest.raises(ReadError) as caught:
            self.run(program)
        assert caught.value.reason in {"command_failed", "permission_denied"}


class TestOnWhichHost:
    def test_only_listed_commands_are_run(self) -> None:
        with pytest.raises(ValueError, match="one of the listed"):
            Host("/", secret=b"").run(shell("echo no"))

    def test_every_listed_command_is_an_absolute_path_and_no_shell(self) -> None:
        for command in LISTED:
            assert command.argv[0].startswith(("/usr/sbin/", "/usr/bin/"))
            assert os.path.basename(command.argv[0]) not in {"sh", "bash", "dash", "python3", "perl", "env", "busybox"}

    def test_names_of_commands_are_unique_and_can_be_file_names(self) -> None:
        names = [command.name for command in LISTED]
        assert len(set(names)) == len(names)
        assert all(name.replace("-", "").isalnum() for name in names)

    def test_an_image_runs_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(AbsentError, match="live host only"):
            Host(str(tmp_path), secret=b"").run(SSHD_TEST)

    @pytest.mark.needs_root
    @pytest.mark.needs_program("sshd")
    def test_the_live_host_runs_it(self) -> None:
        host = Host("/", secret=b"")
        os.makedirs("/run/sshd", exist_ok=True)
        try:
            said = host.run(SSHD_TEST)
        except ReadError as error:
            assert error.reason == "command_failed"  # noqa: PT017  no host keys here: it ran, and says so
        else:
            assert b"port 22" in said
            assert host.opened == ["command:sshd-test"]
