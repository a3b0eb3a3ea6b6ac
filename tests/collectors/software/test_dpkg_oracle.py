"""Every column against dpkg-query and apt-mark, on this machine and on a fresh Debian tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from collectors.contract import Gap
from collectors.reading.host import Host
from collectors.software import dpkg
from collectors.software.dpkg_database import STATUS
from collectors.software.package import Package
from collectors.software.purl import distribution

FIELDS = [
    "Package",
    "Version",
    "Architecture",
    "source:Package",
    "source:Version",
    "Maintainer",
    "Installed-Size",
    "Origin",
    "db:Status-Want",
    "db:Status-Eflag",
    "db:Status-Status",
]
FORM = "\\t".join(f"${{{field}}}" for field in FIELDS) + "\\n"

here = pytest.mark.skipif(not os.path.exists(STATUS), reason="needs a Debian host")


def ours(root: str) -> list[Package]:
    found = list(dpkg.packages(Host(root, secret=b"secret"), STATUS, distribution({"ID": "debian"})))
    assert not [each for each in found if isinstance(each, Gap)]
    return [each for each in found if isinstance(each, Package)]


def as_dpkg_says_it(row: Package) -> tuple[str, ...]:
    size = "" if row.size_bytes is None else str(row.size_bytes // 1024)
    flag = "reinstreq" if row.needs_reinstall else "ok"
    texts = (row.name, row.version, row.arch, row.source_name, row.source_version, row.maintainer)
    more = (size, row.vendor, row.wanted, flag, row.state)
    return tuple(each or "" for each in (*texts, *more))


def told_by_dpkg(root: str) -> list[tuple[str, ...]]:
    command = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", FORM]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def assert_equal_to_dpkg(root: str) -> None:
    expected = told_by_dpkg(root.rstrip("/"))
    assert expected
    assert sorted(as_dpkg_says_it(each) for each in ours(root)) == sorted(expected)


@here
@pytest.mark.needs_program("dpkg-query")
def test_this_machine_is_read_as_dpkg_query_reads_it() -> None:
    assert_equal_to_dpkg("/")


@here
@pytest.mark.needs_program("apt-mark")
def test_what_was_asked_for_is_what_apt_mark_shows() -> None:
    done = subprocess.run(["apt-mark", "showmanual"], check=True, capture_output=True, text=True, timeout=120)
    shown = {line.partition(":")[0] for line in done.stdout.split()}
    assert {each.name for each in ours("/") if each.manual} == shown


@here
def test_each_installed_package_of_this_machine_has_its_time() -> None:
    assert not [each.name for each in ours("/") if each.state == "installed" and each.installed is None]


@pytest.fixture(scope="session")
def bookworm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a minimal Debian 12 from the package sources this machine has; skip where it has none."""
    tree = tmp_path_factory.mktemp("bookworm") / "tree"
    command = ["mmdebstrap", "--variant=minbase", "--quiet", "bookworm", str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    if done.returncode:
        pytest.skip("needs package sources for Debian 12")
    return tree


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.needs_program("mmdebstrap", "dpkg-query")
def test_a_fresh_debian_tree_is_read_as_dpkg_query_reads_it(bookworm: Path) -> None:
    assert_equal_to_dpkg(str(bookworm))
    assert {each.manual for each in ours(str(bookworm))} <= {True, False}
