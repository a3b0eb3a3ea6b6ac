"""Run from a checkout: `python -m agent`."""

from __future__ import annotations

import sys

from agent.process import start

if __name__ == "__main__":
    sys.exit(start())
