"""Whose files are read for their digests when not all can be: root's, and of each other owner an equal share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collectors.contract import Gap
from collectors.reading.digest import Spending
from collectors.reading.digests import Digests, digests_of
from collectors.reading.host import Host
from collectors.reading.sweep import Finding, prepare
from collectors.reading.sweep_mounts import MountMap
from tests.collectors.reading.sweeping import ANY_NAME

NO_MOUNTS = MountMap(())


def read(host: Host, spending: Spending | None = None) -> Digests:
    """Return the digests of all files of a host."""
    prepare(host, (ANY_NAME,), workers=1)
    found = [each for each in host.found(ANY_NAME) if isinstance(each, Finding) and each.facts.kind == "file"]
    return digests_of(host, found, NO_MOUNTS, spending)


def of(root: Path, uid: int, **files: int) -> None:
    """Make files of some lengths for an owner."""
    for name, size in files.items():
        (root / name).write_bytes(bytes(size))
        if os.geteuid() == 0:
            os.chown(root / name, uid, uid)


@pytest.mark.needs_root
def test_roots_files_come_first_and_then_whoever_has_least(root: Path, host: Host) -> None:
    of(root, 0, zz=40)
    of(root, 1, big=1000, small=10)
    of(root, 2, own=30)
    digests = read(host, Spending(bytes=100))
    assert (set(digests.by_path), host.opened) == ({"/zz", "/own", "/small"}, ["/zz", "/own", "/small"])
    assert list(digests.all_gaps()) == [Gap("/big", "truncated", "more bytes than are left to be read for digests")]


@pytest.mark.needs_root
def test_no_owner_gets_more_than_an_equal_share_and_what_one_leaves_is_for_the_next(root: Path, host: Host) -> None:
    of(root, 1, a1=10)
    of(root, 2, b1=40, b2=41)
    of(root, 3, c1=20, c2=20, c3=50)
    assert sorted(read(host, Spending(bytes=100)).by_path) == ["/a1", "/b1", "/c1", "/c2"]


@pytest.mark.needs_root
def test_many_short_files_come_after_a_few_long_ones_of_another(root: Path, host: Host) -> None:
    of(root, 1, **{f"a{number}": 1 for number in range(50)})
    of(root, 2, long=1 << 20)
    assert read(host).by_path.keys() == {"/long", *(f"/a{number}" for number in range(50))}
    assert host.opened[0] == "/long"


@pytest.mark.needs_root
def test_hard_links_to_gigabytes_without_content_cost_their_owner_one_reading(root: Path, host: Host) -> None:
    of(root, 1, sparse=0)
    os.truncate(root / "sparse", 8 << 20)
    for number in range(200):
        os.link(root / "sparse", root / f"link{number}")
    of(root, 2, own=3 << 20)
    digests = read(host, Spending(bytes=12 << 20))
    assert len(digests.by_path) == 202
    assert host.cost.bytes == 11 << 20


def test_many_files_that_are_left_out_are_a_hundred_gaps_and_a_count(root: Path, host: Host) -> None:
    of(root, 1, tera=0)
    os.truncate(root / "tera", 1 << 40)
    for number in range(149):
        os.link(root / "tera", root / f"link{number}")
    gaps = list(read(host).all_gaps())
    assert (len(gaps), {gap.reason for gap in gaps}) == (101, {"truncated"})
    assert gaps[-1] == Gap("/", "truncated", "50 more files were left out of the digests", count=50)
    assert host.cost.bytes == 0
