"""Where this user's log and key live."""

from __future__ import annotations

import os

from agent.errors import WRONG_USE, CommandError

SYSTEM_STATE = "/var/lib/evidenced"


def state_folder(given: str | None = None) -> str:
    """Return the state folder: the one given, root's, or the user's own.

    Source: XDG Base Directory Specification; a relative XDG_STATE_HOME is to be ignored.
    """
    if given == "":
        raise CommandError("--state: expected a folder, found an empty text", WRONG_USE)
    if given is not None:
        return os.path.abspath(given)
    if os.geteuid() == 0:
        return SYSTEM_STATE
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".local", "state")
    if not os.path.isabs(base):
        raise CommandError(
            "expected HOME or XDG_STATE_HOME to say where the log is, found neither; name it with --state"
        )
    return os.path.join(base, "evidenced")
