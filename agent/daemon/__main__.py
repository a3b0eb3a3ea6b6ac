"""The supervisor as a program of its own: `evidenced run` becomes it."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from agent.daemon.starting import main

    sys.exit(main(sys.argv[1:]))
