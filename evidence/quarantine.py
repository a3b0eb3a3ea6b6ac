"""What was found damaged: moved aside, never deleted, and reported in the log.

In `quarantine/` each finding has a number. `N.finding` says what was wrong and is written first; the damaged file
follows as `N.NAME`. When a signed `damage` event tells of it, the report becomes `N.recorded`. A crash anywhere
in between is made good by the next writer, who reports what was not recorded.
"""

from __future__ import annotations

import os
import re

import msgspec

from evidence import restricted_json
from evidence.errors import EvidenceError
from evidence.state import Folder

_REPORT = re.compile(r"([0-9]{4,9})\.(finding|recorded)\Z")
_NUMBERED = re.compile(r"([0-9]{4,9})\.")
_LIMIT = 16 * 1024 * 1024


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found damaged.

    `where` is relative to the state folder; `count` is how many entries, blobs or files were lost (0: all of it
    was rebuilt), and `names` says which, for entries and blobs.
    """

    part: str
    where: str
    found: str
    count: int = 0
    names: tuple[str, ...] = ()


class Quarantine:
    """The folder of damaged files and of the reports about them."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def take(self, folder: Folder, name: str, finding: Finding) -> None:
        """Report a file and move it here, durably. Raises: OSError."""
        number = self._report(finding)
        os.rename(
            name,
            f"{number:04d}.{name.lstrip('.')}",
            src_dir_fd=folder.descriptor,
            dst_dir_fd=self._folder.descriptor,
        )
        self._folder.sync()
        folder.sync()

    def keep(self, data: bytes, name: str, finding: Finding) -> None:
        """Report bytes that are to be cut from a file, and keep them here."""
        number = self._report(finding)
        self._folder.replace(f"{number:04d}.{name}", data)

    def note(self, finding: Finding) -> None:
        """Report what is missing, unless a report that is not recorded yet says why: there is nothing to move."""
        said = (each for each in self.unrecorded().values() if each.count >= finding.count)
        if (finding.part, finding.where, finding.names) not in {(each.part, each.where, each.names) for each in said}:
            self._report(finding)

    def unrecorded(self) -> dict[str, Finding]:
        """Return the reports that no event tells of yet, by name, oldest first."""
        found = {}
        for name in self._folder.names():
            match = _REPORT.match(name)
            if match is not None and match[2] == "finding":
                found[name] = self._read(name)
        return found

    def reported(self, part: str) -> set[str]:
        """Return the names that reports of one part ever gave as lost."""
        reports = (self._read(name) for name in self._folder.names() if _REPORT.match(name))
        return {name for each in reports if each.part == part and each.count for name in each.names}

    def recorded(self, name: str) -> None:
        """Remember that an event tells of a report."""
        done = name.replace(".finding", ".recorded")
        os.rename(name, done, src_dir_fd=self._folder.descriptor, dst_dir_fd=self._folder.descriptor)
        self._folder.sync()

    def _report(self, finding: Finding) -> int:
        """Write a report and return its number; one that a crash left alone is used again."""
        for name, other in self.unrecorded().items():
            if other == finding and not self._has_file(name):
                return int(name.partition(".")[0])
        number = 1 + max((int(match[1]) for match in map(_NUMBERED.match, self._folder.names()) if match), default=0)
        self._folder.replace(f"{number:04d}.finding", restricted_json.encode(finding) + b"\n")
        return number

    def _has_file(self, report: str) -> bool:
        number = report.partition(".")[0]
        return any(each.startswith(number + ".") and each != report for each in self._folder.names())

    def _read(self, name: str) -> Finding:
        """Return a report; a damaged one still counts as a finding."""
        try:
            return msgspec.convert(restricted_json.decode(self._folder.read(name, _LIMIT)), Finding)
        except (EvidenceError, msgspec.ValidationError):
            return Finding(part="index", where=f"quarantine/{name}", found="a damaged report")
