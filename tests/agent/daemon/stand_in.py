"""In place of the other parts: notes what it is started with, and does what a file tells it to.

Run as `python stand_in.py FOLDER COMMAND …`. It writes one JSON line for each start to FOLDER/journal. A file
FOLDER/COMMAND holds Python that is run before the usual answer; it may end the process or wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import time


def main(folder: str, command: str, *words: str) -> int:
    """Be the part, and return its exit code."""
    note(folder, command, words)
    try:
        with open(os.path.join(folder, command), encoding="utf-8") as file:
            exec(file.read(), {"words": words, "folder": folder})  # noqa: S102  what the test wants
    except FileNotFoundError:
        pass
    return {"_collect": collect, "_sign": serve, "_upload": upload}[command](*words)


def note(folder: str, command: str, words: tuple[str, ...]) -> None:
    """Write what this was started with."""
    line = {"at": time.monotonic(), "command": command, "pid": os.getpid(), "words": words, "uid": os.getuid()}
    fd = os.open(os.path.join(folder, "journal"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, (json.dumps(line) + "\n").encode())
    os.close(fd)


def collect(*words: str) -> int:
    """Read nothing, and say that all of it is signed."""
    for number in range(1, words.count("--event") + 1):
        say(f"event\t{number}")
    for option, coverage in (("--tables", "complete"), ("--hanging", "failed")):
        if option in words:
            for each in words[words.index(option) + 1].split(","):
                say(f"table\t{each.partition('=')[0]}\t{coverage}\t1\t0\t1\t1\t1000")
    say("signed\t1\tevidenced/0a/1")
    return 0


def say(line: str) -> None:
    """Print a line for the supervisor."""
    os.write(1, f"{line}\n".encode())


def serve(*_words: str) -> int:
    """Take calls until there is none for a moment."""
    listener = socket.socket(fileno=3)
    while select.select([listener], [], [], 0.5)[0]:
        listener.accept()[0].close()
    return 0


def upload(*_words: str) -> int:
    """Take the nudge, and be done."""
    listener = socket.socket(fileno=3)
    listener.setblocking(False)  # noqa: FBT003  it takes no keyword
    with contextlib.suppress(BlockingIOError):
        listener.accept()[0].close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
