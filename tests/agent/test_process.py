"""The program among others: streams that are full or closed, locales, and signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.main import main
from evidence import verify
from tests.agent.command_line import apart

PROGRAM = f"{sys.executable} -m agent"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQ5tCGNlmTnYbwQtK5n4hjDmJpTLnWxAkl3TPGdAYs5"

TOP = Path(__file__).parent.parent.parent
LOADED = """
import runpy, sys
slow, top, module = sys.argv[1:]
sys.path[:0] = [slow, top]
sys.argv[1:] = ["tables"]
runpy.run_module(module, run_name="__main__")
"""
"""Runs a module as `python -m` does, with an argparse that takes a minute to load."""

SLOW = """
import os, sys, time
from agent import choosing, process
from collectors.access.users import User
from collectors.contract import Table

def collect(host):
    with host.copied("/database") as copy:
        worker = os.fork()
        if worker == 0:
            time.sleep(3600)
        print(worker, os.path.dirname(copy), file=sys.stderr, flush=True)
        time.sleep(3600)
        yield

choosing.all_tables = lambda: (Table("slow", User, key=("name",), reads=(), collect=collect),)
sys.exit(process.start())
"""


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, env=os.environ | environment, timeout=60
    )


def is_gone(pid: int) -> bool:
    """Return whether a process ends within five seconds; when its exit code is taken is not ours to say."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("command", ["tables", "tables --markdown", "--help", "show-payload --table users"])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written_is_one_line_and_exit_3(command: str, redirection: str, tmp_path: Path) -> None:
    ran = shell(f"{PROGRAM} {command} {redirection}", XDG_STATE_HOME=os.fspath(tmp_path))
    assert ran.returncode == 3
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert ran.stderr.startswith("evidenced")


PACK = f"{TOP}/tests/evidence/golden/pack.tar.gz"
"""Its verdict is 0, if it can be printed."""
VERIFIERS = ([sys.executable, "-m", "agent", "verify"], [sys.executable, f"{TOP}/evidence/verify.py"])


@pytest.mark.parametrize("options", ["", "--json", "--help", "--no-such-option"])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", ">/dev/full 2>&-"])
def test_a_verdict_that_cannot_be_printed_is_2_as_that_of_the_script_itself(options: str, redirection: str) -> None:
    """3 would say that the pack is incomplete, and 1 that it was tampered with."""
    ways = (f"{' '.join(each)} {options} {PACK} {redirection}" for each in VERIFIERS)
    assert [shell(each).returncode for each in ways] == [2, 2]


@pytest.mark.parametrize("streams", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
def test_a_reader_that_goes_away_leaves_no_verdict(streams: dict[str, str]) -> None:
    surroundings = os.environ | streams
    for way in VERIFIERS:
        there, here = os.pipe()
        os.close(there)
        ran = subprocess.run(
            [*way, PACK], stdout=here, stderr=subprocess.PIPE, check=False, env=surroundings, timeout=60
        )
        os.close(here)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)


def test_a_defect_of_the_script_accuses_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object) -> int:
        raise MemoryError

    monkeypatch.setattr(verify, "main", broken)
    assert main(["verify", str(tmp_path)]) == 2


@pytest.mark.parametrize("room", ["agent", "hub"])
def test_a_defect_is_told_whole_and_does_not_end_as_bad_evidence_does(room: str) -> None:
    broken = f"import sys, {room}.main as m; m.COMMANDS = None; from {room}.process import start; sys.exit(start())"
    ran = subprocess.run([sys.executable, "-c", broken, "log"], capture_output=True, text=True, check=False, cwd=TOP)
    assert ran.returncode == 3
    assert "Traceback" in ran.stderr


@pytest.mark.parametrize("command", ["log", "export -o pack.tar.gz"])
def test_what_cannot_be_told_on_stderr_leaves_the_exit_code_as_it_is(command: str, tmp_path: Path) -> None:
    """A traceback would end it with 1, which means that the evidence is bad."""
    ran = shell(f"{PROGRAM} {command} --state {tmp_path}/none 2>/dev/full")
    assert (ran.returncode, ran.stdout) == (3, "")


