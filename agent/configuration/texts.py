"""The forms of texts: names, paths, addresses, keys."""

from __future__ import annotations

import os
import re

from agent.configuration.forms import Text
from agent.delivery import address
from agent.delivery.errors import SettingsError
from agent.labels import KEY
from evidence.errors import EvidenceError
from evidence.keys import NOTE_COSIGNATURE
from evidence.note import Verifier

TABLE = re.compile(r"[a-z0-9_]{1,64}")
COLUMN = re.compile(rf"{TABLE.pattern}\.{TABLE.pattern}")


def choice(*words: str) -> Text:
    """Return the form of one of a few words."""
    return Text(" or ".join(f'"{each}"' for each in words), words.__contains__)


def plain(most: int) -> Text:
    """Return the form of a short line of text."""
    return Text(f"1 to {most} printable characters", lambda text: 1 <= len(text) <= most and text.isprintable())


def name() -> Text:
    """Return the form of a name that also stands in file names."""
    pattern = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
    return Text("1 to 32 characters of a-z 0-9 -", lambda text: pattern.fullmatch(text) is not None)


def matching(pattern: str, expected: str) -> Text:
    """Return the form of text that a pattern describes; it is not repeated in a message."""
    compiled = re.compile(pattern)
    return Text(expected, lambda text: compiled.fullmatch(text) is not None, secretive=True)


def label_key() -> Text:
    """Return the form of a label's key."""
    return Text("1 to 64 characters of a-z 0-9 _ . : -", lambda text: KEY.fullmatch(text) is not None)


def table_name() -> Text:
    """Return the form of a table's name; whether there is such a table is for the catalogue to say."""
    return Text("1 to 64 characters of a-z 0-9 _", lambda text: TABLE.fullmatch(text) is not None)


def column() -> Text:
    """Return the form of a column's name; whether there is such a column is for the catalogue to say."""
    return Text('"TABLE.COLUMN"', lambda text: COLUMN.fullmatch(text) is not None)


def credential() -> Text:
    """Return the form of the name of a systemd credential, which is a file name."""
    return matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}", "the name of a systemd credential: A-Z a-z 0-9 _ . -")


def verifier() -> Text:
    """Return the form of a hub's key."""
    return Text("NAME+ID+KEY, as the hub prints it", _is_cosigner, secretive=True)


def path() -> Text:
    """Return the form of an absolute path."""
    return Text("an absolute path without .. or control characters", _is_path, secretive=True)


def url() -> Text:
    """Return the form of the address of a server."""
    return Text(
        "https://HOST[:PORT][/PATH] without user, password or query (http:// to this machine only)",
        _is_url,
        secretive=True,
    )


def proxy() -> Text:
    """Return the form of the address of an HTTP proxy."""
    return Text("http://HOST[:PORT] without user or password", _is_proxy, secretive=True)


def _is_cosigner(text: str) -> bool:
    try:
        return Verifier.parse(text).kind == NOTE_COSIGNATURE
    except EvidenceError:
        return False


def _is_path(text: str) -> bool:
    usual = len(text) < 4096 and text.isprintable() and os.path.isabs(text)  # noqa: PLR2004  PATH_MAX
    return usual and os.path.normpath(text) == text


def _is_url(text: str) -> bool:
    """Return whether a sink can be reached there, with nothing in the address that may be a secret."""
    try:
        return "?" not in text and bool(address.parse(text, "url").host)
    except SettingsError:
        return False


def _is_proxy(text: str) -> bool:
    try:
        return bool(address.parse_proxy(text, "proxy").host)
    except SettingsError:
        return False
