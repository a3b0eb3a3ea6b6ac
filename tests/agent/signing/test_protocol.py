"""Requests and answers: anything else is refused without a word of what it held."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.collection.frames import FRAME_LIMIT, FrameError, FrameParser
from agent.signing.kinds import EVENTS, check_event
from agent.signing.protocol import (
    KINDS,
    Absence,
    AnyAnswer,
    AnyQuestion,
    Done,
    Event,
    answer_frame,
    parse_answer,
    parse_question,
    question_frame,
)
from evidence.errors import FormatError
from tests.fuzz.fuzz_signing import target


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_conversation_or_our_error(data: bytes) -> None:
    target(data)


WORDS = st.sampled_from(["op", "tables", "kind", "fields", "labels", "hello", "record"])
VALUES = st.none() | st.booleans() | st.integers() | WORDS


@settings(max_examples=100)
@given(st.recursive(VALUES, lambda each: st.lists(each) | st.dictionaries(WORDS, each), max_leaves=8))
def test_any_json_is_a_request_or_our_error(value: object) -> None:
    with contextlib.suppress(FrameError):
        question = parse_question(msgspec.json.encode(value))
        assert parse_question(msgspec.json.encode(question)) == question


@pytest.mark.parametrize(
    "text",
    [
        b'{"op":"prune","before":"2026-01-01T00:00:00Z\\n"}',
        b'{"op":"delivered","sink":"a","batch":"../0123456789abcdef-1-000000000000-000000000001.tar.gz"}',
        b'{"op":"delivered","sink":"../a","batch":"0123456789abcdef-1-000000000000-000000000001.tar.gz"}',
        b'{"op":"prove","hub":"a\\nb","nonce":"1"}',
        b'{"op":"prove","hub":"a","nonce":"1\\n2"}',
        b'{"op":"snapshot","tables":[],"promise":{},"reason":"by-hand","privileged":false,"labels":{}}',
        b'{"op":"snapshot","tables":["a"],"promise":{"a":0},"reason":"by-hand","privileged":false,"labels":{}}',
        b'{"op":"snapshot","tables":["a"],"promise":{},"reason":"because","privileged":false,"labels":{}}',
        b'{"op":"record","kind":"job","fields":{"a":1}}',
        b'{"op":"batches","log":"x","first":0}',
    ],
)
def test_what_could_mean_something_else_elsewhere_is_no_request(text: bytes) -> None:
    with pytest.raises(FrameError):
        parse_question(text)


def test_an_answer_too_long_for_a_frame_leaves_its_news_out() -> None:
    (frame,) = FrameParser(KINDS).feed(answer_frame(Done(count=3, news=("x" * FRAME_LIMIT,))))
    assert parse_answer(frame[1]) == Done(count=3)


def test_every_request_and_answer_has_a_word_of_its_own() -> None:
    for union in (AnyQuestion, AnyAnswer):
        tags = [each.__struct_config__.tag for each in union.__args__]
        assert len(set(tags)) == len(tags)
    with pytest.raises(FrameError):
        question_frame(Event(kind="heartbeat", fields={"a": "y" * 70_000}, details={}, labels={}))


HEX = "0" * 64
VKEY = "hub.example+d7340f75+BOc06mwrYlfecjVeRyqgWkxIfmtGPAKe0wbfLwG1Y2tY"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("agent-started", {"version": "0.1.0", "config": HEX}),
        ("agent-stopped", {}),
        ("clock-jumped", {"from": "2026-01-01T00:00:00.000Z", "to": "1970-01-01T00:00:00.000Z"}),
        ("config-changed", {"digest": HEX}),
        (
            "enrolled",
            {"hub": "hub.example", "vkey": VKEY},
        ),
        ("heartbeat", {}),
        ("table-stuck", {"table": "mounts"}),
        ("watches-degraded", {"why": "overflow"}),
    ],
)
def test_each_kind_of_event_has_its_keys_and_no_others(kind: str, fields: dict[str, str]) -> None:
    check_event(kind, fields, None)
    with pytest.raises(FormatError, match="each of its form"):
        check_event(kind, {**fields, "path": "/home/ann"}, None)
    for key in fields:
        with pytest.raises(FormatError):
            check_event(kind, {name: value for name, value in fields.items() if name != key}, None)
        wrongs: tuple[object, ...] = ("/etc/passwd with spaces\n", 7, [], "")
        for wrong in wrongs:
            with pytest.raises(FormatError):
                check_event(kind, {**fields, key: wrong}, None)


def test_a_suspension_is_the_only_event_that_brings_its_own_absence() -> None:
    absence = Absence(since="2026-01-01T00:00:00Z", until="2026-01-01T00:00:01Z", reason="suspended")
    check_event("suspended", {}, absence)
    for kind in EVENTS.keys() - {"suspended"}:
        with pytest.raises(FormatError):
            check_event(kind, {}, absence)
    with pytest.raises(FormatError):
        Absence.parse({"from": "yesterday", "until": "2026-01-01T00:00:01Z", "reason": "suspended"})
