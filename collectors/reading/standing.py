"""Which of the places where a package database may stand is taken."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from collectors.reading.errors import AbsentError, ReadError

if TYPE_CHECKING:
    from collectors.reading.host import Host


def standing(host: Host, paths: Iterable[str]) -> list[str]:
    """Return the paths at which something stands; of several that lead to one file, the first."""
    found: dict[tuple[int, int] | str, str] = {}
    for path in paths:
        with suppress(AbsentError):
            found.setdefault(_identity(host, path), path)
    return list(found.values())


def _identity(host: Host, path: str) -> tuple[int, int] | str:
    try:
        facts = host.look(path, follow=True)
    except AbsentError:
        raise
    except ReadError:
        return path  # why it cannot be read is said when it is
    return facts.device, facts.inode
