"""The file itself: the same from the same commit, and what is in it."""

from __future__ import annotations

import runpy
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.one_shot.conftest import ROOT, build

pytestmark = pytest.mark.slow
MIB = 1024 * 1024


def test_one_commit_gives_one_file_to_the_byte(pyz: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "again").read_bytes() == pyz.read_bytes()


def test_the_digest_beside_it_is_what_sha256sum_checks(pyz: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "evidenced.pyz.sha256"], cwd=pyz.parent, check=False)
    assert done.returncode == 0


def test_it_is_small_enough_to_be_carried_about(pyz: Path) -> None:
    print(f"evidenced.pyz: {pyz.stat().st_size} bytes")  # noqa: T201  for the log of CI
    assert pyz.stat().st_size < 8 * MIB


def test_compiled_parts_are_there_for_both_machines_and_every_python(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        compiled = {name for name in archive.namelist() if name.endswith(".so")}
    for machine in ("x86_64", "aarch64"):
        for minor in range(10, 15):
            assert f"{machine}/msgspec/_core.cpython-3{minor}-{machine}-linux-gnu.so" in compiled
            assert f"{machine}/_cffi_backend.cpython-3{minor}-{machine}-linux-gnu.so" in compiled
        assert f"{machine}/nacl/_sodium.abi3.so" in compiled
    assert len(compiled) == 2 * (2 * 5 + 1)


def test_nothing_in_it_tells_where_or_when_it_was_built(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        items = archive.infolist()
    assert len({each.date_time for each in items}) == 1
    assert {each.external_attr for each in items} == {0o100644 << 16}
    names = [each.filename for each in items]
    assert names == sorted(set(names))
    assert not [each for each in names if each.endswith(".pyc") or each.startswith(("evidenced/", "hub/"))]


def test_it_knows_the_pythons_that_the_packages_know() -> None:
    packages = runpy.run_path(str(ROOT / "packaging/launcher"))["MINORS"]
    assert runpy.run_path(str(ROOT / "packaging/one_shot/__main__.py"))["MINORS"] == packages
