"""Any bytes as a sudoers file: statements or problems, whose columns can be written, and never an exception."""

from __future__ import annotations

import msgspec

from collectors.access.sudoers.columns import columns_of
from collectors.access.sudoers.grammar import Parser
from collectors.access.sudoers.source_text import text_of
from collectors.access.sudoers.walk import Line, Place
from collectors.reading.facts import Content, Facts

FACTS = Facts(kind="file", mode=0o440, uid=0, gid=0, size_bytes=0, mtime=0, device=0, inode=0, links=1)


def target(data: bytes) -> None:
    """Read the bytes; lines rise, and each row can be encoded."""
    text, gaps = text_of(Content("/etc/sudoers", data, FACTS))
    msgspec.json.encode(gaps)
    parser = Parser(text)
    defined: set[tuple[str, str]] = set()
    before = 0
    for statement in parser.statements():
        if statement.line < before:
            raise AssertionError("expected statements in the order of their lines")
        if statement.content is None and not statement.problems:
            raise AssertionError("expected content or a problem")
        before = statement.line
        target_path = "/x" if statement.content else None
        for columns in columns_of(Line(Place("/etc/sudoers", 1), statement, target_path), defined):
            msgspec.json.encode(columns)
