"""The signer's socket: from systemd, from whoever started us, or made here. Nothing but the standard library."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, MutableMapping

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)
BACKLOG = 64
_PATH_LIMIT = 107
"""Bytes of sun_path without its end, unix(7)."""


def bind(path: str, mode: int = 0o600) -> socket.socket:
    """Return a socket that listens at a path; the folder is made, and what is left of an earlier socket removed.

    Raises: OSError.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _private():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with reachable(path) as address:
                listener.bind(address)
        os.chmod(path, mode)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def _private() -> Iterator[None]:
    """Let what is made be the owner's alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def connect(path: str, timeout_s: float) -> socket.socket:
    """Return a socket connected to a path. Raises: OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with reachable(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def passed(environment: MutableMapping[str, str], descriptor: int | None) -> socket.socket | None:
    """Return the listening socket that systemd or a parent passed on, None if neither did.

    The variables are removed, so that no child takes them for its own. Raises: ValueError if what was passed is none.
    Source: sd_listen_fds(3).
    """
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if descriptor is None:
        if pid != str(os.getpid()):
            return None
        if count != "1":
            raise ValueError(f"expected one socket of systemd's, found {count[:10]}")
        descriptor = FIRST_DESCRIPTOR
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  it takes no keyword
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ValueError(f"descriptor {descriptor}: expected a socket, found {error.strerror}") from None
    listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if (listener.family, listener.type, listening) != (socket.AF_UNIX, socket.SOCK_STREAM, 1):
        listener.detach()
        raise ValueError(f"descriptor {descriptor}: expected a Unix stream socket that listens, found another")
    return listener


@contextlib.contextmanager
def reachable(path: str) -> Iterator[str]:
    """Give a name of a path that fits a socket's address, however long the path is."""
    if len(os.fsencode(path)) <= _PATH_LIMIT:
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)
