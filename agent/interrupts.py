"""Ctrl-C while the program is still being loaded: it ends quietly, as a program does that has nothing to clean up."""

from __future__ import annotations

import signal


def end_quietly() -> None:
    """Let SIGINT end the process without a word; one that is ignored (a job in the background) stays ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_again() -> None:
    """Let SIGINT be a KeyboardInterrupt again, so that everything on the way is cleaned up."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
