"""Asking the auditor's script for its verdict, in-process."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evidence import verify
from tests.evidence.verify.forge import Story


@dataclass
class Verdict:
    """What the script printed, and its exit code."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")[:-1]


class Auditor:
    """Someone who is handed packs, and has a folder of his own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def file(self, data: bytes) -> str:
        self._count += 1
        path = self.folder / f"pack-{self._count}.tar"
        path.write_bytes(data)
        return str(path)

    def ask(self, pack: Story | bytes | Iterable[Story | bytes], *arguments: str) -> Verdict:
        """Return the verdict on one pack, or on several that are given together."""
        packs = [pack] if isinstance(pack, (Story, bytes)) else pack
        paths = [self.file(each.tar() if isinstance(each, Story) else each) for each in packs]
        return self.run(*paths, *arguments)

    @staticmethod
    def run(*arguments: str) -> Verdict:
        out = io.StringIO()
        code = verify.main(list(arguments), out)
        return Verdict(code, out.getvalue())
