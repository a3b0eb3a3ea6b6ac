"""The signed statement about a release: others can check it, and whatever was changed on the way is found."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence.keys import PublicKey
from tests.evidence.foreign_verdicts import in_toto_accepts, securesystemslib_accepts

RELEASE = Path(__file__).parents[2] / "packaging/release.py"
COMMIT = "c0ffee" * 6 + "c0de"
STATEMENT = "evidenced.intoto.jsonl"
NAMES = ("evidenced_0.1.0-1_amd64.deb", "evidenced-0.1.0-1.x86_64.rpm", "evidenced-0.1.0-amd64.cdx.json")


def release(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-B", RELEASE, *words], capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with packages, signed with tmp_path/key."""
    made = tmp_path / "dist"
    made.mkdir()
    for name in NAMES:
        (made / name).write_bytes(name.encode())
    assert release("key", tmp_path / "key").returncode == 0
    done = release("sign", made, "--key", tmp_path / "key", "--commit", COMMIT)
    assert done.returncode == 0, done.stderr
    return made


def verified(folder: Path, key: str = "key") -> subprocess.CompletedProcess[str]:
    return release("verify", folder, "--key", folder.parent / f"{key}.pub")


def test_what_was_released_is_found_good_and_named(folder: Path) -> None:
    done = verified(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if "is the one that was released" in line] == [
        f"✓ {name} is the one that was released" for name in sorted(NAMES)
    ]
    assert done.stdout.endswith(f"✓ built from commit {COMMIT}\n")


def test_other_peoples_tools_verify_the_statement(folder: Path) -> None:
    envelope = json.loads((folder / STATEMENT).read_text())
    public = PublicKey.from_openssh((folder.parent / "key.pub").read_text())
    assert securesystemslib_accepts(envelope, public.raw, public.fingerprint)
    assert in_toto_accepts(base64.b64decode(envelope["payload"]))


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def _swap(folder: Path) -> None:
    one, other = (folder / name for name in NAMES[:2])
    content = one.read_bytes(), other.read_bytes()
    other.write_bytes(content[0])
    one.write_bytes(content[1])


def _retell(folder: Path) -> None:
    """Change the statement and keep its signature."""
    said = json.loads((folder / STATEMENT).read_text())
    payload = json.loads(base64.b64decode(said["payload"]))
    payload["subject"][0]["digest"]["sha256"] = "0" * 64
    said["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    (folder / STATEMENT).write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: _append(folder / NAMES[0]), f"{NAMES[0]}: expected SHA-256"),
        (_swap, "expected SHA-256"),
        (lambda folder: (folder / NAMES[1]).unlink(), f"{NAMES[1]}: expected this file"),
        (lambda folder: (folder / "evidenced_9.9.9-1_amd64.deb").write_bytes(b""), "expected no package that was not"),
        (_retell, "expected signatures of 1 known keys"),
        (lambda folder: (folder / STATEMENT).write_text("{}"), "expected an object with payload"),
    ],
    ids=["a byte more", "two swapped", "one lacks", "one more", "another statement", "no statement"],
)
def test_what_was_changed_on_the_way_is_found(folder: Path, harm: Callable[[Path], object], said: str) -> None:
    harm(folder)
    done = verified(folder)
    assert done.returncode == 1, done.stdout
    assert said in done.stderr


def test_a_statement_of_somebody_elses_key_is_refused(folder: Path) -> None:
    assert release("key", folder.parent / "other").returncode == 0
    assert verified(folder, "other").returncode == 1


def test_a_release_key_is_for_its_owner_only_and_never_overwritten(folder: Path) -> None:
    key = folder.parent / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    assert release("key", key).returncode == 1
    assert key.read_bytes() == before
