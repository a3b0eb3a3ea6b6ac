"""Which entries of a store belong into a pack of a period (docs/formats.md, section 6).

The logs of a store follow each other, so all their entries are one sequence of *places*. The main range is what
lies between the first and the last entry of the period, whatever a jumping clock said in between, with one entry
on each side. Beside it stand extras: the last collection of each table before the period, where each log opens
and closes, and events that explain what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import NamedTuple

import msgspec

from evidence import entry, restricted_json
from evidence.blobs import MAX_BYTES, inflated
from evidence.errors import DamageError, PackError
from evidence.pack_source import PackSource, SignedLog
from evidence.predicates import Event, Snapshot, Statement
from evidence.tree import leaf_hash

PRUNED, DAMAGE = "pruned", "damage"


class EmptyPeriodError(PackError):
    """The period holds no entry, so there is nothing to prove."""


class Place(NamedTuple):
    """An entry in the sequence of all logs; places compare as entries follow each other."""

    log: int
    sequence: int


class Found(NamedTuple):
    """One entry with what it says; `envelope` has no newline."""

    place: Place
    envelope: bytes
    statement: Statement


class Part(msgspec.Struct, frozen=True):
    """What of one log goes into the pack."""

    number: int
    """The place of the log among all logs."""
    log: SignedLog
    first: int
    count: int
    extras: tuple[int, ...]

    @property
    def sequences(self) -> list[int]:
        """Return all entries of this log that are in the pack, in order."""
        return sorted({*range(self.first, self.first + self.count), *self.extras})


class _Survey(msgspec.Struct):
    """What one walk over all entries finds out."""

    first: Place | None = None
    last: Place | None = None
    before: dict[tuple[str, ...], Place] = {}
    pruned: list[tuple[Place, str]] = []
    damage: list[tuple[Place, str]] = []
    lost: set[Place] = set()
    earliest: datetime | None = None
    latest: datetime | None = None


def moment(text: str) -> datetime:
    """Return a time of a statement, as it is written there."""
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    try:
        return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError:
        raise DamageError("statement", "a time of the calendar", "another") from None


def found_in(source: PackSource, logs: Sequence[SignedLog], log: int, start: int, stop: int) -> Iterator[Found]:
    """Yield the entries of a range, each checked against its leaf; a lost one is passed over.

    Raises: DamageError.
    """
    place = Place(log, start)
    for each in source.entries(logs[log].id, start, stop):
        place = Place(log, each.sequence)
        if each.envelope is None or each.payload is None:
            continue
        if leaf_hash(each.payload) != logs[log].leaf(each.sequence):
            raise DamageError(f"entry {each.sequence} of {logs[log].id}", "the payload of its leaf", "another")
        yield Found(place, each.envelope, entry.statement_of(each.payload))


def choose(source: PackSource, logs: Sequence[SignedLog], since: datetime, until: datetime) -> list[Part]:
    """Return what of each log belongs into a pack of `since` ≤ t < `until`; logs of which nothing does are left out.

    Raises: EmptyPeriodError; DamageError.
    """
    survey = _survey(source, logs, since, until)
    if survey.first is None or survey.last is None:
        raise EmptyPeriodError(
            "pack",
            f"entries from {since:%Y-%m-%dT%H:%M:%SZ} to {until:%Y-%m-%dT%H:%M:%SZ}",
            _none_found(survey),
            "choose another period",
        )
    main_first, main_last = _with_borders(logs, survey, survey.first, survey.last)
    extras = {place for place in survey.before.values() if place < main_first}
    if not survey.before:  # nothing was read before the period, or damage took it: the logs themselves show which
        extras.add(Place(0, 0))
    span = _span(logs, main_first, main_last, extras)
    named = _named(source, logs, {place for places in span.values() for place in places} | extras)
    extras |= set(_explaining(source, survey, named, main_last))
    extras -= {place for place in extras if main_first <= place <= main_last}
    return _parts(logs, main_first, main_last, extras)


def _none_found(survey: _Survey) -> str:
    if survey.earliest is None or survey.latest is None:
        return "none in an empty log"
    return f"none; there are some from {survey.earliest:%Y-%m-%d} to {survey.latest:%Y-%m-%d}"


def _survey(source: PackSource, logs: Sequence[SignedLog], since: datetime, until: datetime) -> _Survey:
    survey = _Survey()
    for log in range(len(logs)):
        lost = {Place(log, sequence) for sequence in range(logs[log].size)}
        for found in found_in(source, logs, log, 0, logs[log].size):
            lost.discard(found.place)
            wall = moment(found.statement.predicate.clock.wall)
            survey.earliest = min(wall, survey.earliest or wall)
            survey.latest = max(wall, survey.latest or wall)
            if since <= wall < until:
                survey.first = survey.first or found.place
                survey.last = found.place
            if survey.first is None and isinstance(found.statement, Snapshot):
                survey.before.update(dict.fromkeys(_readings(found.statement), found.place))
            if isinstance(found.statement, Event) and found.statement.kind in (PRUNED, DAMAGE):
                kind = survey.pruned if found.statement.kind == PRUNED else survey.damage
                kind.append((found.place, found.statement.subjects()["event"]))
        survey.lost |= lost
    return survey


def _readings(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Return which tables of which host a snapshot speaks for; a failed attempt is no reading."""
    host = snapshot.predicate.host
    read = (each.name for each in snapshot.predicate.tables if each.coverage != "failed")
    return [(host.observed, host.machine or host.name, name) for name in read]


