"""Where this user's log and key live, and the folders beside them."""

from __future__ import annotations

import os

import msgspec

from agent.users import RECORDERS
from program.errors import WRONG_USE, CommandError

SYSTEM_STATE = "/var/lib/evidenced"


class Places(msgspec.Struct, frozen=True):
    """The folders of one agent; none of them need exist."""

    state: str
    """Log and key; the signer's alone."""
    outbox: str
    """Batches that wait for delivery: written by the signer, read by the uploader."""
    upload: str
    """The uploader's own: what it has sent, and what came back."""
    cache: str
    """Hints of the supervisor and of collectors, safe to delete."""
    run: str
    """Sockets and what is true only now."""

    @property
    def system(self) -> bool:
        """Return whether these are the folders of the service, each with an owner of its own."""
        return self.state == SYSTEM_STATE

    @property
    def sign_socket(self) -> str:
        """Return where the signer listens."""
        return os.path.join(self.run, "sign.sock")

    @property
    def upload_socket(self) -> str:
        """Return where the uploader is nudged."""
        return os.path.join(self.run, "upload.sock")

    @property
    def status(self) -> str:
        """Return the file in which the supervisor says what it does."""
        return os.path.join(self.run, "status")


SYSTEM = Places(
    state=SYSTEM_STATE,
    outbox="/var/spool/evidenced/outbox",
    upload="/var/lib/evidenced-upload",
    cache="/var/cache/evidenced-collect",
    run="/run/evidenced",
)


def places(given: str | None = None) -> Places:
    """Return the folders that belong to a state folder: the one given, the service's, or the user's own."""
    state = state_folder(given)
    if state == SYSTEM_STATE:
        return SYSTEM
    return Places(state, *(os.path.join(state, name) for name in ("outbox", "upload", "cache", "run")))


def recording_places(given: str | None = None) -> Places:
    """Return the folders in which somebody's record belongs: the service's, if this user may speak to its signer."""
    if given is None and os.access(SYSTEM.sign_socket, os.W_OK):
        return SYSTEM
    return places(given)


def own_log_note(where: Places, given: str | None = None) -> str | None:
    """Return what has to be said where a record went into this user's own log, without his naming it."""
    if given is not None or where.system:
        return None
    step = "the service signs into that one, where it runs"
    if os.path.exists(SYSTEM.sign_socket):
        step = f"members of group {RECORDERS} record in that one"
    return f"signed into your own log in {where.state}, not into the host's; {step}"


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
