"""Framing: what is read from a segment is what was written, or it is seen that it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import segment
from evidence.errors import NewerStateError
from evidence.segment import Break, Frame

ORIGIN = "evidenced/00112233aabbccdd/1"
BODY = st.binary(max_size=200).filter(lambda body: b"\n" not in body)


def written(bodies: list[bytes], first: int = 0) -> bytes:
    return segment.header(ORIGIN, first) + b"".join(segment.frame(first + at, body) for at, body in enumerate(bodies))


def found(data: bytes, first: int = 0) -> list[Frame | Break]:
    start = segment.body_start(data, ORIGIN, first, "a segment")
    return list(segment.frames(data, first, start or 0))


@given(st.lists(BODY, max_size=8), st.integers(0, 10**9))
def test_frames_come_back_as_they_were_written(bodies: list[bytes], first: int) -> None:
    each = found(written(bodies, first), first)
    assert [frame.body for frame in each if isinstance(frame, Frame)] == bodies
    assert [frame.sequence for frame in each] == list(range(first, first + len(bodies)))


@given(st.lists(BODY, min_size=1, max_size=4), st.data())
def test_a_flipped_bit_never_passes_and_costs_one_frame(bodies: list[bytes], data: st.DataObject) -> None:
    whole = written(bodies)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    damaged = bytearray(whole)
    damaged[bit // 8] ^= 1 << bit % 8
    start = segment.body_start(bytes(damaged), ORIGIN, 0, "a segment")
    each = list(segment.frames(bytes(damaged), 0, start or 0))
    kept = {frame.sequence: frame.body for frame in each if isinstance(frame, Frame)}
    assert all(bodies[at] == body for at, body in kept.items())
    assert len(kept) >= len(bodies) - 1
    assert start is None or len(kept) < len(bodies)


@given(st.lists(BODY, min_size=1, max_size=4), st.data())
def test_a_torn_tail_is_one_break_at_the_end(bodies: list[bytes], data: st.DataObject) -> None:
    whole = written(bodies)
    start = len(segment.header(ORIGIN, 0))
    each = found(whole[: data.draw(st.integers(start, len(whole)))])
    assert all(isinstance(frame, Frame) for frame in each[:-1])
    kept = [frame for frame in each if isinstance(frame, Frame)]
    assert [frame.body for frame in kept] == bodies[: len(kept)]


@given(st.binary(max_size=2000))
def test_any_bytes_give_frames_and_breaks_that_do_not_overlap(data: bytes) -> None:
    at = 0
    for each in segment.frames(data, 0, 0):
        assert each.offset == at
        at = each.offset + each.length if isinstance(each, Frame) else each.end
    assert at == len(data) or not data


def test_a_frame_of_another_place_is_not_taken_for_the_expected_one() -> None:
    moved = segment.header(ORIGIN, 0) + segment.frame(3, b"three") + segment.frame(1, b"one")
    assert [type(each) for each in found(moved)] == [Break, Frame, Break]


def test_a_later_format_is_told_from_damage_by_its_hash() -> None:
    newer = segment.header(ORIGIN, 0, version=2)
    with pytest.raises(NewerStateError, match="a segment of format 1, found format 2"):
        segment.body_start(newer, ORIGIN, 0, "a segment")
    damaged = segment.header(ORIGIN, 0).replace(b"segment 1", b"segment 2")
    assert segment.body_start(damaged, ORIGIN, 0, "a segment") is None


def test_a_segment_of_another_log_or_place_is_not_ours() -> None:
    assert segment.body_start(segment.header("evidenced/other/1", 0), ORIGIN, 0, "a segment") is None
    assert segment.body_start(segment.header(ORIGIN, 7), ORIGIN, 0, "a segment") is None


def test_the_place_of_a_lost_entry_keeps_its_leaf() -> None:
    leaf = bytes(range(32))
    (each,) = found(written([segment.lost(leaf)]))
    assert isinstance(each, Frame)
    assert each.lost_leaf == leaf


def test_the_bytes_of_format_1_do_not_change() -> None:
    assert segment.frame(7, b"{}") == (b"7 2 fd5d1528ce834e9121451742621f79ede4058e31c9df4ff04bcfd5328fc302a5\n{}\n")
    assert segment.name_of(256) == "000000000256.seg"
