"""The private key on disk: PKCS#8 PEM that only its owner can read.

The folder around it belongs to the state (`evidence.state`), which has checked it before anything here runs.
"""

from __future__ import annotations

import contextlib
import os
import stat

from evidence.errors import FormatError, KeyFileError
from evidence.keys import PrivateKey

MODE = 0o600
MAX_BYTES = 4096
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def store(path: str, key: PrivateKey) -> None:
    """Write a key durably where nothing stands yet; the name appears only when all of it is on disk.

    A crash can leave `PATH.new`, which the next call replaces; the lock of the state keeps two writers apart.
    Raises: KeyFileError when something stands at `path`; OSError when the disk refuses.
    """
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    name = os.path.basename(path)
    fresh = f"{name}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        _write(fresh, folder, key.pkcs8_pem().encode("ascii"))
        try:
            os.link(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileExistsError:
            raise KeyFileError(path, "nothing there yet", "a file", "keys are never overwritten") from None
        finally:
            os.unlink(fresh, dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(name: str, folder: int, data: bytes) -> None:
    descriptor = os.open(name, _WRITE, MODE, dir_fd=folder)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, MODE)  # whatever the umask was
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def load(path: str) -> PrivateKey:
    """Return the key at a path.

    Raises: FileNotFoundError; KeyFileError on a link, another owner, a mode that lets others in, or what is
    not an Ed25519 key in PKCS#8. No error holds a byte of the file.
    """
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        raise
    except OSError as error:
        found = "a symbolic link" if os.path.islink(path) else (error.strerror or "an error").lower()
        raise KeyFileError(path, "a regular file", found) from None
    try:
        _check(path, os.fstat(descriptor))
        data = os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise KeyFileError(path, f"at most {MAX_BYTES} bytes", "more")
    try:
        return PrivateKey.from_pkcs8_pem(data.decode("ascii"), path)
    except UnicodeDecodeError:
        raise KeyFileError(path, "PEM text", "other bytes") from None
    except FormatError as error:
        raise KeyFileError(path, error.expected, error.found) from None


def _check(path: str, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise KeyFileError(path, "a regular file", "another kind of file")
    if facts.st_uid != os.geteuid():
        raise KeyFileError(path, f"owner {os.geteuid()}", f"owner {facts.st_uid}")
    mode = stat.S_IMODE(facts.st_mode)
    if mode & 0o077:
        step = "others could have read it: rotate the key, or chmod 600 if you know that none did"
        raise KeyFileError(path, "mode 600", f"mode {mode:o}", step)
