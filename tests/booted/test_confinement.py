"""Each part of the service tries what it must not be able to do; root, outside, shows that the tries are real."""

from __future__ import annotations

import json
import re

import pytest

from tests.booted.cage import FILE_READER, drop_in, tried, tried_by_root
from tests.booted.host import SEEN_AT, BootedHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("mmdebstrap"), pytest.mark.slow]

COLLECTOR, SIGNER, UPLOADER = "evidenced", "evidenced-sign", "evidenced-upload"
STATE = "/var/lib/evidenced"
REFUSED = {"EACCES", "EPERM"}
HIDDEN = {*REFUSED, "ENOENT"}
RECORD = ("evidenced", "record", "backup-run", "--field", "job=nightly", "--field", "result=ok")


DAC_READ_SEARCH, AND_SYS_PTRACE = "4", "80004"
"""Capabilities as proc_pid_status(5) has them: bits 2 and 19."""


@pytest.fixture(scope="module")
def key(host: BootedHost) -> str:
    """Return the path of the private key."""
    return host.ok("find", f"{STATE}/keys", "-type", "f", "-name", "*.pem").split()[0]


def test_a_file_child_reads_what_only_root_may_read(host: BootedHost) -> None:
    host.write("/root/only-root", "here", mode="0600")
    paths = ("/etc/shadow", "/root", "/root/only-root")
    assert tried(host, COLLECTOR, "read", *paths, capabilities=FILE_READER) == dict.fromkeys(paths, "done")


def test_a_file_child_cannot_reach_the_key_by_its_path(host: BootedHost, key: str) -> None:
    paths = (key, f"/proc/self/root{key}", f"{STATE}/../evidenced/keys/{key.rpartition('/')[2]}")
    assert tried_by_root(host, "read", *paths) == dict.fromkeys(paths, "done")
    found = tried(host, COLLECTOR, "read", *paths, capabilities=FILE_READER)
    assert set(found.values()) <= HIDDEN, found


def test_the_running_service_has_the_key_hidden_since_its_first_start(host: BootedHost) -> None:
    supervisor = host.show("evidenced.service", "MainPID")
    assert host.ok("ls", f"{STATE}/keys").split()
    assert host.run("ls", f"/proc/{supervisor}/root{STATE}/keys").out.split() == []


@pytest.mark.parametrize("settings", [(), ("ProtectProc=default",)], ids=["as it is", "even if it saw all processes"])
def test_a_file_child_cannot_reach_the_key_through_any_process(
    host: BootedHost, key: str, settings: tuple[str, ...]
) -> None:
    host.ok(*RECORD)  # starts the signer: a process that has the key in memory
    signer, supervisor = (host.show(f"{each}.service", "MainPID") for each in (SIGNER, COLLECTOR))
    assert "0" not in (signer, supervisor)
    words = ("processes", key, "1", signer, supervisor)
    outside = tried_by_root(host, *words)
    assert {outside[f"root {each}"] for each in ("1", signer)} == {"done"}
    assert {outside[f"{how} {signer}"] for how in ("memory", "environment", "descriptor", "signal")} == {"done"}
    assert outside[f"process_vm_readv {signer}"] == "EFAULT"
    inside = tried(host, COLLECTOR, *words, capabilities=FILE_READER, settings=settings)
    assert len(inside) >= 3 * 7
    # Its own user's processes may be signalled, and others that read files looked into: neither has what is sought.
    sought = {
        name: how for name, how in inside.items() if name.startswith("root ") or name.endswith((" 1", f" {signer}"))
    }
    sought |= {name: how for name, how in inside.items() if name.endswith(f" {supervisor}") and "signal" not in name}
    assert {name: how for name, how in sought.items() if how not in HIDDEN} == {}


def test_a_file_child_cannot_open_a_file_by_its_handle(host: BootedHost) -> None:
    host.write("/run/hidden/secret", "by handle", mode="0600")
    handle = tried_by_root(host, "handle", "make", "/run/hidden/secret")["handle"]
    assert tried_by_root(host, "handle", "open", "/run", handle) == {"handle": "done"}
    assert tried(host, COLLECTOR, "handle", "open", "/run", handle, capabilities=FILE_READER) == {"handle": "EPERM"}


def test_a_file_child_writes_nowhere_but_in_its_cache_and_beside_its_status(host: BootedHost) -> None:
    files = ("/etc/passwd", "/usr/bin/evidenced", "/proc/sys/kernel/core_pattern", "/proc/1/oom_score_adj", "/run/utmp")
    found = tried(host, COLLECTOR, "write", *files, capabilities=FILE_READER)
    cache = "/var/cache/evidenced-collect"  # with a folder of its own for each collection that runs just now
    done = {name for name, how in found.items() if how == "done" and not name.startswith(f"{cache}/")}
    assert done == {"/run/evidenced", cache}
    outside = tried_by_root(host, "write", *files)
    assert {"/etc", "/tmp", "/root", "/dev/shm"} <= {name for name, how in outside.items() if how == "done"}


def test_a_file_child_cannot_put_a_socket_in_place_of_the_signers(host: BootedHost) -> None:
    source = "import os; os.unlink('/run/evidenced/sign.sock')"
    done = host.run("setpriv", "--reuid=evidenced-collect", "--clear-groups", "/usr/bin/python3", "-c", source)
    assert "PermissionError" in done.err


