"""Folders and files: who owns them, who may reach them, and whether there is room."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import msgspec

from agent import users
from agent.configuration.forms import size
from agent.doctor.check import Check, fine, note, why, wrong
from agent.places import Places
from agent.terminal import counted
from program.text import printable

WALK_LIMIT = 200_000
"""Files that are looked at in one folder."""
SHOWN = 3
LOW_BYTES, SCARCE_BYTES = 64 << 20, 512 << 20
LOW_INODES = 1000


class Expected(msgspec.Struct, frozen=True):
    """How a folder of the agent has to be."""

    name: str
    path: str
    user: str | None
    """The user it belongs to; None: whoever asks."""
    group: str | None
    mode: int
    file_mode: int
    """The most that a file in it may allow."""
    roots_too: bool = False
    """Whether root writes there too: without systemd the supervisor is root's."""


def expected_folders(places: Places) -> list[Expected]:
    """Return the folders of these places as they should be: the service's, or those of one user."""
    if places.system and users.user_id(users.SIGNER) is not None:
        return [
            Expected("state", places.state, users.SIGNER, None, 0o700, 0o600),
            Expected("outbox", places.outbox, users.SIGNER, users.UPLOADER, 0o2750, 0o640),
            Expected("upload", places.upload, users.UPLOADER, None, 0o700, 0o600),
            Expected("cache", places.cache, users.COLLECTOR, None, 0o700, 0o600, roots_too=True),
        ]
    return [Expected("state", places.state, None, None, 0o700, 0o644)]  # the others stand in it, behind its mode


def check_users(places: Places) -> Iterator[Check]:
    """Yield whether the service's users and its group are there; an ordinary user needs none."""
    if not places.system:
        return
    names = (users.SIGNER, users.COLLECTOR, users.UPLOADER)
    missing = [f"user {name}" for name in names if users.user_id(name) is None]
    if users.group_id(users.RECORDERS) is None:
        missing.append(f"group {users.RECORDERS}")
    if len(missing) == len(names) + 1:
        yield note("users", "none of the service's users is there", "everything runs as root; the packages add them")
    elif missing:
        yield wrong("users", f"{', '.join(missing)} missing", "install the package again, or run systemd-sysusers")
    else:
        yield fine("users", f"{', '.join(names)}, group {users.RECORDERS}")


def check_folders(places: Places) -> Iterator[Check]:
    """Yield how each folder and all that is in it was found."""
    for each in expected_folders(places):
        subject = f"folder {each.name}"
        try:
            facts = os.stat(each.path, follow_symlinks=False)
        except FileNotFoundError:
            yield note(subject, f"{each.path} is not there yet", "it is made when it is needed first")
            continue
        except OSError as error:
            yield note(subject, f"{each.path}: {why(error)}", "ask as root")
            continue
        owner = _owner(each, facts)
        unfit = _unfit(each, facts, owner)
        yield wrong(subject, *unfit) if unfit else _inside(subject, each, owner)


def _unfit(each: Expected, facts: os.stat_result, owner: int) -> tuple[str, str] | None:
    """Return what is wrong with the folder itself, and what to do; None if nothing is."""
    group = None if each.group is None else users.group_id(each.group)
    mode = stat.S_IMODE(facts.st_mode)
    if not stat.S_ISDIR(facts.st_mode):
        return f"{each.path} is no folder", "look who put it there and move it away"
    if facts.st_uid != owner:
        return f"{each.path} belongs to uid {facts.st_uid}, not {owner}", f"chown -R {each.user or owner} {each.path}"
    if group is not None and facts.st_gid != group:
        return f"{each.path} belongs to gid {facts.st_gid}, not {group}", f"chgrp -R {each.group} {each.path}"
    needed = each.mode if group is not None else 0o700  # its owner may do everything
    if mode & ~each.mode & 0o777 or mode & needed != needed:
        return f"{each.path} has mode {mode:04o}", f"chmod {each.mode:04o} {each.path}"
    return None


