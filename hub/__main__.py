"""Run from a checkout: `python -m hub`."""

from __future__ import annotations

import sys

from hub.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
