"""How the agent's program begins: in UTF-8, with three open streams, and with time to clean up when it is stopped."""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence

from agent.main import main as command_line
from program.errors import COULD_NOT_RUN, WRONG_USE
from program.interrupts import raise_again
from program.process import heed, open_streams, run
from program.text import plainly


def start(main: Callable[[Sequence[str]], int] = command_line) -> int:
    """Run the command line that this process was started with and return its exit code."""
    _speak_utf8()
    if not open_streams("evidenced"):
        return WRONG_USE if sys.argv[1:2] == ["verify"] else COULD_NOT_RUN  # 3 of verify says that a pack is incomplete
    raise_again()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `evidenced … | head` ends quietly, as other tools do
    heed((signal.SIGTERM, signal.SIGHUP))
    return run("evidenced", main)


def _speak_utf8() -> None:
    """Begin again in UTF-8 mode if the locale is another one.

    The bytes of a path must not depend on the language of whoever reads the host: under ISO 8859-1 Python would
    take the two bytes of an é in a name for two letters, and look for a home that passwd has in UTF-8 elsewhere.
    """
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  this program itself
    codecs.register_error("plainly", plainly)  # PYTHONIOENCODING may name a set of characters without ·
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plainly")
