"""Write whose work is in a package, under which licence: debian/copyright as machines read it (DEP 5).

The texts are those of the wheels. A Debian host has the long ones (Apache-2.0, MPL-2.0) already, so its file names
them; any other gets them in full.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vendored import Part

COMMON = {"Apache License\n": "Apache-2.0", "Mozilla Public License Version 2.0\n": "MPL-2.0"}
"""What begins a licence text that Debian keeps in /usr/share/common-licenses, and its name there."""
_NOTICE = re.compile(
    r"^[\s*#]*(Copyright\b[^\[{\n]*[0-9]{4}[^\[{\n]*(?<=[0-9,])\n[^\[{\n]+|Copyright\b[^\[{\n]*[0-9]{4}[^\[{\n]*)$",
    re.MULTILINE,
)


def copyright_file(package: str, own: str, parts: Sequence[Part], *, debian: bool) -> str:
    """Return the file; `own` is the text of our own licence."""
    return "\n".join(_stanzas(package, own, parts, debian=debian))


def _stanzas(package: str, own: str, parts: Sequence[Part], *, debian: bool) -> Iterator[str]:
    yield _stanza(
        Format="https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        Upstream_Name="evidenced",
        Comment="Libraries stand unchanged, as their authors built them, in a folder that only this package uses.",
    )
    yield _stanza(Files="*", Copyright="The evidenced authors", License=f"Apache-2.0\n{_indented([own], debian)}")
    for part in parts:
        texts = [part.texts[name] for name in sorted(part.texts)]
        inside = f"Compiled in: {part.inside[0]}" if part.inside else None
        licence = f"{part.licence} and {part.inside[1]}" if part.inside else part.licence
        yield _stanza(
            Files="\n".join(f" usr/lib/{package}/{top}{'*' if top.endswith('/') else ''}" for top in sorted(part.tops)),
            Copyright="\n".join(f" {each}" for each in _notices(texts)) or f"the authors of {part.name}",
            License=f"{licence}\n{_indented(texts, debian)}",
            Comment=inside,
        )


def _notices(texts: Sequence[str]) -> list[str]:
    """Return the lines that say whose it is, each once; the samples that licences print have brackets and are none."""
    found = (" ".join(each.replace("*", " ").split()).rstrip(".") for text in texts for each in _NOTICE.findall(text))
    return list(dict.fromkeys(found))


def _indented(texts: Sequence[str], debian: bool) -> str:
    if debian:
        texts = [_shortened(each) for each in texts]
    lines = (line.rstrip() for line in "\n\n".join(each.strip("\n") for each in texts).replace("\f", "").split("\n"))
    return "\n".join(f" {line}" if line else " ." for line in lines)


def _shortened(text: str) -> str:
    for begins, name in COMMON.items():
        if begins.strip() in text[:400]:
            return f"On Debian systems the full text of {name} is in /usr/share/common-licenses/{name}"
    return text


def _stanza(**fields: str | None) -> str:
    lines = []
    for name, value in fields.items():
        if value is not None:
            separator = "\n" if value.startswith(" ") else " "
            lines.append(f"{name.replace('_', '-')}:{separator}{value}")
    return "\n".join(lines) + "\n"
