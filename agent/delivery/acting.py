"""Root by hand does what the uploader does as the uploader's user: nothing of root's is left in its folder."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator

from agent import users
from agent.places import Places


@contextlib.contextmanager
def acting_as_uploader(places: Places) -> Iterator[None]:
    """Act as the uploader's user while root works in the service's folders; anybody else acts as himself."""
    try:
        user = pwd.getpwnam(users.UPLOADER) if os.geteuid() == 0 and places.system else None
    except KeyError:  # no package installed it: all parts are root's
        user = None
    if user is None:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    recorders = users.group_id(users.RECORDERS)
    os.setgroups([user.pw_gid, *([] if recorders is None else [recorders])])  # as its unit has it
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
