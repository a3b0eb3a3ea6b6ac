"""Hosts made of a folder, both ways to resolve a path, and an alarm for what must not block."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collectors.reading import kernel
from collectors.reading.host import Host
from tests.collectors.reading.hung_mounts import HUNG
from tests.collectors.reading.planting import Plant


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the folder that `host` takes as its root; beside it lies `outside`, which nobody may read."""
    (tmp_path / "outside").write_text("outside")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def host(root: Path) -> Host:
    return Host(str(root), secret=b"secret")


@pytest.fixture
def plant(root: Path) -> Plant:
    """Return a function that writes a file below the root and gives its real path."""

    def write(path: str, content: str | bytes) -> Path:
        real = root / path.lstrip("/")
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(content if isinstance(content, bytes) else content.encode())
        return real

    return write


@pytest.fixture(params=["openat2", "walk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test twice: with the kernel's own resolution, and with the walk that stands in for it."""
    if request.param == "walk":
        monkeypatch.setattr(kernel, "openat2", _no_openat2)
    return str(request.param)


def _no_openat2(*_: object) -> int:
    raise kernel.UnavailableError


@pytest.fixture(params=sorted(HUNG))
def hung(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], str]]:
    """Return a function that mounts a file system that never answers, and gives its type."""
    with ExitStack() as stack:

        def mount(target: Path) -> str:
            stack.enter_context(HUNG[request.param](target))
            return str(request.param)

        yield mount


@pytest.fixture
def within_seconds() -> Iterator[None]:
    """Fail a test that blocks: an alarm interrupts the system call it hangs in."""

    def late(_number: int, _frame: object) -> None:
        raise TimeoutError("the read blocked")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
