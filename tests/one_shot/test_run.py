"""One file, one pack: run by root and others, from anywhere, on every Python, and nothing else of it remains."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.one_shot.conftest import ROOT, SMALL, ran, verdict

pytestmark = pytest.mark.slow
NOBODY = "65534"
BLOCK = ROOT / "tests/one_shot/without_memfd.py"
NOEXEC = 'for each in /tmp /var/tmp /dev/shm /run; do mount -t tmpfs -o noexec,mode=1777 none "$each"; done; '


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return an empty folder to work in."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture
def elsewhere(pyz: Path) -> Path:
    """Return a folder that mounts over /tmp do not hide, with the file in it."""
    folder = Path("/root") / f"one-shot-{os.getpid()}"
    shutil.copytree(pyz.parent, folder)
    return folder


def member(pack: Path, ending: str) -> bytes:
    with tarfile.open(pack) as tar:
        name = next(each for each in tar.getnames() if each.endswith(ending))
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_a_pack_is_made_and_verifies_with_the_fingerprint_that_was_printed(pyz: Path, here: Path) -> None:
    made = ran(pyz, *SMALL, "--org", "Ex Ample", "--label", "role=web", cwd=here)
    assert (made.code, made.err) == (0, "")
    [pack] = here.iterdir()
    assert re.fullmatch(r"evidence_.+_\d{4}-\d{2}-\d{2}\.tar\.gz", pack.name)
    assert pack.stat().st_mode & 0o777 == 0o600
    said = verdict(pack, made.fingerprint)
    assert "Private key kept in: memory (as the host says)" in said
    assert "why: one-shot" in said
    assert b'"Ex Ample"' in member(pack, "manifest.json")
    assert f"python3 verify.py {pack.name} --key {made.fingerprint}" in made.out


def test_the_key_is_another_one_each_time(pyz: Path, here: Path) -> None:
    first, second = (ran(pyz, *SMALL, "-o", f"{each}.tar.gz", cwd=here) for each in "ab")
    assert first.fingerprint != second.fingerprint


def test_the_script_in_the_pack_is_the_auditors(pyz: Path, here: Path) -> None:
    ran(pyz, *SMALL, "-o", "pack.tar.gz", cwd=here)
    assert member(here / "pack.tar.gz", "verify.py") == (ROOT / "evidence/verify.py").read_bytes()


def test_it_runs_on_every_python_there_is(pyz: Path, here: Path) -> None:
    versions = [f"3.{minor}" for minor in runpy.run_path(str(ROOT / "packaging/one_shot/__main__.py"))["MINORS"]]
    commands = [[str(ROOT / "packaging/find-python"), each] for each in versions]
    found = [subprocess.run(each, capture_output=True, text=True, check=False).stdout.strip() for each in commands]
    assert any(found)
    for number, python in enumerate(each for each in found if each):
        made = ran(python, pyz, *SMALL, "-o", f"{number}.tar.gz", cwd=here)
        assert (made.code, made.err) == (0, "")
        verdict(here / f"{number}.tar.gz", made.fingerprint)


def test_the_plain_commands_work_from_it_and_leave_nothing(pyz: Path, here: Path) -> None:
    home, apart = {"HOME": str(here)}, ("--state", str(here / "no-state"))
    assert "packages" in ran(pyz, "tables", cwd=here, **home).out
    assert ran(pyz, "inventory", "--no-sign", *SMALL, *apart, cwd=here, **home).out.endswith(
        "Not signed: printed only.\n"
    )
    assert ran(pyz, "inventory", *SMALL, *apart, cwd=here, **home).out.endswith("Not signed: printed only.\n")
    assert ran(pyz, "show-payload", *SMALL, *apart, cwd=here, **home).out.startswith("# statement")
    assert "commands:" in ran(pyz, "--help", cwd=here, **home).out
    assert ran(pyz, "--version", cwd=here, **home).out.startswith("evidenced ")
    assert not list(here.iterdir())
    made = ran(pyz, *SMALL, "-o", "pack.tar.gz", cwd=here, **home)
    assert ran(pyz, "verify", "pack.tar.gz", "--key", made.fingerprint, cwd=here, **home).code == 0


@pytest.mark.parametrize("arguments", [("run",), ("inventory", "--sign"), ("--output", "pack.zip"), ("--org", "\n")])
def test_what_it_cannot_do_is_wrong_use(pyz: Path, here: Path, arguments: tuple[str, ...]) -> None:
    assert ran(pyz, *arguments, cwd=here).code == 2
    assert not list(here.iterdir())


def test_a_file_that_stands_there_is_kept_and_told_before_anything_is_read(pyz: Path, here: Path) -> None:
    (here / "pack.tar.gz").write_text("mine")
    refused = ran(pyz, "-o", "pack.tar.gz", cwd=here)
    assert refused.code == 3
    assert "expected nothing there yet, found a file" in refused.err
    assert (here / "pack.tar.gz").read_text() == "mine"


def test_a_reader_who_goes_away_does_not_cost_the_pack(pyz: Path, here: Path) -> None:
    ran("/bin/sh", "-c", f"{pyz} {' '.join(SMALL)} -o pack.tar.gz | true", cwd=here, PATH=os.defpath)
    assert (here / "pack.tar.gz").exists()


def test_closed_standard_streams_are_not_taken_for_files_of_its_own(pyz: Path, here: Path) -> None:
    made = ran("/bin/sh", "-c", f"{pyz} {' '.join(SMALL)} -o pack.tar.gz <&- 2>&-", cwd=here)
    assert made.code == 0
    verdict(here / "pack.tar.gz", made.fingerprint)


@pytest.mark.needs_root
@pytest.mark.needs_program("setpriv")
def test_an_ordinary_user_gets_a_pack_of_what_he_may_read(pyz: Path) -> None:
    folder = pyz.parent / "nobodys"
    folder.mkdir()
    os.chown(folder, int(NOBODY), int(NOBODY))
    become = ("/usr/bin/setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    made = ran(*become, pyz, *SMALL, "--table", "password_status", "-o", "pack.tar.gz", cwd=folder)
    assert "as an ordinary user" in made.out
    assert (folder / "pack.tar.gz").stat().st_uid == int(NOBODY)
    verdict(folder / "pack.tar.gz", made.fingerprint)


# -- media and mounts


def mounted(script: str, *, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell in a mount namespace of its own."""
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", script]
    environment = {"PATH": os.defpath + ":/usr/sbin:/sbin", **environment}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.needs_root
