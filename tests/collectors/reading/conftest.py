"""Hosts made of a folder, and file systems that never answer."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from collectors.reading import kernel
from collectors.reading.host import Host

MNT_DETACH = 2
libc = ctypes.CDLL(None, use_errno=True)

Plant = Callable[[str, str | bytes], Path]


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


@contextmanager
def _mounted(fstype: str, target: Path, options: str) -> Iterator[None]:
    target.mkdir(parents=True, exist_ok=True)
    source = b"systemd-1" if fstype == "autofs" else b"hung"
    if libc.mount(source, os.fsencode(target), fstype.encode(), 0, options.encode()) != 0:
        pytest.skip(f"cannot mount {fstype} here")
    try:
        yield
    finally:
        libc.umount2(os.fsencode(target), MNT_DETACH)


@contextmanager
def hung_fuse(target: Path) -> Iterator[None]:
    """Mount a FUSE file system whose server never says a word: whoever touches it waits for ever."""
    server = os.open("/dev/fuse", os.O_RDWR)
    try:
        with _mounted("fuse", target, f"fd={server},rootmode=40000,user_id=0,group_id=0"):
            _greet(server)
            yield
    finally:
        os.close(server)


def _greet(server: int) -> None:
    """Answer FUSE_INIT, and nothing after it: who waits can then be interrupted, so that a test fails, not hangs."""
    unique = struct.unpack_from("=Q", os.read(server, 1 << 17), 8)[0]
    answer = struct.pack("=4I2H2I2H8I", 7, 31, 0, 0, 1, 1, 4096, 1, 1, 0, *([0] * 8))
    os.write(server, struct.pack("=IiQ", 16 + len(answer), 0, unique) + answer)


@contextmanager
def hung_autofs(target: Path) -> Iterator[None]:
    """Mount an autofs whose daemon never mounts anything: whoever looks for a name in it waits for ever."""
    daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
    reading, writing = os.pipe()
    try:
        with _mounted("autofs", target, f"fd={writing},pgrp={daemon.pid},minproto=5,maxproto=5,indirect"):
            os.close(writing)
            yield
    finally:
        os.close(reading)
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait()


HUNG = {"fuse": hung_fuse, "autofs": hung_autofs}


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
