"""The sweep finds what find(1) and getcap(8) find, set for set: in a tree made to be awkward, and on this machine."""

from __future__ import annotations

import functools
import os
import stat
import subprocess
from pathlib import Path

import pytest

from collectors.reading.host import Host
from collectors.reading.sweep import Crowd, Finding, Interest, prepare
from collectors.reading.sweep_mounts import plan
from collectors.reading.sweep_pair import walk
from tests.collectors.reading.sweeping import NET_RAW, make
from tests.conftest import program

ALL = 1 << 60
PRIVILEGED = Interest("privileged", mode_any=stat.S_ISUID | stat.S_ISGID, crowd=ALL)
WRITABLE = Interest("writable", mode_any=stat.S_IWOTH, crowd=ALL)
CAPABLE = Interest("capable", capabilities=True, crowd=ALL)
OWNERLESS = Interest("ownerless", ownerless=True, crowd=ALL)
NAMED = Interest("named", names=frozenset({"Makefile"}), suffixes=(".pem", ".crt"), crowd=ALL)
EVERY = (PRIVILEGED, WRITABLE, CAPABLE, OWNERLESS, NAMED)

UNMOUNT = 'while [ "$1" != -- ]; do umount -lc "$1"; shift; done; shift; exec "$@"'
QUESTIONS = {
    PRIVILEGED: ["-perm", "/6000"],
    WRITABLE: ["-perm", "-0002", "!", "-type", "l"],
    OWNERLESS: ["(", "-nouser", "-o", "-nogroup", ")"],
    NAMED: ["(", "-name", "Makefile", "-o", "-name", "*.pem", "-o", "-name", "*.crt", ")"],
}


def swept(root: str, workers: int) -> dict[str, set[bytes]]:
    """Return the paths each interest was shown."""
    host = Host(root, secret=b"secret")
    prepare(host, EVERY, workers=workers)
    found: dict[str, set[bytes]] = {}
    for interest in EVERY:
        items = list(host.found(interest))
        assert not any(isinstance(item, Crowd) for item in items)
        found[interest.name] = {os.fsencode(item.path) for item in items if isinstance(item, Finding)}
    return found


def answer(*command: str) -> bytes:
    """Return what a program prints where no mount can hold it up: those that may are taken out of its sight."""
    refused = [mount.target for mount in Host("/", secret=b"secret").mounts() if mount.is_refused]
    away = ["unshare", "--mount", "sh", "-c", UNMOUNT, "sh", *refused, "--"] if refused else []
    return subprocess.run([*away, *command], capture_output=True, check=False, timeout=120).stdout


def find(root: str, start: str, question: list[str], *options: str) -> set[bytes]:
    """Return what the program of that name prints below a start, as paths inside the root."""
    output = answer("find", root.rstrip("/") + start or "/", *options, *question, "-print0")
    prefix = os.fsencode(root.rstrip("/"))
    return {path.removeprefix(prefix) or b"/" for path in output.split(b"\0")[:-1]}


def getcap(root: str) -> set[bytes]:
    """Return the files that the program of that name prints; none may have a blank in its name."""
    output = answer(program("getcap") or "", "-r", root)
    prefix = os.fsencode(root.rstrip("/"))
    return {line.rpartition(b" ")[0].removeprefix(prefix) for line in output.split(b"\n")[:-1]}


@pytest.fixture
def awkward(tmp_path: Path) -> str:
    tmp_path.chmod(0o755)
    make(tmp_path, [("etc/passwd", 0o644), ("etc/group", 0o644), ("bin/su", 0o4755), ("bin/at", 0o6755)])
    make(tmp_path, [("bin/noexec", 0o4644), ("d/e/f/Makefile", 0o666), ("d/.pem", 0o600), ("d/x.pem.bak", 0o600)])
    make(tmp_path, [(f"many/{number}/k.crt", 0o640) for number in range(300)] + [("new\nline/su", 0o2755)])
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nsix:x:6:6::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nsix:x:6:\n")
    for name, mode in (("open", 0o777), ("sticky", 0o1777), ("setgid", 0o2775)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    (tmp_path / "bin/link").symlink_to("su")
    for name in ("bin/ping", "bin/traceroute"):
        make(tmp_path, [(name, 0o755)])
        os.setxattr(tmp_path / name, "security.capability", NET_RAW)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo").chmod(0o666)
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (tmp_path / "null").chmod(0o666)
    return str(tmp_path)


@pytest.mark.needs_root
@pytest.mark.needs_program("find", "getcap")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_awkward_tree_is_seen_as_find_and_getcap_see_it(
    awkward: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.reading.sweep.walk", functools.partial(walk, help_from=0))
    found = swept(awkward, workers)
    for interest, question in QUESTIONS.items():
        if interest is not OWNERLESS:  # find asks this machine's passwd, the sweep the tree's own
            assert found[interest.name] == find(awkward, "", question), interest.name
    assert found["capable"] == getcap(awkward) == {b"/bin/ping", b"/bin/traceroute"}


@pytest.mark.needs_root
@pytest.mark.needs_program("find")
def test_ownerless_means_to_the_sweep_what_it_means_to_find(awkward: str) -> None:
    os.chown(os.path.join(awkward, "d/e"), 54321, 0)
    os.chown(os.path.join(awkward, "bin/link"), 0, 54321, follow_symlinks=False)
    assert swept(awkward, 1)["ownerless"] == find(awkward, "", QUESTIONS[OWNERLESS]) == {b"/d/e", b"/bin/link"}


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.needs_program("find", "getcap", "unshare")
def test_this_machine_is_seen_as_find_and_getcap_see_it() -> None:
    mounts = Host("/", secret=b"secret").mounts()
    walked = {start.path for start in plan(mounts).starts}
    elsewhere = {os.fsencode(mount.target) for mount in mounts if mount.target not in walked}
    missed = invented = dict[str, set[bytes]]()
    for _ in range(3):  # other programs make and remove files meanwhile
        before, found, after = swept("/", 2), asked(walked), swept("/", 1)
        # What both sweeps saw was there all the time, and what neither saw never was.
        missed = {name: still(found[name] - elsewhere - before[name] - after[name]) for name in found}
        invented = {name: still((before[name] & after[name]) - found[name]) for name in found}
        if not any((*missed.values(), *invented.values())):
            return
    pytest.fail(f"after three attempts: missed {missed}, invented {invented}")


def still(paths: set[bytes]) -> set[bytes]:
    """Return the paths outside the folders where other programs and tests make and remove files all the time."""
    return {path for path in paths if not path.startswith((b"/tmp/", b"/var/tmp/", b"/run/", b"/dev/shm/"))}


def asked(starts: set[str]) -> dict[str, set[bytes]]:
    """Return what find and getcap say of the file systems that the sweep walks."""
    found: dict[str, set[bytes]] = {"capable": getcap("/")}
    for interest, question in QUESTIONS.items():
        found[interest.name] = set().union(*(find("", start, question, "-xdev") for start in starts))
    return found
