"""Run the program: `python -m evidenced`."""

from __future__ import annotations

import sys

from evidenced.launcher import main

if __name__ == "__main__":
    sys.exit(main())
