"""From an inventory to a pack that an auditor's own Python accepts: log, keys, export, verify, prune, show-payload."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from agent.period import shown_instant, span_of
from evidence.reader import StoreReader
from tests.agent.command_line import Evidenced

SMALL = ("--table", "users", "--table", "host")


@pytest.fixture
def signed(evidenced: Evidenced, state: Path) -> Path:
    assert evidenced("inventory", *SMALL, "--sign", "--state", state).code == 0
    return state


def test_an_inventory_is_exported_and_verified_by_the_script_in_the_pack(
    evidenced: Evidenced, signed: Path, tmp_path: Path
) -> None:
    pack = tmp_path / "pack.tar.gz"
    ran = evidenced("export", "--org", "acme-corp", "-o", pack, "--state", signed)
    assert ran.code == 0, ran.err
    with tarfile.open(pack) as tar:
        script = tar.extractfile("verify.py")
        assert script is not None
        (tmp_path / "verify.py").write_bytes(script.read())
    own = evidenced("verify", pack)
    done = subprocess.run(
        [sys.executable, tmp_path / "verify.py", pack], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (own.code, own.out)
    assert own.code == 0, own.out
    assert own.lines[0] == "✓ Signature valid (Ed25519)"
    assert own.lines[1] == "✓ All 2 entries intact"
    assert own.lines[2].startswith("✓ Period: ")
    assert own.lines[3].startswith("! Key not compared: SHA256:")


def test_every_coverage_an_inventory_can_end_with_is_one_that_verifies(
    evidenced: Evidenced, image: Path, state: Path, tmp_path: Path
) -> None:
    """Of this image tables are complete, partial, unsupported (no sudo, no packages) and failed (an empty database)."""
    (image / "var/lib/dpkg").mkdir(parents=True)
    (image / "var/lib/dpkg/status").touch()
    ran = evidenced("inventory", "--root", image, "--sign", "--state", state)
    assert ran.code == 3
    tables = json.loads(evidenced("log", "show", "1", "--json", "--state", state).out)["predicate"]["tables"]
    assert {table["coverage"] for table in tables} == {"complete", "partial", "unsupported", "failed"}
    pack = tmp_path / "pack.tar.gz"
    assert evidenced("export", "-o", pack, "--state", state).code == 0
    verdict = evidenced("verify", pack)
    assert verdict.code == 3, verdict.out  # a table that failed was never collected
    assert verdict.lines[:2] == ["✓ Signature valid (Ed25519)", "✓ All 2 entries intact"]


def test_the_key_is_compared_when_its_fingerprint_is_given(evidenced: Evidenced, signed: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack.tar.gz"
    evidenced("export", "-o", pack, "--state", signed)
    fingerprint = evidenced("keys", "show", "--state", signed).lines[0].split()[1]
    assert evidenced("verify", pack, "--key", fingerprint).code == 0
    assert evidenced("verify", pack, "--key", "SHA256:" + "A" * 43).code == 1


def test_a_pack_is_never_overwritten_silently_and_never_half_written(
    evidenced: Evidenced, signed: Path, tmp_path: Path
) -> None:
    pack = tmp_path / "pack.tar.gz"
    pack.write_text("something of the user's")
    ran = evidenced("export", "-o", pack, "--state", signed)
    assert ran.code == 3
    assert pack.read_text() == "something of the user's"
    step = "choose another name, or replace it with --overwrite"
    assert ran.err == f"evidenced export: {pack}: expected nothing there yet, found a file; {step}\n"
    assert evidenced("export", "-o", pack, "--overwrite", "--state", signed).code == 0
    assert evidenced("export", "-o", tmp_path / "absent" / "pack.tar.gz", "--state", signed).code == 3
    assert sorted(os.listdir(tmp_path)) == ["pack.tar.gz", "state"]


def test_damage_in_what_is_exported_is_said_and_exits_3(evidenced: Evidenced, signed: Path, tmp_path: Path) -> None:
    entry = json.loads(evidenced("log", "show", "1", "--json", "--state", signed).out)
    digest = next(each["digest"]["sha256"] for each in entry["subject"] if each["name"] == "users")
    (blob,) = (signed / "blobs").rglob(f"{digest}*")
    blob.write_bytes(bytes(blob.stat().st_size))
    ran = evidenced("export", "-o", tmp_path / "pack.tar.gz", "--state", signed)
    assert ran.code == 3
    assert "1 blob is damaged and left out" in ran.err
    assert "Traceback" not in ran.err


def test_equal_logs_and_options_give_equal_tar_streams(evidenced: Evidenced, signed: Path, tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        assert evidenced("export", "-o", tmp_path / name, "--state", signed).code == 0
    first, second = ((tmp_path / name).read_bytes() for name in ("a.tar", "b.tar"))
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--since", "2020-01-01", "--until", "2020-03-31"), 3, "choose another period"),
        (("--since", "2026-13-01"), 2, "--since: expected a day"),
        (("--since", "2026-W05-1"), 2, "--since: expected a day"),
        (("--since", "2026-01-31T07:00:00+05:00Z"), 2, "--since: expected a day"),
        (("--until", "9999-12-31"), 2, "--until: expected a day"),
        (("--since", "2026-03-01", "--until", "2026-02-01"), 2, "found 2026-03-01T00:00:00Z to 2026-02-02T00:00:00Z"),
        (("--since", "2099-01-01"), 3, "--since: expected a period with entries, found the log's last entry of 20"),
        (("--org", ""), 2, "--org"),
        (("--org", "acme\x1b[31m"), 2, "--org"),
    ],
)
def test_a_period_that_cannot_be_is_one_clear_line(
    evidenced: Evidenced, signed: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, expected: str
) -> None:
    ran = evidenced("export", *arguments, "-o", tmp_path / "pack.tar.gz", "--state", signed)
    assert ran.code == code
    assert expected in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "pack.tar.gz").exists()


@pytest.mark.parametrize("name", ["pack", "pack.zip", "pack.tar.xz", "."])
def test_a_pack_is_written_to_a_file_whose_name_says_what_it_is(
    evidenced: Evidenced, signed: Path, tmp_path: Path, name: str
) -> None:
    ran = evidenced("export", "-o", tmp_path / name, "--state", signed)
    assert ran.code == 2
    assert ("found a folder" if name == "." else "ends in .tar.gz, .tgz, .tar") in ran.err
    assert os.listdir(tmp_path) == ["state"]


def test_a_period_that_begins_before_the_log_is_exported_with_a_warning(
    evidenced: Evidenced, signed: Path, tmp_path: Path
) -> None:
    pack = tmp_path / "pack.tgz"
    ran = evidenced("export", "--since", "2020-01-01", "-o", pack, "--state", signed)
    assert ran.code == 0
    (warning,) = ran.err.splitlines()
    assert "the period begins 2020-01-01T00:00:00Z, the log 20" in warning
    assert evidenced("verify", pack).code == 3
    since = warning.rpartition("--since ")[2]
    ran = evidenced("export", "--since", since, "-o", pack, "--overwrite", "--state", signed)
    assert (ran.code, ran.err) == (0, "")
    assert evidenced("verify", pack).code == 0


def test_a_period_that_ends_behind_the_log_is_exported_with_a_warning(
    evidenced: Evidenced, state: Path, tmp_path: Path
) -> None:
    assert evidenced("inventory", *SMALL, "--sign", "--every", "1d", "--state", state).code == 0
    pack = tmp_path / "pack.tgz"
    ran = evidenced("export", "--until", "2098-12-31", "-o", pack, "--state", state)
    assert ran.code == 0
    (warning,) = ran.err.splitlines()
    assert "the period ends 2099-01-01T00:00:00Z, the log's last entry is of 20" in warning
    assert evidenced("verify", pack).code == 3
    until = warning.rpartition("--until ")[2]
    ran = evidenced("export", "--until", until, "-o", pack, "--overwrite", "--state", state)
    assert (ran.code, ran.err) == (0, "")
    assert evidenced("verify", pack).code == 0
    period = ("--since", "2020-01-01", "--until", "2098-12-31")
    both = evidenced("export", *period, "-o", pack, "--overwrite", "--state", state)
    assert ["begins" in both.err, "ends" in both.err, len(both.err.splitlines())] == [True, True, 2]


def test_what_was_recorded_since_the_last_snapshot_is_in_the_pack(
    evidenced: Evidenced, signed: Path, tmp_path: Path
) -> None:
    record = ("record", "restore-test", "--field", "job=db", "--field", "result=ok", "--state", signed)
    assert evidenced(*record).code == 0
    pack = tmp_path / "pack.tar"
    assert evidenced("export", "-o", pack, "--state", signed).code == 0
    with tarfile.open(pack) as tar:
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    assert manifest["counts"]["entries"] == manifest["logs"][0]["size"] == 3
    assert evidenced("verify", pack).code == 0


def test_a_table_that_was_first_read_within_the_period_is_warned_of(
    evidenced: Evidenced, signed: Path, tmp_path: Path
) -> None:
    pack = tmp_path / "pack.tar"
    assert evidenced("inventory", "--table", "groups", "--sign", "--state", signed).code == 0
    with StoreReader(os.fspath(signed)) as reader:
        first = shown_instant(span_of(reader).first)
    ran = evidenced("export", "--since", first, "-o", pack, "--state", signed)
    assert ran.code == 0
    assert "a table was first read" in ran.err
    assert evidenced("verify", pack).code == 3
    since = ran.err.rstrip().rpartition("--since ")[2]
    for period in (("--since", since), ()):  # what is said, and what is done where nothing is
        assert evidenced("export", *period, "-o", pack, "--overwrite", "--state", signed).err == ""
        assert evidenced("verify", pack).code == 0


@pytest.mark.parametrize(
    "command",
    [("log",), ("export",), ("keys", "show"), ("keys", "rotate"), ("log", "show", "0"), ("prune",)],
)
def test_without_a_log_the_next_step_is_said(evidenced: Evidenced, state: Path, command: tuple[str, ...]) -> None:
    ran = evidenced(*command, "--state", state)
    assert ran.code == 3
    assert len(ran.err.splitlines()) == 1
    assert not state.exists()


def test_the_log_lists_shows_and_proves(evidenced: Evidenced, signed: Path) -> None:
    listing = evidenced("log", "--state", signed)
    assert listing.code == 0
    assert "2 tables" in listing.lines[-1]
    shown = evidenced("log", "show", "1", "--json", "--state", signed)
    payload = shown.out.removesuffix("\n").encode()
    proof = json.loads(evidenced("log", "prove", "1", "--json", "--state", signed).out)
    assert proof["leaf"] == hashlib.sha256(b"\0" + payload).hexdigest()
    assert evidenced("log", "prove", "2", "--state", signed).code == 2
    for wrong in ("x", "-1", "٣", "9" * 5000):
        assert evidenced("log", "show", wrong, "--state", signed).code == 2
        assert evidenced("show-payload", "--entry", wrong, "--state", signed).code == 2
        assert evidenced("log", "--last", wrong, "--state", signed).code == 2


def test_a_rotated_key_is_signed_by_the_old_one_and_both_verify(
    evidenced: Evidenced, signed: Path, tmp_path: Path
) -> None:
    old = evidenced("keys", "show", "--state", signed).lines[0].split()[1]
    rotated = evidenced("keys", "rotate", "--state", signed)
    assert rotated.code == 0
    new = evidenced("keys", "show", "--state", signed).lines[0].split()[1]
    assert new != old
    assert rotated.lines[1].startswith(f"fingerprint  {new}  (key 2 of this host)")
    assert rotated.lines[-1].startswith(f"Whoever noted the old fingerprint, {old}, has to note this one too")
    assert evidenced("inventory", *SMALL, "--sign", "--state", signed).code == 0
    pack = tmp_path / "pack.tar.gz"
    assert evidenced("export", "-o", pack, "--state", signed).code == 0
    for key in (old, new):
        ran = evidenced("verify", pack, "--key", key)
        assert ran.code == 0, ran.out


def test_what_would_leave_is_what_the_entry_holds(evidenced: Evidenced, signed: Path) -> None:
    ran = evidenced("show-payload", "--entry", "1", "--state", signed)
    assert ran.code == 0
    titles = [line for line in ran.lines if line.startswith("# ")]
    assert [title.split(",")[0] for title in titles] == [
        "# statement",
        "# blob host",
        "# blob host.gaps",
        "# blob users",
        "# blob users.gaps",
        "# header host",
        "# header users",
    ]
    fresh = evidenced("show-payload", "--table", "users", "--state", signed)
    rows = [line for line in fresh.lines if '"shell"' in line and line.startswith('{"gecos')]
    assert rows
    assert set(rows) <= set(ran.lines)


def test_a_table_that_an_entry_does_not_hold_is_wrong_use(evidenced: Evidenced, signed: Path) -> None:
    ran = evidenced("show-payload", "--entry", "1", "--table", "userz", "--state", signed)
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean users" in ran.err
    ran = evidenced("show-payload", "--entry", "1", "--table", "packages", "--state", signed)
    assert ran.code == 2
    assert "entry 1 holds host, users" in ran.err
    assert evidenced("show-payload", "--entry", "0", "--table", "users", "--state", signed).code == 2


def test_entries_of_an_older_log_are_shown_by_its_name(evidenced: Evidenced, signed: Path) -> None:
    older = evidenced("log", "--state", signed).lines[0].split()[1].rstrip(":")
    before = evidenced("show-payload", "--entry", "1", "--state", signed)
    wrong = evidenced("log", "show", "99", "--state", signed)
    assert (wrong.code, wrong.err.split(", found ")[1]) == (2, "99; see evidenced log\n")
    assert evidenced("keys", "rotate", "--state", signed).code == 0
    newer = evidenced("log", "--state", signed).lines[1].split()[1].rstrip(":")
    for words in (("log", "show", "1"), ("log", "prove", "1"), ("show-payload", "--entry", "1")):
        wrong = evidenced(*words, "--state", signed)
        assert wrong.code == 2
        found = f"{words[1]}: expected an entry of log {newer}, 0 to 0, found 1; --log names another one: {older}\n"
        assert wrong.err == f"evidenced {words[0]}: {found}"
    assert evidenced("show-payload", "--entry", "1", "--log", older, "--state", signed) == before
    assert evidenced("show-payload", "--entry", "1", "--log", "other", "--state", signed).code == 2
    assert evidenced("show-payload", "--log", older, "--state", signed).code == 2


def test_showing_the_payload_writes_nothing(evidenced: Evidenced, state: Path) -> None:
    assert evidenced("show-payload", "--table", "users", "--state", state).code == 0
    assert not state.exists()


def test_pruning_keeps_the_last_collection_of_each_table(evidenced: Evidenced, signed: Path, tmp_path: Path) -> None:
    ran = evidenced("prune", "--days", "1", "--state", signed)
    assert ran.code == 0
    assert "Removed 0 blobs" in ran.out
    assert evidenced("prune", "--days", "0", "--state", signed).code == 2
    pack = tmp_path / "pack.tar.gz"
    assert evidenced("export", "-o", pack, "--state", signed).code == 0
    assert evidenced("verify", pack).code == 0


def test_verify_says_wrong_use_of_what_is_no_pack(evidenced: Evidenced, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no pack")
    assert evidenced("verify", tmp_path / "x").code == 2
    assert evidenced("verify").code == 2
    assert evidenced("verify", tmp_path / "absent").code == 2
