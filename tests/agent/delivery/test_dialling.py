"""Names and addresses that are dead: fault N11."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.delivery.budget import Limits
from agent.delivery.dialling import dial, in_turns
from agent.delivery.errors import UnreachableError

V4, V6 = socket.AF_INET, socket.AF_INET6


def resolving_to(monkeypatch: pytest.MonkeyPatch, *hosts: str, port: int) -> None:
    """Let every name have these addresses."""

    def ask(*_arguments: Any, **_options: Any) -> Sequence[Any]:
        return [(V4, socket.SOCK_STREAM, 6, "", (host, port)) for host in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", ask)


def test_families_take_turns_in_the_resolvers_order() -> None:
    six = [(V6, (f"2001:db8::{n}", 1, 0, 0)) for n in range(3)]
    four = [(V4, ("192.0.2.1", 1))]
    assert in_turns([*six, *four]) == [six[0], four[0], six[1], six[2]]


def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        resolving_to(monkeypatch, "127.0.0.2", "127.0.0.1", port=port)
        with dial("hub.example", port, "url", Limits()) as found:
            assert found.getpeername() == ("127.0.0.1", port)


def test_a_name_that_nobody_knows_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    with pytest.raises(UnreachableError, match="name or service not known"):
        dial("hub.example", 443, "url", Limits())


def test_a_resolver_that_never_answers_costs_the_time_of_connecting_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hung = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_o: hung.wait(5) and [])
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="no answer about the name"):
        dial("hub.example", 443, "url", Limits(connect_all_s=0.2))
    hung.set()
    assert time.monotonic() - began < 4


IN_A_NAMESPACE = """
import subprocess, sys, time
for line in (
    "link set lo up",
    "link add hole type veth peer name far",  # what is sent into it comes out at an end that nobody listens at
    "link set hole up",
    "link set far up",
    "-6 address add 2001:db8::1/64 dev hole nodad",
    "address add 192.0.2.1/24 dev hole",
    "-6 neighbour add 2001:db8::2 lladdr 02:00:00:00:00:01 dev hole",
    "-6 neighbour add 2001:db8::3 lladdr 02:00:00:00:00:01 dev hole",
    "neighbour add 192.0.2.2 lladdr 02:00:00:00:00:01 dev hole",
):
    subprocess.run(["ip", *line.split()], check=True)
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/hosts"], check=True)
subprocess.run(["mount", "--bind", sys.argv[2], "/etc/nsswitch.conf"], check=True)
import socket
from agent.delivery.budget import Limits
from agent.delivery.dialling import dial
from agent.delivery.errors import UnreachableError
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
began = time.monotonic()
with dial("black.example", port, "url", Limits(connect_s=1, connect_all_s=12)) as found:
    assert found.getpeername() == ("127.0.0.1", port), found
first = time.monotonic() - began
assert 0.9 < first < 10, first
began = time.monotonic()
try:
    dial("dead.example", port, "url", Limits(connect_s=1, connect_all_s=1.5))
except UnreachableError as error:
    assert "none in time" in str(error), error
else:
    raise SystemExit("expected no address to answer")
assert 1.4 < time.monotonic() - began < 10
"""


@pytest.mark.needs_root
@pytest.mark.needs_program("ip", "unshare")
def test_a_black_hole_costs_its_own_seconds_and_then_the_next_address_is_taken(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(
        "2001:db8::2 black.example\n127.0.0.1 black.example\n2001:db8::3 dead.example\n192.0.2.2 dead.example\n"
    )
    (tmp_path / "nsswitch").write_text("hosts: files\n")
    (tmp_path / "script.py").write_text(textwrap.dedent(IN_A_NAMESPACE))
    script = [sys.executable, *(str(tmp_path / name) for name in ("script.py", "hosts", "nsswitch"))]
    ran = subprocess.run(
        ["unshare", "--net", "--mount", *script],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert (ran.returncode, ran.stderr) == (0, "")
