"""What a command of `evidenced-hub` ends with."""

from __future__ import annotations

OK, BAD, WRONG_USE, COULD_NOT_RUN = 0, 1, 2, 3


class CommandError(Exception):
    """A command cannot go on; the text is for its user."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code