def _inside(subject: str, each: Expected, owner: int) -> Check:
    """Return how all that is in a folder was found."""
    try:
        count, odd = _walk(each, owner)
    except PermissionError:
        return note(subject, f"{each.path} is as it should be; this user cannot look inside", "ask as root")
    except OSError as error:
        return wrong(subject, f"{each.path}: {why(error)}", "see to the disk")
    if odd:
        names = ", ".join(printable(name) for name in odd[:SHOWN]) + (", …" if len(odd) > SHOWN else "")
        step = f"chown {each.user or owner}, chmod u=rwX,go= and no links below {each.path}"
        found = f"{counted(len(odd), 'file')} that others own or reach: {names}"
        if each.group is not None:
            step = f"chown {each.user}:{each.group} and chmod {each.file_mode:04o} what is in {each.path}"
            found = f"{counted(len(odd), 'file')} of another owner, group or mode: {names}"
        return wrong(subject, found, step)
    more = "the first " if count >= WALK_LIMIT else ""
    return fine(subject, f"{each.path}, {more}{counted(count, 'file')}")


def _owner(each: Expected, facts: os.stat_result) -> int:
    """Return who has to own it; one of one user's folders is that user's, whoever asks as root."""
    if each.user is not None:
        return users.user_id(each.user) or 0
    return facts.st_uid if os.geteuid() == 0 else os.geteuid()


def _walk(each: Expected, owner: int) -> tuple[int, list[str]]:
    """Return how many files there are, and those that are not as they should be. Raises: OSError."""
    count, odd, left = 0, list[str](), [each.path]
    owners = {owner, 0} if each.roots_too else {owner}
    while left and count < WALK_LIMIT:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                facts = entry.stat(follow_symlinks=False)
                is_folder = stat.S_ISDIR(facts.st_mode)
                if facts.st_uid not in owners or _is_odd(each, facts) or _is_closed(each, facts):
                    odd.append(entry.path)
                count += 1
                if is_folder:
                    left.append(entry.path)
    return count, odd


def _is_odd(each: Expected, facts: os.stat_result) -> bool:
    """Return whether something is of a kind or a mode that has no business there."""
    is_folder = stat.S_ISDIR(facts.st_mode)
    allowed = each.file_mode | 0o111 if is_folder else each.file_mode
    kind = is_folder or stat.S_ISREG(facts.st_mode) or stat.S_ISSOCK(facts.st_mode)
    return not kind or bool(stat.S_IMODE(facts.st_mode) & ~allowed & 0o777)


def _is_closed(each: Expected, facts: os.stat_result) -> bool:
    """Return whether the group that reads this folder cannot read a file in it."""
    group = None if each.group is None else users.group_id(each.group)
    return group is not None and (facts.st_gid != group or not facts.st_mode & stat.S_IRGRP)


def check_room(places: Places) -> Iterator[Check]:
    """Yield how much room there is for the log and for what waits; one line for each file system."""
    seen: dict[int, list[str]] = {}
    paths = {"state": places.state, "outbox": places.outbox, "upload": places.upload}
    for name, path in paths.items():
        there = _there(path)
        seen.setdefault(os.stat(there).st_dev, []).append(name)
    for names in seen.values():
        yield _room(f"disk of {', '.join(names)}", _there(paths[names[0]]))


def _there(path: str) -> str:
    """Return a folder, or the nearest one above it that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _room(subject: str, path: str) -> Check:
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    text = f"{size(0, 0).shown(_rounded(free))[1:-1]} free"
    if found.f_files:  # some file systems make inodes as they need them
        text += f", {counted(found.f_favail, 'inode')}"
    if found.f_flag & os.ST_RDONLY:
        return wrong(subject, f"{path} is mounted read-only", "mount it writable")
    if free < LOW_BYTES or (found.f_files and found.f_favail < LOW_INODES):
        return wrong(subject, text, "make room: reading pauses while the disk is full, and a signed record says so")
    return (note if free < SCARCE_BYTES else fine)(subject, text)


def _rounded(free: int) -> int:
    """Return a size with no more digits than people read."""
    for unit in (1 << 30, 1 << 20, 1 << 10):
        if free >= 10 * unit:
            return free // unit * unit
    return free
