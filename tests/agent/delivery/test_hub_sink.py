"""A hub that does everything wrong: faults N1 to N4, N6 and N9, and what each is answered with."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.delivery import address
from agent.delivery.answers import NOT_A_HUB
from agent.delivery.budget import Limits
from agent.delivery.errors import AnswerError, UnreachableError
from agent.delivery.outbox import Outgoing
from agent.delivery.pace import Pace
from agent.delivery.results import Behind, Delivered, Held, Parked, Result, Retry, Unknown
from agent.delivery.sinks.hub import SMALLEST_PIECE, HubSink
from agent.delivery.transport import Client
from evidence import note
from evidence.keys import PrivateKey
from evidence.note import Checkpoint
from tests.agent.delivery.batches import HUB, HUB_KEY, HUB_NAME, Host, cosigned, host
from tests.agent.delivery.hostile import Heard, Hostile, Script, answers, ends, hostile, says

QUICK = Limits(connect_s=0.5, connect_all_s=1, read_s=0.5, total_s=1)
PLAIN = "Content-Type: text/plain; charset=utf-8"


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return host(tmp_path_factory.mktemp("hub-sink"))


@pytest.fixture
def batch(sender: Host) -> Iterator[Outgoing]:
    with sender.opened() as opened:
        yield opened


class Kept(list[bytes]):
    """What was kept aside."""


def sink_at(server: Hostile, kept: Kept | None = None, piece: int | None = None) -> HubSink:
    return HubSink(
        "hub",
        Client(address.parse(server.url, "url"), limits=QUICK),
        Pace(1 << 30),
        key=HUB,
        enrol=lambda _client: "there is no token",
        keep=(Kept() if kept is None else kept).append,
        piece=piece,
    )


def sent(batch: Outgoing, *scripts: Script, kept: Kept | None = None) -> Result:
    with hostile(*scripts) as server, closing(sink_at(server, kept)) as sink:
        return sink.deliver(batch)


def problem(status: int, kind: str, *headers: str, **more: str) -> Script:
    body = {"type": f"urn:evidenced:hub:{kind}", "title": kind, "status": status, "detail": "as it says", **more}
    return answers(status, json.dumps(body).encode(), "Content-Type: application/problem+json", *headers)


def test_a_small_batch_goes_in_one_request_and_its_note_is_the_acknowledgement(batch: Outgoing) -> None:
    with hostile(answers(200, cosigned(batch), PLAIN)) as server, closing(sink_at(server)) as sink:
        assert sink.deliver(batch) == Delivered(cosigned(batch))
    (heard,) = server.heard
    assert heard.line == "POST /v1/batches HTTP/1.1"
    assert heard.body == b"".join(batch.blocks())
    assert heard.header("Evidenced-Digest") == batch.sha256
    assert heard.header("Evidenced-Batch") == batch.name.removesuffix(".tar.gz")
    assert (heard.header("Upload-Complete"), heard.header("Upload-Length")) == ("?1", str(batch.size))
    assert heard.header("Authorization") is None


def other_size(batch: Outgoing, size: int) -> bytes:
    """Return a note that the hub and an unknown key have signed, of another size."""
    text = Checkpoint(batch.head.origin, size, batch.head.checkpoint.root).text()
    return (
        note.sign(text, batch.head.origin, PrivateKey(b"\1" * 32))
        .with_line(note.cosign(text, HUB_NAME, HUB_KEY, 1))
        .encode()
    )


def of_another_log(batch: Outgoing) -> bytes:
    text = batch.head.note.text.replace("evidenced/", "evidence/")
    return (
        note.sign(text, "evidence/x", PrivateKey(b"\1" * 32))
        .with_line(note.cosign(text, HUB_NAME, HUB_KEY, 1))
        .encode()
    )


NO_ACKNOWLEDGEMENTS: dict[str, Callable[[Outgoing], bytes]] = {
    "nothing": lambda _batch: b"",
    "a page of a portal": lambda _batch: b"<html><body>Please log in</body></html>",
    "JSON": lambda _batch: b'{"ok":true}',
    "our own note without the hub's line": lambda batch: batch.head.note.encode(),
    "signed by another key of the hub's name": lambda batch: cosigned(batch, PrivateKey(b"\2" * 32)),
    "signed by another name": lambda batch: cosigned(batch, HUB_KEY, "other.example"),
    "signed as a plain note": lambda batch: batch.head.note.with_line(
        note.sign(batch.head.note.text, HUB_NAME, HUB_KEY).lines[0]
    ).encode(),
    "another log": of_another_log,
    "an old size": lambda batch: other_size(batch, 1),
    "a size that our key did not sign": lambda batch: other_size(batch, 99),
    "a note cut short": lambda batch: cosigned(batch)[:-10],
    "a note with more behind it": lambda batch: cosigned(batch) + b"\n",
    "not UTF-8": lambda batch: cosigned(batch).replace(b"hub", b"\xff\xfe\xfd"),
}


@pytest.mark.parametrize("story", NO_ACKNOWLEDGEMENTS)
def test_a_200_without_the_right_note_is_no_acknowledgement_and_is_kept(batch: Outgoing, story: str) -> None:
    body = NO_ACKNOWLEDGEMENTS[story](batch)
    kept = Kept()
    with pytest.raises(AnswerError):
        sent(batch, answers(200, body, PLAIN), kept=kept)
    assert kept == [body]


@pytest.mark.parametrize("status", [202, 204, 206, 301, 302, 307, 308, 304])
def test_any_other_2xx_and_3xx_is_tried_again(batch: Outgoing, status: int) -> None:
    assert isinstance(sent(batch, answers(status, b"", "Location: http://127.0.0.1:1/")), Retry)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 507, 599, 408, 425, 429])
def test_an_unwell_hub_is_tried_again(batch: Outgoing, status: int) -> None:
    assert isinstance(sent(batch, answers(status)), Retry)


@pytest.mark.parametrize(
    ("asked", "seconds"), [("120", 120), ("86400", 3600), ("-1", None), ("soon", None), ("9" * 400, None)]
)
def test_a_hub_that_asks_for_patience_gets_it_within_an_hour(
    batch: Outgoing, asked: str, seconds: float | None
) -> None:
    result = sent(batch, problem(429, "too-many", f"Retry-After: {asked}"))
    assert isinstance(result, Retry)
    assert result.after_s == seconds


@pytest.mark.parametrize("status", [400, 404, 405, 410, 411, 415, 417, 422, 451])
def test_a_batch_that_is_refused_is_parked(batch: Outgoing, status: int) -> None:
    assert isinstance(sent(batch, answers(status)), Parked)


@pytest.mark.parametrize("answer", [answers(404, b"<html>"), answers(302), answers(401), answers(200, b"<html>")])
def test_where_something_else_than_a_hub_answers_it_is_said_with_what_to_do(batch: Outgoing, answer: Script) -> None:
    try:
        said = str(sent(batch, answer))
    except AnswerError as error:
        said = str(error)
    assert said.count(NOT_A_HUB) == 1


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (401, "token", Held),
        (403, "not-enrolled", Unknown),
        (403, "signature", Parked),
        (403, "anything", Held),
        (409, "key", Held),
        (409, "busy", Retry),
        (409, "nonsense", Retry),
        (422, "batch", Parked),
    ],
)
def test_what_a_hub_says_decides(batch: Outgoing, status: int, kind: str, expected: type) -> None:
    result = sent(batch, problem(status, kind))
    assert isinstance(result, expected)
    assert kind in str(result)


def size_at(batch: Outgoing, *scripts: Script, kept: Kept | None = None) -> int | None:
    with hostile(*scripts) as server, closing(sink_at(server, kept)) as sink:
        found = sink.size_of(batch.place.log_id)
    assert server.heard[0].line == f"GET /v1/logs/{batch.place.log_id}/checkpoint HTTP/1.1"
    return found


def test_how_far_a_hub_has_a_log_is_what_it_has_signed(batch: Outgoing) -> None:
    assert size_at(batch, answers(200, cosigned(batch), PLAIN)) == batch.place.size
    assert size_at(batch, problem(404, "unknown")) is None


@pytest.mark.parametrize(
    "story", sorted(set(NO_ACKNOWLEDGEMENTS) - {"an old size", "a size that our key did not sign"})
)
def test_what_a_hub_has_not_signed_says_nothing_of_how_far_it_has_a_log(batch: Outgoing, story: str) -> None:
    kept = Kept()
    with pytest.raises(AnswerError):
        size_at(batch, answers(200, NO_ACKNOWLEDGEMENTS[story](batch), PLAIN), kept=kept)
    assert len(kept) == 1


@pytest.mark.parametrize("status", [204, 301, 403, 404, 500, 503])
def test_only_the_hubs_own_404_says_that_it_has_nothing_of_a_log(batch: Outgoing, status: int) -> None:
    with pytest.raises(AnswerError):
        size_at(batch, answers(status))


def test_what_a_hub_says_is_cut_and_harmless(batch: Outgoing) -> None:
    result = sent(batch, problem(400, "malformed", detail="\x1b[31m\u202e" + "a" * 10_000))
    assert isinstance(result, Parked)
    assert result.reason.isprintable()
    assert len(result.reason) < 400


def test_bytes_that_were_damaged_on_the_way_are_sent_three_times(batch: Outgoing) -> None:
    with hostile(problem(422, "digest")) as server, closing(sink_at(server)) as sink:
        assert isinstance(sink.deliver(batch), Parked)
        assert len(server.heard) == 3


def size_answer(size: str) -> Script:
    return answers(409, size.encode(), "Content-Type: text/x.tlog.size")


def test_a_hub_that_stands_further_back_says_where(tmp_path: Path) -> None:
    far = host(tmp_path, batches=2)
    with far.opened(far.names()[1]) as second:
        assert sent(second, size_answer("1\n")) == Behind(1)


@pytest.mark.parametrize("size", ["0", "5", "-1", "01", "1e3", "", "x", "9" * 50])
def test_a_size_that_makes_no_sense_is_tried_again(batch: Outgoing, size: str) -> None:
    assert isinstance(sent(batch, size_answer(size)), Retry)


def test_a_fork_is_kept_as_evidence_with_the_note_that_the_hub_had(batch: Outgoing) -> None:
    kept = Kept()
    result = sent(batch, problem(409, "fork", known="the note\n", other="ours\n"), kept=kept)
    assert isinstance(result, Parked)
    assert result.note == "the note\n"
    assert json.loads(kept[0])["other"] == "ours\n"


class PiecewiseHub:
    """A hub that takes uploads in pieces, and can be told to misbehave on the way."""

    def __init__(self, batch: Outgoing) -> None:
        self.batch = batch
        self.data = bytearray()
        self.pieces: list[int] = []
        self.largest = 1 << 30
        self.trouble: list[Callable[[socket.socket], None]] = []
        self.forgets = False

    def __call__(self, connection: socket.socket, heard: Heard) -> None:
        method, path, _ = heard.line.split()
        if method == "POST":
            if heard.header("Upload-Complete") == "?1":
                answers(413)(connection, heard)
                return
            self._created(connection, heard)
        elif path == "/v1/uploads/7":
            self._piece(connection, heard)

    def _created(self, connection: socket.socket, heard: Heard) -> None:
        answers(201, b"", "Location: /v1/uploads/7", f"Upload-Offset: {len(self.data)}", "Upload-Limit: max-age=9")(
            connection, heard
        )

    def _piece(self, connection: socket.socket, heard: Heard) -> None:
        if self.trouble:
            self.trouble.pop(0)(connection)
            return
        if self.forgets:
            self.forgets, self.data = False, bytearray()
            problem(404, "unknown")(connection, heard)
            return
        if len(heard.body) > self.largest:
            answers(413)(connection, heard)
            return
        offset = f"Upload-Offset: {len(self.data)}"
        if heard.header("Upload-Offset") != str(len(self.data)):
            kind = "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
            body = json.dumps({"type": kind}).encode()
            answers(409, body, "Content-Type: application/problem+json", offset)(connection, heard)
            return
        self.data += heard.body
        self.pieces.append(len(heard.body))
        if heard.header("Upload-Complete") == "?1":
            answers(200, cosigned(self.batch), PLAIN)(connection, heard)
        else:
            answers(204, b"", f"Upload-Offset: {len(self.data)}")(connection, heard)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outgoing]:
    """Return a batch of more than three of the smallest pieces."""
    import secrets  # noqa: PLC0415  rows that do not compress

    from tests.evidence.store_parts import SEEN, table  # noqa: PLC0415

    made = host(tmp_path_factory.mktemp("large"))
    with made.store() as store:
        rows = [b'{"name":"%s"}' % secrets.token_hex(32).encode() for _ in range(6000)]
        store.append_snapshot([table("users", *rows)], SEEN)
    name = made.write(2)
    with made.opened(name) as opened:
        assert opened.size > 3 * SMALLEST_PIECE
        yield opened


def in_pieces(hub: PiecewiseHub, piece: int = SMALLEST_PIECE) -> tuple[Result, HubSink]:
    with hostile(hub) as server, closing(sink_at(server, piece=piece)) as sink:
        return sink.deliver(hub.batch), sink


def test_a_large_batch_goes_in_pieces_that_grow_while_it_goes_well(large: Outgoing) -> None:
    hub = PiecewiseHub(large)
    result, sink = in_pieces(hub)
    assert isinstance(result, Delivered)
    assert bytes(hub.data) == b"".join(large.blocks())
    assert hub.pieces[0] == SMALLEST_PIECE
    assert sink.piece > SMALLEST_PIECE


def test_an_upload_goes_on_where_it_stopped(large: Outgoing) -> None:
    hub = PiecewiseHub(large)
    hub.data += next(large.blocks(0, 1000))
    result, _ = in_pieces(hub)
    assert isinstance(result, Delivered)
    assert sum(hub.pieces) == large.size - 1000


def test_a_piece_that_is_too_large_is_halved(large: Outgoing) -> None:
    hub = PiecewiseHub(large)
    hub.largest = SMALLEST_PIECE
    result, _ = in_pieces(hub, piece=SMALLEST_PIECE * 2)
    assert isinstance(result, Delivered)
    assert max(hub.pieces) <= SMALLEST_PIECE


def test_a_hub_that_takes_not_even_the_smallest_piece_parks_the_batch_as_too_large(large: Outgoing) -> None:
    hub = PiecewiseHub(large)
    hub.largest = 100
    result, _ = in_pieces(hub)
    assert isinstance(result, Parked)
    assert result.reason.startswith("too-large")


def test_an_upload_that_the_hub_forgot_is_begun_again(large: Outgoing) -> None:
    hub = PiecewiseHub(large)
    hub.forgets = True
    assert isinstance(in_pieces(hub)[0], Delivered)


def test_a_broken_piece_is_tried_again_later_with_smaller_ones(large: Outgoing) -> None:
    hub = PiecewiseHub(large)

    def dies(_connection: socket.socket) -> None:
        raise ConnectionError

    hub.trouble = [dies, dies]
    with hostile(hub) as server, closing(sink_at(server, piece=SMALLEST_PIECE * 4)) as sink:
        with pytest.raises(UnreachableError):
            sink.deliver(large)
        assert sink.piece < SMALLEST_PIECE * 4
        assert isinstance(sink.deliver(large), Delivered)


def test_a_hub_whose_offset_never_moves_is_left_for_now(large: Outgoing) -> None:
    stuck = answers(204, b"", "Upload-Offset: 0")
    begun = answers(201, b"", "Location: /v1/uploads/7", "Upload-Offset: 0")

    def script(connection: socket.socket, heard: Heard) -> None:
        (begun if heard.line.startswith("POST") else stuck)(connection, heard)

    with hostile(script) as server, closing(sink_at(server, piece=SMALLEST_PIECE)) as sink:
        assert isinstance(sink.deliver(large), Retry)


@pytest.mark.parametrize(
    "location",
    ["http://evil.example/x", "//evil.example/x", "/v1/../../x", "", "/a b", "/v1/uploads/\u00e9", "/" + "a" * 600],
)
def test_an_upload_is_on_the_same_host_or_nowhere(large: Outgoing, location: str) -> None:
    begun = says(f"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode())
    with hostile(begun) as server, closing(sink_at(server, piece=SMALLEST_PIECE)) as sink, pytest.raises(AnswerError):
        sink.deliver(large)


def test_a_lost_answer_is_asked_for_again_and_is_the_same(batch: Outgoing) -> None:
    with hostile(ends(), answers(200, cosigned(batch), PLAIN)) as server, closing(sink_at(server)) as sink:
        with pytest.raises(UnreachableError):
            sink.deliver(batch)
        assert sink.deliver(batch) == Delivered(cosigned(batch))
        assert server.heard[0].body == server.heard[1].body
