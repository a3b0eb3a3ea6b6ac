"""What a sink has, and when it is tried again: one small file for each sink, safe to lose.

Without it everything that still waits is sent once more, which every sink takes in good part.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterator
from typing import Annotated, Literal

import msgspec

from evidence.errors import DamageError
from evidence.lock import writing
from evidence.state import Folder, open_state

SINKS, PINS, RECEIPTS, REJECTED = "sinks", "pins", "receipts", "rejected"
_LIMIT = 16 << 20
_PIN_LIMIT = 4096
_KEPT = 200
"""Answers that are kept aside for people to look at, at most; the first tell most."""

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that the sink has."""

    sha256: Digest
    told: bool = False
    """Whether the signer knows it."""
    note: str | None = None
    """The hub's acknowledgement, for as long as the signer does not know it."""


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that the sink will not have as it is; it is tried again, ever more rarely."""

    stamp: str
    """Which file it was; another one of the same name is tried at once."""
    reason: str
    since: str
    note: str | None = None
    """A hub's proof of another history, for as long as the signer does not know it."""
    told: bool = False
    times: int = 1
    until_ms: int = 0
    boot: str | None = None


class Compared(msgspec.Struct, kw_only=True):
    """When a hub was last asked how far it has each log."""

    logs: list[str] = []
    """Those that there were then."""
    at: str | None = None
    """Wall clock."""
    due: bool = False
    """There is reason to ask again, or not all were asked."""
    after: str | None = None
    """The log to go on behind."""


class Rewound(msgspec.Struct, frozen=True, kw_only=True):
    """A log that a hub turned out to have less of than it had acknowledged, and how often that was so."""

    size: int
    times: int
    until_ms: int
    """Before this time of CLOCK_BOOTTIME of the boot `boot` it is not believed once more."""
    boot: str | None


class Progress(msgspec.Struct, kw_only=True):
    """One sink."""

    done: dict[str, Done] = {}
    parked: dict[str, Parked] = {}
    state: Literal["ok", "retry", "held"] = "ok"
    reason: str | None = None
    """Why it is not ok, in words for people."""
    since: str | None = None
    """When that began: wall clock."""
    failures: int = 0
    until_ms: int = 0
    """Not before this time of CLOCK_BOOTTIME of the boot `boot`."""
    boot: str | None = None
    last_success: str | None = None
    piece: int | None = None
    """Bytes of a piece of a batch that got through."""
    compared: Compared = msgspec.field(default_factory=Compared)
    rewound: dict[str, Rewound] = {}
    """Of a hub, by log."""

    def due_in_s(self, boot: str | None, now_ms: int) -> float:
        """Return the seconds until this sink may be tried again; another boot begins anew."""
        return max(0, self.until_ms - now_ms) / 1000 if boot == self.boot else 0.0


class Records:
    """The uploader's folder, held by its one user."""

    def __init__(self, root: Folder) -> None:
        self._root = root

    def progress(self, sink: str) -> Progress:
        """Return what is known of a sink; nothing if it was never tried, or if that file is damaged."""
        with self._folder(SINKS) as folder:
            try:
                return msgspec.json.decode(folder.read(f"{sink}.json", _LIMIT), type=Progress)
            except (FileNotFoundError, DamageError, msgspec.DecodeError, UnicodeDecodeError):
                return Progress()

    def save(self, sink: str, progress: Progress) -> None:
        """Keep what is known of a sink. Raises: OSError."""
        with self._folder(SINKS) as folder:
            folder.replace(f"{sink}.json", msgspec.json.encode(progress) + b"\n")

    def forget_others(self, sinks: Collection[str]) -> None:
        """Drop what is known of sinks that are configured no longer."""
        with self._folder(SINKS) as folder:
            for name in folder.names():
                if name.endswith(".json") and name.removesuffix(".json") not in sinks:
                    folder.remove(name)

    def pin(self, sink: str) -> str | None:
        """Return the hub's key that was pinned for a sink, None if none was. Raises: OSError."""
        with self._folder(PINS) as folder:
            return _pin(folder, sink)

    def keep_receipt(self, log_id: str, size: int, sink: str, note: bytes) -> None:
        """Keep an acknowledgement as it came; of one sink and log the newest."""
        with self._folder(RECEIPTS) as folder, contextlib.closing(folder.folder(log_id, create=True)) as log:
            kept = f"{size:012d}-{sink}"
            log.replace(kept, note)
            for name in log.names():
                if name.partition("-")[2] == sink and name < kept:
                    log.remove(name)

    def reject(self, sink: str, data: bytes) -> str | None:
        """Keep aside what is no acknowledgement, or proves a fork; return its name, None if there are enough."""
        name = f"{sink}-{hashlib.sha256(data).hexdigest()[:16]}"
        with self._folder(REJECTED) as folder:
            names = folder.names()
            if name not in names:
                if len(names) >= _KEPT:
                    return None
                folder.replace(name, data)
        return f"{REJECTED}/{name}"

    @contextlib.contextmanager
    def _folder(self, name: str) -> Iterator[Folder]:
        with contextlib.closing(self._root.folder(name, create=True)) as folder:
            yield folder


@contextlib.contextmanager
def records(folder: str, wait_s: float) -> Iterator[Records]:
    """Hold the uploader's folder alone. Raises: BusyError when another attempt is being made; StateError, OSError."""
    root = open_state(folder, create=True)
    with contextlib.closing(root), writing(root, wait_s):
        yield Records(root)


def look(folder: str, sink: str) -> Progress:
    """Return what is known of a sink, without lock and without writing. Raises: FileNotFoundError, StateError."""
    with contextlib.closing(open_state(folder, create=False)) as root, contextlib.closing(root.folder(SINKS)) as sinks:
        try:
            return msgspec.json.decode(sinks.read(f"{sink}.json", _LIMIT), type=Progress)
        except (DamageError, msgspec.DecodeError, UnicodeDecodeError):
            return Progress()


def look_at_all(folder: str) -> dict[str, Progress]:
    """Return what is known of every sink that was tried, by name, without lock. Raises: OSError, StateError."""
    try:
        with (
            contextlib.closing(open_state(folder, create=False)) as root,
            contextlib.closing(root.folder(SINKS)) as sinks,
        ):
            names = sorted(each.removesuffix(".json") for each in sinks.names() if each.endswith(".json"))
    except FileNotFoundError:
        return {}
    return {name: look(folder, name) for name in names}


def pinned(folder: str, sink: str) -> str | None:
    """Return the hub's key that was pinned for a sink, None if none was, without lock. Raises: OSError, StateError."""
    try:
        with (
            contextlib.closing(open_state(folder, create=False)) as root,
            contextlib.closing(root.folder(PINS)) as pins,
        ):
            return _pin(pins, sink)
    except FileNotFoundError:
        return None


def set_pin(folder: str, sink: str, vkey: str) -> None:
    """Pin a hub's key. Raises: OSError, StateError."""
    root = open_state(folder, create=True)
    with contextlib.closing(root), contextlib.closing(root.folder(PINS, create=True)) as pins:
        pins.replace(sink, f"{vkey}\n".encode())


def _pin(folder: Folder, sink: str) -> str | None:
    try:
        return folder.read(sink, _PIN_LIMIT).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return None
