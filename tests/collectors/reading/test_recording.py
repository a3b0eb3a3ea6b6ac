"""A recorded host answers as the host did, also in a checkout that belongs to an ordinary user."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.catalogue import all_tables
from collectors.contract import Row, Table, means
from collectors.reading.commands import SSHD_TEST
from collectors.reading.digest import sha256_of
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host
from collectors.reading.sweep import Interest
from fixtures.record import record
from fixtures.scrub import fake_hash, scrubbed
from tests.collectors.canary_host import CANARY, PLANTS
from tests.collectors.reading.planting import Plant

Act = Callable[[Host], object]


class Nothing(Row):
    """No row at all."""

    name: Annotated[str, means("never told")]


def answer(act: Act, host: Host) -> object:
    """Return what a host answers, or why it does not."""
    try:
        return act(host)
    except ReadError as error:
        return error.reason


def recorded(root: Path, folder: Path, acts: list[Act]) -> Host:
    """Return the recording of a tree, made by a table that does just this, as a checkout would have it."""

    def collect(host: Host) -> tuple[Row, ...]:
        for act in acts:
            answer(act, host)
        return ()

    record(str(root), str(folder), [Table("nothing", Nothing, key=("name",), reads=(), collect=collect)], {})
    as_a_checkout_has_it(folder)
    return Host.recorded(str(folder))


def as_a_checkout_has_it(folder: Path) -> None:
    """Take away what Git does not keep."""
    for place, folders, files in os.walk(folder, topdown=False):
        if not folders and not files:
            os.rmdir(place)
        for name in files:
            path = os.path.join(place, name)
            if not os.path.islink(path):
                os.chmod(path, 0o644)
                os.utime(path, (2e9, 2e9))


ACTS: dict[str, Act] = {
    "a file": lambda host: (host.read("/etc/file").data, host.read("/etc/file").truncated),
    "its facts": lambda host: told(host.read("/etc/file").facts),
    "through a link": lambda host: host.read("/link/file").data,
    "the link": lambda host: (host.target("/link"), told(host.look("/link"))),
    "cut": lambda host: (host.read("/etc/long", limit=10).data, host.read("/etc/long", limit=10).truncated),
    "names": lambda host: host.names("/etc"),
    "an empty folder": lambda host: (host.names("/empty"), told(host.look("/empty"))),
    "a program": lambda host: told(host.look("/etc/suid")),
    "a pipe": lambda host: host.read("/etc/pipe"),
    "a pipe's facts": lambda host: told(host.look("/etc/pipe")),
    "nothing": lambda host: host.read("/etc/none"),
    "a dangling link": lambda host: host.read("/etc/dangling"),
    "a loop": lambda host: host.read("/etc/loop"),
    "a link in a home": lambda host: host.read("/home/u/keys", untrusted="/home/u"),
    "a name that is not UTF-8": lambda host: host.read("/etc/\udcff").data,
}


def told(facts: object) -> dict[str, object]:
    """Return the facts that mean the same elsewhere; times are recorded to the second."""
    said = {name: getattr(facts, name) for name in ("kind", "mode", "uid", "gid", "size_bytes")}
    return {**said, "mtime": int(facts.mtime)} | ({"size_bytes": None} if said["kind"] == "folder" else {})  # type: ignore[attr-defined]


@pytest.fixture
def tree(root: Path, plant: Plant) -> Path:
    """Return a tree with one of each."""
    plant("/etc/file", "content").chmod(0o640)
    plant("/etc/long", "x" * 1000)
    plant("/etc/suid", "x" * 50).chmod(0o4755)
    plant("/etc/\udcff", "bytes")
    plant("/home/u/real", "x")
    (root / "empty").mkdir(mode=0o1777)
    (root / "link").symlink_to("/etc")
    (root / "etc/dangling").symlink_to("nowhere")
    (root / "etc/loop").symlink_to("loop")
    (root / "home/u/keys").symlink_to("real")
    os.mkfifo(root / "etc/pipe", 0o600)
    if os.geteuid() == 0:
        os.chown(root / "etc/file", 1234, 5678)
    for path in ("etc/file", "etc/long", "etc/suid", "empty"):
        os.utime(root / path, (1.6e9, 1.6e9))
    return root


@pytest.mark.parametrize("name", ACTS)
def test_the_recording_answers_as_the_host(tree: Path, tmp_path: Path, name: str) -> None:
    host = Host(str(tree), secret=b"")
    copy = recorded(tree, tmp_path / "copy", [ACTS[name]])
    assert answer(ACTS[name], copy) == answer(ACTS[name], host)


def test_the_recording_of_all_answers_as_the_host(tree: Path, tmp_path: Path) -> None:
    host = Host(str(tree), secret=b"")
    copy = recorded(tree, tmp_path / "copy", list(ACTS.values()))
    assert {name: answer(act, copy) for name, act in ACTS.items()} == {
        name: answer(act, host) for name, act in ACTS.items()
    }


def test_nothing_but_what_was_asked_for_is_kept(tree: Path, tmp_path: Path) -> None:
    recorded(tree, tmp_path / "copy", [ACTS["a file"]])
    kept = {str(each.relative_to(tmp_path / "copy")) for each in (tmp_path / "copy").rglob("*") if each.is_file()}
    assert kept == {"facts.json", "host.toml", "root/etc/file"}


def test_a_program_found_by_the_sweep_is_kept_as_its_digest(tree: Path, tmp_path: Path) -> None:
    interest = Interest("suid", mode_any=0o4000)

    def act(host: Host) -> object:
        return [(each.path, sha256_of(host, each.path, each.facts)) for each in host.found(interest)]  # type: ignore[union-attr]

    copy = recorded(tree, tmp_path / "copy", [act])
    assert answer(act, copy) == [("/etc/suid", hashlib.sha256(b"x" * 50).hexdigest())]
    assert (tmp_path / "copy" / "root/etc/suid").read_bytes() == b""


def test_a_copied_database_is_kept_with_its_side_files(tree: Path, tmp_path: Path, plant: Plant) -> None:
    for name in ("db", "db-wal"):
        os.utime(plant(f"/{name}", name), (1.6e9, 1.6e9))

    def act(host: Host) -> object:
        with host.copied("/db", side=("-wal", "-shm")) as copy:
            return sorted((each.name, each.read_bytes()) for each in Path(copy).parent.iterdir())

    copy = recorded(tree, tmp_path / "copy", [act])
    for each in (tmp_path / "copy" / "root").iterdir():
        os.utime(each, (1.6e9, 1.6e9))
    assert answer(act, copy) == [("copy", b"db"), ("copy-wal", b"db-wal")]


@pytest.mark.parametrize(("name", "reason"), [("EACCES", "permission_denied"), ("EIO", "io_error")])
def test_a_file_that_could_not_be_opened_cannot_be_opened(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_text("in the checkout")
    (tmp_path / "facts.json").write_text(json.dumps({"/file": {"error": name}}))
    host = Host.recorded(str(tmp_path))
    assert answer(lambda host: host.read("/file"), host) == reason
    assert host.look("/file").kind == "file"


def test_a_mount_of_the_recorded_host_is_not_entered_in_its_recording(root: Path, plant: Plant) -> None:
    plant("/proc/1/mountinfo", "9 8 0:50 / /srv/home/u/cloud rw - nfs4 server:/x rw\n")
    plant("/srv/home/u/cloud/file", "x")
    (root / "home").symlink_to("srv/home")
    host = Host.recorded(str(root.parent))
    assert answer(lambda host: host.read("/home/u/cloud/file", untrusted="/home/u"), host) == "not_entered"
    assert answer(lambda host: host.read("/home/u/cloud/file"), host) == "not_entered"


class TestCommands:
    @pytest.fixture
    def host(self, tmp_path: Path) -> Host:
        (tmp_path / "root").mkdir()
        (tmp_path / "commands").mkdir()
        return Host.recorded(str(tmp_path))

    def test_recorded_output_is_the_answer(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "commands" / "sshd-test").write_text("port 22\n")
        assert host.run(SSHD_TEST) == b"port 22\n"
        assert host.opened == ["command:sshd-test"]

    def test_a_recorded_failure_is_a_failure(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "commands" / "sshd-test").write_text("half\n")
        (tmp_path / "commands" / "sshd-test.exit").write_text("255\n")
        with pytest.raises(ReadError, match="found 255"):
            host.run(SSHD_TEST)

    def test_too_much_recorded_output_is_truncated_as_live(self, host: Host, tmp_path: Path) -> None:
        (tmp_path / "commands" / "sshd-test").write_bytes(b"x" * (SSHD_TEST.output_limit + 1))
        with pytest.raises(ReadError, match="truncated"):
            host.run(SSHD_TEST)

    def test_nothing_is_run_where_nothing_was_recorded(self, host: Host) -> None:
        with pytest.raises(AbsentError):
            host.run(SSHD_TEST)


@pytest.mark.parametrize("text", ["[]", "[" * 99999, '{"/x": 1}', '{"/x": {"mode": 420}}', "{", "", "\xff"])
def test_facts_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "facts.json").write_text(text)
    with pytest.raises(ValueError, match=r"facts\.json"):
        Host.recorded(str(tmp_path))


class TestScrubbing:
    @pytest.mark.parametrize(
        ("real", "fake"),
        [
            ("$6$rounds=5000$saltsalt$abc/.9", "$6$rounds=5000$xxxxxxxx$xxxxxx"),
            ("$y$j9T$salt$hash", "$y$j9T$xxxx$xxxx"),
            ("$2b$12$abcdefghijklmnopqrstuv", "$2b$12$xxxxxxxxxxxxxxxxxxxxxx"),
            ("$7$CU..../....SALTSALT$hash", "$7$CU..../....xxxxxxxx$xxxx"),
            ("$1$salt$hash", "$1$xxxx$xxxx"),
            ("!!$6$salt$hash", "!!$6$xxxx$xxxx"),
            ("abcdefghijklm", "xxxxxxxxxxxxx"),
            ("", ""),
            ("!", "!"),
            ("*", "*"),
            ("!*", "!*"),
            ("x", "x"),
        ],
    )
    def test_a_hash_keeps_its_shape_and_loses_its_secret(self, real: str, fake: str) -> None:
        assert fake_hash(real) == fake

    @given(st.text(alphabet="$!*./=,abcXYZ019", max_size=60))
    def test_any_field_keeps_its_length(self, text: str) -> None:
        assert len(fake_hash(text)) == len(text)

    def test_comments_of_keys_are_replaced_and_their_options_kept(self) -> None:
        line = b'restrict,command="a b" ssh-ed25519 AAAA me at home\n# mine\nssh-rsa AAAB\n'
        found = scrubbed("/home/u/.ssh/authorized_keys", line)
        assert found == b'restrict,command="a b" ssh-ed25519 AAAA comment-1\n# mine\nssh-rsa AAAB\n'

    def test_names_of_people_and_the_machine_id_are_replaced(self) -> None:
        assert scrubbed("/etc/passwd", b"a:x:1000:1:Jane Doe,,,:/:/x\nroot:x:0:0:root:/:/x") == (
            b"a:x:1000:1:Some Body:/:/x\nroot:x:0:0:root:/:/x"
        )
        assert scrubbed("/etc/machine-id", b"f" * 32 + b"\n") == b"0123456789abcdef0123456789abcdef\n"
        assert scrubbed("/etc/machine-id", b"") == b""

    def test_other_files_are_kept_as_they_are(self) -> None:
        assert scrubbed("/etc/os-release", b"\xff:abcdefghijklmnop:") == b"\xff:abcdefghijklmnop:"


def test_the_program_records_a_host_whose_hashes_stay_behind(tmp_path: Path) -> None:
    for path, text in PLANTS.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(text)
    program = [sys.executable, "fixtures/record.py", "--root", str(tmp_path / "tree"), "--to", str(tmp_path / "to")]
    tables = ["--table", "users", "--table", "password_status", "--table", "groups"]
    subprocess.run([*program, *tables, "--about", "canaries"], check=True, capture_output=True)
    again = subprocess.run([*program, *tables], check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "does not exist yet" in again.stderr
    as_a_checkout_has_it(tmp_path / "to")
    shadow = (tmp_path / "to/root/etc/shadow").read_text()
    assert "root:$6$xxxxxxxxxx$xxxxxxxxxxxxxxxxxx:19000:0:99999:7:::\n" in shadow
    assert f"{CANARY}salt" not in shadow
    copy, host = Host.recorded(str(tmp_path / "to")), Host(str(tmp_path / "tree"), secret=b"recorded")
    for table in all_tables():
        if table.name in tables:
            assert list(table.collect(copy)) == list(table.collect(host)), table.name
    shutil.rmtree(tmp_path / "to")
