"""The unit hides nothing of the host from the collectors: they see what a root shell sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.booted.cage import FILE_READER, caged
from tests.booted.host import BootedHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("mmdebstrap"), pytest.mark.slow]

PLACES = (
    "/tmp",
    "/var/tmp",
    "/home/mia",
    "/root/bin",
    "/dev/shm",
    "/dev",
    "/usr/lib/modules/6.1.0",
    "/opt",
    "/run/lock",
)


@pytest.fixture(scope="module")
def planted(bare_host: BootedHost) -> BootedHost:
    """Return the host with a SUID file in each place where somebody might hide one."""
    for place in PLACES:
        bare_host.write(f"{place}/planted", "#!/bin/true\n", mode="4755")
    return bare_host


def suid_files_by_root(host: BootedHost) -> set[str]:
    """Return what find(1) sees as root; /proc and /sys hold no files of the host."""
    found = host.run("find", "/", "-path", "/proc", "-prune", "-o", "-path", "/sys", "-prune", "-o",
                     "-type", "f", "-perm", "/6000", "-print").out  # fmt: skip
    return set(found.split("\n")) - {""}


def lines(text: str) -> list[dict[str, Any]]:
    """Return the objects of NDJSON."""
    return [json.loads(line) for line in text.splitlines()]


def test_the_service_sees_every_suid_file_that_root_sees(planted: BootedHost) -> None:
    expected = suid_files_by_root(planted)
    assert {f"{place}/planted" for place in PLACES} <= expected
    command = ("/usr/bin/evidenced", "inventory", "--table", "privileged_files", "--state", "/nowhere")
    rows = lines(caged(planted, "evidenced", *command, "--json", capabilities=FILE_READER))
    assert {row["path"] for row in rows} == expected


@pytest.mark.parametrize("what", ["--json", "--gaps"])
def test_every_table_is_read_by_the_unit_as_fully_as_by_root(planted: BootedHost, what: str) -> None:
    command = ("/usr/bin/evidenced", "inventory", what, "--state", "/nowhere")
    inside = lines(caged(planted, "evidenced", *command, capabilities=FILE_READER))
    outside = lines(planted.run(*command, timeout_s=120).out)
    secret = {"host"}  # its machine id is keyed by a secret that is another one in each run without a state
    assert [each for each in inside if each["table"] not in secret] == [
        each for each in outside if each["table"] not in secret
    ]
