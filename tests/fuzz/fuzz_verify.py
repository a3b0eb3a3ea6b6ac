"""Any bytes as a pack, any change to a good one: a verdict, no traceback, and never "valid" for another pack."""

from __future__ import annotations

import functools
import io

from evidence import verify
from tests.evidence.verify import forge

OPTIONS = verify.Options()
ONE_SPELLING = (".pem", ".vkey", "checkpoint.txt", "checkpoint.sig", "leaves")
"""Members that have one spelling; a note may have further lines, zlib data and SSH armour other breaks."""


@functools.lru_cache(maxsize=1)
def good() -> tuple[dict[str, bytes], tuple[tuple[str, str], ...]]:
    """Return the members of a good pack, and its report's list of them."""
    members = forge.small().sealed()
    report = judged(forge.tar_of(members))
    if report.code != verify.OK:
        raise AssertionError("expected the forge to make a good pack")
    return members, tuple(report.members)


def judged(data: bytes) -> verify.Report:
    """Return the script's report on bytes, as `verify` makes it on a file."""
    report = verify.Report("")
    try:
        verify.inspect(report, verify.TarPack(io.BytesIO(data)), OPTIONS)
    except verify.TamperedError as error:
        report.problem(verify.TAMPERED, error.check, str(error))
    except verify.UnusableError as error:
        report.unusable = str(error)
    return report


def target(data: bytes) -> None:
    """Judge the bytes as they are, and as a replacement of one piece of one member of a good pack."""
    if judged(data).code == verify.OK:
        raise AssertionError("expected no bytes of chance to be a good pack")
    members, listed = good()
    names = sorted(members)
    name, at, piece = names[sum(data[:1]) % len(names)], int.from_bytes(data[1:4], "big"), data[4:]
    raw = members[name]
    at %= len(raw) + 1
    changed = {**members, name: raw[:at] + piece + raw[at + len(piece) :]}
    if name != "manifest.json":
        story = forge.small()
        rest = {each: content for each, content in changed.items() if each != "manifest.json"}
        changed = {"manifest.json": forge.canonical(story.manifest(rest)) + b"\n", **rest}
    report = judged(forge.tar_of(changed))
    for line in verify.page(report):
        if not set(line) <= {*map(chr, range(32, 127)), "✓", "✗", "→"}:
            raise AssertionError("expected plain letters only")
    signed = [each for each in listed if each[0].endswith(ONE_SPELLING) or "/entries/" in each[0]]
    if report.code == verify.OK and [each for each in report.members if each in signed] != signed:
        raise AssertionError("expected what is signed to be what is accepted")
