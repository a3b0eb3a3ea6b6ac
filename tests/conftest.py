"""What every test may ask for, and the loud account of what this machine could not run."""

from __future__ import annotations

import os
import shutil

import pytest

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/local/sbin"))


def program(name: str) -> str | None:
    """Return the path of a program that a comparison needs, also from the folders only root has on PATH."""
    return shutil.which(name, path=SBIN)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run; each reason is fixed text, so that CI can hold a list of them."""
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs root")
    for mark in item.iter_markers("needs_program"):
        for name in mark.args:
            if program(name) is None:
                pytest.skip(f"needs program {name}")
