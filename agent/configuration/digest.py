"""A configuration as one canonical text, for whoever must work by the settings that were planned, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import MutableMapping

import msgspec

from agent.configuration.loading import Loaded, load
from agent.configuration.model import Configuration
from agent.daemon.children import SETTINGS

LIMIT = 1 << 20


def canonical(configuration: Configuration) -> bytes:
    """Return all settings, defaults too, as one canonical line of JSON.

    Equal settings give one text, however files, comments and the order of sinks are arranged. No secret is in it, since
    none stands in a configuration.
    """
    sinks = tuple(sorted(configuration.sinks, key=lambda each: each.name))
    drop = tuple(sorted(configuration.privacy.drop))
    privacy = msgspec.structs.replace(configuration.privacy, drop=drop)
    ordered = msgspec.structs.replace(configuration, sinks=sinks, privacy=privacy)
    return msgspec.json.encode(ordered, order="deterministic")


def digest(configuration: Configuration) -> str:
    """Return the SHA-256 (hex) of the canonical text, for the event that says it changed."""
    return digest_of(canonical(configuration))


def digest_of(text: bytes) -> str:
    """Return the digest of a canonical text."""
    return hashlib.sha256(text).hexdigest()


def parse(text: bytes) -> Configuration:
    """Return the configuration that a canonical text is. Raises: msgspec.DecodeError."""
    return msgspec.json.decode(text, type=Configuration)


def planned(option: str | None, environment: MutableMapping[str, str]) -> Loaded:
    """Return the configuration by which the supervisor planned, which whoever it starts is handed as a descriptor.

    An edit of the files counts once it was planned and the change is signed. Started by hand there is no plan: the
    files are read, with all that is wrong with them. Raises: OSError, msgspec.DecodeError.
    """
    descriptor = environment.pop(SETTINGS, "")
    if not descriptor:
        return load(option)
    with open(int(descriptor), "rb") as file:
        return Loaded("the plan", [], parse(file.read(LIMIT)))
