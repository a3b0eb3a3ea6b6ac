"""Laying the locked wheels of several Pythons into one folder."""

from __future__ import annotations

import runpy
import zipfile
from pathlib import Path
from typing import Any

import pytest

VENDOR: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "packaging" / "vendor.py"))
LOCK = """\
msgspec==0.20.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via evidenced
pycparser==2.22 ; implementation_name != 'PyPy' \\
    --hash=sha256:cc
tomli==2.2.1 ; python_full_version < '3.11' \\
    --hash=sha256:dd
"""


def wheel(path: Path, members: dict[str, str]) -> str:
    """Make a wheel of members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return str(path)


@pytest.mark.parametrize(
    ("python", "names"), [("3.10", ["msgspec==0.20.0", "tomli==2.2.1"]), ("3.11", ["msgspec==0.20.0"])]
)
def test_a_lock_is_read_as_the_python_that_it_is_for_and_not_as_ours(python: str, names: list[str]) -> None:
    lines = VENDOR["requirements_for"](LOCK, python, "x86_64").splitlines()
    assert [line.removesuffix(" \\") for line in lines if not line.startswith(" ")] == names
    assert "    --hash=sha256:bb" in lines
    assert not [line for line in lines if "sha256:cc" in line]


def test_a_requirement_without_a_version_is_refused() -> None:
    with pytest.raises(VENDOR["VendorError"], match="line 1: expected `name==version`"):
        VENDOR["requirements_for"]("msgspec>=0.20\n", "3.12", "x86_64")


def test_wheels_that_agree_lie_side_by_side(tmp_path: Path) -> None:
    first = wheel(tmp_path / "a.whl", {"a/x.py": "same", "a/x.cp310.so": "one", "a-1.dist-info/RECORD": "one"})
    second = wheel(tmp_path / "b.whl", {"a/x.py": "same", "a/x.cp311.so": "two", "a-1.dist-info/RECORD": "two"})
    folder = tmp_path / "folder"
    for each in (first, second):
        VENDOR["unpack"](each, str(folder))
    assert sorted(each.name for each in folder.rglob("*") if each.is_file()) == ["x.cp310.so", "x.cp311.so", "x.py"]


def test_wheels_that_disagree_are_refused(tmp_path: Path) -> None:
    VENDOR["unpack"](wheel(tmp_path / "a.whl", {"a/x.py": "one"}), str(tmp_path / "folder"))
    with pytest.raises(VENDOR["VendorError"], match=r"a/x\.py: expected the same in every wheel, found two"):
        VENDOR["unpack"](wheel(tmp_path / "b.whl", {"a/x.py": "two"}), str(tmp_path / "folder"))


@pytest.mark.parametrize("name", ["../x.py", "a/../../x.py", "/x.py"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(VENDOR["VendorError"], match="expected paths inside"):
        VENDOR["unpack"](wheel(tmp_path / "a.whl", {name: "x"}), str(tmp_path / "folder"))
