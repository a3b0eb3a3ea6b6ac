"""One part of what is measured, by its name."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from bench.figures import Line


def part(name: str) -> Callable[[], list[Line]]:
    """Return what measures one part."""
    rows: Callable[[], list[Line]] = importlib.import_module(f"bench.{name}").rows
    return rows


def measure(name: str) -> list[Line]:
    """Measure one part; a process of its own can be told to by name."""
    return part(name)()
