"""A recorded host: a folder with root/, commands/ and facts.json, which says what a checkout cannot keep.

Git keeps neither owners nor times nor most mode bits, no empty folders, no FIFOs; so facts.json names them by
real path, as an object each: `kind`, `mode` (octal text), `uid`, `gid`, `mtime` (POSIX seconds), and where it
matters `size_bytes` and `sha256` (of a file whose content was not recorded), `capability` (hex of
security.capability) and `error` (the name of an errno that opening it for content gave).
"""

from __future__ import annotations

import errno
import json
import os
from typing import Annotated, Literal, TypedDict

import msgspec

from collectors.reading.commands import Command, checked
from collectors.reading.errors import AbsentError, ReadError, read_error, wrong_kind
from collectors.reading.facts import Facts

KEEPER = ".gitkeep"  # stands in a folder that is empty on the host
_LIMIT = 1 << 26


class Said(TypedDict, total=False):
    """What facts.json says of one file."""

    kind: str
    mode: Annotated[str, msgspec.Meta(pattern="^[0-7]{1,4}$")]
    uid: int
    gid: int
    mtime: int | float
    size_bytes: int
    links: int
    capability: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})*$")]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    error: Literal["EACCES", "EIO", "ETIMEDOUT"]


class Recording(msgspec.Struct, frozen=True):
    """What was true of the files, and what the commands said, where the recording was made."""

    folder: str
    files: dict[str, Said]

    @classmethod
    def load(cls, folder: str) -> Recording:
        """Return the recording in a folder; ValueError if its facts.json is none."""
        path = os.path.join(folder, "facts.json")
        try:
            with open(path, "rb") as file:
                files = json.loads(file.read(_LIMIT))
            return cls(folder, msgspec.convert(files, dict[str, Said]))
        except FileNotFoundError:
            return cls(folder, {})
        except (ValueError, RecursionError) as error:  # msgspec's and json's errors are ValueErrors
            raise ValueError(f"{path}: expected facts of files, {error}") from None

    def facts(self, real: str, found: Facts) -> Facts:
        """Return the facts as recorded; those of the checkout where nothing was recorded."""
        said = self.files.get(real)
        if said is None:
            return found
        return msgspec.structs.replace(
            found,
            kind=said.get("kind", found.kind),
            mode=int(said["mode"], 8) if "mode" in said else found.mode,
            uid=said.get("uid", found.uid),
            gid=said.get("gid", found.gid),
            size_bytes=said.get("size_bytes", found.size_bytes),
            mtime=said.get("mtime", found.mtime),
            links=said.get("links", found.links),
        )

    def capability(self, real: str) -> bytes | None:
        """Return the recorded security.capability attribute of a file, None if it had none."""
        text = self.files.get(real, Said()).get("capability")
        return None if text is None else bytes.fromhex(text)

    def digest(self, real: str) -> str | None:
        """Return the recorded SHA-256 of a file's content, None if only the content itself can tell."""
        return self.files.get(real, Said()).get("sha256")

    def readable(self, path: str, real: str) -> None:
        """Raise what opening the file for content raised where it was recorded."""
        said = self.files.get(real, Said())
        if "error" in said:
            raise read_error(path, OSError(getattr(errno, said["error"]), ""))
        if said.get("kind", "file") != "file":
            raise wrong_kind(path, "file", said["kind"])

    def answer(self, command: Command) -> bytes:
        """Return the recorded output of a command, under the same limits as a live one."""
        path = os.path.join(self.folder, "commands", command.name)
        try:
            with open(path, "rb") as file:
                output = file.read(command.output_limit + 1)
        except FileNotFoundError:
            raise AbsentError(command.source, "not recorded") from None
        if len(output) > command.output_limit:
            raise ReadError(command.source, "truncated", f"more than {command.output_limit} bytes of output")
        try:
            with open(path + ".exit", encoding="ascii") as file:
                code = int(file.read(16))
        except FileNotFoundError:
            code = 0
        return checked(command, code, output)
