"""The verdicts of programs that share no code with us; each takes the bytes it would find in a pack."""

from __future__ import annotations

import base64
import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from in_toto_attestation.v1 import statement_pb2  # type: ignore[import-untyped]
from in_toto_attestation.v1.statement import Statement as TheirStatement  # type: ignore[import-untyped]
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._key import SSlibKey

from evidence import sshsig
from tests.evidence.known import run

GO_SOURCE = Path(__file__).parent / "foreign" / "note.go"
GO_PATH = "/usr/share/gocode"


def openssl_accepts(folder: Path, text: bytes, signature: bytes, pem: str) -> bool:
    (folder / "key.pem").write_text(pem)
    (folder / "text").write_bytes(text)
    (folder / "sig").write_bytes(signature)
    command = "pkeyutl -verify -rawin -pubin -inkey key.pem -in text -sigfile sig"
    return run("openssl", *command.split(), cwd=str(folder)).returncode == 0


def ssh_keygen_accepts(folder: Path, text: bytes, armoured: str, line: str, namespace: str = sshsig.NAMESPACE) -> bool:
    (folder / "allowed").write_text(f"agent {line}")
    (folder / "sshsig").write_text(armoured)
    command = f"-Y verify -f allowed -I agent -n {namespace} -s sshsig"
    return run("ssh-keygen", *command.split(), stdin=text, cwd=str(folder)).returncode == 0


def signify_accepts(folder: Path, text: bytes, signature: bytes, raw: bytes) -> bool:
    """Write signify's two files by hand: algorithm, key number, then the same bytes as everywhere else."""
    number = b"\x01" * 8
    (folder / "key.pub").write_text(f"untrusted comment: agent\n{base64.b64encode(b'Ed' + number + raw).decode()}\n")
    (folder / "text").write_bytes(text)
    signed = base64.b64encode(b"Ed" + number + signature).decode()
    (folder / "text.sig").write_text(f"untrusted comment: agent\n{signed}\n")
    command = "-V -p key.pub -m text -x text.sig"
    return run("signify-openbsd", *command.split(), cwd=str(folder)).returncode == 0


def minisign_accepts(folder: Path, text: bytes, signature: bytes, over: bytes, raw: bytes) -> bool:
    """Write minisign's two files by hand; `over` signs the signature and its trusted comment, which is empty."""
    number = b"\x01" * 8
    (folder / "key.pub").write_text(f"untrusted comment: agent\n{_base64(b'Ed' + number + raw)}\n")
    (folder / "text").write_bytes(text)
    signed = _base64(b"Ed" + number + signature)
    lines = ("untrusted comment: agent", signed, "trusted comment: ", _base64(over), "")
    (folder / "text.minisig").write_text("\n".join(lines))
    command = "-V -q -p key.pub -m text -x text.minisig"
    return run("minisign", *command.split(), cwd=str(folder)).returncode == 0


def go_verdict_in(folder: Path) -> Callable[[dict[str, Any]], bool]:
    """Build the Go program offline, from the distribution's own source packages, and return its verdict."""
    if not os.path.isdir(f"{GO_PATH}/src/golang.org/x/mod/sumdb/tlog"):
        pytest.skip("needs golang.org/x/mod (Debian: golang-golang-x-mod-dev)")
    env = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": GO_PATH,
        "GOFLAGS": "",
        "GOCACHE": str(folder / "cache"),
        "GOPROXY": "off",
        "CGO_ENABLED": "0",
    }
    built = run("go", "build", "-o", str(folder / "check"), str(GO_SOURCE), env=env)
    assert built.returncode == 0, built.stderr.decode()

    def accepts(request: dict[str, Any]) -> bool:
        seen = run(str(folder / "check"), stdin=json.dumps(request, default=_base64).encode())
        assert seen.returncode in (0, 1), seen.stderr.decode()
        return seen.returncode == 0

    return accepts


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def securesystemslib_accepts(envelope: dict[str, Any], raw: bytes, keyid: str) -> bool:
    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": raw.hex()})
    try:
        TheirEnvelope.from_dict(copy.deepcopy(envelope)).verify([key], 1)
    except VerificationError:
        return False
    return True


def in_toto_accepts(payload: bytes) -> bool:
    """Parse as protobuf's JSON mapping does, unknown fields refused, then apply the specification's checks."""
    message = statement_pb2.Statement()
    try:
        json_format.Parse(payload, message)
        TheirStatement.copy_from_pb(message).validate()
    except (json_format.ParseError, ValueError):
        return False
    return True