@pytest.mark.parametrize("capabilities", [FILE_READER, None], ids=["file child", "process child"])
def test_a_collecting_child_has_no_network(host: BootedHost, capabilities: str | None) -> None:
    found = tried(host, COLLECTOR, "network", capabilities=capabilities)
    assert (found.pop("unix"), found.pop("unix bound")) == ("done", "EPERM")
    assert set(found.values()) == {"EAFNOSUPPORT"}, found


def test_a_collecting_child_opens_no_disk_though_it_reads_every_file(host: BootedHost) -> None:
    host.ok("mknod", "-m", "666", "/root/disk", "b", "7", "0")
    found = tried(host, COLLECTOR, "device", "/root/disk", "/dev/null", capabilities=FILE_READER)
    assert found == {"/root/disk": "EPERM", "/dev/null": "done", "mknod": "EPERM"}


@pytest.mark.parametrize("unit", [COLLECTOR, SIGNER, UPLOADER])
def test_no_part_becomes_more_than_it_is(host: BootedHost, unit: str) -> None:
    programs = ("/bin/sh", "/usr/bin/dash", "/usr/bin/sudo", "/usr/bin/perl", "/usr/bin/systemd-run")
    found = tried(host, unit, "escape", *programs)
    assert set(found.values()) <= REFUSED, found
    outside = tried_by_root(host, "escape", *programs)
    del outside["io_uring"]  # not every kernel gives it, even to root
    assert set(outside.values()) == {"done"}


@pytest.mark.parametrize("unit", [SIGNER, UPLOADER])
def test_signer_and_uploader_cannot_read_what_only_root_may_read(host: BootedHost, unit: str) -> None:
    host.write("/root/only-root", "here", mode="0600")
    paths = ("/etc/shadow", "/etc/gshadow", "/root", "/root/only-root", "/var/cache/evidenced-collect")
    found = tried(host, unit, "read", *paths)
    assert set(found.values()) <= HIDDEN, found
    assert set(tried_by_root(host, "read", *paths).values()) == {"done"}


def test_the_uploader_reads_batches_and_neither_key_nor_log(host: BootedHost, key: str) -> None:
    found = tried(host, UPLOADER, "read", "/var/spool/evidenced/outbox", STATE, key)
    assert found.pop("/var/spool/evidenced/outbox") == "done"
    assert set(found.values()) <= HIDDEN, found


def test_the_uploader_writes_nowhere_but_in_its_own_folder(host: BootedHost) -> None:
    found = tried(host, UPLOADER, "write", "/var/spool/evidenced/outbox")
    done = {name for name, how in found.items() if how == "done"}
    assert done == {"/var/lib/evidenced-upload", "/tmp", "/var/tmp"}, "the last two are its own and gone with it"


def test_the_signer_has_no_network_and_makes_no_socket_of_its_own(host: BootedHost) -> None:
    found = tried(host, SIGNER, "network")
    assert (found.pop("unix"), found.pop("unix bound")) == ("done", "EPERM")
    assert set(found.values()) == {"EAFNOSUPPORT"}, found


def test_the_uploader_calls_and_cannot_be_called(host: BootedHost) -> None:
    found = tried(host, UPLOADER, "network")
    assert {found.pop(name) for name in ("internet", "internet datagram", "internet 6", "unix")} == {"done"}
    called = {name: how for name, how in found.items() if name.endswith(("bound", "listening"))}
    assert len(called) == 6, called
    assert set(called.values()) == {"EPERM"}, called
    assert {found[name] for name in found.keys() - called.keys()} == {"EAFNOSUPPORT"}, found
    outside = tried_by_root(host, "network")
    assert {outside[name] for name in called} == {"done"}


def test_the_signer_writes_nowhere_but_in_its_state_and_the_outbox(host: BootedHost) -> None:
    found = tried(host, SIGNER, "write")
    done = {name for name, how in found.items() if how == "done"}
    assert {name for name in done if not name.startswith(f"{STATE}/")} == {
        STATE,
        "/var/spool/evidenced/outbox",
        "/tmp",
        "/var/tmp",
    }


def kept(host: BootedHost, *tables: str) -> dict[str, list[str]]:
    """Return which capabilities the runs of tables have."""
    printed = host.ok("/usr/bin/python3", "-IB", f"{SEEN_AT}/capabilities.py", *tables, timeout_s=90)
    found: dict[str, list[str]] = json.loads(printed)
    return found


def test_every_child_of_this_version_keeps_one_capability(host: BootedHost) -> None:
    every = [line.split("\t")[1] for line in planned(host).splitlines() if line.startswith("table\t")]
    assert kept(host, *every) == {each: [DAC_READ_SEARCH] for each in every}


def test_a_child_that_reads_processes_keeps_both_and_no_other_does(host: BootedHost) -> None:
    of_users = re.compile(r"^(table\tusers\t.*\t)file$", re.MULTILINE)
    host.write("/run/plan", of_users.sub(r"\1process", planned(host)))
    words = host.ok("cat", f"/proc/{host.show('evidenced.service', 'MainPID')}/cmdline").rstrip("\0").split("\0")
    at = words.index("--state")
    words[at:at] = ["--plan", "/run/plan"]
    with drop_in(host, "evidenced.service", f"[Service]\nExecStart=\nExecStart={' '.join(words)}\n"):
        found = kept(host, "users", "groups", "privileged_files")
    assert found == {"users": [AND_SYS_PTRACE], "groups": [DAC_READ_SEARCH], "privileged_files": [DAC_READ_SEARCH]}


def planned(host: BootedHost) -> str:
    """Return the service's plan."""
    return host.ok("evidenced", "_plan", "--config", "/etc/evidenced/agent.toml")
