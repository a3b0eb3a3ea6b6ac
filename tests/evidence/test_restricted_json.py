"""The restricted JSON: one encoding, and every ambiguity refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import EvidenceError, FormatError, LimitError
from evidence.restricted_json import MAX_INTEGER, decode, encode

KEYS = st.from_regex(r"[a-z0-9_.:-]{1,64}", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)

REFUSED = {
    "two equal keys": b'{"a":1,"a":1}',
    "two equal keys, one escaped": b'{"a":1,"\\u0061":2}',
    "NaN": b'{"a":NaN}',
    "Infinity": b"[-Infinity]",
    "a fraction": b"[1.0]",
    "an exponent": b"[1e2]",
    "an exponent that overflows": b"[1e400]",
    "an integer past 2^53-1": b"[9007199254740992]",
    "an integer of 5,000 digits": b"[" + b"9" * 5000 + b"]",
    "negative zero": b"[-0]",
    "half a surrogate pair": b'["\\ud800"]',
    "half a surrogate pair as a key": b'{"\\udc00":1}',
    "a surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "a byte order mark": b"\xef\xbb\xbf[]",
    "UTF-16": '["a"]'.encode("utf-16"),
    "UTF-16 without mark": '["a"]'.encode("utf-16-le"),
    "a key with a capital": b'{"Name":1}',
    "an empty key": b'{"":1}',
    "a key of 65 characters": b'{"' + b"a" * 65 + b'":1}',
    "a key that ends in a newline": b'{"a\\n":1}',
    "two values": b"[] []",
    "nothing": b"",
    "a raw control character": b'["\x01"]',
    "a comment": b"[1 /* one */]",
    "a trailing comma": b"[1,]",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_ambiguous_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode(data)


def test_depth_and_size_are_limited_before_parsing() -> None:
    assert decode(b"[" * 32 + b"]" * 32) is not None
    with pytest.raises(LimitError, match="32 nested"):
        decode(b"[" * 33 + b"]" * 33)
    with pytest.raises(LimitError, match="at most 10 bytes"):
        decode(b'["aaaaaaaa"]', limit=10)
    with pytest.raises(LimitError):
        decode(b'{"a":' * 1_000_000)


def test_brackets_inside_text_are_not_depth() -> None:
    assert decode(json.dumps(["[" * 100, '\\"[[' * 50]).encode()) == ["[" * 100, '\\"[[' * 50]


@pytest.mark.parametrize("bait", [b'"' + b'\\"' * 500_000, b'"' * 1_000_001, b'"' + b"\\" * 1_000_001])
def test_a_text_that_never_ends_is_refused_in_linear_time(bait: bytes) -> None:
    before = time.process_time()
    with pytest.raises(FormatError):
        decode(bait)
    assert time.process_time() - before < 2


def test_the_foreign_keys_of_in_toto_and_dsse_pass() -> None:
    value = {"_type": "a", "payloadType": "c", "predicateType": "b"}
    assert encode(value) == b'{"_type":"a","payloadType":"c","predicateType":"b"}'
    assert decode(encode(value)) == value


@pytest.mark.parametrize("value", [1.5, float("nan"), MAX_INTEGER + 1, "\ud800", {"A": 1}, {1: 2}, {"a": [2.0]}])
def test_a_producer_cannot_write_what_a_verifier_refuses(value: Any) -> None:
    with pytest.raises(FormatError):
        encode(value)


def test_a_producer_cannot_nest_deeper_than_a_verifier_reads() -> None:
    value: Any = []
    for _ in range(31):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(LimitError):
        encode([value])


def test_text_is_written_raw_and_controls_are_escaped_as_documented() -> None:
    assert encode(["é/\u2028\x7f", '\b\t\n\f\r"\\', "\x00\x1f"]) == (
        '["é/\u2028\x7f","\\b\\t\\n\\f\\r\\"\\\\","\\u0000\\u001f"]'.encode()
    )


@given(VALUES)
def test_what_is_encoded_decodes_to_itself_and_has_one_encoding(value: Any) -> None:
    data = encode(value)
    assert decode(data) == value
    assert encode(decode(data)) == data


@given(VALUES)
def test_the_encoding_is_that_of_the_standard_library_with_sorted_keys(value: Any) -> None:
    theirs = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert encode(value) == theirs.encode()


@given(st.binary(max_size=200) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_value_or_our_error(data: bytes) -> None:
    try:
        value = decode(data)
    except EvidenceError:
        return
    assert decode(encode(value)) == value
