"""Keys made by ssh-keygen, and what it says of them."""

from __future__ import annotations

import base64
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from collectors.access.ssh import wire
from tests.conftest import program

_LISTED = re.compile(r"([0-9]+) (SHA256:\S+) (.*) \(([A-Z0-9-]+)\)")

KINDS = [
    ("rsa", 1024),
    ("rsa", 2048),
    ("rsa", 3072),
    ("ecdsa", 256),
    ("ecdsa", 384),
    ("ecdsa", 521),
    ("ed25519", 256),
]


@dataclass(frozen=True)
class Listed:
    """One line of `ssh-keygen -l`."""

    bits: int
    fingerprint: str
    comment: str
    kind: str


def ssh_keygen(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = program("ssh-keygen")
    assert path is not None
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=60)


def made(folder: Path, kind: str, bits: int, comment: str = "someone@somewhere") -> Path:
    """Return the path of a new public key; its private half lies beside it."""
    path = folder / f"{kind}{bits}"
    ssh_keygen("-q", "-t", kind, "-b", str(bits), "-N", "", "-C", comment, "-f", str(path)).check_returncode()
    return path.with_name(path.name + ".pub")


def certified(authority: Path, key: Path) -> Path:
    """Return the path of a certificate for a public key."""
    signed = ssh_keygen("-q", "-s", str(authority.with_suffix("")), "-I", "a person", "-n", "bob", str(key))
    signed.check_returncode()
    return key.with_name(key.stem + "-cert.pub")


def listed(path: Path) -> list[Listed]:
    """Return what ssh-keygen lists of a file; what it passes over is missing."""
    found = (_LISTED.fullmatch(line) for line in ssh_keygen("-lf", str(path)).stdout.splitlines())
    return [Listed(int(each[1]), each[2], each[3], each[4]) for each in found if each]


def on_token(line: str) -> str:
    """Return the line of a key as a FIDO token would hold it, made from a plain ed25519 or ecdsa key."""
    name, encoded = line.split()[:2]
    blob = wire.text(f"sk-{name}@openssh.com".encode()) + _after_type(encoded) + wire.text(b"ssh:")
    return f"sk-{name}@openssh.com {_encoded(blob)} token"


def renamed(line: str, name: str) -> str:
    """Return the base64 of a key's line with another name of its type inside."""
    encoded = line.split()[1]
    return _encoded(wire.text(name.encode()) + _after_type(encoded))


def _after_type(encoded: str) -> bytes:
    fields = wire.Fields(base64.b64decode(encoded))
    fields.text()
    return base64.b64decode(encoded)[fields.position :]


def _encoded(blob: bytes) -> str:
    return base64.b64encode(blob).decode()