def _with_borders(logs: Sequence[SignedLog], survey: _Survey, first: Place, last: Place) -> tuple[Place, Place]:
    """Return the range with one entry more on each side, where there is one; it may stand in another log.

    A lost entry shows no time, so it is no border: the range goes on to the next one that does.
    """
    before, behind = _before(logs, first), _behind(logs, last)
    while before is not None and before in survey.lost:
        first, before = before, _before(logs, before)
    while behind is not None and behind in survey.lost:
        last, behind = behind, _behind(logs, behind)
    return before or first, behind or last


def _before(logs: Sequence[SignedLog], place: Place) -> Place | None:
    if place.sequence:
        return Place(place.log, place.sequence - 1)
    return Place(place.log - 1, logs[place.log - 1].size - 1) if place.log else None


def _behind(logs: Sequence[SignedLog], place: Place) -> Place | None:
    if place.sequence + 1 < logs[place.log].size:
        return Place(place.log, place.sequence + 1)
    return Place(place.log + 1, 0) if place.log + 1 < len(logs) else None


def _span(logs: Sequence[SignedLog], first: Place, last: Place, extras: set[Place]) -> dict[int, list[Place]]:
    """Return the main range by log, and adds where logs open and close to the extras.

    Logs between the first and the last that are needed are all in, so that they can be seen to follow each other.
    A log outside the main range gives the entry that is nearest to it.
    """
    lowest = min([first.log, *(place.log for place in extras)])
    highest = max([last.log, *(place.log for place in extras)])
    ranges = {}
    for log in range(lowest, highest + 1):
        start, stop = _main(logs, log, first, last)
        ranges[log] = [Place(log, sequence) for sequence in range(start, stop)]
        extras.add(Place(log, 0))
        if log < highest:
            extras.add(Place(log, logs[log].size - 1))
    return ranges


def _main(logs: Sequence[SignedLog], log: int, first: Place, last: Place) -> tuple[int, int]:
    size = logs[log].size
    if log < first.log:
        return size - 1, size
    if log > last.log:
        return 0, 1
    start = first.sequence if log == first.log else 0
    return start, last.sequence + 1 if log == last.log else size


def _parts(logs: Sequence[SignedLog], first: Place, last: Place, extras: set[Place]) -> list[Part]:
    ranges = _span(logs, first, last, extras)
    parts = []
    for log, places in ranges.items():
        beside = sorted(each.sequence for each in extras.difference(places) if each.log == log)
        parts.append(Part(number=log, log=logs[log], first=places[0].sequence, count=len(places), extras=tuple(beside)))
    return parts


def _named(source: PackSource, logs: Sequence[SignedLog], places: set[Place]) -> set[str]:
    """Return the blobs that the entries at these places name."""
    named: set[str] = set()
    for log in sorted({place.log for place in places}):
        wanted = {place.sequence for place in places if place.log == log}
        for found in found_in(source, logs, log, min(wanted), max(wanted) + 1):
            if found.place.sequence in wanted:
                named |= found.statement.digests()
    return named


def _explaining(source: PackSource, survey: _Survey, named: set[str], main_last: Place) -> Iterator[Place]:
    """Yield the events that may say why something is missing: later damage, and what names a blob of the pack."""
    yield from (place for place, _ in survey.damage if place > main_last)
    for place, digest in (*survey.damage, *survey.pruned):
        stored = source.stored_blob(digest)
        details = inflated(stored, MAX_BYTES) if stored is not None else None
        # Details that cannot be asked any more may have named one of ours.
        if details is None or any(each in named for each in _texts(restricted_json.decode(details))):
            yield place


def _texts(value: object) -> Iterator[str]:
    """Yield every text in the details of an event."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
