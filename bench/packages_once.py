"""dpkg's database read once and listed as `dpkg-query -W` lists it: what `bench.packages` measures as a process."""

from __future__ import annotations

import os
import sys

# Run with -I -S, as the rival runs without an interpreter's site: the folder of the rooms is named here.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from collectors.software.deb822 import stanzas
from collectors.software.dpkg_status import parse_stanza


def main() -> None:
    """Print each package of a status file with its version; `Multi-Arch: same` ones with their architecture."""
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    lines = []
    for _, text in stanzas(data):
        entry = parse_stanza(text)
        name = f"{entry.name}:{entry.arch}" if entry.multi_arch == "same" else entry.name
        lines.append(f"{name}\t{entry.version}\n")
    sys.stdout.write("".join(lines))


if __name__ == "__main__":
    main()
