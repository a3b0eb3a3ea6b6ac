"""Run from a checkout: `python -m agent`."""

from __future__ import annotations

import sys

from program.interrupts import end_quietly

if __name__ == "__main__":
    end_quietly()
    from agent.process import start

    sys.exit(start())
