"""Text files line by line: rows from the lines that parse, gaps from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import msgspec

from collectors.contract import Gap, MalformedError, Row, path_gap, shown
from collectors.reading.errors import AbsentError, ReadError

if TYPE_CHECKING:
    from collectors.reading.host import Host

R = TypeVar("R", bound=Row)

LIMIT = 16 << 20
LONGEST_LINE = 64 << 10


def each_line(
    host: Host,
    path: str,
    parse: Callable[[str, int], R | None],
    *,
    limit: int = LIMIT,
    required: bool = True,
) -> Iterator[R | Gap]:
    r"""Yield a row for each line of a file, or a gap that says why there is none; None passes the line over.

    Lines end at "\n" and nowhere else, and are numbered from 1. What is not UTF-8 comes as surrogate escapes, as
    `os.fsdecode` gives them: such a row is for use within, and `in_text` makes one to be told. A line that holds
    NUL or is longer than 64 KiB is a `malformed` gap. A file cut at `limit` gives the whole lines before the cut, then
    a `truncated` gap. An absent file is a gap only if it is `required`.
    """
    try:
        content = host.read(path, limit=limit)
    except AbsentError as error:
        if required:
            yield error.gap()
        return
    except ReadError as error:
        yield error.gap()
        return
    lines = content.data.split(b"\n")
    last = lines.pop()
    if last and not content.truncated:
        lines.append(last)
    for number, raw in enumerate(lines, start=1):
        found = _row_or_gap(path, parse, raw, number)
        if found is not None:
            yield found
    if content.truncated:
        yield path_gap(path, "truncated", f"expected at most {limit} bytes, found more", line=len(lines) + 1)


def _row_or_gap(path: str, parse: Callable[[str, int], R | None], raw: bytes, number: int) -> R | Gap | None:
    try:
        return parse(_text(raw), number)
    except MalformedError as error:
        return path_gap(path, "malformed", str(error), line=number)


def _text(raw: bytes) -> str:
    if len(raw) > LONGEST_LINE:
        raise MalformedError(f"a line of at most {LONGEST_LINE} bytes", f"{len(raw)}")
    if b"\0" in raw:
        raise MalformedError("a line without NUL", "one")
    return raw.decode("utf-8", "surrogateescape")


def in_text(row: R, path: str, line: int) -> Iterator[R | Gap]:
    """Yield a row whose texts are all UTF-8, and a gap that names its columns if one of them was not.

    A user may write what he likes into his own line of passwd (chfn(1)): the line stays his account, so the row stays.
    """
    try:
        msgspec.json.encode(row)
    except UnicodeEncodeError:
        told = {name: _told(getattr(row, name)) for name in row.__struct_fields__}
        odd = {name: text for name, text in told.items() if text != getattr(row, name)}
        yield msgspec.structs.replace(row, **odd)
        expected = f"UTF-8 in {', '.join(odd)}"
        yield path_gap(path, "malformed", f"expected {expected}, found other bytes, shown escaped", line=line)
    else:
        yield row


def _told(value: object) -> object:
    if isinstance(value, str):
        return shown(value)[0]
    return tuple(_told(each) for each in value) if isinstance(value, tuple) else value
