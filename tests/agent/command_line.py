"""What a command line left behind, for every test that types one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Evidenced = Callable[..., Ran]


def apart(folder: Path) -> list[str]:
    """Return options with which a process looks at no settings and no state of this machine."""
    settings = folder / "no-settings.toml"
    settings.touch(0o600)
    return ["--config", str(settings), "--state", str(folder / "no-state")]
