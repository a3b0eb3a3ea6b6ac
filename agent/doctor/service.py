"""The parts that run: sockets, the signer's answer, the supervisor's own words, and the clock they all go by."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator

from agent import users
from agent.clocks import boottime_ms, synchronised
from agent.doctor.check import Check, age, fine, note, why, wrong
from agent.places import Places
from agent.signing.remote import RemoteDoor
from agent.terminal import counted, printable
from evidence.errors import EvidenceError

PATH_LIMIT = 107
"""Bytes of a socket's address, unix(7)."""
LISTENING = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/net/unix; see proc(5)."""
EARLIEST = 1_735_689_600
"""2025-01-01, before which this program was not written."""
LATEST = 4_102_444_800
"""2100-01-01."""
STATUS_LIMIT = 256 << 10
SILENT_S = 600
"""A supervisor writes its status more often than this."""
HEAD = "evidenced-status 1"
PID = re.compile(r"[1-9][0-9]{0,9}")
NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


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
    service = places.system and users.user_id(users.SIGNER) is not None
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
    """Return whether somebody listens at a path; one too long for an address was bound through its folder."""
    if path in listening:
        return True
    end = f"/{os.path.basename(path)}"
    far = len(os.fsencode(path)) > PATH_LIMIT
    return far and any(each.startswith("/proc/self/fd/") and each.endswith(end) for each in listening)


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
    """Yield what the supervisor says of itself."""
    try:
        with open(places.status, encoding="utf-8", errors="replace") as file:
            text = file.read(STATUS_LIMIT)
    except FileNotFoundError:
        yield note("supervisor", "does not run", "systemctl start evidenced, or evidenced run")
        return
    except OSError as error:
        yield note("supervisor", why(error), "ask as root")
        return
    yield from judge_status(text, boottime_ms() / 1000)


def judge_status(text: str, now_s: float) -> Iterator[Check]:
    """Yield what a status file means; one of a later version is not guessed at.

    Shape: lines of words separated by tabs, see agent.daemon.reporting. `now_s` counts from boot.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    if lines[0] != [HEAD]:
        yield note("supervisor", f"a status in another form than {HEAD!r}", "use the programs of one version")
        return
    words = {line[0]: line for line in lines}

    def said(word: str, at: int = 1) -> str:
        line = words.get(word, [])
        return line[at] if len(line) > at else ""

    pid, silent_s = said("process"), now_s - _number(said("now"))
    if not PID.fullmatch(pid) or not os.path.exists(f"/proc/{pid}"):
        step = "journalctl -u evidenced, then systemctl restart evidenced"
        yield wrong("supervisor", "has ended without a word", step)
        return
    if silent_s > SILENT_S:
        yield wrong("supervisor", f"runs as {pid}, silent for {age(silent_s)}", "systemctl restart evidenced")
    else:
        yield fine("supervisor", f"runs as {pid}")
    if problem := said("plan", 2):
        yield wrong("plan", printable(problem), "evidenced config check; what was planned before is in force")
    if (held := said("held")) not in {"", "-"}:
        yield wrong("signing", f"held up for {age(_number(held) - now_s)} more", "see disk and signer above")
    if (degraded := said("watches", 2)) not in {"", "-"}:
        yield note("watches", printable(degraded), "changes are seen at the next scheduled reading")
    yield from _stuck([line[1:] for line in lines if line[0] == "stuck"], now_s)
    yield from _failing([line[1:] for line in lines if line[0] == "table"])


def _stuck(stuck: list[list[str]], now_s: float) -> Iterator[Check]:
    for each in stuck:
        table, pid, since = (*each, "?", "?", "0")[:3]
        found = f"process {printable(pid)} reading {printable(table)} for {age(now_s - _number(since))}"
        yield wrong("stuck", found, "it waits in the kernel: find the mount or disk that does not answer")


def _failing(tables: list[list[str]]) -> Iterator[Check]:
    failing = [each[0] for each in tables if len(each) > 5 and each[5] == "failed"]  # noqa: PLR2004
    if failing:
        names = ", ".join(map(printable, failing))
        yield wrong("tables", f"failed at the last reading: {names}", "evidenced inventory --table NAME says why")
    elif tables:
        yield fine("tables", f"{counted(len(tables), 'table')} planned")


def _number(text: str) -> float:
    return float(text) if NUMBER.fullmatch(text) else 0.0
