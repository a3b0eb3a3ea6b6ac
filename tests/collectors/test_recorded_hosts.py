"""What the recorded hosts are there to show, and that they are fit to be shown: see fixtures/README.md.

The contract test compares every row of every host with expected/; here stands why those rows matter.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from collectors.catalogue import all_tables
from collectors.reading.host import Host
from tests.collectors.test_contract import HOSTS, TABLES, collected, written

HASH = re.compile(rb"[:!]\$(?:y|gy|7|2[abxy]?|1|5|6)\$[^:\n]*")
HASH_WITHOUT_SECRET = re.compile(rb"[:!]\$(?:[a-z0-9]+)\$(?:rounds=\d+\$|j9T\$)?[x$]*")
LIMIT = 1_500_000

hosts = pytest.mark.parametrize("folder", HOSTS, ids=lambda folder: folder.name)


def rows(host: str, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table on a recorded host."""
    found: list[dict[str, Any]] = collected(TABLES[table], Host.recorded(f"fixtures/hosts/{host}"))["rows"]
    return found


def gaps(host: str, table: str) -> list[tuple[str, str]]:
    """Return (source, reason) of each gap of a table on a recorded host."""
    found = collected(TABLES[table], Host.recorded(f"fixtures/hosts/{host}"))["gaps"]
    return [(each["source"], each["reason"]) for each in found]


def test_every_family_is_there_and_one_that_is_damaged() -> None:
    assert {each.name for each in HOSTS} == {"debian-12", "debian-13", "el-9", "alpine", "damaged"}


class TestTheFixturesThemselves:
    @hosts
    def test_no_file_holds_a_password_hash(self, folder: Path) -> None:
        for path in files_of(folder):
            for found in HASH.finditer(path.read_bytes()):
                assert HASH_WITHOUT_SECRET.fullmatch(found.group()), path

    @hosts
    def test_no_file_holds_a_private_key(self, folder: Path) -> None:
        for path in files_of(folder):
            data = path.read_bytes()
            assert b"PRIVATE KEY-----\n" not in data or b"PRIVATE KEY-----\nssh-" in data, path

    @hosts
    def test_the_machine_id_is_nobodys(self, folder: Path) -> None:
        path = folder / "root/etc/machine-id"
        known = {b"0123456789abcdef0123456789abcdef\n", b"uninitialized\n", b""}
        assert not path.exists() or path.read_bytes() in known

    @hosts
    def test_it_is_small(self, folder: Path) -> None:
        assert sum(path.stat().st_size for path in files_of(folder)) < LIMIT

    @hosts
    def test_a_checkout_with_other_modes_and_times_says_the_same(self, folder: Path, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy, symlinks=True)
        for path in files_of(copy):
            path.chmod(0o600)
            os.utime(path, (1e9, 1e9))
        for table in all_tables():
            expected = (folder / "expected" / f"{table.name}.json").read_text("utf-8")
            assert written(collected(table, Host.recorded(str(copy)))) == expected, table.name


