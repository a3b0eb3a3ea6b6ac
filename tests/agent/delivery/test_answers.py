"""What a hub says, read strictly: any bytes give a value or our error."""

from __future__ import annotations

import email.message
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.delivery import answers
from agent.delivery.errors import AnswerError
from agent.delivery.transport import Answer
from tests.agent.delivery.batches import HUB, HUB_NAME
from tests.fuzz import fuzz_hub_answer

VKEY = HUB.key.vkey(HUB_NAME, HUB.kind)
INFO = {"max_batch": 9, "max_chunk": 9, "name": HUB_NAME, "nonce": "n" * 20, "protocol": 1, "vkey": VKEY}


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    message = email.message.Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return Answer(status, message, body)


def test_a_hub_says_who_it_is_and_what_it_says_beside_is_passed_over() -> None:
    found = answers.hub_info(answer(body=json.dumps({**INFO, "motto": "x"}).encode()), "hub")
    assert found.verifier == HUB


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": 2},
        {"protocol": None},
        {"max_chunk": 0},
        {"max_chunk": -1},
        {"max_chunk": 2**60},
        {"name": ""},
        {"nonce": 7},
        {"vkey": "x" * 2000},
    ],
)
def test_another_document_is_no_hub(change: dict[str, object]) -> None:
    with pytest.raises(AnswerError):
        answers.hub_info(answer(body=json.dumps({**INFO, **change}).encode()), "hub")


@pytest.mark.parametrize("vkey", ["", "x", "a+b+c", HUB.key.vkey(HUB_NAME), VKEY.replace("hub.", "hub2."), VKEY[:-4]])
def test_another_text_is_no_key_that_cosigns(vkey: str) -> None:
    with pytest.raises(AnswerError):
        answers.storage_key(vkey, "vkey")


@pytest.mark.parametrize(
    ("body", "size"),
    [(b"0\n", 0), (b"17\n", 17), (b"17", 17), (b"017", None), (b"-1", None), (b"17\n\n", None), (b"9" * 17, None)],
)
def test_a_size_is_a_decimal_number_and_nothing_else(body: bytes, size: int | None) -> None:
    assert answers.log_size(answer(409, body, content_type="text/x.tlog.size")) == size


def test_a_size_counts_with_its_status_and_type_only() -> None:
    assert answers.log_size(answer(400, b"1", content_type="text/x.tlog.size")) is None
    assert answers.log_size(answer(409, b"1", content_type="text/plain")) is None


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("max-size=9, max-append-size=5, max-age=1", 5),
        ("max-append-size=0", 1),
        ("max-append-size=x", None),
        ("max-append-size=-1", None),
        ("", None),
    ],
)
def test_a_hub_says_how_large_a_piece_may_be(text: str, limit: int | None) -> None:
    assert answers.append_limit(answer(upload_limit=text)) == limit


GOOD = (
    b"\x08\x00/v1/uploads/7\n10\nmax-append-size=5\n120\n\n"
    + json.dumps({"type": "urn:evidenced:hub:fork", "detail": "d", "known": "n", **INFO}).encode()
)


@settings(max_examples=100)
@given(
    st.binary(max_size=200)
    | st.builds(
        lambda at, data, to: GOOD[:at] + data + GOOD[to:],
        st.integers(0, 300),
        st.binary(max_size=6),
        st.integers(0, 300),
    )
)
def test_any_answer_is_a_value_or_our_error(data: bytes) -> None:
    fuzz_hub_answer.target(data)
