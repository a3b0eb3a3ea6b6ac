"""Every column against `rpm -qa`, on a database that rpmbuild and rpm made."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from packageurl import PackageURL

from collectors.contract import Gap
from collectors.reading.host import Host
from collectors.software.package import Package
from collectors.software.packages import collect
from fixtures import make_rpm_tree

pytestmark = [pytest.mark.slow, pytest.mark.needs_program("rpm", "rpmbuild")]

TAGS = [
    "NAME",
    "EPOCH",
    "VERSION",
    "RELEASE",
    "ARCH",
    "SOURCERPM",
    "VENDOR",
    "INSTALLTIME",
    "BUILDTIME",
    "LICENSE",
    "LONGSIZE",
    "PACKAGER",
    "MODULARITYLABEL",
]
NONE = "(none)"


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("el9")
    make_rpm_tree.make_rpm_tree(root)
    return root


def told_by_rpm(root: Path) -> list[dict[str, str]]:
    form = "\t".join(f"%{{{tag}}}" for tag in TAGS) + "\n"
    command = ["rpm", "--dbpath", str(root / "var/lib/rpm"), "-qa", "--queryformat", form]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return [dict(zip(TAGS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


def ours(root: Path) -> list[Package]:
    found = list(collect(Host(str(root), secret=b"secret")))
    assert not [each for each in found if isinstance(each, Gap)]
    return [each for each in found if isinstance(each, Package)]


def as_rpm_says_it(row: Package) -> dict[str, str]:
    epoch, _, rest = row.version.rpartition(":")
    version, _, release = rest.rpartition("-")
    source = f"{row.source_name}-{row.source_version}.src.rpm" if row.source_name else NONE
    values = {
        "NAME": row.name,
        "EPOCH": epoch or NONE,
        "VERSION": version,
        "RELEASE": release,
        "ARCH": row.arch or NONE,
        "SOURCERPM": source,
        "VENDOR": row.vendor or NONE,
        "INSTALLTIME": seconds(row.installed),
        "BUILDTIME": seconds(row.built),
        "LICENSE": row.licence or NONE,
        "LONGSIZE": str(row.size_bytes),
        "PACKAGER": row.maintainer or NONE,
        "MODULARITYLABEL": row.module or NONE,
    }
    return {tag: values[tag] for tag in TAGS}


def seconds(time: str | None) -> str:
    assert time is not None
    return str(int(dt.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()))


def in_order(rows: list[dict[str, str]]) -> list[list[str]]:
    return sorted(list(row.values()) for row in rows)


def test_the_database_is_read_as_rpm_reads_it(tree: Path) -> None:
    told = told_by_rpm(tree)
    assert len(told) > 200
    assert in_order([as_rpm_says_it(each) for each in ours(tree)]) == in_order(told)


def test_the_tree_holds_what_is_odd_about_rpm(tree: Path) -> None:
    rows = ours(tree)
    assert [each.name for each in rows].count("kernel-core") == 2
    assert {each.arch for each in rows} == {"x86_64", "noarch", None}
    assert any(re.search(r"~rc1\^", each.version) for each in rows)
    assert any(each.version.startswith("32:") for each in rows)
    assert any(each.module for each in rows)
    assert any(each.name == "gpg-pubkey" and each.source_name is None for each in rows)
    assert len({each.purl for each in rows}) == len(rows)


def test_each_purl_says_what_the_row_says(tree: Path) -> None:
    for row in ours(tree):
        purl = PackageURL.from_string(row.purl)
        assert purl.to_string() == row.purl
        assert (purl.type, purl.namespace, purl.name) == ("rpm", "rocky", row.name)
        epoch = purl.qualifiers.get("epoch")
        assert row.version == (f"{epoch}:{purl.version}" if epoch else purl.version)
        assert purl.qualifiers.get("arch") == row.arch
        assert purl.qualifiers["distro"] == "rocky-9.4"


def test_a_transaction_still_in_the_write_ahead_log_is_read_as_rpm_reads_it(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(tree, root)
    folder = root / "var/lib/rpm"
    extra = make_rpm_tree.Source("evidence-extra", "1.0~beta", "1.el9", epoch=7)
    (built,) = make_rpm_tree.build([extra], tmp_path)
    with closing(sqlite3.connect(folder / "rpmdb.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM Packages").fetchone()  # holds the log from being written back
        make_rpm_tree.install([built], folder)
        assert (folder / "rpmdb.sqlite-wal").stat().st_size > 0
        rows = ours(root)
        assert "7:1.0~beta-1.el9" in [each.version for each in rows if each.name == "evidence-extra"]
        assert in_order([as_rpm_says_it(each) for each in rows]) == in_order(told_by_rpm(root))
