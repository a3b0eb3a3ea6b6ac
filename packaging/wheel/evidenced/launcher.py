"""Starts the program from its private folder, whatever else owns the names of its rooms."""

from __future__ import annotations

import os
import sys

ROOMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_rooms")


def main() -> int:
    """Run the command line and return its exit code.

    The private folder comes first on the path: a top-level `agent` or `evidence` of another package loses to ours
    inside this program, and ours is never seen outside it.
    """
    sys.path.insert(0, ROOMS)
    from program.interrupts import end_quietly  # noqa: PLC0415  found only now that the path is set

    end_quietly()
    from agent.process import start  # noqa: PLC0415  takes a while, in which somebody may press Ctrl-C

    return start()


def hub() -> int:
    """Run the hub's command line and return its exit code; it needs the extra `hub`."""
    sys.path.insert(0, ROOMS)
    from hub.process import start  # noqa: PLC0415  found only now that the path is set

    return start()
