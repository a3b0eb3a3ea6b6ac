"""Loading compiled modules out of an archive: which one, from where, and what is said when it cannot be."""

from __future__ import annotations

import os
import runpy
import sys
import zipfile
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec  # noqa: F401  for its compiled part
import pytest

MODULE = Path(__file__).parents[2] / "packaging/one_shot/compiled_parts.py"
REAL = Path(str(sys.modules["msgspec._core"].__file__)).read_bytes()


@pytest.fixture
def parts() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(MODULE)))


Archive = Callable[..., str]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    def made(**members: bytes) -> str:
        path = tmp_path / "archive.zip"
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("plain.py", "")
            for name, content in members.items():
                file.writestr(f"here/{name.replace('__', '/')}{EXTENSION_SUFFIXES[0]}", content)
        return str(path)

    return made


def spec_of(parts: SimpleNamespace, path: str, name: str) -> tuple[Any, ModuleSpec | None]:
    finder = parts.CompiledParts(path, "here")
    return finder, finder.find_spec(name)


def test_only_what_is_compiled_for_this_machine_and_python_is_found(parts: SimpleNamespace, archive: Archive) -> None:
    path = archive(msgspec___core=REAL)
    assert spec_of(parts, path, "msgspec._core")[1] is not None
    assert spec_of(parts, path, "plain")[1] is None
    assert parts.CompiledParts(path, "elsewhere").find_spec("msgspec._core") is None


def test_a_module_is_loaded_and_has_no_file(parts: SimpleNamespace, archive: Archive) -> None:
    finder, spec = spec_of(parts, archive(_core=REAL), "_core")
    assert spec is not None
    module = finder.create_module(spec)
    assert isinstance(module, ModuleType)
    assert "memfd:evidenced" in Path("/proc/self/maps").read_text()
    assert spec.loader_state is None  # megabytes that nobody needs any more


def test_what_the_linker_refuses_is_tried_everywhere_and_told(parts: SimpleNamespace, archive: Archive) -> None:
    finder, spec = spec_of(parts, archive(_core=b"no library"), "_core")
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(parts.NoPlaceError, match=r"memory \(.*file too short.*TMPDIR=FOLDER"):
        finder.create_module(spec)
    assert set(os.listdir("/proc/self/fd")) == before


def test_an_archive_without_a_part_for_this_python_is_refused(parts: SimpleNamespace, archive: Archive) -> None:
    before = list(sys.meta_path)
    with pytest.raises(parts.NoPlaceError, match="expected x86_64 or aarch64, and CPython with glibc"):
        parts.install(archive())
    assert sys.meta_path == before


def test_the_folder_that_is_named_is_tried_before_the_usual_ones(
    parts: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert [name for name, _ in parts.places()][:2] == ["memory", str(tmp_path)]
    monkeypatch.setenv("TMPDIR", "relative")
    assert "relative" not in [name for name, _ in parts.places()]
