"""Runs in the booted host: takes one command a line as JSON, runs it, and answers with how it ended."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Return how a command ended: its exit code and what it printed."""
    try:
        done = subprocess.run(
            asked["argv"], input=asked["input"].encode(), capture_output=True, timeout=asked["timeout"], check=False
        )
    except subprocess.TimeoutExpired:
        return {"code": 124, "out": "", "err": f"still running after {asked['timeout']:g} s"}
    except OSError as error:
        return {"code": 127, "out": "", "err": str(error)}
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return {"code": done.returncode, "out": out, "err": err}


def say(answered: dict[str, Any]) -> None:
    """Answer with one line."""
    sys.stdout.write(json.dumps(answered) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Serve until told to leave, with the exit code that is told."""
    say({"code": 0, "out": "", "err": ""})
    for line in sys.stdin:
        asked = json.loads(line)
        if "exit" in asked:
            return int(asked["exit"])
        say(answer(asked))
    return 1


if __name__ == "__main__":
    sys.exit(main())
