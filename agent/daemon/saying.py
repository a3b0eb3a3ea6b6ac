"""What the supervisor says to people: a line on stderr, which systemd keeps."""

from __future__ import annotations

import contextlib
import os


def say(text: str) -> None:
    """Write a line; whoever does not listen costs nothing."""
    with contextlib.suppress(OSError):
        os.write(2, f"evidenced run: {text}\n".encode("utf-8", "replace"))