@pytest.mark.needs_program("unshare")
@pytest.mark.parametrize("options", ["ro", "ro,noexec"])
def test_it_runs_from_a_medium_that_cannot_be_written(pyz: Path, here: Path, tmp_path: Path, options: str) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    run = medium / "evidenced.pyz" if options == "ro" else f"/usr/bin/python3 {medium / 'evidenced.pyz'}"
    script = f"mount --bind {pyz.parent} {medium}; mount -o remount,bind,{options} {medium}; {run} {' '.join(SMALL)}"
    done = mounted(script, cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(here.iterdir())) == 1


@pytest.mark.needs_root
@pytest.mark.needs_program("unshare")
def test_from_a_folder_that_cannot_be_written_it_asks_where_the_pack_shall_go(pyz: Path, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    medium.mkdir()
    script = f"mount --bind {pyz.parent} {medium}; mount -o remount,bind,ro {medium}; cd {medium}; ./evidenced.pyz"
    done = mounted(script, cwd=tmp_path)
    assert done.returncode == 3
    assert "expected a folder to write the pack into" in done.stderr


class TestWhereCodeMayNotBeExecuted:
    """What is tried, in which order, and what is said when nothing is left to try."""

    pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("unshare")]  # noqa: RUF012  as pytest has it

    def outcome(self, folder: Path, script: str) -> subprocess.CompletedProcess[str]:
        shutil.copy(BLOCK, folder)
        try:
            return mounted(script, cwd=folder)
        finally:
            shutil.rmtree(folder)

    def test_memory_is_enough(self, elsewhere: Path) -> None:
        done = self.outcome(elsewhere, f"{NOEXEC} ./evidenced.pyz {' '.join(SMALL)}")
        assert (done.returncode, done.stderr) == (0, "")

    def test_without_memory_a_file_without_a_name_is(self, elsewhere: Path) -> None:
        blocked = f"/usr/bin/python3 -IS {BLOCK.name} ./evidenced.pyz {' '.join(SMALL)}"
        empty = "mount -t tmpfs -o mode=1777 none /tmp; "
        done = self.outcome(elsewhere, f"{NOEXEC} umount /tmp; {empty} {blocked}; ls -A /tmp /var/tmp /dev/shm")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("/dev/shm:\n\n/tmp:\n\n/var/tmp:\n")

    def test_without_any_place_it_says_what_was_tried_and_what_to_do(self, elsewhere: Path) -> None:
        done = self.outcome(elsewhere, f"{NOEXEC} exec /usr/bin/python3 -IS {BLOCK.name} ./evidenced.pyz")
        assert done.returncode == 3
        assert done.stderr == (
            "evidenced: expected a place that compiled code can be loaded from, found none: "
            "memory (operation not permitted), /tmp (mounted noexec), /var/tmp (mounted noexec), "
            "/dev/shm (mounted noexec), /run (mounted noexec); "
            "name a folder of a file system that is not mounted noexec: TMPDIR=FOLDER\n"
        )

    def test_doing_what_it_says_helps(self, elsewhere: Path) -> None:
        blocked = f"TMPDIR=$PWD/there /usr/bin/python3 -IS {BLOCK.name} ./evidenced.pyz {' '.join(SMALL)}"
        done = self.outcome(elsewhere, f"{NOEXEC} mkdir there; {blocked}; ls -A there")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1].startswith("  python3 verify.py")  # and nothing from ls
