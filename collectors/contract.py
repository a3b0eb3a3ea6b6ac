"""What a collector promises: rows of one type, gaps with a reason, and a header that travels with the data.

A collector is one file: the row type, pure parsers, a thin `collect(host)` and one `TABLE` at the end.
Nothing is registered anywhere; `collectors.catalogue` walks the folders.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    from collectors.reading.host import Host
    from collectors.reading.sweep import Interest
else:

    def dataclass_transform(**_: bool) -> Callable[[type], type]:
        """Tell type checkers, and nobody else, that every Row is frozen and built by keyword."""
        return lambda cls: cls


HOUR_S = 3600
DAY_S = 86400

Reason = Literal[
    "absent",  # something that must exist does not
    "changed_while_read",  # two looks at one file disagree
    "command_failed",  # a listed program ended badly, late, or said what we cannot read
    "failed",  # the collector itself broke; rows it had are dropped
    "io_error",  # the kernel answered with an error that is none of the others
    "link_refused",  # a symbolic link stands where none is followed, or leads out of its tree
    "malformed",  # read, but not in the form its manual page gives
    "not_entered",  # a network, FUSE, autofs or foreign mount, or a folder past a budget
    "not_regular",  # a FIFO, socket, device or folder where a file should be
    "outdated",  # the source is there, but too old to say anything about today
    "permission_denied",
    "timed_out",
    "truncated",  # a limit cut it: what follows is not known
    "unenumerable",  # the source answers questions but cannot be listed (a directory server, a command)
    "unknown_format",  # recognised, in a version or format that is not read yet
    "unsupported",  # there is no such thing on this kind of host
    "untrusted",  # read, but the program it is for ignores it, since others may write to it or own it
]


def means(meaning: str, *, unit: str | None = None, personal: bool = False, time: bool = False) -> msgspec.Meta:
    """Return the annotation that says what a field means; it becomes part of the table's header.

    `unit` is the unit of a number. `personal` marks data about a natural person, listed in docs/privacy.md.
    `time` marks RFC 3339 text in UTC, as `utc` writes it.
    """
    return msgspec.Meta(description=meaning, extra={"unit": unit, "personal": personal, "time": time})


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fact about the host; each field carries `means(...)`. None is absent; "" and 0 are values."""


class Gap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that should have been read and was not, and why.

    `source` is a path or a command as shown to people; `detail` says what was expected and what was found,
    and never holds text of the file itself, except the name of a package. `count` is how many alike were folded
    into this one.
    """

    source: str
    reason: Reason
    detail: str = ""
    line: int | None = None
    count: int = 1
    source_b64: str | None = None


class MalformedError(ValueError):
    """Text that is not in the form its manual page gives. Its message never quotes the text."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")


class UnsupportedError(Exception):
    """There is no such thing on this kind of host: the table's coverage is `unsupported`, not empty.

    Its text stands in a signed statement, which is kept for ever: no path and no name of a person in it.
    """


class CollectionError(Exception):
    """What was found contradicts itself (a package database without packages): the table is `failed`.

    Its text stands in a signed statement, as that of UnsupportedError does.
    """


class Table(msgspec.Struct, frozen=True):
    """A named set of rows of one type, how to read it, and what a reader of docs/tables.md must know."""

    name: str
    row: type[Row]
    key: tuple[str, ...]
    reads: tuple[str, ...]
    """Patterns (fnmatch) of every path that may be opened for content, and `command:NAME` of each program."""
    collect: Callable[[Host], Iterable[Row | Gap]]
    version: int = 1
    needs: tuple[str, ...] = ()
    """What an ordinary user lacks, in the words of capabilities(7); empty if anyone can read it all."""
    interval_s: int = DAY_S
    """Default schedule, in seconds."""
    sweep: Interest | None = None
    """What the one sweep of the file system should look for on behalf of this table."""
    watches: tuple[str, ...] = ()
    """Whose change makes the table due: a file (its folder is watched, since files are replaced by renaming), a folder
    and what is directly in it if the path ends with "/", and `{home}/…` below the home of every user."""
    min_distance_s: int = 5
    """How long after a reading began the next may begin, however often something changes; seconds."""
    care: str = ""
    """One paragraph for the reader of the table: what its rows do and do not say."""

    @property
    def about(self) -> str:
        """Return the first line of the row's docstring."""
        return (self.row.__doc__ or "").strip().split("\n", 1)[0]


