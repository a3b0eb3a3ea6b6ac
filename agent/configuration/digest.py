"""The digest of a configuration as it is in effect, for the event that says it changed."""

from __future__ import annotations

import hashlib

import msgspec

from agent.configuration.model import Configuration


def digest(configuration: Configuration) -> str:
    """Return the SHA-256 (hex) of all settings, defaults too, as one canonical JSON text.

    Equal settings give one digest, however files, comments and the order of sinks are arranged. No secret goes into
    it, since none stands in a configuration.
    """
    sinks = tuple(sorted(configuration.sinks, key=lambda each: each.name))
    drop = tuple(sorted(configuration.privacy.drop))
    privacy = msgspec.structs.replace(configuration.privacy, drop=drop)
    ordered = msgspec.structs.replace(configuration, sinks=sinks, privacy=privacy)
    return hashlib.sha256(msgspec.json.encode(ordered, order="deterministic")).hexdigest()
