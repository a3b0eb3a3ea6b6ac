"""The same verdict in hostile surroundings, and in every Python from 3.8 on (V13)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from evidence import verify
from tests.evidence.verify import forge

SCRIPT = Path(verify.__file__)
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
STANDARD = (
    "argparse",
    "base64",
    "functools",
    "hashlib",
    "json",
    "os",
    "posix",
    "re",
    "stat",
    "typing",
    "types",
    "zlib",
)
HEAD = b"\xe2\x9c\x93 Signature valid (Ed25519)\n\xe2\x9c\x93 All 6 entries intact\n"


def interpreter(version: str) -> str | None:
    """Return an interpreter of a version, from PATH or from pyenv."""
    found = shutil.which(f"python{version}")
    root = shutil.which("pyenv")
    if root is not None:
        folder = subprocess.run([root, "root"], capture_output=True, text=True, check=False).stdout.strip()
        known = sorted(Path(folder, "versions").glob(f"{version}.*/bin/python{version}")) if folder else []
        found = str(known[-1]) if known else found
    if found is None or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        return None
    return found


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "pack.tar.gz"
    path.write_bytes(forge.packed(forge.small().tar()))
    return path


def _run(*command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    kept = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, check=False, timeout=120, cwd=cwd, env={**kept, **environment})


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_since_3_8_comes_to_the_same_verdict(pack: Path, version: str, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"needs python{version}")
    good = _run(python, str(SCRIPT), str(pack))
    assert (good.returncode, good.stderr) == (0, b"")
    assert good.stdout.startswith(HEAD)
    assert good.stdout == _run(sys.executable, str(SCRIPT), str(pack)).stdout
    data = bytearray(forge.small().tar())
    data[data.index(b"payloadType")] ^= 1
    (tmp_path / "bad").write_bytes(bytes(data))
    bad = _run(python, str(SCRIPT), str(tmp_path / "bad"), str(pack))
    assert (bad.returncode, bad.stderr) == (1, b"")
    assert bad.stdout == _run(sys.executable, str(SCRIPT), str(tmp_path / "bad"), str(pack)).stdout
    for story in ("a lone surrogate", "depth"):
        forged = forge.small()
        raw = forged.logs[0].payload(1)
        deep = b'"labels":' + b"[" * 100_000 + b"]" * 100_000
        edited = raw.replace(b"web-1", b"web\\ud800") if story != "depth" else raw.replace(b'"labels":{}', deep)
        forged.logs[0].raw[1] = edited[:61_000]
        (tmp_path / "bad").write_bytes(forged.tar())
        assert _run(python, str(SCRIPT), str(tmp_path / "bad")).returncode == 1


def _poison(folder: Path) -> Path:
    """Fill a folder with modules that would say yes to everything."""
    folder.mkdir(exist_ok=True)
    for name in STANDARD:
        (folder / f"{name}.py").write_text("import sys\nsys.stdout.write('poisoned')\nsys.exit(0)\n")
    return folder


def test_modules_beside_the_script_are_not_imported(pack: Path, tmp_path: Path) -> None:
    folder = _poison(tmp_path / "beside")
    shutil.copy(SCRIPT, folder / "verify.py")
    result = _run(sys.executable, "verify.py", str(pack), cwd=folder)
    assert result.returncode == 0
    assert result.stdout.startswith(HEAD)
    assert sorted(each.name for each in folder.iterdir()) == sorted([*(f"{each}.py" for each in STANDARD), "verify.py"])


def test_modules_beside_the_script_are_not_imported_without_site_either(pack: Path, tmp_path: Path) -> None:
    folder = _poison(tmp_path / "beside")
    shutil.copy(SCRIPT, folder / "verify.py")
    result = _run(sys.executable, "-S", "verify.py", str(pack), cwd=folder)
    assert result.stdout.startswith(HEAD)


def test_the_environment_of_python_is_not_heard(pack: Path, tmp_path: Path) -> None:
    folder = _poison(tmp_path / "path")
    (folder / "os.py").unlink()  # python itself, before the script, imports what site needs
    (folder / "stat.py").unlink()
    (folder / "usercustomize.py").write_text("raise SystemExit('poisoned')\n")
    good = _run(sys.executable, str(SCRIPT), str(pack))
    bad = _run(
        sys.executable,
        str(SCRIPT),
        str(pack),
        cwd=folder,
        PYTHONPATH=str(folder),
        PYTHONSTARTUP=str(folder / "json.py"),
        PYTHONWARNINGS="error",
        PYTHONOPTIMIZE="2",
        PYTHONDONTWRITEBYTECODE="",
    )
    assert (bad.returncode, bad.stdout) == (good.returncode, good.stdout)


def test_a_rule_is_no_assertion_that_optimisation_removes(pack: Path, tmp_path: Path) -> None:
    data = forge.small().tar()
    (tmp_path / "bad").write_bytes(data.replace(b"For people.", b"For PEOPLE."))
    assert _run(sys.executable, "-OO", "-I", "-S", str(SCRIPT), str(tmp_path / "bad")).returncode == 1
    assert _run(sys.executable, "-OO", "-I", "-S", str(SCRIPT), str(pack)).returncode == 0


def test_help_is_there_without_docstrings_too() -> None:
    result = _run(sys.executable, "-OO", "-I", "-S", str(SCRIPT), "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(b"usage: verify.py ")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", ">&- 2>&-", ">/dev/full 2>/dev/full", "2>&-"])
def test_a_verdict_that_cannot_be_printed_is_neither_good_nor_bad(pack: Path, redirection: str, form: str) -> None:
    command = [sys.executable, str(SCRIPT), str(pack), *(["--json"] if form == "json" else [])]
    shell = ["sh", "-c", f'"$@" {redirection}', "sh", *command]
    result = _run(*shell)
    only_talk = redirection == "2>&-"
    assert result.returncode == (0 if only_talk else 2)
    said = b"" if "2>" in redirection else b"verify.py: could not say what was found: "
    assert result.stderr[: len(said)] == said
    assert b"Traceback" not in result.stderr
    assert result.stdout.startswith(b"" if not only_talk else HEAD if form == "text" else b"{")


def test_a_reader_that_has_gone_gets_no_verdict(pack: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, str(SCRIPT), str(pack)]
        result = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
    finally:
        os.close(write)
    assert result.returncode == 2
    assert result.stderr == b"verify.py: could not say what was found: BrokenPipeError\n"


def test_an_interrupt_ends_the_script_as_it_ends_others(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pack")
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(tmp_path / "pack")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(tmp_path / "pack", "wb"):  # it has opened the pack, and waits for bytes
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize("locale", ["C", "POSIX", "tr_TR.UTF-8", "nonsense"])
def test_no_locale_changes_the_verdict(pack: Path, locale: str) -> None:
    result = _run(sys.executable, str(SCRIPT), str(pack), LC_ALL=locale, LANG=locale)
    assert (result.returncode, result.stderr) == (0, b"")
    text = result.stdout.replace(b"[ok]", b"\xe2\x9c\x93")
    assert text.startswith(HEAD)


def test_a_script_that_was_started_isolated_does_not_start_again(pack: Path, tmp_path: Path) -> None:
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\necho started >> {tmp_path}/starts\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    assert _run(str(wrapper), "-I", "-S", str(SCRIPT), str(pack)).returncode == 0
    assert (tmp_path / "starts").read_text() == "started\n"


def test_an_interpreter_that_does_not_isolate_ends_the_run_instead_of_looping(pack: Path) -> None:
    result = _run(sys.executable, "-X", "evidenced-isolated", str(SCRIPT), str(pack))
    assert result.returncode == 2
    assert result.stdout == b""
    assert b"expected to be able to start python -I -S" in result.stderr


def test_a_file_with_an_odd_name_is_read_and_shown_in_plain_letters(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/pack-\xff\x1b[31m.tar"
    with open(odd, "wb") as stream:
        stream.write(forge.small().tar())
    command = [os.fsencode(sys.executable), os.fsencode(SCRIPT), odd, odd]
    result = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert result.returncode == 0
    assert b"\x1b" not in result.stdout
    assert subprocess.run([*command, b"--json"], capture_output=True, check=False, timeout=60).returncode == 0
