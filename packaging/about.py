"""Write what a package says about itself: whose work is in it (copyright, LICENSES) and what it is made of (SBOM).

python packaging/about.py PACKAGE FOLDER --version V --machine M --when SECONDS --lock FILE --wheels DIR 3.10 …
"""

from __future__ import annotations

import argparse
import os
import sys

from bill_of_materials import bill_of_materials
from licences import copyright_file
from vendor import VendorError
from vendored import parts

OWN_LICENCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "LICENSE")


def main() -> int:
    """Write the files and return the exit code."""
    parser = argparse.ArgumentParser(description="write licences and bill of materials of a package")
    parser.add_argument("package")
    parser.add_argument("folder")
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    for name in ("version", "machine", "lock", "wheels"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--when", type=int, required=True)
    options = parser.parse_args()
    with open(OWN_LICENCE, encoding="utf-8") as file:
        own = file.read()
    try:
        found = parts(options.lock, options.pythons, options.machine, options.wheels)
    except VendorError as error:
        sys.stderr.write(f"about: {error}\n")
        return 3
    texts = {
        "copyright": copyright_file(options.package, own, found, debian=True),
        "LICENSES": copyright_file(options.package, own, found, debian=False),
        f"doc/{options.package}.cdx.json": bill_of_materials(
            options.package, options.version, options.machine, found, options.when
        ),
    }
    for name, text in texts.items():
        with open(os.path.join(options.folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
