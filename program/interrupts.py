"""Signals that mean one thing here and another there.

Ctrl-C while the program is still being loaded ends it quietly, as a program does that has nothing to clean up. A pipe
that nobody reads (`evidenced … | head`) ends it quietly, too, but a server that hangs up is an error like any other.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


def end_quietly() -> None:
    """Let SIGINT end the process without a word; one that is ignored (a job in the background) stays ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_again() -> None:
    """Let SIGINT be a KeyboardInterrupt again, so that everything on the way is cleaned up."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def hang_ups_told() -> Iterator[None]:
    """Have a write to a connection that is gone raise BrokenPipeError in this thread, whatever SIGPIPE does.

    TLS gives no other way: OpenSSL writes without MSG_NOSIGNAL. Source: pthread_sigmask(3), sigtimedwait(2).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    try:
        yield
    finally:
        if signal.SIGPIPE not in before:
            signal.sigtimedwait({signal.SIGPIPE}, 0)  # what came meanwhile would come now
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPIPE})
