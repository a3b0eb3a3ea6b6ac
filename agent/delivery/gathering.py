"""Batches that came by hand: found in folders, checked whole, and put in the order of their logs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import msgspec

from agent.delivery.errors import BatchError
from agent.delivery.outbox import Waiting, waiting_at
from evidence.batch_read import open_batch
from evidence.errors import EvidenceError
from evidence.tree import Frontier

STEP = "name what evidenced export --batches or a sink of type directory wrote"


class Sequence(msgspec.Struct):
    """What was brought of one log."""

    log_id: str
    batches: list[Waiting]
    fingerprint: str | None = None
    """Of the key in its batches: whoever takes them in compares it."""
    size: int = 0
    """How far it goes."""
    missing: list[tuple[int, int]] = []
    """Entries between batches that are there: from, and up to but not including."""
    bad: list[str] = []
    """What is wrong with batches, one line each; none of them is passed on."""
    good: list[Waiting] = []


def find(paths: Iterable[str]) -> list[Waiting]:
    """Return the batches at these paths: files, and those in folders and in one folder below.

    Raises: OSError; BatchError if nothing is at one of them.
    """
    found: dict[str, Waiting] = {}
    for path in paths:
        for each in _files(path):
            batch = waiting_at(each)
            if batch is not None:
                found.setdefault(os.path.realpath(each), batch)
    return sorted(found.values(), key=lambda each: each.place)


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        try:
            os.stat(path)  # a mistyped name is an error, not an empty folder
        except FileNotFoundError:
            raise BatchError(path, "a batch, or a folder with batches", "nothing of that name", STEP) from None
        yield path
        return
    for name in sorted(os.listdir(path)):
        below = os.path.join(path, name)
        if os.path.isdir(below) and not os.path.islink(below):
            yield from (os.path.join(below, each) for each in sorted(os.listdir(below)))
        else:
            yield below


def check(batches: Iterable[Waiting]) -> list[Sequence]:
    """Return the sequences of all logs, every byte of every batch checked."""
    by_log: dict[str, Sequence] = {}
    for each in batches:
        by_log.setdefault(each.place.log_id, Sequence(each.place.log_id, [])).batches.append(each)
    for one in by_log.values():
        _check_one(one)
    return [by_log[name] for name in sorted(by_log)]


def _check_one(one: Sequence) -> None:
    known: Frontier | None = None
    for batch in one.batches:
        if known is not None and batch.place.size <= known.size:
            _take(one, batch, None)  # the same entries once more, maybe with other blobs
            continue
        if known is not None and batch.place.first > known.size:
            one.missing.append((known.size, batch.place.first))
            known = None
        known = _take(one, batch, known) or known


def _take(one: Sequence, batch: Waiting, known: Frontier | None) -> Frontier | None:
    """Check one batch against the tree in front of it, and return the tree behind it; None if it is bad."""
    try:
        with open_batch(batch.path) as opened:
            head = opened.check(known=known)
            if one.fingerprint not in (None, head.key.fingerprint):
                one.bad.append(f"{batch.path}: expected the key {one.fingerprint}, found {head.key.fingerprint}")
                return None
            for _ in opened.blobs():
                pass
            if opened.place != batch.place:
                one.bad.append(f"{batch.path}: expected the entries that its name says, found others")
                return None
    except (EvidenceError, OSError) as error:
        one.bad.append(f"{batch.path}: {error}")
        return None
    one.fingerprint = head.key.fingerprint
    one.good.append(batch)
    one.size = max(one.size, head.size)
    return head.frontier
