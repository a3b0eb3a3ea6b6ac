"""A log that is never on disk: what is signed, what the pack says of the key, and that everybody can check it."""

from __future__ import annotations

import io
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from evidence import verify
from evidence.blobs import MAX_BYTES
from evidence.errors import FormatError, LimitError, StateError
from evidence.memory_log import MemoryLog
from evidence.pack import export
from evidence.statement import Clock
from tests.evidence.foreign_verdicts import in_toto_accepts, openssl_accepts, ssh_keygen_accepts
from tests.evidence.packs import Pack, unpacked
from tests.evidence.statements import GAP, clock, observation, users

WALL = datetime(2026, 1, 31, 7, 0, 0, 123000, tzinfo=timezone.utc)
READ = users(coverage="partial", gaps=GAP, gap_count=1, reasons={"malformed": 1}, interval_s=None)


def one_run() -> MemoryLog:
    log = MemoryLog(observation(reason="by-hand"), clock)
    assert log.append_snapshot([READ], observation(reason="by-hand")) == clock()
    return log


def packed(log: MemoryLog) -> bytes:
    out = io.BytesIO()
    export(log, out, since=WALL, until=WALL + timedelta(milliseconds=1), organisation="Example")
    return out.getvalue()


@pytest.fixture
def log() -> MemoryLog:
    return one_run()


@pytest.fixture
def pack(log: MemoryLog) -> Pack:
    return unpacked(packed(log))


def test_the_auditors_script_finds_the_pack_valid_and_complete(log: MemoryLog, tmp_path: Path) -> None:
    path, out = tmp_path / "pack.tar.gz", io.StringIO()
    path.write_bytes(packed(log))
    assert verify.main([str(path), "--key", log.fingerprint], out) == 0
    assert "All 2 entries intact" in out.getvalue()
    assert "Private key kept in: memory (as the host says)" in out.getvalue()


def test_another_key_than_the_one_that_was_noted_is_found_out(log: MemoryLog, tmp_path: Path) -> None:
    path = tmp_path / "pack.tar.gz"
    path.write_bytes(packed(log))
    assert verify.main([str(path), "--key", one_run().fingerprint], io.StringIO()) == 1


def test_the_pack_says_where_the_key_was_and_the_first_entry_signs_what_it_was_for(log: MemoryLog, pack: Pack) -> None:
    assert pack.members[f"keys/{log.id}.json"] == b'{"protection":"memory"}\n'
    first = pack.statements(log.id)[0]["predicate"]
    assert first["event"] == {"absence": None, "kind": "log-opened", "previous": None, "why": "one-shot"}
    assert pack.sequences(log.id) == [0, 1]


def test_every_blob_that_is_named_is_there(log: MemoryLog, pack: Pack) -> None:
    named = {each["digest"]["sha256"] for found in pack.statements(log.id) for each in found["subject"]}
    headers = {each["header"] for each in pack.statements(log.id)[1]["predicate"]["tables"]}
    assert set(pack.blobs()) == named | headers


@pytest.mark.needs_program("openssl")
def test_openssl_accepts_its_checkpoint(log: MemoryLog, pack: Pack, tmp_path: Path) -> None:
    text, signature = (pack.members[f"{log.id}/checkpoint.{each}"] for each in ("txt", "sig"))
    assert openssl_accepts(tmp_path, text, signature, pack.members[f"keys/{log.id}.pem"].decode())


@pytest.mark.needs_program("ssh-keygen")
def test_ssh_keygen_accepts_its_checkpoint(log: MemoryLog, pack: Pack, tmp_path: Path) -> None:
    text, armoured = (pack.members[f"{log.id}/checkpoint.{each}"] for each in ("txt", "sshsig"))
    assert ssh_keygen_accepts(tmp_path, text, armoured.decode(), pack.members[f"keys/{log.id}.pub"].decode())


def test_in_toto_accepts_its_statements(log: MemoryLog) -> None:
    for each in log.entries(log.id, 0, 2):
        assert in_toto_accepts(each.payload)


def test_each_log_has_a_key_of_its_own() -> None:
    assert one_run().fingerprint != one_run().fingerprint


def test_equal_keys_and_moments_give_equal_packs() -> None:
    def made() -> bytes:
        log = MemoryLog(observation(), clock, entropy=bytes)
        log.append_snapshot([users()], observation())
        return packed(log)

    assert made() == made()


def test_nothing_is_written_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("a file was opened"))
    one_run()


def test_what_cannot_be_signed_leaves_the_log_as_it_was(log: MemoryLog) -> None:
    before = log.checkpoint(log.id)
    with pytest.raises(FormatError):
        log.append_snapshot([users(row_count=3)], observation())
    with pytest.raises(LimitError):
        log.append_snapshot([users(rows=b"x" * MAX_BYTES + b"\n", row_count=1)], observation())
    assert log.checkpoint(log.id) == before


def test_another_log_is_asked_for_in_vain(log: MemoryLog) -> None:
    with pytest.raises(StateError):
        log.leaves("0123456789abcdef-1")


def test_the_clock_in_an_entry_is_the_one_at_signing() -> None:
    walls = iter(("2026-01-31T07:00:00.123Z", "2026-01-31T07:00:01.000Z"))

    def moment() -> Clock:
        return clock(next(walls))

    assert MemoryLog(observation(), moment).append_snapshot([users()], observation()).wall.endswith("01.000Z")
