"""The files of a configuration: which they are, and whether anybody but their owner could have written them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from agent.configuration.problems import Place, Problem
from agent.configuration.syntax import BYTES_LIMIT
from program.errors import WRONG_USE, CommandError

SYSTEM_FILE = "/etc/evidenced/agent.toml"
FOLDER = "conf.d"
FILES_LIMIT = 200
"""Files in conf.d."""


def configuration_file(given: str | None = None) -> str:
    """Return the main file: the one given, the system's for root, or the user's own; it need not exist.

    The service's users are not root: their units name the system's file with --config.
    Source: XDG Base Directory Specification; a relative XDG_CONFIG_HOME is to be ignored.
    """
    if given == "":
        raise CommandError("--config: expected a file, found an empty text", WRONG_USE)
    if given is not None:
        return os.path.abspath(given)
    if os.geteuid() == 0:
        return SYSTEM_FILE
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "evidenced", "agent.toml")


def all_files(main: str, *, must_exist: bool) -> tuple[list[str], list[Problem]]:
    """Return the files that are there, the main one first and those of conf.d by name, with what is wrong so far."""
    folder = os.path.join(os.path.dirname(main), FOLDER)
    found = [main] if must_exist or os.path.lexists(main) else []
    try:
        names = sorted(each for each in os.listdir(folder) if each.endswith(".toml") and not each.startswith("."))
    except FileNotFoundError:
        return found, []
    except OSError as error:
        return found, [_refused(folder, "a folder that can be read", _why(error))]
    if len(names) > FILES_LIMIT:
        return found, [_refused(folder, f"at most {FILES_LIMIT} files", str(len(names)))]
    return [*found, *(os.path.join(folder, each) for each in names)], []


def read_file(path: str) -> tuple[bytes, list[Problem]]:
    """Return the bytes of a file, one more than the limit at most, and why it cannot be relied on.

    Nobody but root and the caller may be able to write to it or to a folder on the way to it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        return b"", [_refused(path, "a file that can be read", _why(error))]
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return b"", [_refused(path, "a regular file", "something else")]
        problems = [*_judge(path, facts), *_judge_folders(path)]
        return b"" if problems else _all_bytes(descriptor), problems
    except OSError as error:
        return b"", [_refused(path, "a file that can be read", _why(error))]
    finally:
        os.close(descriptor)


def _all_bytes(descriptor: int) -> bytes:
    parts = bytearray()
    while len(parts) <= BYTES_LIMIT and (part := os.read(descriptor, BYTES_LIMIT + 1)):
        parts += part
    return bytes(parts[: BYTES_LIMIT + 1])


def _judge(path: str, facts: os.stat_result) -> Iterator[Problem]:
    if facts.st_uid not in {0, os.geteuid()}:
        yield _refused(path, f"root or uid {os.geteuid()} as its owner", f"uid {facts.st_uid}", "use chown")
    if facts.st_mode & 0o022:
        mode = f"mode {stat.S_IMODE(facts.st_mode):04o}"
        yield _refused(path, "that nobody but its owner may write to it", mode, "use chmod go-w")


def _judge_folders(path: str) -> Iterator[Problem]:
    """Judge all folders above a file, as it is named and as links lead to it; others may write to a sticky one."""
    near = {os.path.dirname(path), os.path.dirname(os.path.realpath(path))}
    for each in sorted(set().union(*map(_upwards, near))):
        with contextlib.suppress(FileNotFoundError):
            facts = os.stat(each)
            if not facts.st_mode & stat.S_ISVTX:
                yield from _judge(each, facts)
            elif each in near and os.path.basename(each) == FOLDER:
                yield _refused(each, "that nobody but its owner may write to it", "a folder for everybody")


def _upwards(folder: str) -> Iterator[str]:
    yield folder
    while folder != (folder := os.path.dirname(folder)):
        yield folder


def _refused(path: str, expected: str, found: str, hint: str = "") -> Problem:
    return Problem(Place(path), (), expected, found, hint)


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
