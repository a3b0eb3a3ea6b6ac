"""Files of keys and of principals, line by line, within limits that hold against their owner."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import msgspec

from collectors.access.ssh.key_lines import KeyLine, PrincipalLine
from collectors.contract import Gap, MalformedError, path_gap
from collectors.reading.facts import Content
from collectors.reading.host import Host

Parse = Callable[[str], KeyLine | PrincipalLine | None]

MAX_FILE_BYTES = 16 << 20
MAX_LINES = 100_000
"""Of one file; its owner must not fill the table for everyone."""
MAX_MALFORMED = 20
"""Of one file; more are counted in one gap."""


class Faults(msgspec.Struct):
    """How many lines of a file were no good so far, however many times it is taken up again."""

    count: int = 0


class Line(msgspec.Struct, frozen=True):
    """What one line holds, with its number."""

    number: int
    content: KeyLine | PrincipalLine


def read_key_file(host: Host, path: str, untrusted: str) -> Content:
    """Return a file of keys or principals, within the limit of one file; ReadError, AbsentError."""
    return host.read(path, limit=MAX_FILE_BYTES, untrusted=untrusted)


def lines_of(content: Content, parse: Parse, after: int = 0, faults: Faults | None = None) -> Iterator[Line | Gap]:
    """Yield what each line after one holds, or a gap; None passes a line over.

    Bytes that are not UTF-8 are no fault: sshd does not care either. What follows a NUL is not there for sshd,
    nor here, and is a gap.
    """
    faults = Faults() if faults is None else faults
    for number, raw in _whole_lines(content, after):
        if number > MAX_LINES:
            yield path_gap(content.path, "truncated", f"expected at most {MAX_LINES} lines, found more", line=number)
            break
        before, nul, _ = raw.partition(b"\0")
        found, fault = _parsed(before.decode("utf-8", "surrogateescape"), parse)
        if found is not None:
            yield Line(number, found)
        fault = "expected a line without NUL, found one" if nul else fault
        faults.count += fault is not None
        if fault is not None and faults.count <= MAX_MALFORMED:
            yield path_gap(content.path, "malformed", fault, line=number)
    yield from more_faults(content.path, faults)
    if content.truncated:
        yield path_gap(content.path, "truncated", f"expected at most {MAX_FILE_BYTES} bytes, found more")


def more_faults(path: str, faults: Faults) -> Iterator[Gap]:
    """Yield a gap for the bad lines that had none of their own."""
    if faults.count > MAX_MALFORMED:
        yield path_gap(path, "malformed", "more such lines", count=faults.count - MAX_MALFORMED)


def lines_after(content: Content, after: int) -> int:
    """Return how many lines after one are neither empty nor a comment."""
    return sum(raw.strip()[:1] not in (b"", b"#") for _, raw in _whole_lines(content, after))


def _whole_lines(content: Content, after: int) -> Iterator[tuple[int, bytes]]:
    for number, raw in enumerate(io.BytesIO(content.data), start=1):
        if number <= after:
            continue
        if raw.endswith(b"\n") or not content.truncated:
            yield number, raw.removesuffix(b"\n")


def _parsed(text: str, parse: Parse) -> tuple[KeyLine | PrincipalLine | None, str | None]:
    try:
        return parse(text), None
    except MalformedError as error:
        return None, str(error)
