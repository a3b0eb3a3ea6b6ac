"""Any bytes, and any signed nonsense, get a verdict and no traceback."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence import verify
from tests.evidence.verify import forge
from tests.evidence.verify.forge import SECOND, START
from tests.fuzz import fuzz_verify

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.text(max_size=8),
    st.sampled_from(
        ["2026-01-01T00:00:00Z", "0" * 64, "users", "users.gaps", "complete", "first", "AAAA", "key-rotated"]
    ),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(["name", "kind", "from", "sha256", "rows"]), st.integers(0, 3), max_size=3),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60))
def test_bytes_of_chance_are_no_pack_and_pieces_of_chance_do_not_pass(data: bytes) -> None:
    fuzz_verify.target(data)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        found += _places(each, (*path, key))
    return found


def _edited(value: Any, path: tuple[Any, ...], new: Any, drop: bool) -> None:
    for key in path[:-1]:
        value = value[key]
    if drop:
        del value[path[-1]]
    else:
        value[path[-1]] = new


def _story() -> forge.Story:
    story = forge.small()
    log = story.logs[0]
    gone = [forge.digest(b"gone")]
    log.event(START, "pruned", details={"digests": gone}, before="2026-01-01T00:00:00Z", blobs=1)
    lost = {"count": 1, "found": "other bytes", "names": gone, "part": "blob", "where": "blobs/aa"}
    log.event(START, "damage", details={"findings": [lost]}, part="blob", count=1)
    log.rotate(START + 3 * forge.DAY, SECOND)
    new = story.log(SECOND)
    new.opened(START + 3 * forge.DAY, "rotated", log.as_previous())
    new.snapshot(START + 3 * forge.DAY, new.table(gaps=[forge.GAP]))
    return story


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_signed_nonsense_gets_a_verdict(data: st.DataObject) -> None:
    story = _story()
    log = data.draw(st.sampled_from(story.logs))
    statement = data.draw(st.sampled_from(log.statements))
    path = data.draw(st.sampled_from(_places(statement)))
    _edited(statement, path, data.draw(VALUES), data.draw(st.booleans()))
    try:
        tar = story.tar()
    except (KeyError, TypeError, AttributeError):
        return  # the forge itself needs the names of subjects
    report = fuzz_verify.judged(tar)
    assert report.code in range(5)
    assert verify.page(report)
    assert verify.as_json(report).isascii()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_manifest_of_nonsense_gets_a_verdict(data: st.DataObject) -> None:
    story = _story()
    place = data.draw(st.sampled_from(_places(story.manifest(story.members()))))
    value, drop = data.draw(VALUES), data.draw(st.booleans())
    story.manifest_edit = lambda manifest: _edited(manifest, place, value, drop)
    assert fuzz_verify.judged(story.tar()).code in range(5)


@settings(max_examples=200, deadline=None)
@given(st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)))
def test_canonical_json_is_read_back_or_refused(value: Any) -> None:
    try:
        assert verify.strict_json(forge.canonical(value)) == value
    except (ValueError, UnicodeEncodeError):
        return


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_as_json_or_note_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        verify.strict_json(data)
    with contextlib.suppress(ValueError):
        verify.note_of(data)
