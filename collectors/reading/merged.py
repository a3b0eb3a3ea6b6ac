"""Folders of / and /usr that distributions merged into one: a package may ship a file by the name it had before.

Source: systemd.io/THE_CASE_FOR_THE_USR_MERGE; Fedora 42, and Arch before it, merged /usr/sbin into /usr/bin too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from collectors.reading.errors import ReadError

if TYPE_CHECKING:
    from collectors.reading.host import Host

FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libo32", "/usr/sbin", "/usr/lib64")


def merged_folders(host: Host) -> dict[str, str]:
    """Return by folder that is a link the folder below /usr it leads to."""
    links = {folder: text for folder in FOLDERS if (text := _target(host, folder)) is not None}
    reached = {folder: _reached(_reached(folder, links), links) for folder in links}
    return {folder: real for folder, real in reached.items() if real.startswith("/usr/")}


def names_of(path: str, merged: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names a package may ship a file under, its path first: /usr/bin/su can be listed as /bin/su."""
    others = (link + path.removeprefix(real) for link, real in merged.items() if path.startswith(real + "/"))
    return path, *others


def _reached(folder: str, links: Mapping[str, str]) -> str:
    """Return where one link leads, which may be a link again (/sbin to /usr/sbin to /usr/bin)."""
    return os.path.normpath(os.path.join(os.path.dirname(folder), links.get(folder, folder)))


def _target(host: Host, path: str) -> str | None:
    try:
        return host.target(path)
    except ReadError:
        return None
