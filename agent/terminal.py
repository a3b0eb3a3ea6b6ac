"""What a command shows on a terminal: numbers as people read them, and a line of progress."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO


def thousands(number: int) -> str:
    """Return a count as people read it."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Return a count with its noun: 1 entry, 2 entries, 1,000 rows."""
    if number != 1:
        noun = noun[:-1] + "ies" if noun.endswith("ry") else noun + "s"  # entry, but key
    return f"{thousands(number)} {noun}"


def seconds(milliseconds: int) -> str:
    """Return a duration in seconds."""
    return f"{milliseconds / 1000:.2f} s"


class Progress:
    """One line on stderr that is drawn over while work goes on; nothing at all unless it is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._on = self._stream.isatty()
        self._drawn = ""
        self._name, self._begun = "", 0.0

    def __call__(self, name: str, count: int) -> None:
        """Show which table is being read, how many rows it has so far, and for how long if it takes long."""
        if not self._on:
            return
        if name != self._name:
            self._name, self._begun = name, time.monotonic()
        waited = int(time.monotonic() - self._begun)
        text = (
            f"reading {name}" + (f" · {thousands(count)} rows" if count else "") + (f" · {waited} s" if waited else "")
        )
        text = text[: shutil.get_terminal_size().columns - 1]
        if text != self._drawn:
            self._draw(text)

    def clear(self) -> None:
        """Take the line away, so that what follows begins on an empty one."""
        if self._drawn:
            self._draw("")

    def _draw(self, text: str) -> None:
        try:
            os.write(self._stream.fileno(), f"\r\x1b[K{text}".encode())  # a buffer would keep what could not go out
            self._drawn = text
        except OSError:  # the terminal is gone; what is read for the log goes on without it
            self._on, self._drawn = False, ""
