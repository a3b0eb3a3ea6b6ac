"""The parts that run: sockets, the signer's answer, the supervisor's own words, and the clock they all go by."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator

from agent import users
from agent.clocks import synchronised
from agent.doctor.check import Check, fine, note, why, wrong
from agent.places import Places
from agent.signing.remote import RemoteDoor
from agent.status_page import Log, problems_of
from agent.supervision import Supervision, is_running, load
from agent.terminal import counted
from evidence.errors import EvidenceError
from program.text import printable

OF_A_FOLDER = re.compile(r"/proc/self/fd/[0-9]+/")
"""How a socket is named that was bound through its folder, since a socket's address is short; unix(7)."""
LISTENING = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/net/unix; see proc(5)."""
EARLIEST = 1_735_689_600
"""2025-01-01, before which this program was not written."""
LATEST = 4_102_444_800
"""2100-01-01."""


def check_clock(now: float, *, disciplined: bool | None) -> Check:
    """Return whether the wall clock can be believed."""
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(max(now, 0), 2**40)))
    if not EARLIEST <= now < LATEST:
        return wrong("clock", f"{text} cannot be", "set the clock; entries keep their order all the same")
    if disciplined:
        return fine("clock", f"{text}, synchronised")
    step = "run chrony, ntpd or systemd-timesyncd; entries say that nobody keeps the clock right"
    return note(
        "clock", f"{text}, {'not synchronised' if disciplined is False else 'not known whether synchronised'}", step
    )


def clock() -> Check:
    """Return how this host's clock is."""
    return check_clock(time.time(), disciplined=synchronised())


def check_sockets(places: Places, listening: frozenset[str]) -> Iterator[Check]:
    """Yield whether signer and uploader can be started; `listening` names the sockets that somebody listens at."""
    service = _is_service(places)
    for name, path in (("sign", places.sign_socket), ("upload", places.upload_socket)):
        subject = f"socket {name}"
        step = f"systemctl start evidenced-{name}.socket" if service else "evidenced run makes it"
        try:
            there = stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            yield (wrong if service else note)(subject, f"{path} is not there", step)
            continue
        except OSError as error:
            yield note(subject, f"{path}: {why(error)}", "ask as root")
            continue
        if not there:
            yield wrong(subject, f"{path} is no socket", "look who put it there and move it away")
        elif not _is_heard(path, listening):
            yield wrong(subject, f"{path} is there and nobody listens", step)
        else:
            yield fine(subject, path)
            if name == "sign":
                yield _hello(places)


def _is_heard(path: str, listening: frozenset[str]) -> bool:
    """Return whether somebody listens at a path, or at that name in a folder that the kernel does not tell.

    Of two agents on one host the second may so speak for the first; the signer is asked itself.
    """
    name = os.path.basename(path)
    return path in listening or any(OF_A_FOLDER.sub("", each) == name for each in listening if each != name)


def _hello(places: Places) -> Check:
    try:
        known = RemoteDoor(places, wait_s=5).hello()
    except EvidenceError as error:
        return wrong("signer", printable(str(error)), "journalctl -u evidenced-sign")
    return fine("signer", f"answers, {printable(known.origin or 'no log yet')}, {counted(known.size, 'entry')}")


def listening_sockets(text: str) -> frozenset[str]:
    """Return the paths in /proc/net/unix at which somebody listens; nobody is disturbed by asking so."""
    found = set()
    for line in text.split("\n")[1:]:
        fields = line.split(None, 7)  # Num RefCount Protocol Flags Type St Inode Path
        if len(fields) == 8 and _hexadecimal(fields[3]) & LISTENING:  # noqa: PLR2004
            found.add(fields[7])
    return frozenset(found)


def listening_now() -> frozenset[str]:
    """Return the paths at which somebody listens on this host; none where the kernel does not tell."""
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as file:
            return listening_sockets(file.read())
    except OSError:
        return frozenset()


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def check_supervisor(places: Places) -> Iterator[Check]:
    """Yield what the supervisor says of itself; where evidence is made by hand, none need run."""
    if is_running(places):
        yield from judge_supervision(load(places))
        return
    found = wrong if _is_service(places) else note
    yield found("supervisor", "does not run", "systemctl start evidenced, or evidenced run")


def judge_supervision(said: Supervision | None) -> Iterator[Check]:
    """Yield what a status file means; `said` is None if there is none yet, or of another version."""
    if said is None:
        yield note("supervisor", "runs, and does not say how it is", "try again in a few seconds")
        return
    yield fine("supervisor", f"runs as {said.pid}, {counted(len(said.tables), 'table')} planned")
    if said.paused is not None:
        found = f"readings wait, the host is short of {printable(said.paused)}"
        yield note("schedule", found, "they are made after schedule.pause_limit all the same")
    for text in problems_of(said, Log(), running=True):
        yield wrong("supervisor", text, "evidenced status shows more")


def _is_service(places: Places) -> bool:
    return places.system and users.user_id(users.SIGNER) is not None
