"""The security.capability attribute, in each of its revisions, with the text getcap gives it."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.contract import MalformedError
from collectors.filesystem.capability import NAMES, FileCapabilities, parse_capability
from tests.conftest import program
from tests.fuzz.fuzz_capability import target

FULL = (1 << len(NAMES)) - 1
sets = st.integers(0, FULL) | st.sampled_from([0, FULL, 1 << 13])


def attribute(permitted: int, inheritable: int, *, effective: bool = False, root_id: int | None = None) -> bytes:
    """Return an attribute as the kernel writes it, of revision 2, or 3 if there is a root id."""
    magic = (0x02000000 if root_id is None else 0x03000000) | int(effective)
    low = 0xFFFFFFFF
    data = struct.pack("<5I", magic, permitted & low, inheritable & low, permitted >> 32, inheritable >> 32)
    return data if root_id is None else data + struct.pack("<I", root_id)


@pytest.mark.parametrize(
    ("permitted", "inheritable", "effective", "text"),
    [
        (1 << 13, 0, True, "cap_net_raw=ep"),
        (1 << 13, 0, False, "cap_net_raw=p"),
        (0, 1 << 13, True, "cap_net_raw=ei"),
        (1 << 10 | 1 << 12, 0, True, "cap_net_bind_service,cap_net_admin=ep"),
        (1 << 40, 0, True, "cap_checkpoint_restore=ep"),
        (FULL, 0, True, "=ep"),
        (FULL, FULL, True, "=eip"),
        (FULL & ~1, 0, False, "=p cap_chown-p"),
        (1 << 7 | 1 << 6, 1 << 6, False, "cap_setgid=ip cap_setuid+p"),
        (0, 0, True, "="),
        (1 << 50, 0, True, "= 50+ep"),
        (1 << 50 | 1, 0, True, "cap_chown=ep 50+ep"),
    ],
)
def test_sets_have_the_text_that_getcap_gives_them(
    permitted: int, inheritable: int, effective: bool, text: str
) -> None:
    assert parse_capability(attribute(permitted, inheritable, effective=effective)).text() == text


def test_revision_1_has_one_word_for_each_set() -> None:
    found = parse_capability(struct.pack("<3I", 0x01000001, 1 << 13, 0))
    assert (found.version, found.text(), found.effective, found.root_id) == (1, "cap_net_raw=ep", True, None)


def test_revision_3_names_the_root_of_a_user_namespace() -> None:
    found = parse_capability(attribute(1 << 13, 0, root_id=100_000))
    assert (found.version, found.root_id, found.text()) == (3, 100_000, "cap_net_raw=p")


def test_a_root_id_of_zero_is_not_none() -> None:
    assert parse_capability(attribute(1, 0, root_id=0)).root_id == 0


def test_bits_without_a_name_are_listed() -> None:
    assert parse_capability(attribute(1 << 41 | 1 << 63 | 1, 1 << 50)).unknown == (41, 50, 63)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected at least 4 bytes, found 0"),
        (struct.pack("<I", 0x02000000), "expected 20 bytes in revision 2, found 4"),
        (attribute(1, 0) + b"\0", "expected 20 bytes in revision 2, found 21"),
        (attribute(1, 0, root_id=0)[:-1], "expected 24 bytes in revision 3, found 23"),
        (struct.pack("<6I", 0x04000000, 0, 0, 0, 0, 0), "expected revision 1, 2 or 3, found 4"),
        (struct.pack("<5I", 0, 0, 0, 0, 0), "expected revision 1, 2 or 3, found 0"),
    ],
)
def test_another_shape_is_malformed(data: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_capability(data)


@given(st.binary(max_size=40))
@example(attribute(FULL, FULL, effective=True))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    target(data)


@given(permitted=sets, inheritable=sets, effective=st.booleans(), root_id=st.none() | st.integers(0, 2**32 - 1))
def test_what_the_kernel_writes_is_read_back(
    permitted: int, inheritable: int, effective: bool, root_id: int | None
) -> None:
    data = attribute(permitted, inheritable, effective=effective, root_id=root_id)
    version = 2 if root_id is None else 3
    assert parse_capability(data) == FileCapabilities(version, permitted, inheritable, effective, root_id)


@pytest.mark.needs_root
@pytest.mark.needs_program("getcap")
def test_getcap_agrees(tmp_path: Path) -> None:
    masks = [0, 1, 1 << 13, 3 << 30, 1 << 40, FULL, FULL & ~(1 << 21), 0xFFFFF, 0xFFFFFF, FULL ^ 0xFFFFF, 0x15555555555]
    wanted: dict[str, str] = {}
    for permitted in masks:
        for inheritable in masks:
            for effective in (False, True):
                path = str(tmp_path / f"{permitted}.{inheritable}.{effective}")
                Path(path).touch()
                data = attribute(permitted, inheritable, effective=effective)
                os.setxattr(path, "security.capability", data)
                wanted[path] = parse_capability(data).text()
    command = [program("getcap") or "", *wanted]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\n")[:-1]
    said = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}
    assert said == wanted
