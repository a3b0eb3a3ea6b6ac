"""The service at work, beside ss and under strace: no part listens, and each runs the listed programs and no other."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass

import pytest

from collectors.reading.commands import LISTED
from tests.booted.folder_sink import add_folder_sink, delivered
from tests.booted.host import SEEN_AT, BootedHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("mmdebstrap"), pytest.mark.slow]

PARTS = ("evidenced", "evidenced-sign", "evidenced-upload")
TRACES = "/run/traces"
TRACED = """
# strace looks on as a grandchild: what it runs stays the main process. It is given what it takes to do so, and no more.
[Service]
ExecStart=
ExecStart=/usr/bin/strace -D -f -qq -A -e trace={calls} -e signal=none -s 4000 -o {traces}/{part} {command}
ExecPaths=/usr/bin/strace
ReadWritePaths={traces}
SystemCallFilter=ptrace process_vm_readv setreuid setregid
"""
CALLS = ("execve", "execveat", "bind", "listen")
CALL = re.compile(rf"\d+ +({'|'.join(CALLS)})\((.*)")
PROGRAM = re.compile(r'"([^"]+)", (\[.*?\]), 0x')
PYTHON = re.compile(r"/usr/bin/python3(\.\d+)?")
OURS = {"/usr/bin/evidenced", "/usr/lib/evidenced/evidenced/_rooms/agent/daemon/__main__.py"}
CHECKED = re.compile(r"/proc/self/fd/\d+")
"""How a listed program is run: by the descriptor of the file that was checked."""
SSHD = "/usr/sbin/sshd"


@dataclass(frozen=True)
class Call:
    """One call that strace noted; its arguments as strace writes them."""

    part: str
    name: str
    arguments: str


def is_listed(path: str, words: list[str]) -> bool:
    """Return whether a program may be run: Python with this program, or one of `collectors.reading.commands`."""
    if CHECKED.fullmatch(path):
        return tuple(words) in {each.argv for each in LISTED}
    return path in OURS or bool(PYTHON.fullmatch(path) and script(words[1:]) in OURS)


def script(words: list[str]) -> str:
    """Return which file Python is to run; empty for code on its command line, or from its input."""
    while words and words[0].startswith("-"):
        if words[0] in {"-c", "-m", "-"}:
            return ""
        words = words[2:] if words[0] == "-X" else words[1:]
    return words[0] if words else ""


def program_of(call: Call) -> tuple[str, list[str]]:
    """Return what execve was to run, and with which words."""
    found = PROGRAM.match(call.arguments)
    assert found, call
    words: list[str] = ast.literal_eval(found[2])
    return found[1], words


@pytest.fixture(scope="module")
def at_work(bare_host: BootedHost) -> BootedHost:
    """Return a host on which every part runs under strace from its first instruction, and delivers to a folder."""
    bare_host.ok("cp", "/bin/true", SSHD)  # the tree has none; what is asked is how it is run, not what it says
    bare_host.ok("install", "-d", "-m", "1777", TRACES)
    add_folder_sink(bare_host)
    for part in PARTS:
        unit = bare_host.ok("cat", f"/usr/lib/systemd/system/{part}.service")
        (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
        text = TRACED.format(calls=",".join(CALLS), traces=TRACES, part=part, command=command)
        bare_host.write(f"/run/systemd/system/{part}.service.d/traced.conf", text)
    bare_host.ok("systemctl", "daemon-reload")
    bare_host.ok("systemctl", "start", "evidenced.service")
    bare_host.until(lambda: bool(delivered(bare_host)), 90, "a first delivery")
    return bare_host


def calls(host: BootedHost) -> list[Call]:
    """Return all calls that were noted so far."""
    found = []
    for part in PARTS:
        for line in host.ok("cat", f"{TRACES}/{part}").splitlines():
            noted = CALL.match(line)
            if noted:
                found.append(Call(part, *noted.groups()))
    return found


def test_nothing_listens_on_a_network_while_it_reads_and_delivers(at_work: BootedHost) -> None:
    printed = at_work.ok("/usr/bin/python3", "-IB", f"{SEEN_AT}/listeners.py", timeout_s=90)
    assert json.loads(printed) == {"seen": ["_collect", "_upload"], "listening": []}


def test_no_part_asks_the_kernel_to_bind_or_to_listen(at_work: BootedHost) -> None:
    found = calls(at_work)
    assert {each.part for each in found} == set(PARTS)
    assert [each for each in found if each.name in {"bind", "listen"}] == []


def test_no_shell_and_no_unlisted_program_is_run(at_work: BootedHost) -> None:
    found = calls(at_work)
    assert [each for each in found if each.name == "execveat"] == []
    ran = [program_of(each) for each in found if each.name == "execve"]
    assert [each for each in ran if not is_listed(*each)] == []
    words = [word for _, each in ran for word in each]
    assert {"_plan", "_collect", "_sign", "_upload", SSHD} <= set(words), "else too little was looked at"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/bin/sh", ["sh", "-c", "true"]),
        ("/proc/self/fd/5", ["/bin/sh", "-c", "true"]),
        ("/proc/self/fd/5", ["/usr/sbin/sshd", "-D"]),
        ("/usr/sbin/sshd", ["/usr/sbin/sshd", "-T"]),
        ("/usr/bin/python3", ["/usr/bin/python3", "-I", "-c", "print()", "/usr/bin/evidenced"]),
        ("/usr/bin/python3", ["/usr/bin/python3", "-X", "utf8", "/tmp/evidenced"]),
        ("/usr/bin/python3", ["/usr/bin/python3"]),
    ],
)
def test_a_program_that_is_not_listed_is_found(path: str, words: list[str]) -> None:
    assert not is_listed(path, words)