class Field(msgspec.Struct, frozen=True):
    """One column as the header names it."""

    name: str
    type: str
    nullable: bool
    meaning: str
    unit: str | None = None
    personal: bool = False


class Header(msgspec.Struct, frozen=True):
    """The shape of a table; small, stored as a blob like the rows, so that a pack explains itself."""

    table: str
    version: int
    key: tuple[str, ...]
    meaning: str
    fields: tuple[Field, ...]

    def encode(self) -> bytes:
        """Return the header as one canonical JSON line, with its newline."""
        return msgspec.json.encode(self, order="sorted") + b"\n"


def header_of(table: Table) -> Header:
    """Return the header of a table, from the annotations of its row type.

    Raises: TypeError if a field lacks `means(...)` or has a type that a header has no word for.
    """
    info = msgspec.inspect.type_info(table.row)
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError(f"{table.name}: expected a Row, found {type(info).__name__}")
    columns = tuple(sorted((_field(table, each) for each in info.fields), key=lambda each: each.name))
    return Header(table=table.name, version=table.version, key=table.key, meaning=table.about, fields=columns)


def _field(table: Table, each: msgspec.inspect.Field) -> Field:
    kind, extra, meaning = each.type, {}, ""
    if isinstance(kind, msgspec.inspect.Metadata):
        extra, meaning = kind.extra or {}, (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    if not meaning or not extra:
        raise TypeError(f"{table.name}.{each.name}: expected means(...) in its annotation, found none")
    text, nullable = _type_name(kind)
    if extra["time"]:
        text = text.replace("text", "time")
    return Field(each.name, text, nullable, meaning, extra["unit"], extra["personal"])


def _type_name(kind: msgspec.inspect.Type) -> tuple[str, bool]:
    """Return a column's type in the words of docs/tables.md, and whether it may be null."""
    simple: dict[type[msgspec.inspect.Type], str] = {
        msgspec.inspect.StrType: "text",
        msgspec.inspect.IntType: "int",
        msgspec.inspect.BoolType: "bool",
        msgspec.inspect.LiteralType: "text",
    }
    if isinstance(kind, msgspec.inspect.UnionType):
        inner = [each for each in kind.types if not isinstance(each, msgspec.inspect.NoneType)]
        if len(inner) == 1:
            return _type_name(inner[0])[0], kind.includes_none
    if isinstance(kind, (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)):
        return f"list of {_type_name(kind.item_type)[0]}", False
    if type(kind) in simple:
        return simple[type(kind)], False
    raise TypeError(f"expected text, int, bool or a list of them, found {type(kind).__name__}")


def utc(seconds: float) -> str:
    """Return POSIX seconds as RFC 3339 text in UTC, to the second; years outside 1 to 9999 are clamped.

    A hostile mtime can lie beyond what RFC 3339 can write; the clamp keeps the row, and the year shows it.
    """
    low, high = -62135596800, 253402300799
    whole = math.floor(min(max(seconds, low), high))
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=whole)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def shown(path: str) -> tuple[str, str | None]:
    """Return (text, base64 or None) of a path from the file system, without loss.

    Paths are `str` with surrogate escapes, as `os.fsdecode` gives them. One that is UTF-8 is its own text;
    another is shown with backslash escapes and kept whole in the second part.
    """
    raw = os.fsencode(path)
    try:
        return raw.decode("utf-8"), None
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace"), base64.b64encode(raw).decode("ascii")


def path_gap(path: str, reason: Reason, detail: str = "", *, line: int | None = None, count: int = 1) -> Gap:
    """Return a gap at a path of the file system, which need not be UTF-8."""
    text, raw = shown(path)
    return Gap(text, reason, detail, line=line, count=count, source_b64=raw)
