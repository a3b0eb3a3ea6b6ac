"""The key on disk: only its owner, only whole, never overwritten, never quoted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from evidence import key_file
from evidence.errors import KeyFileError
from tests.conftest import program
from tests.evidence.known import AGENT, OTHER, run

SECRET_BASE64 = AGENT.pkcs8_pem().split("\n")[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.pem"


def test_what_is_stored_is_loaded(path: Path) -> None:
    key_file.store(str(path), AGENT)
    assert key_file.load(str(path)) == AGENT
    assert os.listdir(path.parent) == ["agent.pem"]


def test_the_mode_is_600_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o777)
    try:
        key_file.store(str(path), AGENT)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(path: Path) -> None:
    key_file.store(str(path), AGENT)
    with pytest.raises(KeyFileError, match="never overwritten"):
        key_file.store(str(path), OTHER)
    assert key_file.load(str(path)) == AGENT
    assert os.listdir(path.parent) == ["agent.pem"]


def test_what_a_crash_left_behind_is_replaced_and_never_followed(path: Path) -> None:
    victim = path.parent / "victim"
    victim.write_text("mine")
    os.symlink(victim, path.parent / "agent.pem.new")
    key_file.store(str(path), AGENT)
    assert victim.read_text() == "mine"
    assert key_file.load(str(path)) == AGENT


def test_the_key_and_its_name_are_synced_in_that_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def noted_fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_link(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        steps.append("name")
        link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "link", noted_link)
    key_file.store(str(path), AGENT)
    assert steps == ["file", "name", "folder"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777])
def test_a_key_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    key_file.store(str(path), AGENT)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"expected mode 600, found mode {mode:o}; others could have read it"):
        key_file.load(str(path))


@pytest.mark.needs_root
def test_a_key_of_another_owner_is_refused(path: Path) -> None:
    key_file.store(str(path), AGENT)
    os.chown(path, 12345, -1)
    with pytest.raises(KeyFileError, match="expected owner 0, found owner 12345"):
        key_file.load(str(path))


def test_a_link_to_a_key_is_refused(path: Path) -> None:
    key_file.store(str(path), AGENT)
    link = path.parent / "link.pem"
    os.symlink(path, link)
    with pytest.raises(KeyFileError, match="a symbolic link"):
        key_file.load(str(link))


def test_what_is_not_a_regular_file_is_refused_without_waiting(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFileError, match="a regular file"):
        key_file.load(str(path))
    path.unlink()
    path.mkdir()
    with pytest.raises(KeyFileError, match="a regular file"):
        key_file.load(str(path))


def test_an_absent_key_is_absent_and_not_damaged(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        key_file.load(str(path))


def _pem(key: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey | ed25519.Ed25519PrivateKey, kind: str) -> bytes:
    formats = {
        "openssh": serialization.PrivateFormat.OpenSSH,
        "pkcs8": serialization.PrivateFormat.PKCS8,
        "encrypted": serialization.PrivateFormat.PKCS8,
    }
    lock = serialization.BestAvailableEncryption(b"pw") if kind == "encrypted" else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, formats[kind], lock)


ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOT_A_KEY = {
    "nothing": b"",
    "zeros": b"\0" * 4096,
    "a megabyte": b"A" * 1_000_000,
    "half a key": AGENT.pkcs8_pem().encode()[:60],
    "two keys": AGENT.pkcs8_pem().encode() * 2,
    "damaged base64": AGENT.pkcs8_pem().replace(SECRET_BASE64, SECRET_BASE64[:-3]).encode(),
    "a flipped header": AGENT.pkcs8_pem().replace("MC4CAQAw", "MC4CAQBw").encode(),
    "not text": AGENT.pkcs8_pem().encode("utf-16"),
    "a public key": AGENT.public.pem().encode(),
    "a P-256 key": _pem(ec.generate_private_key(ec.SECP256R1()), "pkcs8"),
    "an Ed448 key": _pem(ed448.Ed448PrivateKey.generate(), "pkcs8"),
    "an OpenSSH private key": _pem(ED25519, "openssh"),
    "an encrypted key": _pem(ED25519, "encrypted"),
}


@pytest.mark.parametrize("data", NOT_A_KEY.values(), ids=NOT_A_KEY.keys())
def test_what_is_not_our_kind_of_key_is_refused_without_quoting_it(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        key_file.load(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: expected ")
    assert caught.value.__cause__ is None
    for at in range(0, len(data) - 8, 8):
        chunk = data[at : at + 8].decode("latin-1")
        assert chunk not in text or chunk in "PRIVATE KEY-----BEGIN"


@pytest.mark.needs_program("openssl")
def test_openssl_reads_what_is_stored_and_we_read_what_it_makes(path: Path, tmp_path: Path) -> None:
    key_file.store(str(path), AGENT)
    seen = run("openssl", "pkey", "-in", str(path), "-pubout")
    assert seen.stdout.decode() == AGENT.public.pem()
    theirs = tmp_path / "theirs.pem"
    assert run("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(theirs)).returncode == 0
    theirs.chmod(0o600)
    public = run("openssl", "pkey", "-in", str(theirs), "-pubout").stdout.decode()
    assert key_file.load(str(theirs)).public.pem() == public


@pytest.mark.needs_program("ssh-keygen")
def test_ssh_keygen_prints_our_fingerprint(tmp_path: Path) -> None:
    assert program("ssh-keygen")
    line = tmp_path / "agent.pub"
    line.write_text(AGENT.public.openssh("a host"))
    seen = run("ssh-keygen", "-l", "-f", str(line)).stdout.decode()
    assert seen.split()[:2] == ["256", AGENT.public.fingerprint]
