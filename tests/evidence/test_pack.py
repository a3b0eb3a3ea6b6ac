"""Packs: the layout of docs/formats.md, section 6, and what is never shipped as good."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import zlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from evidence import note, sshsig, statement, tree, verify
from evidence.errors import DamageError, EvidenceError, PackError
from evidence.keys import PublicKey
from evidence.pack import PackSummary, export
from evidence.pack_range import EmptyPeriodError
from tests.evidence.known import OTHER, WITNESS, run
from tests.evidence.memory_store import Entry, MemoryStore
from tests.evidence.packs import Pack, unpacked
from tests.evidence.statements import GAP, observation, users

SINCE = datetime(2026, 1, 1, tzinfo=timezone.utc)
UNTIL = datetime(2026, 2, 1, tzinfo=timezone.utc)


def store(count: int = 3, **changes: Any) -> MemoryStore:
    made = MemoryStore()
    for at in range(count):
        made.snapshot([users(**changes)], f"2026-01-{at // 24 + 1:02d}T{at % 24:02d}:00:00.000Z")
    return made


def exported(made: MemoryStore, **options: Any) -> tuple[Pack, PackSummary]:
    out = io.BytesIO()
    summary = export(made, out, **({"since": SINCE, "until": UNTIL} | options))
    return unpacked(out.getvalue()), summary


def test_the_members_stand_in_the_order_of_the_format() -> None:
    made = store()
    made.rotate(OTHER, "2026-01-20T00:00:00.000Z")
    first, second = (each.id for each in made.logs())
    found, _ = exported(made)
    signed = ("checkpoint", "checkpoint.txt", "checkpoint.sig", "checkpoint.sshsig", "leaves", "entries/000")
    assert list(found.members) == [
        "manifest.json",
        *(f"keys/{log}.{form}" for log in (first, second) for form in ("pem", "pub", "vkey", "json")),
        *(f"{log}/{name}" for log in (first, second) for name in signed),
        "blobs/00",
        "reports/summary.txt",
        "verify.py",
        "README.txt",
    ]


def test_the_manifest_lists_each_other_member_in_order_with_its_hash() -> None:
    found, _ = exported(store())
    listed = found.manifest["members"]
    rest = {name: data for name, data in found.members.items() if name != "manifest.json"}
    assert [each["name"] for each in listed] == list(rest)
    assert [each["sha256"] for each in listed] == [hashlib.sha256(data).hexdigest() for data in rest.values()]
    assert [each["size"] for each in listed] == [len(data) for data in rest.values()]


def test_the_manifest_says_what_is_in_the_pack() -> None:
    made = store()
    made.snapshot([users()], "2026-01-30T00:00:00.000Z", observation(name="image", observed="image"))
    found, _ = exported(made, organisation="Example & Söhne")
    manifest = found.manifest
    del manifest["members"]
    log = made.last
    assert manifest == {
        "counts": {"blobs": 4, "entries": 5},
        "format": 1,
        "hosts": [{"logs": [log.id], "name": "image"}, {"logs": [log.id], "name": "web-1.example.org"}],
        "kind": "pack",
        "logs": [
            {
                "count": 5,
                "first": 0,
                "id": log.id,
                "keyid": log.key.public.fingerprint,
                "origin": log.origin,
                "size": 5,
            }
        ],
        "organisation": "Example & Söhne",
        "period": {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
    }


def test_the_three_texts_of_the_key_are_one_key() -> None:
    made = store()
    found, summary = exported(made)
    stem = f"keys/{made.last.id}"
    key = made.last.key.public
    assert PublicKey.from_pem(found.members[f"{stem}.pem"].decode()) == key
    assert PublicKey.from_openssh(found.members[f"{stem}.pub"].decode()) == key
    assert found.members[f"{stem}.vkey"].decode() == key.vkey(made.last.origin) + "\n"
    assert json.loads(found.members[f"{stem}.json"]) == {"protection": "file"}
    assert summary.fingerprints == (key.fingerprint,)


def test_the_checkpoint_stands_there_whole_and_in_the_parts_that_other_tools_want() -> None:
    made = store()
    log = made.last
    log.cosignatures.append(note.cosign(log.text, "hub.example/w1", WITNESS, 1767225600))
    found, _ = exported(made)
    text = found.members[f"{log.id}/checkpoint.txt"]
    assert found.members[f"{log.id}/checkpoint"] == made.checkpoint(log.id)
    assert text.decode() == log.text
    assert log.key.public.verifies(found.members[f"{log.id}/checkpoint.sig"], text)
    sshsig.verify(found.members[f"{log.id}/checkpoint.sshsig"].decode(), text, log.key.public)
    assert tree.root(tree.split(found.members[f"{log.id}/leaves"])) == tree.root(log.leaves)


def test_entries_are_bundled_by_256_in_order() -> None:
    made = store(600)
    found, summary = exported(made)
    bundles = [name for name in found.members if "/entries/" in name]
    assert bundles == [f"{made.last.id}/entries/{at:03d}" for at in range(3)]
    assert [found.members[name].count(b"\n") for name in bundles] == [256, 256, 89]
    assert found.sequences(made.last.id) == list(range(601))
    assert summary.entries == 601


def test_blobs_are_those_that_the_entries_name_and_no_others() -> None:
    made = store()
    made.keep(b"nobody names this\n")
    found, summary = exported(made)
    blobs = found.blobs()
    assert list(blobs) == sorted(blobs)
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in blobs.items())
    table = users()
    details = statement.event_details({})
    assert set(blobs.values()) == {table.rows, table.gaps, table.header, details}
    assert summary.blobs == 4


def test_blob_data_is_copied_as_the_store_keeps_it() -> None:
    made = store()
    digest = statement.digest(users().rows)
    made.blobs[digest] = zlib.compress(users().rows, 9)
    found, _ = exported(made)
    assert made.blobs[digest] in found.members["blobs/00"]


def test_a_member_of_blobs_is_closed_before_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evidence.pack_blobs.MAX_MEMBER", 400)
    found, _ = exported(store())
    members = [data for name, data in found.members.items() if name.startswith("blobs/")]
    assert len(members) > 1
    assert all(0 < len(data) <= 400 for data in members)
    assert list(found.blobs()) == sorted(found.blobs())


def test_equal_stores_and_options_give_equal_bytes() -> None:
    first, second = (io.BytesIO(), io.BytesIO())
    summaries = [export(store(), out, since=SINCE, until=UNTIL) for out in (first, second)]
    assert first.getvalue() == second.getvalue()
    assert summaries[0] == summaries[1]
    assert summaries[0].tar_sha256 == hashlib.sha256(gzip.decompress(first.getvalue())).hexdigest()
    assert summaries[0].size == len(first.getvalue())


def test_a_name_that_ends_in_tar_gets_no_gzip(tmp_path: Path) -> None:
    plain, compressed = tmp_path / "pack.tar", tmp_path / "pack.tar.gz"
    digest = export(store(), str(plain), since=SINCE, until=UNTIL).tar_sha256
    assert export(store(), str(compressed), since=SINCE, until=UNTIL).tar_sha256 == digest
    assert hashlib.sha256(plain.read_bytes()).hexdigest() == digest
    assert gzip.decompress(compressed.read_bytes()) == plain.read_bytes()


def test_a_relative_name_is_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export(store(), "pack.tar", since=SINCE, until=UNTIL)
    assert os.listdir(tmp_path) == ["pack.tar"]


def test_an_empty_period_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(EmptyPeriodError):
        export(store(), str(tmp_path / "pack"), since=UNTIL, until=UNTIL.replace(year=2027))
    with pytest.raises(PackError, match="an end behind its begin"):
        export(store(), str(tmp_path / "pack"), since=UNTIL, until=SINCE)
    assert os.listdir(tmp_path) == []


def test_what_the_system_refuses_is_one_clear_error(tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere" / "pack")
    with pytest.raises(PackError) as caught:
        export(store(), path, since=SINCE, until=UNTIL)
    assert str(caught.value) == f"{path}: expected a file written whole, found no such file or directory"


# -- what is never shipped as good


def test_a_damaged_blob_is_left_out_and_reported() -> None:
    for damage in (b"", b"not zlib", zlib.compress(b"other bytes"), zlib.compress(users().rows) + b"more"):
        made = store()
        digest = statement.digest(users().rows)
        made.blobs[digest] = damage
        found, summary = exported(made)
        assert summary.damaged == (digest,)
        assert digest not in found.blobs()
        assert found.manifest["counts"]["blobs"] == summary.blobs == 3
        assert b"missing 0, damaged 1" in found.members["reports/summary.txt"]


def test_a_blob_that_the_store_finds_damaged_itself_is_left_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    made = store()
    digest = statement.digest(users().rows)
    real = made.stored_blob

    def refusing(name: str) -> bytes | None:
        if name == digest:
            raise DamageError("blobs", "at most some bytes", "more")
        return real(name)

    monkeypatch.setattr(made, "stored_blob", refusing)
    assert exported(made)[1].damaged == (digest,)


def test_a_blob_that_inflates_without_end_is_damaged_and_costs_no_memory() -> None:
    made = store()
    bomb = zlib.compressobj(9)
    data = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(200)) + bomb.flush()
    made.blobs[statement.digest(users().rows)] = data
    assert exported(made)[1].damaged == (statement.digest(users().rows),)


def test_a_missing_blob_is_reported_with_the_event_that_explains_it() -> None:
    made = store()
    digest = statement.digest(users().rows)
    made.prune([digest], "2026-05-01T00:00:00.000Z")
    found, summary = exported(made)
    assert summary.missing == (digest,)
    assert [each["predicateType"] for each in found.statements(made.last.id)][-1] == "urn:evidenced:event:v1"


def test_an_entry_that_damage_has_taken_is_counted_and_not_made_up() -> None:
    made = store()
    made.lose(2)
    found, summary = exported(made)
    assert found.sequences(made.last.id) == [0, 1, 3]
    assert summary.lost == 1
    assert found.log()["count"] == 4


def test_an_entry_that_is_not_its_leaf_stops_the_export_and_leaves_no_file(tmp_path: Path) -> None:
    made = store()
    good = made.last.entries[2]
    assert good.payload is not None
    made.last.entries[2] = Entry(2, good.envelope, good.payload.replace(b"web-1", b"web-2"))
    with pytest.raises(DamageError, match="entry 2"):
        export(made, str(tmp_path / "pack"), since=SINCE, until=UNTIL)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("part", ["checkpoint", "sshsig", "leaves", "public_key"])
def test_signatures_and_root_are_checked_before_anything_is_written(
    part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, other = store(), store(4, name="groups")
    other.last.key = OTHER
    monkeypatch.setattr(made, part, lambda _: getattr(other, part)(other.last.id))
    with pytest.raises(EvidenceError):
        export(made, str(tmp_path / "pack"), since=SINCE, until=UNTIL)
    assert os.listdir(tmp_path) == []


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = store()
    real = made.sshsig
    raced = iter([True])

    def racing(log_id: str) -> str:
        if next(raced, False):
            made.snapshot([users()], "2026-01-30T00:00:00.000Z")
        return real(log_id)

    monkeypatch.setattr(made, "sshsig", racing)
    found, _ = exported(made)
    assert found.log()["size"] == 5


# -- for people


def test_the_report_names_hosts_tables_gaps_and_what_it_is_not() -> None:
    made = store(2, coverage="partial", gaps=GAP, gap_count=1, reasons={"malformed": 1})
    found, _ = exported(made)
    text = found.members["reports/summary.txt"].decode()
    assert text.startswith("A summary for people. It proves nothing:")
    assert "Host     web-1.example.org\n" in text
    assert re.search(r"^users +partial +2 +1 +2  2026-01-01T01:00:00.000Z$", text, re.MULTILINE)


def test_a_host_name_made_of_escapes_does_not_reach_a_terminal() -> None:
    made = MemoryStore()
    made.snapshot([users()], "2026-01-02T00:00:00.000Z", observation(name="\x1b[2Jwéb\u202e"))
    found, _ = exported(made)
    text = found.members["reports/summary.txt"].decode("ascii")
    assert "Host     \\x1b[2Jw\\xe9b\\u202e\n" in text


@pytest.mark.needs_program("openssl", "ssh-keygen", "sed", "sh", "tar")
def test_the_commands_on_the_page_in_the_pack_do_what_it_says(tmp_path: Path) -> None:
    made = store()
    made.rotate(OTHER, "2026-01-20T00:00:00.000Z")
    export(made, str(tmp_path / "pack.tar.gz"), since=SINCE, until=UNTIL)
    folder = tmp_path / "unpacked"
    folder.mkdir()
    assert run("tar", "-xzf", "../pack.tar.gz", cwd=str(folder)).returncode == 0
    lines = (folder / "README.txt").read_text().split("\n")
    commands = [line.strip() for line in lines if line.startswith("    ") and "PACK.tar.gz" not in line]
    assert len(commands) == 8
    said = b""
    for command in commands:
        seen = run("sh", "-c", command, cwd=str(folder))
        assert seen.returncode == 0, (command, seen.stderr)
        said += seen.stdout
    assert said.count(b"Signature Verified Successfully") == 2
    assert said.count(b'Good "checkpoint@evidenced" signature') == 2
    for log in made.logs():
        assert log.key.public.fingerprint.encode() in said
        (folder / log.id / "checkpoint.txt").write_bytes(b"another text\n")
    verifying = [each for each in commands if "erify" in each]
    assert len(verifying) == 4
    assert all(run("sh", "-c", each, cwd=str(folder)).returncode for each in verifying)


def test_the_script_in_the_pack_is_the_one_beside_the_writer() -> None:
    found, _ = exported(store())
    assert found.members["verify.py"] == Path(verify.__file__).read_bytes()
    assert "verify.py" not in exported(store(), with_script=False)[0].members
