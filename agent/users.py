"""The users that the service runs as, and acting as one of them."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
from collections.abc import Iterator

SIGNER = "evidenced"
COLLECTOR = "evidenced-collect"
UPLOADER = "evidenced-upload"
RECORDERS = "evidenced-record"
"""The group whose members may have records of people and jobs signed."""


def user_id(name: str) -> int | None:
    """Return the uid of a user, None if this host has none of that name."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def group_id(name: str) -> int | None:
    """Return the gid of a group, None if this host has none of that name."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


@contextlib.contextmanager
def acting_for(state: str) -> Iterator[None]:
    """Act as the signer's user while root works on the signer's state, so that nothing of root's is left in it.

    Any other state and any other user: as oneself. The real uid stays root's, so nobody gains a hold on this process.
    """
    owner = _signer_of(state)
    if owner is None:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(owner.pw_gid)
    os.seteuid(owner.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _signer_of(state: str) -> pwd.struct_passwd | None:
    """Return the signer's user if we are root and the state is its own."""
    if os.geteuid() != 0:
        return None
    try:
        signer = pwd.getpwnam(SIGNER)
        owner = os.stat(state, follow_symlinks=False).st_uid
    except (KeyError, OSError):
        return None
    return signer if owner == signer.pw_uid and owner != 0 else None