def files_of(folder: Path) -> list[Path]:
    """Return the regular files of a folder; its links may lead out of it and are not followed."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


class TestDebian:
    def test_a_newer_kernel_is_installed_than_runs(self) -> None:
        (host,) = rows("debian-12", "host")
        assert host["kernel_release"] == "6.1.0-9-amd64"
        assert host["kernel_newest_installed"] == "6.1.0-37-amd64"

    def test_an_image_that_never_ran_says_nothing_of_a_kernel_and_has_no_id(self) -> None:
        (host,) = rows("debian-13", "host")
        assert (host["kernel_release"], host["boot_time"], host["machine_id"]) == (None, None, None)
        assert ("/etc/machine-id", "malformed") in gaps("debian-13", "host")

    def test_every_state_of_a_password_is_told_apart(self) -> None:
        states = {row["user"]: row["state"] for row in rows("debian-12", "password_status")}
        people = ("anna", "ben", "emil", "deploy", "daemon")
        assert [states[name] for name in people] == ["set", "locked_with_hash", "empty", "locked", "disabled"]

    def test_a_hidden_program_in_tmp_is_found_and_belongs_to_no_package(self) -> None:
        (found,) = [row for row in rows("debian-12", "privileged_files") if row["path"] == "/tmp/.hidden"]
        assert (found["owner"], found["package"], found["mount_nosuid"]) == ("legacy", None, True)

    def test_what_sshd_says_and_what_its_files_say_agree(self) -> None:
        said = {(row["setting"], row["index"]): row for row in rows("debian-12", "sshd_settings") if not row["match"]}
        read = {(row["setting"], row["index"]): row for row in rows("debian-13", "sshd_settings") if not row["match"]}
        assert {row["method"] for row in said.values()} == {"sshd -T"}
        assert {row["method"] for row in read.values()} == {"parsed"}
        assert {key: row["configured"] for key, row in read.items() if key in said and key[0] != "acceptenv"} == {
            key: row["configured"] for key, row in said.items() if key in read and key[0] != "acceptenv"
        }

    def test_support_comes_from_the_host_where_it_has_the_dates(self) -> None:
        assert [row["source"] for row in rows("debian-12", "os_support")] == ["bundled"]
        assert [row["source"] for row in rows("debian-13", "os_support")] == ["distro-info-data"]

    def test_a_removed_package_is_not_an_installed_one(self) -> None:
        states = {row["name"]: row["state"] for row in rows("debian-12", "packages")}
        assert (states["nano"], states["sudo"], states["acme-agent"]) == ("config-files", "installed", "installed")


class TestEnterpriseLinux:
    def test_the_system_wide_crypto_policy_is_followed_through_its_link(self) -> None:
        sources = {row["setting"]: row["source"] for row in rows("el-9", "sshd_settings")}
        assert sources["ciphers"] == "/etc/crypto-policies/back-ends/opensshserver.config"

    def test_what_a_directory_server_adds_is_a_gap(self) -> None:
        assert ("/etc/nsswitch.conf", "unenumerable") in gaps("el-9", "sudo_rules")
        assert ("/etc/nsswitch.conf", "unenumerable") in gaps("el-9", "ownerless_files")

    def test_a_rescue_image_is_no_kernel_and_its_name_stays_here(self) -> None:
        (host,) = rows("el-9", "host")
        assert [name for name in host["kernels_installed"] if "rescue" in name] == []


class TestAlpine:
    def test_without_sudo_there_is_no_such_table_rather_than_an_empty_one(self) -> None:
        assert "unsupported" in collected(TABLES["sudo_rules"], Host.recorded("fixtures/hosts/alpine"))

    def test_apk_says_which_package_a_privileged_file_is_from(self) -> None:
        owners = {row["path"]: row["package"] for row in rows("alpine", "privileged_files")}
        assert owners == {"/bin/bbsuid": "busybox-suid", "/usr/bin/doas": "doas"}


class TestDamaged:
    @pytest.mark.parametrize("table", TABLES)
    def test_no_table_is_complete(self, table: str) -> None:
        assert gaps("damaged", table)

    def test_a_line_that_is_broken_is_not_said_to_be_missing(self) -> None:
        told = [row["user"] for row in rows("damaged", "password_status")]
        assert "linked" not in told
        assert ("/etc/shadow", "malformed") in gaps("damaged", "password_status")

    def test_keys_are_not_looked_for_behind_links_and_pipes(self) -> None:
        refused = gaps("damaged", "ssh_authorized_keys")
        assert ("/home/eve/.ssh/authorized_keys", "link_refused") in refused
        assert ("/home/linked/.ssh/authorized_keys", "link_refused") in refused
        assert ("/home/piped/.ssh/authorized_keys", "not_regular") in refused
        assert {row["user"] for row in rows("damaged", "ssh_authorized_keys")} == {"twin", "open"}

    def test_rules_that_sudo_does_not_act_on_say_why(self) -> None:
        ignored = {row["file"]: row["ignored"] for row in rows("damaged", "sudo_rules") if row["kind"] == "rule"}
        assert ignored["/etc/sudoers.d/10-writable"] == "world_writable"
        assert ignored["/home/eve/sudoers"] == "wrong_owner"
        assert ("/etc/sudoers.d/50-unreadable", "permission_denied") in gaps("damaged", "sudo_rules")

    def test_loops_of_includes_end_at_once(self) -> None:
        assert len(rows("damaged", "sudo_rules")) < 100

    def test_one_whole_package_among_the_ruins_is_found(self) -> None:
        assert {"whole", "fine", "replaced"} <= {row["name"] for row in rows("damaged", "packages")}

    @pytest.mark.needs_root
    def test_it_is_what_its_page_makes(self, tmp_path: Path) -> None:
        tree, to = tmp_path / "tree", tmp_path / "host"
        for program in (
            ["fixtures/damaged_host.py", "tree", str(tree)],
            ["fixtures/record.py", "--as-it-is", "--root", str(tree), "--to", str(to)],
            ["fixtures/damaged_host.py", "facts", str(to / "facts.json")],
        ):
            subprocess.run([sys.executable, *program], check=True, capture_output=True, timeout=60)
        kept = Path("fixtures/hosts/damaged")
        assert contents(to / "root") == contents(kept / "root")
        assert (to / "facts.json").read_text() == (kept / "facts.json").read_text()


def contents(folder: Path) -> dict[str, bytes | str]:
    """Return the bytes of each file below a folder, and the target of each link."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found
