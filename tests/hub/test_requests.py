"""Requests as nobody should make them: each is answered as the protocol says, and the hub goes on."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.agents import Agent, BatchFile
from tests.hub.running import RunningHub, descriptors

HEADERS = ("Evidenced-Batch", "Evidenced-Digest", "Evidenced-Checkpoint", "Upload-Length", "Upload-Complete")


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_lacks_is_malformed(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path, name: str
) -> None:
    batch = new_agent().batch(tmp_path)
    headers = batch.headers(complete=True)
    del headers[name]
    answer = hub.ask("POST", "/v1/batches", batch.data, headers)
    assert (answer.status, answer.kind) == (400, "malformed")
    assert name in answer.json["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Evidenced-Batch", "../../etc/passwd"),
        ("Evidenced-Batch", "0123456789abcdef-1-000000000001-000000000001"),
        ("Evidenced-Batch", "0123456789abcdef-0-000000000000-000000000001"),
        ("Evidenced-Batch", "0123456789ABCDEF-1-000000000000-000000000001"),
        ("Evidenced-Digest", "0" * 63),
        ("Evidenced-Digest", "g" * 64),
        ("Evidenced-Checkpoint", "!!!!"),
        ("Evidenced-Checkpoint", "AAAA"),
        ("Evidenced-Checkpoint", "A" * 4100),
        ("Upload-Length", "-1"),
        ("Upload-Length", "1e3"),
        ("Upload-Length", "\u0661"),
        ("Upload-Complete", "true"),
        ("Upload-Complete", "1"),
    ],
)
def test_a_header_of_another_form_is_malformed(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path, name: str, value: str
) -> None:
    answer = hub.send(new_agent().batch(tmp_path), **{name: value.encode().decode("latin-1")})
    assert (answer.status, answer.kind) in ((400, "malformed"), (403, "not-enrolled"))
    assert value not in answer.body.decode() or value in "true1"


def test_a_header_that_stands_twice_is_malformed(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    batch = new_agent().batch(tmp_path)
    lines = [*batch.headers(complete=False).items(), ("Upload-Length", "7"), ("Content-Length", "0"), ("Host", "h")]
    head = (
        "POST /v1/batches HTTP/1.1\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in lines)
        + "Connection: close\r\n\r\n"
    )
    assert hub.raw(head.encode()).startswith(b"HTTP/1.1 400 ")


def test_lengths_that_contradict_each_other_are_malformed(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    batch = new_agent().batch(tmp_path)
    assert hub.send(batch, **{"Upload-Length": f"{len(batch.data) + 1}"}).status == 400
    assert hub.ask("POST", "/v1/batches", batch.data, batch.headers(complete=False)).status == 400


def test_what_is_too_large_is_said_before_it_is_sent(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    batch = new_agent().batch(tmp_path)
    answer = hub.begin(batch, **{"Upload-Length": f"{(256 << 20) + 1}"})
    assert (answer.status, answer.kind) == (413, "too-large")
    assert "max-size=268435456" in answer.headers["Upload-Limit"]
    where = hub.begin(batch).headers["Location"]
    assert hub.piece(where, 0, bytes((4 << 20) + 1), last=False).status == 413
    assert hub.ask("POST", "/add-checkpoint", bytes(65537)).status == 413


def test_a_body_needs_a_length_and_no_encoding(hub: RunningHub) -> None:
    chunked = b"POST /add-checkpoint HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert hub.raw(chunked, wait_s=3).startswith(b"HTTP/1.1 411 ")
    assert hub.ask("POST", "/add-checkpoint", b"x", {"Content-Encoding": "gzip"}).kind == "media"
    assert hub.ask("POST", "/v1/enrolments", b"{}", {"Content-Type": "text/plain"}).kind == "media"


def test_a_piece_at_another_offset_is_refused_with_the_right_one(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    batch = new_agent().batch(tmp_path)
    where = hub.begin(batch).headers["Location"]
    hub.piece(where, 0, batch.data[:50], last=False)
    for offset in (0, 49, 51, len(batch.data), 10**14):
        answer = hub.piece(where, offset, b"x", last=False)
        assert (answer.status, answer.headers["Upload-Offset"]) == (409, "50")
        assert answer.json["type"] == "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
    assert hub.piece(where, 50, batch.data[50:-1], last=True).status == 400  # the last piece ends too early
    assert hub.piece(where, 50, batch.data[50:] + b"x", last=False).status == 400  # behind the announced end
    assert hub.piece(where, 50, b"", last=False).status == 400
    assert hub.piece(where, 50, b"x", last=False, **{"Content-Type": "text/plain"}).status == 415
    assert hub.piece(where, 50, batch.data[50:], last=True).status == 200


def test_other_bytes_than_announced_are_refused_and_forgotten(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    batch = new_agent().batch(tmp_path)
    other = batch.data[:-1] + bytes([batch.data[-1] ^ 1])
    assert hub.ask("POST", "/v1/batches", other, batch.headers(complete=True)).kind == "digest"
    where = hub.begin(batch).headers["Location"]
    answer = hub.piece(where, 0, other, last=True)
    assert (answer.kind, answer.headers["Upload-Complete"]) == ("digest", "?1")
    assert hub.ask("HEAD", where).status == 404
    assert hub.send(batch).status == 200


def test_a_log_has_few_uploads_at_a_time(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent = new_agent()
    agent.append(6)
    begun = [hub.begin(agent.batch(tmp_path, 0, size)).status for size in range(1, 6)]
    assert begun == [201, 201, 201, 201, 429]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/hub/", 404),
        ("POST", "/v1/hub", 405),
        ("DELETE", "/v1/uploads/" + "0" * 32, 405),
        ("HEAD", "/v1/uploads/" + "0" * 32, 404),
        ("HEAD", "/v1/uploads/../../etc/passwd", 404),
        ("HEAD", "/v1/uploads/..%2f..%2fhub.sqlite", 404),
        ("GET", "/v1/logs/..%2f..%2fkeys/checkpoint", 404),
        ("GET", "/v1/logs/0123456789abcdef-1/checkpoint", 404),
        ("GET", "/v1/logs/" + "0" * 9000 + "/checkpoint", 404),
        ("GET", "/%00", 404),
        ("BREW", "/v1/hub", 405),
    ],
)
def test_paths_and_methods_that_are_not_the_protocols(hub: RunningHub, method: str, path: str, status: int) -> None:
    answer = hub.ask(method, path)
    assert answer.status == status
    assert len(answer.body) < 2000


def repacked(batch: BatchFile, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(batch.data)) as tar:
        members = [(each, tar.extractfile(each).read()) for each in tar]  # type: ignore[union-attr]
    change(members)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue())


def twice(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.append(members[-1])


def link(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    info = tarfile.TarInfo("blobs/00")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members[-1] = (info, b"")


def climb(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.append((tarfile.TarInfo("../../evil"), b"x"))


def empty(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    members.clear()


def bit(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    info, data = members[-1]
    members[-1] = (info, data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])


@pytest.mark.parametrize("attack", [twice, link, climb, empty, bit])
def test_a_container_that_was_tampered_with_is_refused(
    hub: RunningHub,
    new_agent: Callable[[], Agent],
    tmp_path: Path,
    attack: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None],
) -> None:
    agent = new_agent()
    agent.append(rows=7)
    good = agent.batch(tmp_path)
    answer = hub.send(BatchFile(good.name, repacked(good, attack), good.note))
    assert (answer.status, answer.kind) == (422, "batch")
    assert not [each for each in (hub.data / "blobs").iterdir() if each.name.startswith(".")]
    assert hub.send(good).status == 200


@pytest.mark.parametrize(
    "data", [b"", b"x", gzip.compress(b""), gzip.compress(bytes(1 << 24)), b"\x1f\x8b" + bytes(100)], ids=len
)
def test_what_is_no_batch_is_refused(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path, data: bytes
) -> None:
    good = new_agent().batch(tmp_path)
    answer = hub.send(BatchFile(good.name, data, good.note))
    assert answer.status in (413, 422)


def test_a_batch_of_another_log_than_announced_is_refused(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    agent, other = new_agent(), new_agent()
    mine, theirs = agent.batch(tmp_path), other.batch(tmp_path)
    assert hub.send(BatchFile(mine.name, theirs.data, mine.note)).kind == "digest"


def test_a_hundred_thousand_headers_end_the_connection(hub: RunningHub) -> None:
    head = b"GET /v1/hub HTTP/1.1\r\nHost: h\r\n" + b"".join(b"x%d: y\r\n" % at for at in range(100_000)) + b"\r\n"
    assert hub.raw(head).startswith(b"HTTP/1.1 400 ") or hub.raw(head) == b""
    assert hub.ask("GET", "/v1/hub").status == 200


def test_what_is_no_http_is_answered_and_ended(hub: RunningHub) -> None:
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"HELO\r\n\r\n"):
        answer = hub.raw(data)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer


def test_a_peer_that_is_gone_before_its_answer_does_the_hub_no_harm(
    hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path
) -> None:
    batch = new_agent().batch(tmp_path)
    lines = "".join(f"{name}: {value}\r\n" for name, value in batch.headers(complete=True).items())
    head = f"POST /v1/batches HTTP/1.1\r\nHost: h\r\nContent-Length: {len(batch.data)}\r\n{lines}\r\n".encode()
    for sent in (head, head + batch.data[:9], head + batch.data):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", hub.port)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # ends with a reset
                connection.sendall(sent)
    assert hub.send(batch).status == 200


def test_smuggled_requests_are_not_served(hub: RunningHub) -> None:
    both = (
        b"POST /add-checkpoint HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /v1/hub HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    assert b'"protocol"' not in hub.raw(both, wait_s=3)


def test_an_answer_to_an_unread_body_ends_the_connection(hub: RunningHub, tmp_path: Path) -> None:
    stranger = Agent(88).batch(tmp_path)
    answer = hub.send(stranger)
    assert (answer.status, answer.headers["Connection"]) == (403, "close")


def test_peers_that_send_nothing_are_let_go(hub: RunningHub) -> None:
    before = descriptors(hub.pid)
    idle = [socket.create_connection(("127.0.0.1", hub.port)) for _ in range(30)]
    for each in idle[:15]:
        each.sendall(b"GET /v1/hub HTTP/1.1\r\nHost: ")
    assert hub.ask("GET", "/v1/hub").status == 200
    for each in idle:
        each.close()
    deadline = time.monotonic() + 5
    while descriptors(hub.pid) > before + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert descriptors(hub.pid) <= before + 2


def test_the_log_has_a_line_for_each_request(hub: RunningHub, new_agent: Callable[[], Agent], tmp_path: Path) -> None:
    agent = new_agent()
    batch = agent.batch(tmp_path)
    where = hub.begin(batch).headers["Location"]
    hub.piece(where, 0, batch.data, last=True)
    line = hub.line(lambda each: each.get("log") == agent.log.id and each["method"] == "PATCH")
    assert (line["status"], line["path"], line["received"]) == (200, "/v1/uploads/{upload}", len(batch.data))
    assert where.rpartition("/")[2] not in hub.log_text()
    assert hashlib.sha256(batch.data).hexdigest() not in hub.log_text()
