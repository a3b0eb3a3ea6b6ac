"""Deliveries go by the configuration that the signer works by, not by an edit that nobody has reloaded."""

from __future__ import annotations

import contextlib

import msgspec

from agent.configuration.digest import parse
from agent.configuration.loading import configured
from agent.configuration.model import Configuration
from agent.places import Places
from agent.signing.door import open_door
from evidence.errors import EvidenceError


def in_force(where: Places, config: str | None) -> Configuration:
    """Return the configuration that the signer works by; the files' where it knows none, or does not answer."""
    with contextlib.suppress(EvidenceError, msgspec.DecodeError), open_door(where, config=config) as door:
        text = door.settings()
        if text is not None:
            return parse(text.encode())
    return configured(config)
