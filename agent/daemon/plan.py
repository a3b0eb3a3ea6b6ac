"""What the supervisor is to do, as `evidenced _plan` prints it: lines of words separated by tabs, read strictly.

The supervisor never parses configuration: that is done by a short-lived process, whose answer is as plain as can be.

==========================================  ==========================================================================
line                                        meaning
==========================================  ==========================================================================
``config DIGEST``                           SHA-256 of the configuration, in hex
``table NAME INTERVAL DISTANCE KIND``       seconds between readings, least seconds between two, what reads it: `file`,
                                            `sweep` (the walk of all file systems) or `process`
``watch PATH TABLE[,TABLE…]``               a file, a folder if it ends with `/`, or either below each `{home}/`
``heartbeat S``                             seconds without an entry after which a sign of life is signed
``jitter S``                                seconds by which readings are put off at random, at most
``pressure CPU MEMORY IO``                  percent above which readings wait; 0: they do not
``pause_limit S``                           seconds after which they wait no longer
``upload 0|1``                              whether there is anywhere to deliver to
``settings TEXT``                           the configuration as JSON, handed to every run as it is; absent: it is read
==========================================  ==========================================================================
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 1 << 20
"""Bytes of a plan."""
KINDS = ("file", "sweep", "process")
HOME = "{home}/"
MOST_TABLES = 400
MOST_WATCHES = 4000
LONGEST_S = 366 * 86400
NAME_LENGTH = 63
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdef")


class PlanError(Exception):
    """A plan that is not as this page says: the one before stays in force."""


class PlannedTable:
    """When one table is read, and by what kind of child."""

    __slots__ = ("distance_s", "interval_s", "kind", "name")

    def __init__(self, name: str, interval_s: int, distance_s: int, kind: str) -> None:
        self.name = name
        self.interval_s = interval_s
        self.distance_s = distance_s
        self.kind = kind


class Plan:
    """All that the supervisor has to know."""

    __slots__ = (
        *("digest", "heartbeat_s", "jitter_s", "pause_limit_s", "pressure"),
        *("settings", "tables", "upload", "watches"),
    )

    def __init__(self) -> None:
        self.digest = ""
        self.tables: dict[str, PlannedTable] = {}
        self.watches: dict[str, tuple[str, ...]] = {}
        """Tables by the path whose change makes them due."""
        self.heartbeat_s = 3600
        self.jitter_s = 0
        self.pressure = (0, 0, 0)
        """CPU, memory and IO, in percent."""
        self.pause_limit_s = 0
        self.upload = False
        self.settings = ""
        """What `_collect` works by, which means nothing to us: an edit of the files counts once it was planned."""


def read_plan(data: bytes) -> Plan:
    """Return the plan that these lines are. Raises: PlanError, which names the line and never quotes it."""
    if len(data) > LIMIT:
        raise PlanError(f"plan: expected at most {LIMIT} bytes, found more")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise PlanError("plan: expected UTF-8, found other bytes") from None
    if not text.endswith("\n"):
        raise PlanError("plan: expected a last line that is ended, found one cut short")
    plan, seen = Plan(), set[str]()
    for number, line in enumerate(text[:-1].split("\n"), 1):
        try:
            _take(plan, seen, *line.split("\t"))
        except PlanError as error:  # noqa: PERF203  it ends the loop
            raise PlanError(f"plan: line {number}: {error}") from None
    _check(plan, seen)
    return plan


def plan_said(code: int, data: bytes) -> Plan:
    """Return the plan that a process printed before it ended with this exit code. Raises: PlanError."""
    if code != 0:
        raise PlanError("plan: expected a configuration without problems; see evidenced config check")
    return read_plan(data)


def read_file(path: str) -> tuple[int, bytes]:
    """Return the exit code and output of a process that would print this file; of one without end the beginning."""
    try:
        with open(path, "rb") as file:
            return 0, file.read(LIMIT + 1)
    except OSError:
        return 1, b""


def _take(plan: Plan, seen: set[str], word: str, *rest: str) -> None:
    if word not in _LINES:
        raise PlanError("expected a known word, found another")
    if word in seen and word not in _REPEATED:
        raise PlanError(f"expected {word} once, found it again")
    seen.add(word)
    _LINES[word](plan, list(rest))


def _check(plan: Plan, seen: set[str]) -> None:
    missing = sorted(set(_LINES) - _REPEATED - {"settings"} - seen)
    if missing:
        raise PlanError(f"plan: expected a line {missing[0]}, found none")
    for tables in plan.watches.values():
        if not plan.tables.keys() >= set(tables):
            raise PlanError("plan: expected watches of planned tables, found one of another")


def _config(plan: Plan, words: list[str]) -> None:
    (digest,) = _words(words, 1)
    if len(digest) != 64 or not _HEX.issuperset(digest):  # noqa: PLR2004  SHA-256 in hex
        raise PlanError("expected 64 hexadecimal digits, found another text")
    plan.digest = digest


def _table(plan: Plan, words: list[str]) -> None:
    name, interval, distance, kind = _words(words, 4)
    if not 1 <= len(name) <= NAME_LENGTH or not _NAME.issuperset(name) or name in plan.tables:
        raise PlanError("expected the name of a table, each once, found another text")
    if kind not in KINDS:
        raise PlanError(f"expected one of {', '.join(KINDS)}, found another kind")
    if len(plan.tables) >= MOST_TABLES:
        raise PlanError(f"expected at most {MOST_TABLES} tables, found more")
    plan.tables[name] = PlannedTable(name, _number(interval, 1), _number(distance, 0), kind)


def _watch(plan: Plan, words: list[str]) -> None:
    path, tables = _words(words, 2)
    if not is_watchable(path):
        raise PlanError("expected a plain absolute path, found another text")
    if path in plan.watches or len(plan.watches) >= MOST_WATCHES:
        raise PlanError(f"expected each path once and at most {MOST_WATCHES}, found more")
    plan.watches[path] = tuple(tables.split(","))


def is_watchable(path: str) -> bool:
    """Return whether a path is absolute or below `{home}/`, without empty or dotted parts and control characters."""
    if path.startswith(HOME):
        path = path[len(HOME) - 1 :]
    if not path.startswith("/") or not path.isprintable():
        return False
    parts = path.removesuffix("/").split("/")[1:]
    return bool(parts) and not {"", ".", ".."} & set(parts)


def _pressure(plan: Plan, words: list[str]) -> None:
    cpu, memory, io = (_number(each, 0, 100) for each in _words(words, 3))
    plan.pressure = (cpu, memory, io)


def _heartbeat(plan: Plan, words: list[str]) -> None:
    plan.heartbeat_s = _number(_words(words, 1)[0], 1)


def _jitter(plan: Plan, words: list[str]) -> None:
    plan.jitter_s = _number(_words(words, 1)[0], 0)


def _pause_limit(plan: Plan, words: list[str]) -> None:
    plan.pause_limit_s = _number(_words(words, 1)[0], 0)


def _upload(plan: Plan, words: list[str]) -> None:
    plan.upload = _number(_words(words, 1)[0], 0, 1) == 1


def _settings(plan: Plan, words: list[str]) -> None:
    (plan.settings,) = _words(words, 1)


def _words(words: list[str], count: int) -> list[str]:
    if len(words) != count:
        raise PlanError(f"expected {count} words, found {len(words)}")
    return words


def _number(text: str, low: int, high: int = LONGEST_S) -> int:
    if not 1 <= len(text) <= len(str(high)) or not _DIGITS.issuperset(text) or not low <= int(text) <= high:
        raise PlanError(f"expected a number from {low} to {high}, found another text")
    return int(text)


_LINES: dict[str, Callable[[Plan, list[str]], None]] = {
    "config": _config,
    "table": _table,
    "watch": _watch,
    "heartbeat": _heartbeat,
    "jitter": _jitter,
    "pressure": _pressure,
    "pause_limit": _pause_limit,
    "upload": _upload,
    "settings": _settings,
}
_REPEATED = frozenset({"table", "watch"})
