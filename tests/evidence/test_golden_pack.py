"""The golden log and pack of format 1: made again to the byte, and judged by programs that are not ours.

Each of them accepts what is in the pack and refuses its twin, in which one bit was flipped.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib.util
import json
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from evidence import tree
from evidence.keys import PublicKey
from evidence.note import Checkpoint
from tests.evidence.foreign_verdicts import (
    in_toto_accepts,
    openssl_accepts,
    securesystemslib_accepts,
    signify_accepts,
    ssh_keygen_accepts,
)
from tests.evidence.known import flipped
from tests.evidence.packs import unpacked

FOLDER = Path(__file__).parent / "golden"
DATA = (FOLDER / "pack.tar.gz").read_bytes()
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
PACK = unpacked(DATA)
LOGS = [each["id"] for each in PACK.manifest["logs"]]
logs = pytest.mark.parametrize("log", LOGS)


def member(log: str, name: str) -> bytes:
    return PACK.members[f"{log}/{name}"]


def key(log: str, form: str) -> str:
    return PACK.members[f"keys/{log}.{form}"].decode()


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """Load make.py, which is a script and no module of a package."""
    spec = importlib.util.spec_from_file_location("make_golden", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_the_golden_pack_is_small() -> None:
    assert len(DATA) <= 20 * 1024


@pytest.fixture
def golden_state(tmp_path: Path) -> Path:
    """Return a copy of the golden log with the modes that a state must have; git keeps none."""
    state = tmp_path / "golden"
    shutil.copytree(FOLDER / "state", state)
    for path in (state, *state.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return state


def files(state: Path, *below: str) -> dict[str, bytes]:
    paths = (path for each in below for path in (state / each).rglob("*"))
    return {str(path.relative_to(state)): path.read_bytes() for path in paths if path.is_file()}


def test_the_golden_log_still_gives_the_golden_pack(generator: ModuleType, golden_state: Path) -> None:
    data, expected = generator.packed(str(golden_state))
    assert gzip.decompress(data) == gzip.decompress(DATA)
    assert expected == EXPECTED
    assert hashlib.sha256(gzip.decompress(DATA)).hexdigest() == EXPECTED["tar_sha256"]


def test_the_same_story_is_written_to_the_same_log_today(
    generator: ModuleType, golden_state: Path, tmp_path: Path
) -> None:
    generator.make(str(tmp_path / "state"))
    today = files(tmp_path / "state", "logs")
    assert {name: today[name] for name in files(golden_state, "logs")} == files(golden_state, "logs")
    made, kept = files(tmp_path / "state", "blobs"), files(golden_state, "blobs")
    # zlib's bytes are its own affair; what they hold is not.
    assert {name: zlib.decompress(data) for name, data in made.items()} == {
        name: zlib.decompress(data) for name, data in kept.items()
    }


def test_the_pack_holds_each_thing_that_the_format_knows() -> None:
    statements = [each for log in LOGS for each in PACK.statements(log)]
    tables = [table for each in statements for table in each["predicate"].get("tables", [])]
    kinds = {each["predicate"].get("event", {}).get("kind") for each in statements} - {None}
    assert {each["coverage"] for each in tables} == {"complete", "partial", "failed", "unsupported", "disabled"}
    assert kinds == {"log-opened", "key-rotated", "pruned", "gap"}
    assert {each["predicate"]["host"]["observed"] for each in statements} == {"live", "image"}
    assert len(LOGS) == len(EXPECTED["fingerprints"]) == 2
    assert EXPECTED["pruned"][0] not in PACK.blobs()


@logs
@pytest.mark.needs_program("openssl")
def test_openssl_accepts_each_checkpoint_and_refuses_its_twin(log: str, tmp_path: Path) -> None:
    text, signature, pem = member(log, "checkpoint.txt"), member(log, "checkpoint.sig"), key(log, "pem")
    assert openssl_accepts(tmp_path, text, signature, pem)
    assert not openssl_accepts(tmp_path, flipped(text, 12), signature, pem)
    assert not openssl_accepts(tmp_path, text, flipped(signature, 12), pem)


@logs
@pytest.mark.needs_program("ssh-keygen")
def test_ssh_keygen_accepts_each_checkpoint_and_refuses_its_twin(log: str, tmp_path: Path) -> None:
    text, armoured, line = member(log, "checkpoint.txt"), member(log, "checkpoint.sshsig").decode(), key(log, "pub")
    assert ssh_keygen_accepts(tmp_path, text, armoured, line)
    assert not ssh_keygen_accepts(tmp_path, flipped(text, 12), armoured, line)
    assert not ssh_keygen_accepts(tmp_path, text, armoured.replace("A", "B", 1), line)


@logs
@pytest.mark.needs_program("signify-openbsd")
def test_signify_accepts_each_checkpoint_and_refuses_its_twin(log: str, tmp_path: Path) -> None:
    text, signature = member(log, "checkpoint.txt"), member(log, "checkpoint.sig")
    raw = PublicKey.from_openssh(key(log, "pub")).raw
    assert signify_accepts(tmp_path, text, signature, raw)
    assert not signify_accepts(tmp_path, flipped(text, 12), signature, raw)
    assert not signify_accepts(tmp_path, text, flipped(signature, 12), raw)


@logs
@pytest.mark.needs_program("go")
def test_go_accepts_each_checkpoint_with_its_entries_and_refuses_their_twins(
    log: str, go_accepts: Callable[[dict[str, Any]], bool]
) -> None:
    leaves = tree.split(member(log, "leaves"))
    checkpoint = Checkpoint.parse(member(log, "checkpoint.txt").decode())
    for envelope, sequence in zip(PACK.envelopes(log), PACK.sequences(log), strict=True):
        request: dict[str, Any] = {
            "Vkey": key(log, "vkey").strip(),
            "Note": member(log, "checkpoint"),
            "Text": member(log, "checkpoint.txt").decode(),
            "Size": checkpoint.size,
            "Root": checkpoint.root,
            "Index": sequence,
            "Record": base64.b64decode(envelope["payload"]),
            "Inclusion": tree.inclusion_proof(leaves, sequence),
            "OldSize": sequence + 1,
            "OldRoot": tree.root(leaves[: sequence + 1]),
            "Consistency": tree.consistency_proof(leaves, sequence + 1),
        }
        assert go_accepts(request)
        assert not go_accepts(request | {"Record": flipped(request["Record"], 200)})
        assert not go_accepts(request | {"Note": flipped(request["Note"], 12)})
        assert not go_accepts(request | {"OldRoot": flipped(request["OldRoot"])})


@logs
def test_securesystemslib_accepts_each_envelope_and_refuses_its_twin(log: str) -> None:
    public = PublicKey.from_openssh(key(log, "pub"))
    for envelope in PACK.envelopes(log):
        assert securesystemslib_accepts(envelope, public.raw, public.fingerprint)
        payload = flipped(base64.b64decode(envelope["payload"]), 200)
        twin = envelope | {"payload": base64.b64encode(payload).decode()}
        assert not securesystemslib_accepts(twin, public.raw, public.fingerprint)


def test_a_rotation_is_signed_by_both_keys_for_securesystemslib_too() -> None:
    (rotation,) = (each for each in PACK.envelopes(LOGS[0]) if len(each["signatures"]) > 1)
    for log in LOGS:
        public = PublicKey.from_openssh(key(log, "pub"))
        assert securesystemslib_accepts(rotation, public.raw, public.fingerprint)


@logs
def test_in_toto_accepts_each_payload_and_refuses_its_twin(log: str) -> None:
    for envelope in PACK.envelopes(log):
        payload = base64.b64decode(envelope["payload"])
        assert in_toto_accepts(payload)
        assert not in_toto_accepts(payload.replace(b"Statement/v1", b"Statement/v0"))


def test_the_blobs_are_what_their_names_say_for_the_standard_library() -> None:
    blobs = PACK.blobs()
    assert len(blobs) == EXPECTED["blobs"]
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())


def test_the_counts_are_those_of_the_manifest() -> None:
    assert PACK.manifest["counts"] == {"blobs": EXPECTED["blobs"], "entries": EXPECTED["entries"]}
