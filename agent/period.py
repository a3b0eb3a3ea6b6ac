"""Periods as people write them: days in UTC, both included, or exact instants."""

from __future__ import annotations

import datetime as dt
import re

import msgspec

from evidence.predicates import Snapshot
from evidence.reader import StoreReader
from program.errors import WRONG_USE, CommandError

MILLISECOND = dt.timedelta(milliseconds=1)
FIRST_ROUND = dt.timedelta(hours=1)
"""How long a service may take to read every table once; what is read first after that came with an upgrade."""
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
INSTANT = re.compile(rf"({DAY.pattern}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{3}})?)Z")


def parse_since(text: str) -> dt.datetime:
    """Return the first instant of a period: midnight of a day, or the instant given."""
    return _parse("--since", text)[0]


def parse_until(text: str) -> dt.datetime:
    """Return the first instant behind a period: the midnight that ends the day, or the instant given."""
    return _parse("--until", text)[1]


def _parse(option: str, text: str) -> tuple[dt.datetime, dt.datetime]:
    """Return (begin, end behind it) of a day, or the same instant twice."""
    try:
        if DAY.fullmatch(text):
            begin = dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.timezone.utc)
            return begin, begin + dt.timedelta(days=1)
        if found := INSTANT.fullmatch(text):
            instant = dt.datetime.fromisoformat(found[1]).replace(tzinfo=dt.timezone.utc)
            return instant, instant
    except (ValueError, OverflowError):
        pass
    raise CommandError(
        f"{option}: expected a day such as 2026-01-31 or 2026-01-31T07:00:00Z, found {text!r}", WRONG_USE
    )


class Span(msgspec.Struct, frozen=True):
    """What the log by itself can speak about."""

    first: dt.datetime
    """The first snapshot."""
    behind: dt.datetime
    """The first instant after the last entry: what people recorded since the last snapshot is evidence too."""
    tables: tuple[dt.datetime, ...]
    """When each table of each host was read for the first time, an attempt that failed aside."""

    @property
    def begin(self) -> dt.datetime:
        """Return from when on the log speaks about all it began with: the service's first round takes several runs."""
        return max((each for each in self.tables if each - self.first <= FIRST_ROUND), default=self.first)

    def complete_from(self, since: dt.datetime, until: dt.datetime) -> dt.datetime | None:
        """Return from when on all tables of a period had been read, if that is later than it begins; else None."""
        late = [each for each in self.tables if since < each < until]
        return max(late, default=None)


def span_of(reader: StoreReader) -> Span:
    """Return what all logs span, from the first snapshot on."""
    walls: list[str] = []
    last = ""
    tables: dict[tuple[str, str], str] = {}
    for statement in (entry.statement for log in reader.logs() for entry in reader.entries(log.id)):
        if statement is None:
            continue
        wall = statement.predicate.clock.wall
        last = max(last, wall)
        if not isinstance(statement, Snapshot):
            continue
        walls.append(wall)
        for each in statement.predicate.tables:
            if each.coverage != "failed":
                place = (statement.predicate.host.name, each.name)
                tables[place] = min(wall, tables.get(place, wall))
    if not walls:
        raise CommandError("the log holds no snapshot yet; run: evidenced inventory")
    return Span(_instant(min(walls)), _instant(last) + MILLISECOND, tuple(map(_instant, tables.values())))


def shown_instant(instant: dt.datetime) -> str:
    """Return an instant as --since takes it."""
    text = instant.isoformat(timespec="milliseconds" if instant.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _instant(wall: str) -> dt.datetime:
    return dt.datetime.fromisoformat(wall.replace("Z", "+00:00"))


def file_name(organisation: str, since: dt.datetime, until: dt.datetime) -> str:
    """Return the name of a pack: `evidence_ORG_Q1-2026.tar.gz`, or with its first and last day."""
    last = (until - MILLISECOND).date()
    return f"evidence_{_plain(organisation)}_{_period_name(since.date(), last)}.tar.gz"


def _period_name(first: dt.date, last: dt.date) -> str:
    behind = last + dt.timedelta(days=1)
    if first.day == 1 and behind.day == 1:
        months = (behind.year - first.year) * 12 + behind.month - first.month
        if months == 1:
            return f"{first:%Y-%m}"
        if months == 3 and first.month % 3 == 1:  # noqa: PLR2004
            return f"Q{first.month // 3 + 1}-{first.year}"
        if months == 12 and first.month == 1:  # noqa: PLR2004
            return f"{first.year}"
    return f"{first}" if first == last else f"{first}_{last}"


def _plain(text: str) -> str:
    """Return a name that is safe in a file name on any system."""
    return "".join(each if each.isascii() and (each.isalnum() or each in "-.") else "-" for each in text)[:64] or "host"
