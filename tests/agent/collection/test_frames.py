"""The framed pipe between a collecting child and its parent."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collection.frames import FRAME_LIMIT, FrameError, FrameParser, FrameWriter, encode

FRAMES = st.lists(st.tuples(st.sampled_from([b"T", b"R", b"G", b"F", b"E"]), st.binary(max_size=200)))


@given(FRAMES, st.integers(1, 50))
def test_frames_arrive_whole_however_the_pipe_cuts_them(frames: list[tuple[bytes, bytes]], step: int) -> None:
    stream = b"".join(encode(kind, payload) for kind, payload in frames)
    parser = FrameParser()
    seen = [frame for start in range(0, len(stream), step) for frame in parser.feed(stream[start : start + step])]
    parser.finish()
    assert seen == frames


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_our_error(data: bytes) -> None:
    parser = FrameParser()
    try:
        frames = list(parser.feed(data))
        parser.finish()
    except FrameError:
        return
    assert b"".join(encode(kind, payload) for kind, payload in frames) == data


def test_a_frame_over_the_limit_is_refused_before_its_payload_has_come() -> None:
    with pytest.raises(FrameError, match="at most"):
        list(FrameParser().feed(b"R" + (FRAME_LIMIT + 1).to_bytes(4, "big")))


def test_a_stream_cut_inside_a_frame_is_an_error() -> None:
    parser = FrameParser()
    assert list(parser.feed(encode(b"R", b"{}")[:-1])) == []
    with pytest.raises(FrameError, match="unfinished"):
        parser.finish()


def test_lines_of_one_kind_share_a_frame_and_keep_their_order() -> None:
    reading, writing = os.pipe()
    writer = FrameWriter(writing)
    writer.line(b"R", b"1")
    writer.line(b"R", b"2")
    writer.line(b"G", b"3")
    writer.send(b"E", b"{}")
    os.close(writing)
    assert list(FrameParser().feed(os.read(reading, 1000))) == [(b"R", b"1\n2"), (b"G", b"3"), (b"E", b"{}")]
    os.close(reading)
