"""Whether sshd would trust a file of a user's keys; sshd_config(5), StrictModes."""

from __future__ import annotations

import posixpath

from collectors.access.ssh.key_paths import Account, Place
from collectors.reading.facts import Facts
from collectors.reading.host import Host

_OTHERS_WRITE = 0o022


def owner_ok(host: Host, place: Place, facts: Facts, account: Account) -> bool:
    """Return whether nobody but the user and root may write to the file and the folders up to the home, or to /.

    Both own it, and neither group nor others have leave to write. The rule is OpenSSH's own (safe_path in misc.c);
    Debian's sshd also bears a group of the user alone.
    Raises: ReadError if a folder cannot be looked at.
    """
    home = account.home.rstrip("/") or "/"
    folder = place.path
    while _safe(facts, account.uid):
        if folder in {home, "/"}:
            return True
        folder = posixpath.dirname(folder)
        inside = place.untrusted is not None and f"{folder}/".startswith(f"{place.untrusted.rstrip('/')}/")
        facts = host.look(folder, follow=True, untrusted=place.untrusted if inside else None)
    return False


def _safe(facts: Facts, uid: int) -> bool:
    return facts.uid in {0, uid} and not facts.mode & _OTHERS_WRITE
