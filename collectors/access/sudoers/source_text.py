"""The bytes of one sudoers file as text, and what of them sudo or we cannot take as they are."""

from __future__ import annotations

from collections.abc import Iterator

from collectors.contract import Gap, Reason, path_gap
from collectors.reading.facts import Content


def text_of(content: Content) -> tuple[str, list[Gap]]:
    """Return the text (what is not UTF-8 as surrogate escapes) and gaps; a file that was cut ends at a whole line."""
    data = content.data
    gaps: list[Gap] = []
    if content.truncated:
        data = data[: data.rfind(b"\n") + 1]
        detail = f"expected at most {len(content.data)} bytes, found more"
        gaps.append(path_gap(content.path, "truncated", detail, line=data.count(b"\n") + 1))
    text = data.decode("utf-8", "surrogateescape")
    gaps += _odd_lines(content.path, text)
    return text, gaps


def _odd_lines(path: str, text: str) -> Iterator[Gap]:
    """Yield one gap for all lines with a NUL, and one for all that are not UTF-8, at the first of each."""
    malformed: Reason = "malformed"
    if "\0" in text:
        lines = [number for number, line in enumerate(text.split("\n"), start=1) if "\0" in line]
        detail = "expected no NUL, found one; sudo reads nothing after it on the line"
        yield path_gap(path, malformed, detail, line=lines[0], count=len(lines))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        lines = [n for n, line in enumerate(text.split("\n"), start=1) if any("\udc80" <= c <= "\udcff" for c in line)]
        detail = r"expected UTF-8, found another byte; it is shown as \xHH"
        yield path_gap(path, malformed, detail, line=lines[0], count=len(lines))
