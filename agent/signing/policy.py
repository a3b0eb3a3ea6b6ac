"""What the configuration says about the outbox: who must have a batch before it goes, and how much room there is."""

from __future__ import annotations

import os
import sys
from typing import Literal

import msgspec

from agent.configuration.model import Configuration, Directory, Hub
from agent.places import Places
from evidence.prune import RETENTION_DAYS

SinkKind = Literal["directory", "http-put", "hub"]
SYSTEM_FILE = "/etc/evidenced/agent.toml"
SYSTEM_FOLDER = "/etc/evidenced/conf.d"
DEFAULT_LIMIT = 1 << 30


class SinkPolicy(msgspec.Struct, frozen=True):
    """One sink: a hub proves what it has with its key, of which None means one that this host enrolled with."""

    kind: SinkKind
    vkey: str | None = None


class Policy(msgspec.Struct, frozen=True):
    """All sinks by name; without any, nothing is written to the outbox."""

    sinks: dict[str, SinkPolicy]
    limit_bytes: int = DEFAULT_LIMIT
    keep_days: int = RETENTION_DAYS
    prune_every_s: int = 86_400
    known: bool = True
    """False: the configuration has problems, so nobody can tell what may be removed."""


NOTHING = Policy({})
UNKNOWN = Policy({}, known=False)


def config_of(given: str | None, places: Places) -> str | None:
    """Return which file is to be read: of the service it is the system's, whoever reads it; None: this user's own."""
    return SYSTEM_FILE if given is None and places.system else given


def policy_of(config: str | None) -> Policy:
    """Return what `--config`, or else this user's configuration, says.

    One with problems says nothing: nothing is written, leaves or is removed, but what is there is signed all the same.
    """
    if config == SYSTEM_FILE and not any(map(os.path.lexists, (SYSTEM_FILE, SYSTEM_FOLDER))):
        return NOTHING
    from agent.configuration.loading import load  # noqa: PLC0415  a TOML reader, which few requests need

    loaded = load(config)
    if loaded.problems:
        sys.stderr.writelines(f"{each}\n" for each in loaded.problems)
        return UNKNOWN
    return policy_in(loaded.configuration)


def policy_in(own: Configuration) -> Policy:
    """Return what a configuration says."""
    sinks = {}
    for each in own.sinks:
        if isinstance(each, Hub):
            sinks[each.name] = SinkPolicy("hub", each.vkey)
        else:
            sinks[each.name] = SinkPolicy("directory" if isinstance(each, Directory) else "http-put")
    return Policy(sinks, own.outbox.limit, own.retention.days, own.retention.prune_every)
