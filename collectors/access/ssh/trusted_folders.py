"""Down to which folder a path may be followed through links: where only root can have put them."""

from __future__ import annotations

from functools import lru_cache

from collectors.access.ssh.key_paths import Account
from collectors.access.ssh.strict_modes import OTHERS_WRITE
from collectors.reading.errors import ReadError
from collectors.reading.host import Host


class TrustedFolders:
    """Answers for one host, and remembers the last folders it looked at."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._only_root = lru_cache(maxsize=1024)(self._look)

    def above(self, path: str, account: Account | None = None) -> str:
        """Return the folder below which no link may be followed on the way to a path.

        It is the user's home, or else the last folder on the way that, with all above it, belongs to root and
        that nobody else can write to.
        """
        home = account.home.rstrip("/") if account else None
        if home is not None and path.startswith(f"{home}/"):
            return home or "/"
        folder = "/"
        for name in path.split("/")[1:-1]:
            below = f"{folder.rstrip('/')}/{name}"
            if not self._only_root(below):
                break
            folder = below
        return folder

    def _look(self, folder: str) -> bool:
        try:
            placed = self._host.look(folder)
            facts = self._host.look(folder, follow=True)
        except ReadError:
            return False
        return placed.uid == 0 and facts.uid == 0 and facts.kind == "folder" and not facts.mode & OTHERS_WRITE
