"""Below which homes the keys of users are watched: where there is a folder for them, or its owner can make one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from collectors.reading.errors import ReadError
from collectors.reading.host import Host

MOST = 1000
FOLDER = ".ssh"


class _Person(msgspec.Struct):
    uid: int | None
    home: str


def homes_in(host: Host, rows: Sequence[bytes]) -> Iterator[str]:
    """Yield homes out of rows of the table users, each once, at most a thousand.

    Never one on a network, FUSE or autofs mount, since whoever watches it would hang with it, nor one that its user
    does not own and that has no folder for keys: many share such a home (/bin, /var/mail), and it changes all the time.
    """
    found: dict[str, None] = {}
    for person in map(msgspec.json.Decoder(_Person).decode, rows):
        home = person.home.rstrip("/")
        plain = home.startswith("/") and home.isprintable() and home not in found
        if plain and len(found) < MOST and _is_watchable(host, home, person.uid):
            found[home] = None
    yield from found


def _is_watchable(host: Host, home: str, uid: int | None) -> bool:
    try:
        facts = host.look(home, follow=True)
    except ReadError:
        return False
    if facts.kind != "folder":
        return False
    if facts.uid == uid:
        return True
    try:
        return host.look(f"{home}/{FOLDER}", untrusted=home).kind == "folder"
    except ReadError:
        return False
