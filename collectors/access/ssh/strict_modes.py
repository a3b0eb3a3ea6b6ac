"""Whether sshd would trust a file of a user's keys; sshd_config(5), StrictModes."""

from __future__ import annotations

import posixpath

from collectors.access.ssh.key_paths import Account
from collectors.reading.facts import Facts
from collectors.reading.host import Host

OTHERS_WRITE = 0o022


def owner_ok(host: Host, path: str, facts: Facts, account: Account, untrusted: str) -> bool:
    """Return whether nobody but the user and root may write to the file and the folders up to the home, or to /.

    Both own it, and neither group nor others have leave to write. The rule is OpenSSH's own (safe_path in misc.c);
    Debian's sshd also bears a group of the user alone.
    Below the folder `untrusted` no link is followed. Raises: ReadError if a folder cannot be looked at.
    """
    home = account.home.rstrip("/") or "/"
    folder = path
    while _safe(facts, account.uid):
        if folder in {home, "/"}:
            return True
        folder = posixpath.dirname(folder)
        inside = f"{folder}/".startswith(f"{untrusted.rstrip('/')}/")
        facts = host.look(folder, follow=True, untrusted=untrusted if inside else None)
    return False


def _safe(facts: Facts, uid: int) -> bool:
    return facts.uid in {0, uid} and not facts.mode & OTHERS_WRITE
