"""Real file systems that never answer: a FUSE without its server, an autofs without its daemon."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MNT_DETACH = 2
AUTOFS_IOC_CATATONIC = 0x9362
PATIENCE_S = 5.0
libc = ctypes.CDLL(None, use_errno=True)


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
def _freed_in_time(free: Callable[[], object]) -> Iterator[None]:
    """Let go of whoever waits after a while, so that a test of a reader that does wait fails, and does not hang."""
    timer = threading.Timer(PATIENCE_S, free)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def hung_fuse(target: Path) -> Iterator[None]:
    """Mount a FUSE file system whose server never says a word: whoever touches it waits for ever."""
    server, nothing = os.open("/dev/fuse", os.O_RDWR), os.open("/dev/null", os.O_RDONLY)
    try:
        with (
            _mounted("fuse", target, f"fd={server},rootmode=40000,user_id=0,group_id=0"),
            _freed_in_time(lambda: os.dup2(nothing, server)),
        ):
            _greet(server)
            yield
    finally:
        os.close(server)
        os.close(nothing)


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
    folder = -1
    try:
        with _mounted("autofs", target, f"fd={writing},pgrp={daemon.pid},minproto=5,maxproto=5,indirect"):
            os.close(writing)
            folder = os.open(target, os.O_RDONLY)
            with _freed_in_time(lambda: fcntl.ioctl(folder, AUTOFS_IOC_CATATONIC)):
                yield
    finally:
        if folder >= 0:
            os.close(folder)
        os.close(reading)
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait()


HUNG = {"fuse": hung_fuse, "autofs": hung_autofs}
