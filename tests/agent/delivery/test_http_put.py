"""Any store that takes a PUT: a hostile one, and nginx with WebDAV as Debian ships it."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.configuration.model import HttpPut
from agent.delivery import address
from agent.delivery.budget import Limits
from agent.delivery.errors import AnswerError, DeliveryError, SettingsError
from agent.delivery.opening import client_of
from agent.delivery.outbox import Outgoing
from agent.delivery.pace import Pace
from agent.delivery.results import Delivered, Held, Parked, Result, Retry
from agent.delivery.sinks.http_put import HttpPutSink, authorization
from agent.delivery.tls import Trust
from agent.delivery.transport import Client
from tests.agent.delivery.batches import Host, host
from tests.agent.delivery.certificates import LOOPBACK, Made, make
from tests.agent.delivery.hostile import Heard, answers, hostile
from tests.conftest import program

QUICK = Limits(connect_s=0.5, connect_all_s=1, read_s=0.5, total_s=1)


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return host(tmp_path_factory.mktemp("http-put"))


@pytest.fixture
def batch(sender: Host) -> Iterator[Outgoing]:
    with sender.opened() as opened:
        yield opened


def put(url: str, batch: Outgoing, confirm: str = "read-back", **more: str | None) -> Result:
    client = Client(address.parse(url, "url"), limits=QUICK)
    with closing(HttpPutSink("store", client, Pace(1 << 30), confirm=confirm, **more)) as sink:
        return sink.deliver(batch)


class Store:
    """A store that keeps what it gets, or something else."""

    def __init__(self, damage: bytes = b"") -> None:
        self.files: dict[str, bytes] = {}
        self._damage = damage

    def __call__(self, connection: socket.socket, heard: Heard) -> None:
        method, path, _ = heard.line.split()
        if method == "PUT":
            self.files[path] = heard.body
            answers(201)(connection, heard)
        else:
            answers(200, self.files[path] + self._damage)(connection, heard)


def test_what_the_store_has_is_read_back_and_compared(batch: Outgoing) -> None:
    store = Store()
    with hostile(store) as server:
        assert put(server.url + "/base/", batch) == Delivered()
    assert store.files == {f"/base/{batch.name}": b"".join(batch.blocks())}
    assert [each.line.split()[0] for each in server.heard] == ["PUT", "GET"]


def test_another_content_is_not_delivered(batch: Outgoing) -> None:
    with hostile(Store(b"!")) as server, pytest.raises(AnswerError, match="read back"):
        put(server.url, batch)


def test_a_store_that_says_200_and_keeps_nothing_is_found_out(batch: Outgoing) -> None:
    with hostile(answers(200), answers(404)) as server:
        assert isinstance(put(server.url, batch), Retry)


def test_a_portal_that_answers_everything_is_found_out(batch: Outgoing) -> None:
    with hostile(answers(200, b"<html>welcome</html>")) as server, pytest.raises(AnswerError):
        put(server.url, batch)


def test_a_status_is_enough_only_where_it_was_configured(batch: Outgoing) -> None:
    with hostile(answers(201)) as server:
        assert put(server.url, batch, confirm="status") == Delivered()
    assert len(server.heard) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 408, 423, 425, 429, 301, 302, 307, 308, 202, 206, 300])
def test_what_may_pass_is_tried_again(batch: Outgoing, status: int) -> None:
    with hostile(answers(status, b"", "Location: http://127.0.0.1:9/")) as server:
        assert isinstance(put(server.url, batch, confirm="status"), Retry)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 409, 410])
def test_rights_and_folders_are_for_the_owner_of_the_store(batch: Outgoing, status: int) -> None:
    with hostile(answers(status)) as server:
        assert isinstance(put(server.url, batch), Held)


@pytest.mark.parametrize("status", [400, 411, 415, 422])
def test_a_batch_that_is_refused_is_parked(batch: Outgoing, status: int) -> None:
    with hostile(answers(status)) as server:
        assert isinstance(put(server.url, batch), Parked)


def test_a_batch_that_is_too_large_is_parked_with_the_word_that_has_it_written_in_two(batch: Outgoing) -> None:
    with hostile(answers(413)) as server:
        result = put(server.url, batch)
    assert isinstance(result, Parked)
    assert result.reason.startswith("too-large")


def test_a_token_is_sent_as_bearer_or_as_the_password_of_a_user(batch: Outgoing) -> None:
    with hostile(answers(201)) as server:
        put(server.url, batch, confirm="status", token="canary")
        put(server.url, batch, confirm="status", token="canary", user="ann")
    sent = [each.header("authorization") for each in server.heard]
    assert sent == ["Bearer canary", "Basic " + base64.b64encode(b"ann:canary").decode()]


@pytest.mark.parametrize("token", ["", "a\r\nX: y", "a b", "\u00e9", "a\x00"])
def test_a_token_that_is_none_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(SettingsError) as refused:
        authorization(token, None)
    assert "\u00e9" not in str(refused.value)


def test_an_address_that_lets_in_whoever_knows_it_comes_from_a_file_and_is_never_shown(
    batch: Outgoing, tmp_path: Path
) -> None:
    store, file = Store(), tmp_path / "url"
    file.touch(0o600)
    with hostile(store) as server:
        file.write_text(f"{server.url}/canary-path/?sig=canary-query\n")
        client = client_of(HttpPut(name="store", url_file=str(file)), QUICK)
        with closing(HttpPutSink("store", client, Pace(1 << 30), confirm="read-back")) as sink:
            assert sink.deliver(batch) == Delivered()
    assert list(store.files) == [f"/canary-path/{batch.name}?sig=canary-query"]
    with pytest.raises(DeliveryError) as gone, closing(HttpPutSink("s", client, Pace(1), confirm="status")) as sink:
        sink.deliver(batch)
    assert "canary" not in str(gone.value)


@pytest.mark.parametrize("text", ["canary", "http://canary.example/?x", "https://a.example/#canary", "https://[canary"])
def test_an_address_in_a_file_is_held_to_the_same_rules_and_not_quoted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "url"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        client_of(HttpPut(name="store", url_file=str(file)), QUICK)
    assert "canary" not in str(error.value)


# nginx, as an ordinary process of ours

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen unix:{folder}/unused.sock;
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        root {folder}/files;
        location /in/ {{ dav_methods PUT; create_full_put_path on; client_max_body_size 1m; }}
        location /small/ {{ dav_methods PUT; client_max_body_size 1k; }}
        location /closed/ {{ limit_except GET {{ deny all; }} dav_methods PUT; }}
        location /fixed/ {{ }}
    }}
}}
"""


