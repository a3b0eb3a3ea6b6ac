"""The parent takes nothing that a child says on trust: what it cannot use is an error, and never breaks the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.collection.frames import FrameError
from agent.collection.limits import FAILURE_LIMIT, Limits
from agent.collection.receiver import Collection, Receiver
from agent.collection.validation import InvalidRowError
from agent.observing import now, sealed
from collectors.contract import Gap, Row, Table, means
from evidence import statement
from evidence.statement import Context, Cost, Observation

CANARY = "canary-7f3a"
COST = msgspec.json.encode(Cost(wall_ms=1, cpu_ms=1, peak_kib=1, files=1, bytes=1))
BEGIN, END = (b"T", b"facts"), (b"E", COST)
LIMITS = Limits(row_bytes=1000, table_bytes=5000, rows=20, gaps=5)


class Fact(Row):
    """One fact of a test."""

    name: Annotated[str, means("its name")]
    kind: Annotated[Literal["a", "b"], means("its kind")] = "a"


TABLES = [Table(name, Fact, key=("name",), reads=(), collect=lambda _host: ()) for name in ("facts", "others")]

Frames = Iterable[tuple[bytes, bytes]]


def received(frames: Frames, ending: str | None = None) -> list[Collection]:
    receiver = Receiver(TABLES, LIMITS, lambda _name, _rows: None)
    for kind, payload in frames:
        receiver.take(kind, payload)
    return receiver.finish(ending)


def signable(collections: list[Collection]) -> bytes:
    observation = Observation(
        name="host", labels={}, machine=None, observed="live", version="0", reason="by-hand", privileged=True
    )
    context = Context(origin="evidenced/0000000000000000/1", sequence=0, clock=now(), observation=observation)
    return statement.snapshot([sealed(each, None) for each in collections], context)


PAYLOADS = st.one_of(
    st.binary(max_size=80),
    st.sampled_from(
        [
            b"facts",
            b"others",
            b'{"kind":"a","name":"x"}',
            b'{"kind":"a","name":"x"}\n{"kind":"b","name":"y"}',
            b'{"kind":"a","name":"\xff"}',
            b'{"reason":"malformed","source":"/x"}',
            b'{"reason":"malformed","source":"/x","count":9007199254740991}',
            b'{"reason":"malformed","source":"/x","count":-1}',
            b'{"coverage":"unsupported","text":"no such thing"}',
            b'{"coverage":"failed","text":"\xff"}',
            COST,
            COST.replace(b":1,", b":9007199254740992,"),
            COST.replace(b":1,", b":-1,"),
        ]
    ),
)


@given(st.lists(st.tuples(st.sampled_from([b"T", b"R", b"G", b"F", b"E"]), PAYLOADS), max_size=12))
@example([BEGIN, (b"G", b'{"reason":"absent","source":"/x","count":9007199254740991}'), END])
@example([BEGIN, (b"R", b'{"kind":"a","name":"\xff"}'), END])
def test_whatever_a_child_says_is_our_error_or_can_be_signed(frames: Frames) -> None:
    try:
        collections = received(frames)
    except (FrameError, InvalidRowError):
        return
    signable(collections)


@pytest.mark.parametrize(
    "row",
    [
        f'{{"kind":"{CANARY}","name":"x"}}',
        f'{{"kind":"a","name":"x","{CANARY}":1}}',
        f'{{"kind":"a","name":["{CANARY}"]}}',
        f'{{"kind":"a","name":"{CANARY}"',
        f'{{"kind":"a","{CANARY} - at `$.{CANARY}`":1}}',
    ],
)
def test_a_row_that_breaks_its_header_is_not_quoted_in_the_reason(row: str) -> None:
    collection, _ = received([BEGIN, (b"R", row.encode()), END])
    assert collection.failure is not None
    assert collection.failure.startswith("defect in the collector: ")
    assert CANARY not in collection.failure


@pytest.mark.parametrize(
    "frame",
    [
        (b"F", b'{"coverage":"complete","text":"fine"}'),
        (b"F", b'{"coverage":"failed","text":"' + b"x" * (FAILURE_LIMIT + 1) + b'"}'),
        (b"F", b'{"coverage":"failed","text":"\xff"}'),
        (b"E", COST.replace(b":1,", b":-1,")),
        (b"E", COST.replace(b":1,", b":9007199254740992,")),
        (b"R", b'{"kind":"a","name":"' + b"x" * LIMITS.row_bytes + b'"}'),
        (b"G", b'{"reason":"absent","source":"' + b"x" * LIMITS.row_bytes + b'"}'),
        (b"G", b'{"reason":"absent","source":"/x","count":0}'),
        (b"G", b'{"reason":"absent","source":"/x","line":-1}'),
        (b"G", b'{"reason":"because","source":"/x"}'),
        (b"G", b'{"reason":"absent","source":"\xff"}'),
        (b"T", b"others"),
    ],
)
def test_a_frame_that_no_honest_child_sends_is_an_error(frame: tuple[bytes, bytes]) -> None:
    with pytest.raises((FrameError, InvalidRowError)) as caught:
        received([BEGIN, frame])
    assert len(str(caught.value)) < FAILURE_LIMIT


def test_a_defect_stays_one_whatever_the_child_says_afterwards() -> None:
    excuse = (b"F", b'{"coverage":"unsupported","text":"no such thing"}')
    collection, _ = received([BEGIN, (b"R", b'{"kind":"c","name":"x"}'), excuse, END])
    assert collection.coverage == "failed"


def test_gaps_are_folded_by_their_bytes_too() -> None:
    gap = msgspec.json.encode(Gap("/" + "x" * 900, "malformed"))
    limits = Limits(row_bytes=1000, table_bytes=2500, gaps=1000)
    receiver = Receiver(TABLES, limits, lambda _name, _rows: None)
    for kind, payload in (BEGIN, *[(b"G", gap)] * 10, END):
        receiver.take(kind, payload)
    collection, _ = receiver.finish(None)
    assert len(collection.gaps) == 3
    assert collection.reasons == {"malformed": 10}


def test_gaps_of_a_table_that_was_cut_short_are_all_counted() -> None:
    gap = (b"G", msgspec.json.encode(Gap("/x", "malformed")))
    collection, other = received([BEGIN, *[gap] * 8], ending="killed")
    assert collection.reasons == {"malformed": 8, "failed": 1}
    assert other.reasons == {"failed": 1}


def test_what_a_table_that_was_cut_short_took_is_what_the_child_took_beyond_the_others() -> None:
    receiver = Receiver(TABLES, LIMITS, lambda _name, _rows: None)
    for kind, payload in (BEGIN, END, (b"T", b"others")):
        receiver.take(kind, payload)
    spent = Cost(wall_ms=5000, cpu_ms=40, peak_kib=900, files=0, bytes=0)
    first, second = receiver.finish("timed out", spent)
    assert first.cost.wall_ms == 1
    assert second.cost == Cost(wall_ms=4999, cpu_ms=39, peak_kib=900, files=0, bytes=0)
