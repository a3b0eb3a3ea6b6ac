"""The type of the fixture that writes a file below a host's root and gives its real path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Plant = Callable[[str, str | bytes], Path]
