"""When tables were read last, over restarts: a hint in the cache folder, safe to delete and believed in bounds."""

from __future__ import annotations

import contextlib
import os

NAME = "readings"
_HEAD = "evidenced-readings 1"
_LIMIT = 64 << 10
_DIGITS = 15


def load(folder: str, boot_id: str) -> dict[str, float]:
    """Return seconds since boot at which tables were read in this boot; nothing if the file is not ours or damaged."""
    try:
        fd = os.open(os.path.join(folder, NAME), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return {}
    try:
        data = os.read(fd, _LIMIT) if os.fstat(fd).st_uid in (0, os.geteuid()) else b""
    except OSError:
        return {}
    finally:
        os.close(fd)
    head, *lines = data.decode("ascii", "replace").split("\n")
    if not boot_id or head != f"{_HEAD}\t{boot_id}":
        return {}
    return {name: float(number) for name, number in map(_pair, lines) if name}


def _pair(line: str) -> tuple[str, str]:
    name, _, number = line.partition("\t")
    return (name, number) if number.isascii() and number.isdigit() and len(number) <= _DIGITS else ("", "")


def save(folder: str, boot_id: str, readings: dict[str, float]) -> None:
    """Write the hints; where that cannot be done, the next start knows nothing, which costs a reading of each table."""
    lines = [f"{_HEAD}\t{boot_id}", *(f"{name}\t{int(moment)}" for name, moment in sorted(readings.items()))]
    write_whole(folder, NAME, "\n".join((*lines, "")), 0o600)


def write_whole(folder: str, name: str, text: str, mode: int) -> bool:
    """Put a file in place at once; return whether that was possible. It is not synced: it is true only now."""
    path, new = os.path.join(folder, name), os.path.join(folder, f".{name}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            os.fchmod(fd, mode)  # whatever the umask is
            data = text.encode("utf-8", "replace")
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
        os.rename(new, path)
    except OSError:
        return False
    return True
