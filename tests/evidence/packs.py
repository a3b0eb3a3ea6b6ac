"""Reading packs in tests, with the standard library and nothing of ours."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import zlib
from dataclasses import dataclass
from typing import Any


@dataclass
class Pack:
    """The members of a pack by name, in their order."""

    members: dict[str, bytes]

    @property
    def manifest(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.members["manifest.json"])
        return value

    def log(self, number: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = self.manifest["logs"][number]
        return found

    def envelopes(self, log_id: str) -> list[dict[str, Any]]:
        names = sorted(name for name in self.members if name.startswith(f"{log_id}/entries/"))
        lines = b"".join(self.members[name] for name in names).decode().split("\n")
        return [json.loads(line) for line in lines if line]

    def statements(self, log_id: str) -> list[dict[str, Any]]:
        return [json.loads(base64.b64decode(each["payload"])) for each in self.envelopes(log_id)]

    def sequences(self, log_id: str) -> list[int]:
        return [each["predicate"]["log"]["sequence"] for each in self.statements(log_id)]

    def blobs(self) -> dict[str, bytes]:
        """Return the blobs by digest, in the order of their records."""
        found = {}
        for name in sorted(each for each in self.members if each.startswith("blobs/")):
            data = self.members[name]
            while data:
                head, _, data = data.partition(b"\n")
                digest, length, compressed = head.decode().split(" ")
                blob = zlib.decompress(data[: int(compressed)])
                assert len(blob) == int(length)
                assert data[int(compressed) : int(compressed) + 1] == b"\n"
                found[digest] = blob
                data = data[int(compressed) + 1 :]
        return found


def unpacked(data: bytes) -> Pack:
    """Return what is in a tar, compressed or not."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {}
        for each in tar:
            file = tar.extractfile(each)
            assert file is not None
            assert each.name not in members
            members[each.name] = file.read()
    return Pack(members)
