"""Whether the host is too busy to be read now: /proc/pressure, as Documentation/accounting/psi.rst gives it."""

from __future__ import annotations

import os

FOLDER = "/proc/pressure"
CHECK_S = 20.0
"""How long to wait before looking again."""
_RESOURCES = ("cpu", "memory", "io")
_MARK = "avg10="


class Pause:
    """Decides for how long readings wait."""

    def __init__(self, folder: str = FOLDER) -> None:
        self._folder = folder
        self.since: float | None = None
        self.resource = ""
        """What there is too little of, while readings wait."""

    def until(self, limits: tuple[int, int, int], longest_s: float, now: float) -> float | None:
        """Return when to look again, or None if readings need not wait, or have waited long enough."""
        self.resource = next((name for name, limit in zip(_RESOURCES, limits) if self._over(name, limit)), "")  # noqa: B905  strict=
        if not self.resource:
            self.since = None
            return None
        if self.since is None:
            self.since = now
        return min(now + CHECK_S, self.since + longest_s) if now < self.since + longest_s else None

    def _over(self, name: str, limit: int) -> bool:
        """Return whether a resource is short; one that cannot be asked (an old kernel) is not."""
        if limit == 0:
            return False
        try:
            fd = os.open(f"{self._folder}/{name}", os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            share = share_in(os.read(fd, 256).decode("ascii", "replace"))
        except OSError:
            return False
        finally:
            os.close(fd)
        return share is not None and share > limit


def share_in(text: str) -> float | None:
    """Return the percent of the last ten seconds in which something waited, None in any other text."""
    first = text.split("\n", 1)[0].split(" ")
    if first[0] != "some" or len(first) < 2 or not first[1].startswith(_MARK):  # noqa: PLR2004
        return None
    number = first[1][len(_MARK) :]
    whole, _, part = number.partition(".")
    return float(number) if (whole + part).isdigit() and number.isascii() and len(number) < 16 else None  # noqa: PLR2004