def test_an_inventory_is_signed_although_nothing_can_be_told_on_stderr(tmp_path: Path) -> None:
    ran = shell(f"{PROGRAM} inventory --table users --sign --state {tmp_path}/state 2>/dev/full")
    assert ran.returncode == 0
    assert "Signed as entry 1" in ran.stdout


def test_an_inventory_is_signed_although_its_output_cannot_be_written(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ran = shell(f"{PROGRAM} inventory --table users --sign --state {state} >/dev/full")
    assert ran.returncode == 3
    listing = shell(f"{PROGRAM} log --state {state}")
    assert re.search(r"1 table, \d+ rows, \d+ gaps: users$", listing.stdout, re.MULTILINE)


def test_a_closed_stderr_does_not_become_a_file_that_is_written_to(tmp_path: Path) -> None:
    ran = shell(f"{PROGRAM} inventory --table users --sign --state {tmp_path}/state <&- 2>&-")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Signed as entry 1" in ran.stdout


def test_a_reader_that_goes_away_ends_the_program_quietly() -> None:
    ran = shell(f"{PROGRAM} tables --markdown | head -n 1")
    assert (ran.stdout, ran.stderr) == ("# Tables\n", "")


def test_paths_are_the_same_bytes_in_any_locale(image: Path, tmp_path: Path) -> None:
    """A home in passwd is UTF-8; so is its name on disk, whatever the language of who reads it."""
    (image / "etc/passwd").write_text("jörg:x:1000:1000::/home/jörg:/bin/sh\n", "utf-8")
    folder = image / "home/jörg/.ssh"
    folder.mkdir(parents=True)
    (folder / "authorized_keys").write_text(KEY + "\n")
    command = f"{PROGRAM} inventory --root {image} --table ssh_authorized_keys --json {' '.join(apart(tmp_path))}"
    plain = shell(command)
    assert plain.returncode == 0
    assert "/home/jörg/.ssh/authorized_keys" in plain.stdout
    other = shell(command, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert other.stdout == plain.stdout


def test_output_in_ascii_has_plain_signs_and_escapes_the_rest(image: Path, tmp_path: Path) -> None:
    (image / "etc/hostname").write_text("jörg\n", "utf-8")
    command = f"{PROGRAM} inventory --root {image} --table users {' '.join(apart(tmp_path))}"
    ran = shell(command, LC_ALL="C", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0
    assert ran.stdout.startswith("evidenced 0.1.0 - j\\xf6rg - image ")
    assert ran.stdout.isascii()
    assert "usage: evidenced COMMAND [OPTION...]" in shell(f"{PROGRAM} --help", PYTHONIOENCODING="ascii").stdout


@pytest.mark.parametrize("module", ["agent", "evidenced"])
def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_traceback(module: str, tmp_path: Path) -> None:
    (tmp_path / "argparse.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    package = tmp_path / "evidenced"
    package.symlink_to(TOP / "packaging/wheel/evidenced")
    program = subprocess.Popen(
        [sys.executable, "-c", LOADED, tmp_path, TOP, module],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "loading\n"
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=20)
    assert (program.returncode, err) == (-signal.SIGINT, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_collection_its_workers_and_its_copies(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "database").write_bytes(b"x")
    os.utime(tmp_path / "database", (1, 1))
    time.sleep(0.1)
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    program = subprocess.Popen(
        [sys.executable, script, "inventory", "--no-sign", "--root", tmp_path, "--state", tmp_path / "state"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": os.fspath(tmp_path)},
    )
    assert program.stderr is not None
    worker, folder = program.stderr.readline().split()
    assert os.path.isdir(folder)
    program.send_signal(number)
    out, err = program.communicate(timeout=20)
    assert (program.returncode, out, err) == (128 + number, "", f"evidenced: stopped by {number.name}\n")
    assert not os.path.exists(folder)
    assert sorted(os.listdir(tmp_path)) == ["database", "slow.py"]
    assert is_gone(int(worker))
