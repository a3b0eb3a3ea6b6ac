"""Reading a host for a command: which root, whose name, and collections made ready for evidence."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Sequence

import msgspec

from agent.clocks import boot_id, boottime_ms, synchronised, wall_text
from agent.collection.parent import collect
from agent.collection.receiver import Collection, Progress, lines_of
from agent.version import VERSION
from collectors.contract import Table, header_of
from collectors.platform.machine import identity_in
from collectors.reading.errors import ReadError
from collectors.reading.host import Host
from evidence.reader import StoreReader
from evidence.statement import Clock, Collected, Observation
from program.errors import WRONG_USE, CommandError

RECORDING = "host.toml"
"""What makes a folder a recorded host."""

CAP_DAC_READ_SEARCH = 2  # linux/capability.h
NAME_LIMIT = 253  # RFC 1035, 2.3.4, without the root's dot


class Target(msgspec.Struct, frozen=True):
    """What is to be read, with the secret that keys its pseudonyms."""

    root: str
    secret: bytes

    @property
    def live(self) -> bool:
        """Return whether this is the running machine itself."""
        return os.path.realpath(self.root) == "/"

    @property
    def recorded(self) -> bool:
        """Return whether this is a recorded host."""
        return os.path.isfile(os.path.join(self.root, RECORDING))

    def open(self) -> Host:
        """Open the host; called in each child."""
        return open_host(self.root, self.secret)


def open_host(root: str, secret: bytes) -> Host:
    """Return a host: the machine itself, a folder with a root tree, or a recorded host (a folder with host.toml)."""
    if not root:
        raise CommandError("--root: expected a folder, found an empty text", WRONG_USE)
    if not os.path.isdir(root):
        raise CommandError(f"--root: {root}: expected a folder with a root tree or a recorded host, found none")
    if not os.path.isfile(os.path.join(root, RECORDING)):
        return Host(root, secret=secret)
    try:
        return Host.recorded(root, secret=secret)
    except ValueError as error:
        raise CommandError(f"--root: {error}") from error


def read_tables(target: Target, tables: Sequence[Table], progress: Progress) -> list[Collection]:
    """Read tables in children and return their collections, in the same order."""
    target.open()  # a root that cannot be opened is one clear error, not one for each table
    return collect(tables, target.open, progress=progress)


def now() -> Clock:
    """Return the clocks of this moment."""
    return Clock(wall=wall_text(time.time()), boottime_ms=boottime_ms(), boot_id=boot_id(), synchronised=synchronised())


def observation(target: Target, labels: dict[str, str]) -> Observation:
    """Return who observed what; a host that does not tell its name is called `unnamed`."""
    host = target.open()
    return Observation(
        name=_first_text(host, ("/proc/sys/kernel/hostname", "/etc/hostname")) or "unnamed",
        labels=labels,
        machine=machine_id(host),
        observed="live" if target.live else "image",
        version=VERSION,
        reason="by-hand",
        privileged=reads_everything(),
    )


def secret_of(state: str) -> bytes:
    """Return the secret that keys this host's pseudonyms; a one-time secret where there is none: none is made."""
    if not os.path.isdir(state):
        return secrets.token_bytes(32)
    with StoreReader(state) as reader:
        return reader.secret() or secrets.token_bytes(32)


def reads_everything() -> bool:
    """Return whether this process may read any file: root, or a user with CAP_DAC_READ_SEARCH in effect.

    Source: capabilities(7), proc_pid_status(5).
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            effective = next((line.split()[1] for line in file if line.startswith("CapEff:")), None)
    except OSError:
        effective = None
    if effective is None:
        return os.geteuid() == 0
    return bool(int(effective, 16) >> CAP_DAC_READ_SEARCH & 1)


def machine_id(host: Host) -> str | None:
    """Return the keyed hash of the machine id, or None if the host has none."""
    text = _first_text(host, ("/etc/machine-id",))
    identity = None if text is None else identity_in(text)
    return None if identity is None else host.pseudonym(identity)


def _first_text(host: Host, paths: Sequence[str]) -> str | None:
    for path in paths:
        try:
            text = host.read(path, limit=4096).data.decode("utf-8", "replace").strip()
        except ReadError:
            continue
        if text:
            return text[:NAME_LIMIT]
    return None


def sealed(collection: Collection, interval_s: int | None) -> Collected:
    """Return a collection as bytes that are ready to be stored; `interval_s` is what is promised, if anything."""
    gaps = list(lines_of(collection.gaps))
    return Collected(
        name=collection.table.name,
        version=collection.table.version,
        header=header_of(collection.table).encode(),
        coverage=collection.coverage,
        failure=collection.failure if collection.coverage == "failed" else None,  # else its gap says why
        rows=b"".join(line + b"\n" for line in collection.rows),
        row_count=len(collection.rows),
        gaps=b"".join(line + b"\n" for line in gaps),
        gap_count=len(gaps),
        reasons=collection.reasons,
        interval_s=interval_s,
        cost=collection.cost,
    )
