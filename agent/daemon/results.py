"""What a run of `_collect` says while it works: lines of words separated by tabs, taken with care.

=============================================  =====================================================================
line                                           meaning
=============================================  =====================================================================
``event N``                                    the Nth event it was given is signed, or can never be
``table NAME COVERAGE ROWS GAPS WALL CPU KIB`` one table as it was read: counts, milliseconds, peak memory
``stuck NAME PID``                             the child that read a table hangs in the kernel and was left behind
``home PATH``                                  a home below which files are to be watched
``signed SEQUENCE ORIGIN``                     all of it is in the log
=============================================  =====================================================================
"""

from __future__ import annotations

COVERAGES = frozenset({"complete", "partial", "failed", "unsupported"})
MOST_HOMES = 1000
_DIGITS = frozenset("0123456789")
_LONGEST = 19


class Reading:
    """One table as it was read last."""

    __slots__ = ("coverage", "numbers")

    def __init__(self, coverage: str, numbers: tuple[int, ...]) -> None:
        self.coverage = coverage
        self.numbers = numbers
        """Rows, gaps, wall and CPU time in milliseconds, peak memory in KiB."""


class Result:
    """All that one run has said so far."""

    def __init__(self) -> None:
        self.events = 0
        self.readings: dict[str, Reading] = {}
        self.stuck: list[tuple[str, int]] = []
        self.homes: list[str] = []
        self.signed = ""
        """The place of its entry in the log; empty while there is none."""

    def take(self, line: str) -> None:
        """Take one line; one that has not its form is passed over."""
        word, *rest = line.split("\t")
        numbers = [int(each) for each in rest if 1 <= len(each) <= _LONGEST and _DIGITS.issuperset(each)]
        if word == "event" and len(rest) == len(numbers) == 1:
            self.events = max(self.events, numbers[0])
        elif word == "table" and len(rest) == 7 and len(numbers) >= 5 and rest[1] in COVERAGES:  # noqa: PLR2004
            self.readings[rest[0]] = Reading(rest[1], tuple(numbers[-5:]))
        elif word == "stuck" and len(rest) == 2 and numbers:  # noqa: PLR2004
            self.stuck.append((rest[0], numbers[-1]))
        elif word == "home" and len(rest) == 1 and len(self.homes) < MOST_HOMES and rest[0].startswith("/"):
            self.homes.append(rest[0])
        elif word == "signed" and len(rest) == 2 and rest[1].isprintable():  # noqa: PLR2004
            self.signed = f"{rest[0]} {rest[1]}"
