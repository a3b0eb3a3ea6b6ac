"""Run from a checkout: `python -m hub`."""

from __future__ import annotations

import sys

from hub.process import start

if __name__ == "__main__":
    sys.exit(start())
