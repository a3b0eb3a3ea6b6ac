"""The unit hides nothing of the host from the collectors: they see what a root shell sees."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.booted.cage import drop_in
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


def suid_files_by_root(host: BootedHost) -> set[str]:
    """Return what find(1) sees as root; /proc and /sys hold no files of the host."""
    found = host.run("find", "/", "-path", "/proc", "-prune", "-o", "-path", "/sys", "-prune", "-o",
                     "-type", "f", "-perm", "/6000", "-print").out  # fmt: skip
    return set(found.split("\n")) - {""}


PAGE = Path(__file__).parents[2] / "docs/hardening.md"
SWEPT = "privileged_files"
HIDDEN = "/var/lib/evidenced/keys"
"""The only folder that the unit hides from its own collectors, which say so."""
ARTEFACTS = {"/proc/sys/kernel/random/boot_id"}
"""What booting a tree has mounted, and no host has."""
BLOB = "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(open(sys.argv[1], 'rb').read()))"


def signed_lines(host: BootedHost, subject: str) -> list[dict[str, Any]]:
    """Return the rows, or with `TABLE.gaps` the gaps, of a table in the newest snapshot that has it."""
    for number in reversed(host.snapshots()):
        digests = {each["name"]: each["digest"]["sha256"] for each in host.statement(number)["subject"]}
        if subject in digests:
            name = digests[subject]
            text = host.python(BLOB, f"/var/lib/evidenced/blobs/{name[:2]}/{name}")
            return [json.loads(line) for line in text.splitlines()]
    return []


def read_by_root(host: BootedHost, what: str, key: str) -> dict[str, list[dict[str, Any]]]:
    """Return rows or gaps of every table, as root reads them in a shell."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in host.run("evidenced", "inventory", what, timeout_s=120).out.splitlines():
        each = json.loads(line)
        found.setdefault(each["table"], []).append(each[key])
    return found


@pytest.fixture(scope="module")
def read_once(bare_host: BootedHost, request: pytest.FixtureRequest) -> BootedHost:
    """Return a host whose service has read every table, with a SUID file in each place where one might be hidden."""
    for place in PLACES:
        bare_host.write(f"{place}/planted", "#!/bin/true\n", mode="4755")
    host: BootedHost = request.getfixturevalue("host")  # started now, not before
    read_every_table(host)
    return host


def read_every_table(host: BootedHost, since: int = 0) -> None:
    """Wait until every table is in a snapshot from an entry on."""
    every = set(re.findall(r"^table\t(\w+)", host.ok("cat", "/run/evidenced/status"), re.MULTILINE))
    assert SWEPT in every
    host.until(lambda: host.tables_read(since) >= every, 60, "every table in a snapshot")


def test_the_service_sees_every_suid_file_that_root_sees(read_once: BootedHost) -> None:
    expected = suid_files_by_root(read_once)
    assert {f"{place}/planted" for place in PLACES} <= expected
    rows = signed_lines(read_once, SWEPT)
    assert {row["path"] for row in rows} == expected
    assert all(row["sha256"] for row in rows), "each is read whole, wherever the unit has mounts of its own"


def assert_reads_as_root(host: BootedHost) -> None:
    """Check that the rows that the service signed last are those that root reads now, table by table."""
    for table, expected in read_by_root(host, "--json", "row").items():
        assert signed_lines(host, table) == expected, table


def assert_tells_its_gaps(host: BootedHost) -> None:
    """Check that the service has the gaps that root has, and one more: the folder of the key, hidden from it."""
    outside = read_by_root(host, "--gaps", "gap")
    for table in read_by_root(host, "--json", "row"):
        gaps = signed_lines(host, f"{table}.gaps")
        assert [each for each in gaps if each["source"] not in {HIDDEN, *ARTEFACTS}] == outside.get(table, []), table
    assert HIDDEN in {each["source"] for each in signed_lines(host, f"{SWEPT}.gaps")}


def test_every_table_is_read_by_the_service_as_fully_as_by_root(read_once: BootedHost) -> None:
    assert_reads_as_root(read_once)


def test_the_service_has_no_gap_that_root_has_not_but_its_hidden_key(read_once: BootedHost) -> None:
    assert_tells_its_gaps(read_once)


def test_without_cap_sys_ptrace_as_the_page_has_it_the_service_sees_the_same(read_once: BootedHost) -> None:
    (lines,) = re.findall(r"^```ini\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    since = read_once.entries()[-1]["sequence"] + 1
    with drop_in(read_once, "evidenced.service", lines):
        status = read_once.ok("cat", f"/proc/{read_once.show('evidenced.service', 'MainPID')}/status")
        assert re.findall(r"^CapBnd:\t0*(\w+)$", status, re.MULTILINE) == ["4"], "CAP_DAC_READ_SEARCH, and it alone"
        read_once.ok("systemctl", "kill", "--kill-who=main", "-s", "USR1", "evidenced.service")
        read_every_table(read_once, since)
        assert_reads_as_root(read_once)
        assert_tells_its_gaps(read_once)