@dataclass
class Nginx:
    """A running nginx."""

    port: int
    folder: Path
    certificate: Made

    def put(self, where: str, batch: Outgoing) -> Result:
        to = address.parse(f"https://127.0.0.1:{self.port}/{where}/", "url")
        client = Client(to, Trust(self.certificate.file))
        with closing(HttpPutSink("store", client, Pace(1 << 30), confirm="read-back")) as sink:
            return sink.deliver(batch)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    path = program("nginx")
    if path is None:
        pytest.skip("needs program nginx")
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    (folder / "files/in").mkdir(parents=True)
    for each in ("small", "closed", "fixed"):
        (folder / "files" / each).mkdir()
    certificate = make(folder / "tls", LOOPBACK)
    port = free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    text = NGINX.format(folder=folder, port=port, certificate=certificate.file, key=certificate.key_file)
    (folder / "nginx.conf").write_text(user + text)
    process = subprocess.Popen(
        [path, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield Nginx(port, folder, certificate)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while not _listens(port):
        if time.monotonic() > deadline or process.poll() is not None:
            raise AssertionError("expected nginx to listen")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.needs_program("nginx")
def test_nginx_takes_a_batch_and_gives_it_back(nginx: Nginx, batch: Outgoing) -> None:
    assert nginx.put("in", batch) == Delivered()
    assert (nginx.folder / "files/in" / batch.name).read_bytes() == b"".join(batch.blocks())
    assert nginx.put("in", batch) == Delivered()


@pytest.mark.needs_program("nginx")
def test_nginx_makes_the_folder_that_a_url_names(nginx: Nginx, batch: Outgoing) -> None:
    assert nginx.put("in/host.example/2026", batch) == Delivered()


@pytest.mark.needs_program("nginx")
@pytest.mark.parametrize(("where", "expected"), [("small", Parked), ("closed", Held), ("fixed", Held)])
def test_nginx_refuses_as_configured(nginx: Nginx, batch: Outgoing, where: str, expected: type) -> None:
    assert isinstance(nginx.put(where, batch), expected)


@pytest.mark.needs_program("nginx")
def test_nginx_whose_certificate_is_not_trusted_gets_nothing(nginx: Nginx, batch: Outgoing) -> None:
    client = Client(address.parse(f"https://127.0.0.1:{nginx.port}/in/x/", "url"))
    with closing(HttpPutSink("store", client, Pace(1 << 30), confirm="status")) as sink, pytest.raises(DeliveryError):
        sink.deliver(batch)
    assert not (nginx.folder / "files/in/x").exists()
