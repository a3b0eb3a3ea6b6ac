"""Which files sudo reads, and which it leaves out: push_include and read_dir_files in toke.l, secure_path.c."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from collectors.reading.facts import Facts

Ignored = Literal[
    "absent",
    "not_regular",
    "wrong_owner",
    "world_writable",
    "group_writable",
    "name_skipped",  # in a folder: a name with a dot, or with ~ at its end
    "too_deep",
    "syntax_error",
    "defined_before",  # an alias: the first definition counts
    "policy_refused",  # sudo refuses everybody: the main file is one of the above, or sudo.conf says so
    "not_asked",  # sudo.conf or nsswitch.conf sends sudo elsewhere for its rules
]

REFUSALS: dict[Ignored, str] = {
    "not_regular": "it is not what it must be, a file or a folder",
    "wrong_owner": "it belongs to another than root (or the sudoers_uid of sudo.conf)",
    "world_writable": "everybody may write to it",
    "group_writable": "a group may write to it that is not root's (or the sudoers_gid of sudo.conf)",
}

DEPTH = 144
"""Includes within includes. sudoers(5) says 128, but push_include makes room, and looks, for 16 at a time."""


def included(path: str, *, by: str, host_name: Callable[[], str | None]) -> str | None:
    """Return the path that an include means, `by` being the file it stands in; None if it needs an unknown name.

    Quotes around the whole are taken away once more, and a relative path belongs to the file's folder.
    """
    if len(path) > 1 and path[0] == path[-1] == '"':
        path = path[1:-1]
    if "%h" in path:
        name = host_name()
        if name is None:
            return None
        path = path.replace("%h", name)
    if not path.startswith("/"):
        path = by[: by.rfind("/") + 1] + path
    # Under one name each file is known again, so that a loop through "." is seen.
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


def is_skipped(name: str) -> bool:
    """Return whether sudo passes over a name in an included folder."""
    return "." in name or name.endswith("~")


def unsafe(facts: Facts, kind: Literal["file", "folder"], *, uid: int, gid: int) -> Ignored | None:
    """Return why sudo would not trust a file or folder, or None; the gid may be allowed to write."""
    if facts.kind != kind:
        return "not_regular"
    if facts.uid != uid:
        return "wrong_owner"
    if facts.mode & 0o002:
        return "world_writable"
    if facts.mode & 0o020 and facts.gid != gid:
        return "group_writable"
    return None
