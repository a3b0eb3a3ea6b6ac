"""What a command says when it cannot go on, and with which exit code."""

from __future__ import annotations

OK = 0
BAD_EVIDENCE = 1
WRONG_USE = 2
COULD_NOT_RUN = 3


class CommandError(Exception):
    """Ends a command with one line on stderr: where, what was expected, what was found, what to do."""

    def __init__(self, text: str, code: int = COULD_NOT_RUN) -> None:
        super().__init__(text)
        self.code = code
