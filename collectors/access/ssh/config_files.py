"""The files of one sshd configuration: each is read once, and all that include them share one budget."""

from __future__ import annotations

from fnmatch import fnmatchcase

from collectors.access.ssh.included_paths import included_paths, pattern_path
from collectors.contract import Gap, path_gap
from collectors.reading.errors import ReadError
from collectors.reading.host import Host

CONFIGURATION = ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/")
"""What is watched; what other folders sshd_config includes files from is read all the same."""
READ_BELOW = ("/etc/*", "/usr/*", "/opt/*", "/run/*", "/var/lib/*")
"""Where an Include may lead; another place is a gap."""

MAX_FILES = 256
MAX_BYTES = 1 << 20
"""Of all files together, one that is included twice counted twice: files can include each other."""


class ConfigFiles:
    """Gives the lines of files and the files an Include names; what it cannot give is in `gaps`, each once."""

    def __init__(self, host: Host) -> None:
        self.gaps: dict[Gap, None] = {}
        self._host = host
        self._files_left = MAX_FILES
        self._bytes_left = MAX_BYTES
        self._contents: dict[str, bytes] = {}
        self._named: dict[str, tuple[str, ...]] = {}

    def lines(self, path: str) -> list[bytes]:
        """Return the whole lines of a file, within what is left of the budget."""
        self._files_left -= 1
        if self._files_left < 0 or self._bytes_left <= 0:
            return self._cut([])
        content = self._content(path)
        lines = content[: self._bytes_left].split(b"\n")
        self._bytes_left -= len(content)
        return self._cut(lines[:-1]) if self._bytes_left < 0 else lines

    def named(self, argument: str) -> tuple[str, ...]:
        """Return the files that one argument of Include names."""
        if argument not in self._named:
            found = included_paths(self._host, pattern_path(argument), lambda error: self.tell(error.gap()))
            self._named[argument] = tuple(each for each in found if self._allowed(each))
        return self._named[argument]

    def tell(self, gap: Gap) -> None:
        """Keep a gap, once."""
        self.gaps[gap] = None

    def _content(self, path: str) -> bytes:
        if path not in self._contents:
            try:
                self._contents[path] = self._host.read(path, limit=MAX_BYTES + 1).data
            except ReadError as error:
                self.tell(error.gap())
                self._contents[path] = b""
        return self._contents[path]

    def _allowed(self, path: str) -> bool:
        if "/.." not in path and any(fnmatchcase(path, each) for each in READ_BELOW):
            return True
        wanted = f"expected a file in one of {', '.join(READ_BELOW)}, found another place"
        self.tell(path_gap(path, "not_entered", wanted))
        return False

    def _cut(self, lines: list[bytes]) -> list[bytes]:
        wanted = f"expected at most {MAX_FILES} files and {MAX_BYTES} bytes with all includes, found more"
        self.tell(Gap("sshd_config", "truncated", wanted))
        return lines
