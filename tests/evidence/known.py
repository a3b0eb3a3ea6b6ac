"""The published vector of docs/formats.md, and how a test runs a program that is not ours."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping

from evidence.keys import PrivateKey
from tests.conftest import program

AGENT = PrivateKey(bytes(range(32)))
WITNESS = PrivateKey(b"\xaa" * 32)
OTHER = PrivateKey(b"\x55" * 32)

ORIGIN = "evidenced.example/agent/9f1c"
LEAVES = [b"leaf-%d" % each for each in range(7)]
ROOT = base64.b64decode("CwB/uRXrmyoUb1SxyG7FO2ZPjkVbdmCwtu4T7cDZIcA=")
TEXT = f"{ORIGIN}\n7\nCwB/uRXrmyoUb1SxyG7FO2ZPjkVbdmCwtu4T7cDZIcA=\n"
OWN_LINE = (
    f"\u2014 {ORIGIN} 8nKqQpV+zgVYhAsGGsyn/VWzph0AITEnHFaz9Rg/WfkBsb6g7wpMqaCt0tc6tcaMh1Ui4qFg2Ft+W66CgyY8ZHk6mQU=\n"
)
WITNESS_TIME = 1767225600
WITNESS_LINE = (
    "\u2014 hub.example/w1 1zQPdQAAAABpVbkAl3DRTNSEppFl3Wd7S0+GORSKzfbPuxGCkk8Sou1LAWqQre1zRcD2YNqiNiai6GJl"
    "wlXIHtRAhJnVQbMNSJV4Aw==\n"
)
NOTE = (TEXT + "\n" + OWN_LINE + WITNESS_LINE).encode()


def run(
    *command: str, stdin: bytes = b"", cwd: str | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program that the test's mark has found; its verdict is its exit code."""
    path = program(command[0])
    assert path is not None
    return subprocess.run(
        [path, *command[1:]], input=stdin, capture_output=True, check=False, timeout=120, cwd=cwd, env=env
    )


def flipped(data: bytes, at: int = -1) -> bytes:
    """Return the data with one bit changed in the byte at a place."""
    place = at % len(data)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
