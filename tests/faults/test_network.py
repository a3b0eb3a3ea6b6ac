"""Rows N1 to N6 and N12 with the real daemon, the real hub and a server between them that does everything wrong.

How each single answer is judged is tested with the delivery (tests/agent/delivery); here it is that nothing of it loses
an entry, ends a process or needs somebody.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.agent.delivery.hostile import Script, answers, ends, floods, hostile, says
from tests.agent.delivery.test_http_put import Nginx, nginx  # noqa: F401  a fixture
from tests.agent.delivery.test_real_hub import Relay
from tests.faults.oracles import (
    assert_bounded,
    assert_delivered,
    assert_kept,
    batches,
    leaves_at,
    leaves_of_agent,
)
from tests.faults.system import PROGRAM, System, Wire, running, until
from tests.hub.running import ROOT, TOKEN, RunningHub

PORTAL = b"<html>Please log in</html>"
WRONG: dict[str, Script] = {
    **{f"N1 {status}": answers(status) for status in (500, 501, 502, 503, 504, 507)},
    "N2 seconds": answers(429, b"", "Retry-After: 1"),
    "N2 negative": answers(429, b"", "Retry-After: -5"),
    "N2 garbage": answers(503, b"", "Retry-After: soon"),
    "N2 date that is over": answers(503, b"", "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"),
    **{f"N3 {status}": answers(status) for status in (400, 401, 403, 404, 409, 410, 413, 415, 422)},
    "N4 empty": answers(200),
    "N4 portal": answers(200, PORTAL, "Content-Type: text/html"),
    "N4 another note": answers(200, b"other.example/log\n1\nAAAA\n\n\xe2\x80\x94 other.example AAAA\n"),
    "N5 half": ends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
    "N5 nothing": ends(),
    "N5 flood": floods(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n", bytes(65536)),
    "N5 headers": says(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n"),
    "N5 redirect": answers(307, b"", "Location: http://127.0.0.1:9/"),
    "N5 compressed": answers(200, b"\x1f\x8b\x08", "Content-Encoding: gzip"),
}


def wired(system: System, hub: RunningHub, url: str) -> System:
    token = system.folder / "token"
    token.touch(0o600)
    token.write_text(TOKEN)
    system.sink("hub", name="hub", url=url, vkey=hub.describe()["vkey"], token_file=str(token))
    return system


@pytest.mark.slow
def test_n1_to_n5_whatever_is_answered_nothing_is_dropped_and_the_next_good_answer_takes_all(
    system: System, hub: RunningHub
) -> None:
    """Each wrong answer once, each in an attempt of its own by hand, which does not wait for the time of the next."""
    with hostile(*WRONG.values(), Relay(hub.port, lose=0)) as server:
        wired(system, hub, server.url)
        assert system.command("inventory", "--sign", "--table", "users", "--config", str(system.config)).returncode == 0
        while len(server.answers) > 1:
            ran = system.command("ship", "--once", "--config", str(system.config))
            assert ran.returncode == 3, (ran.stdout, ran.stderr)
            assert "Traceback" not in ran.stderr
            assert batches(system)
        assert system.command("ship", "--once", "--config", str(system.config)).returncode == 0
    assert batches(system) == []
    assert leaves_at(hub) == leaves_of_agent(system)


@pytest.mark.slow
def test_n1_to_n6_the_daemon_tries_again_by_itself_and_in_the_end_the_hub_has_all_of_it(
    system: System, hub: RunningHub
) -> None:
    wrong = [WRONG[name] for name in ("N1 503", "N5 half", "N2 seconds", "N4 portal")]
    with hostile(*wrong, Relay(hub.port, lose=1)) as server, running(wired(system, hub, server.url)):
        assert_delivered(system, hub)
        assert len(server.answers) == 1
        assert_bounded(system)


@pytest.mark.slow
def test_n8_a_hub_put_back_while_the_wire_was_cut_gets_everything_again_and_each_once(
    connected: System, hub: RunningHub, wire: Wire, tmp_path: Path
) -> None:
    with running(connected):
        assert_delivered(connected, hub)
        assert hub.stop() == 0
        shutil.copytree(hub.data, tmp_path / "backup")
        hub.start()
        assert_delivered(connected, hub)
        wire.cut(silent=True)
        hub.kill()
        shutil.rmtree(hub.data)
        shutil.copytree(tmp_path / "backup", hub.data)
        hub.start()
        connected.recorded()
        wire.mend()
        assert_delivered(connected, hub)
        assert_kept(connected)


@pytest.mark.slow
@pytest.mark.needs_program("nginx")
def test_several_sinks_each_go_on_without_the_others(
    connected: System,
    hub: RunningHub,
    nginx: Nginx,  # noqa: F811  the fixture
    tmp_path: Path,
) -> None:
    """A hub and a store that are there, and a folder that comes later: a batch stays until the last of them has it."""
    store, late = nginx.folder / "files/in", tmp_path / "late"
    url = f"https://127.0.0.1:{nginx.port}/in/"
    connected.sink("http-put", name="store", url=url, ca_file=str(nginx.certificate.file))
    connected.sink("directory", name="late", path=str(late))
    with running(connected):
        until(lambda: list(store.iterdir()) and leaves_at(hub), 60, "two of three sinks to have a batch")
        assert batches(connected)
        late.mkdir()
        assert_delivered(connected, hub)
        assert {each.name: each.read_bytes() for each in late.iterdir()} == {
            each.name: each.read_bytes() for each in store.iterdir()
        }
        ran = subprocess.run([*PROGRAM, "import", str(late)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr  # no entry is missing between them
