"""What a run leaves and what it takes in: the pack, and nothing of strangers."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.one_shot.conftest import SMALL, ran, verdict

pytestmark = pytest.mark.slow

CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (\S+)")
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE")
NO_FILES = ("/dev/null", "/proc/self/oom_score_adj")
"""Opened for writing, and no file."""
MAKES = "open,openat,openat2,creat,mkdir,mkdirat,link,linkat,symlink,symlinkat,rename,renameat,renameat2,mknod,mknodat"


def made_by(trace: str) -> set[str]:
    """Return what a traced run made or opened for writing, by name; a file that never had a name is none."""
    found = set()
    for line in trace.splitlines():
        call = CALL.match(line)
        if call is None or call[3] == "-1":
            continue
        paths = re.findall(r'"([^"]*)"', call[2])
        if call[1].startswith("open") and (not WRITES.search(call[2]) or "O_TMPFILE" in call[2]):
            continue
        found.add(paths[-1])
    return found


@pytest.mark.needs_program("strace")
def test_nothing_is_written_but_the_pack(pyz: Path, tmp_path: Path) -> None:
    here, scratch, trace = tmp_path / "here", tmp_path / "scratch", tmp_path / "trace"
    here.mkdir()
    scratch.mkdir()
    command: list[str | Path] = [
        "strace",
        "-f",
        "-qq",
        "-s",
        "4096",
        "-e",
        f"trace={MAKES}",
        "-o",
        trace,
        pyz,
        "-o",
        "pack.tar.gz",
    ]
    made = ran(*command, *SMALL, "--table", "packages", cwd=here, TMPDIR=str(scratch), PATH=os.defpath)
    assert made.code == 0
    written = made_by(trace.read_text())
    folders = {each for each in written if re.fullmatch(rf"{scratch}/evidenced-\w+(/evidenced-\w+)?", each)}
    assert "pack.tar.gz" in written
    assert written - folders - {"pack.tar.gz", *NO_FILES} == set()
    assert folders
    assert not list(scratch.iterdir())
    assert [each.name for each in here.iterdir()] == ["pack.tar.gz"]


class TestKilled:
    """A signal may come at any moment, and then nothing is there, or the whole pack."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL])
    def test_nothing_is_left_but_perhaps_the_whole_pack(
        self, pyz: Path, tmp_path: Path, number: signal.Signals
    ) -> None:
        for attempt in range(4):
            here, scratch = tmp_path / f"here{attempt}", tmp_path / f"scratch{attempt}"
            here.mkdir()
            scratch.mkdir()
            self.kill(pyz, here, scratch, number, random.uniform(0.05, 1.5))  # noqa: S311  any will do
            assert not list(scratch.iterdir())
            for each in here.iterdir():
                assert each.name == "pack.tar.gz"
                assert "Signature valid" in ran(pyz, "verify", each, cwd=here).out

    def kill(self, pyz: Path, here: Path, scratch: Path, number: signal.Signals, after_s: float) -> None:
        """Run it, send a signal, and return when all of its processes are gone: each holds the pipe."""
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [pyz, *SMALL, "--table", "packages", "-o", "pack.tar.gz"],
            cwd=here,
            env={"TMPDIR": str(scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[writing],
        )
        os.close(writing)
        time.sleep(after_s)  # the moment is what is tested
        process.send_signal(number)
        process.wait(timeout=30)
        with open(reading, "rb") as file:
            assert file.read() == b""


STRANGER = """
import os
with open(os.environ["MARK"], "a") as mark:
    mark.write(__name__ + "\\n")
"""
NAMES = ("json", "os", "posix", "sitecustomize", "usercustomize", "agent", "evidence", "msgspec", "compiled_parts")


class TestBesideStrangers:
    """Modules of the same names in the working folder, on PYTHONPATH and in the user's folder."""

    @pytest.fixture
    def hostile(self, tmp_path: Path) -> Path:
        for name in NAMES:
            (tmp_path / f"{name}.py").write_text(STRANGER)
        return tmp_path

    @pytest.fixture
    def environment(self, hostile: Path) -> dict[str, str]:
        path = str(hostile)
        return {"MARK": f"{path}/mark", "PYTHONPATH": path, "PYTHONSTARTUP": f"{path}/json.py", "HOME": path}

    def test_nothing_of_them_is_imported(self, pyz: Path, hostile: Path, environment: dict[str, str]) -> None:
        made = ran(pyz, *SMALL, "-o", "pack.tar.gz", cwd=hostile, **environment)
        assert made.code == 0
        assert not (hostile / "mark").exists()
        verdict(hostile / "pack.tar.gz", made.fingerprint)

    def test_a_python_that_was_started_plainly_is_isolated_before_anything_is_imported(
        self, pyz: Path, hostile: Path
    ) -> None:
        made = ran("/usr/bin/python3", pyz, *SMALL, cwd=hostile, MARK=str(hostile / "mark"))
        assert made.code == 0
        assert not (hostile / "mark").exists()

    def test_no_bytecode_appears_anywhere_beside_it(self, pyz: Path, hostile: Path) -> None:
        ran("/usr/bin/python3", pyz, "tables", cwd=hostile)
        assert not [*hostile.rglob("__pycache__"), *pyz.parent.rglob("__pycache__")]
