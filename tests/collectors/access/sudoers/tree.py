"""Small hosts with sudoers files, for tests of the walk and of the rows; no root is needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from collectors.access.sudo_rules import TABLE, SudoRule
from collectors.contract import Gap
from collectors.reading.host import MIB, Content, Host

# The files of a test belong to whoever runs it: sudo.conf says that this is right.
OURS = f"Plugin sudoers_policy sudoers.so sudoers_uid={os.geteuid()} sudoers_gid={os.getegid()}\n"


class RootsConf(Host):
    """A host whose sudo.conf is root's, whoever runs the test: sudo reads no other, and nothing can say otherwise."""

    def read(self, path: str, *, limit: int = MIB, untrusted: str | None = None) -> Content:
        content = super().read(path, limit=limit, untrusted=untrusted)
        if path != "/etc/sudo.conf" or content.facts.uid != os.geteuid():
            return content
        return msgspec.structs.replace(content, facts=msgspec.structs.replace(content.facts, uid=0))


class Tree:
    """A root folder to put files in, and what the table makes of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("/etc/sudo.conf", OURS)

    def put(self, path: str, text: str | bytes, mode: int = 0o440) -> None:
        """Write a file anew, and its folders."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)  # only root may write over a file of mode 0440
        place.write_bytes(text.encode() if isinstance(text, str) else text)
        place.chmod(mode)

    def collect(self) -> tuple[list[SudoRule], list[Gap]]:
        """Return the rows and the gaps."""
        found = list(TABLE.collect(RootsConf(str(self.root), secret=b"test")))
        rows = [each for each in found if isinstance(each, SudoRule)]
        return rows, [each for each in found if isinstance(each, Gap)]

    def rows(self, kind: str = "rule") -> list[SudoRule]:
        """Return the rows of one kind."""
        return [row for row in self.collect()[0] if row.kind == kind]

    def gaps(self) -> list[tuple[str, str, int | None]]:
        """Return source, reason and line of each gap."""
        return [(gap.source, gap.reason, gap.line) for gap in self.collect()[1]]


def said(row: SudoRule, *names: str) -> tuple[Any, ...]:
    """Return some columns of a row."""
    return tuple(getattr(row, name) for name in names)
