"""Make the golden log and the golden pack of format 1.

A small host's story: a rotation, an image, gaps, a failed table, a full disk, a prune and a witness.

    python tests/evidence/golden/make.py

writes the files beside it. They are made once and then kept: what format 1 is, is what they are. The keys come
from public seeds and every clock is fixed, so that a test can make the same bytes again.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tempfile
from datetime import datetime, timezone
from typing import Any
from unittest import mock

import msgspec

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "..", ".."))  # run as a script, the repository is not on the path

from evidence import note, pack  # noqa: E402  after the path is set
from evidence.keys import NOTE_COSIGNATURE, PrivateKey  # noqa: E402
from evidence.log import EvidenceStore  # noqa: E402
from evidence.reader import StoreReader  # noqa: E402
from evidence.statement import Clock, Collected, Cost, Observation  # noqa: E402
from tests.evidence.known import AGENT, OTHER, WITNESS  # noqa: E402
from tests.evidence.statements import clock, observation  # noqa: E402

SINCE = datetime(2026, 1, 10, tzinfo=timezone.utc)
UNTIL = datetime(2026, 1, 20, tzinfo=timezone.utc)
ORGANISATION = "Example & Söhne"
HUB = "hub.example/w1"
SEEN = 1_769_414_400
FULL = (17, 18)
"""Days on which the disk was full and nothing could be written."""
DAY_S = 86_400
COST = Cost(wall_ms=4, cpu_ms=3, peak_kib=9216, files=1, bytes=2048)


def header(table: str, meaning: str, key: tuple[str, ...], columns: dict[str, str]) -> bytes:
    """Return a header; a column is `type`, `type?` if it may be null, or `type!` if it is personal."""
    fields = [
        {
            "meaning": name.replace("_", " "),
            "name": name,
            "nullable": kind.endswith("?"),
            "personal": kind.endswith("!"),
            "type": kind.rstrip("?!"),
            "unit": "days" if name.endswith("_days") else None,
        }
        for name, kind in sorted(columns.items())
    ]
    value = {"fields": fields, "key": key, "meaning": meaning, "table": table, "version": 1}
    return encoded([value])


def encoded(values: list[dict[str, Any]]) -> bytes:
    """Return rows or gaps as a blob."""
    lines = (json.dumps(each, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for each in values)
    return b"".join(sorted(line.encode() + b"\n" for line in lines))


USERS = header(
    "users",
    "One local account.",
    ("name", "line"),
    {"name": "text!", "line": "int", "uid": "int", "shell": "text", "home_b64": "text?"},
)
PASSWORDS = header(
    "password_status",
    "One account's password.",
    ("user",),
    {"user": "text!", "max_days": "int?", "changed": "time?"},
)
PACKAGES = header("packages", "One package.", ("purl",), {"purl": "text", "manual": "bool", "depends": "list of text"})
SUPPORT = header("os_support", "One release.", ("os_id",), {"os_id": "text", "supported_until": "time?"})
FAILING = header("failing", "One row.", ("a",), {"a": "int"})


def table(name: str, head: bytes, rows: list[dict[str, Any]], gaps: list[dict[str, Any]] | None = None) -> Collected:
    """Return what the agent hands over for one table."""
    found = gaps or []
    reasons: dict[str, int] = {}
    for each in found:
        reasons[each["reason"]] = reasons.get(each["reason"], 0) + each["count"]
    return Collected(
        name=name,
        version=1,
        header=head,
        coverage="partial" if found else "complete",
        failure=None,
        rows=encoded(rows),
        row_count=len(rows),
        gaps=encoded(found),
        gap_count=len(found),
        reasons=reasons,
        interval_s=DAY_S,
        cost=COST,
    )


def unread(name: str, head: bytes | None, coverage: str, failure: str | None = None) -> Collected:
    """Return a table that gave no rows."""
    return Collected(
        name=name,
        version=1,
        header=head,
        coverage=coverage,  # type: ignore[arg-type]  # one of three, as the calls below show
        failure=failure,
        rows=b"",
        row_count=0,
        gaps=b"",
        gap_count=0,
        reasons={},
        interval_s=DAY_S,
        cost=COST,
    )


def users(day: int) -> Collected:
    """Return accounts; one joins on the 13th."""
    plain = {"home_b64": None, "line": 1, "name": "root", "shell": "/bin/bash", "uid": 0}
    rows = [plain, plain | {"line": 2, "name": "jörg", "uid": 1000, "home_b64": "L2hvbWUv/w=="}]
    if day >= 13:
        rows.append(plain | {"line": 3, "name": "new", "uid": 1001, "shell": ""})
    return table("users", USERS, rows)


def passwords() -> Collected:
    """Return a table with gaps: two folded into one, and one at a path that is not UTF-8."""
    rows: list[dict[str, Any]] = [
        {"changed": "2025-06-01T00:00:00Z", "max_days": 0, "user": "root"},
        {"changed": None, "max_days": None, "user": "jörg"},
    ]
    gap = {"count": 2, "detail": "", "line": None, "reason": "malformed", "source": "/etc/shadow", "source_b64": None}
    other = {"source": "/etc/\\xff", "source_b64": "L2V0Yy//", "reason": "permission_denied", "count": 1}
    return table("password_status", PASSWORDS, rows, [gap, gap | other])


def packages(day: int) -> Collected:
    """Return packages, of which one is updated on the 16th."""
    version = "3.0.15-1" if day < 16 else "3.0.16-1"
    purls = (f"pkg:deb/debian/openssl@{version}?arch=amd64&distro=debian-12", "pkg:deb/debian/tzdata@2025b-0")
    return table("packages", PACKAGES, [{"depends": ["libc6"], "manual": True, "purl": each} for each in purls])


def support(day: int = 5) -> Collected:
    """Return the one table that is rarely read; when it has been read again, its first rows are pruned."""
    rows = [{"os_id": "debian", "supported_until": f"2028-06-{day:02d}T00:00:00Z"}]
    once_a_month = table("os_support", SUPPORT, rows)
    return msgspec.structs.replace(once_a_month, interval_s=30 * DAY_S)


class Witnessed(StoreReader):
    """A reader whose checkpoints a witness has seen, as a hub's answer will make them."""

    def checkpoint(self, log_id: str) -> bytes:
        """Return the note with the witness's line behind the log's own."""
        signed = note.parse(super().checkpoint(log_id))
        return signed.with_line(note.cosign(signed.text, HUB, WITNESS, SEEN)).encode()


class Writer:
    """The store, with clocks that stand where they are put and keys that everyone may know."""

    def __init__(self, state: str) -> None:
        self.wall = ""
        self._random = mock.patch.object(PrivateKey, "generate", side_effect=(AGENT, OTHER))
        self._state = state
        self._observation = observation()

    def run(self) -> None:
        """Write the whole story."""
        with self._random, EvidenceStore.open(self._state, machine=observation().machine, clock=self._clock) as store:
            self._append(store, "2026-01-05T06:59:00.000Z", support())
            for day in (each for each in range(6, 26) if each not in FULL):
                self._day(store, day)

    def _clock(self) -> Clock:
        return clock(self.wall, boottime_ms=None)

    def _append(self, store: EvidenceStore, wall: str, *tables: Collected, seen: Observation | None = None) -> None:
        self.wall = wall
        store.append_snapshot(tables, seen or self._observation)

    def _day(self, store: EvidenceStore, day: int) -> None:
        self._append(store, f"2026-01-{day:02d}T07:00:00.{day:03d}Z", *tables(day))
        if day == 12:
            image = observation(name="image.example.org", machine=None, observed="image", labels={}, reason="by-hand")
            self._append(store, "2026-01-12T09:30:00.000Z", table("users", USERS, []), seen=image)
        if day == 14:
            self.wall = "2026-01-14T12:00:00.000Z"
            store.rotate(self._observation)
        if day == 19:
            absence = {"from": "2026-01-16T07:00:00Z", "reason": "disk-full", "until": "2026-01-19T07:00:00Z"}
            self.wall = "2026-01-19T07:00:01.000Z"
            store.append_event("gap", {"failures": 2}, {}, self._observation, absence)
        if day == 25:
            self.wall = "2026-01-25T08:00:00.000Z"
            store.prune(datetime(2026, 1, 6, tzinfo=timezone.utc), self._observation)


def tables(day: int) -> list[Collected]:
    """Return what is collected on a day, in each way that a table can end."""
    attempt = table("failing", FAILING, [{"a": day // 8}])
    if day == 12:
        attempt = unread("failing", FAILING, "failed", "killed after 60 s")
    found = [
        users(day),
        passwords(),
        packages(day),
        msgspec.structs.replace(attempt, interval_s=2 * DAY_S),
        unread("rpm_only", SUPPORT.replace(b"os_support", b"rpm_only"), "unsupported"),
        unread("switched_off", None, "disabled"),
    ]
    return [*found, support(day)] if day == 24 else found


def make(state: str) -> tuple[bytes, dict[str, Any]]:
    """Write the store into a folder that is not there yet, and return the pack and what a verifier must find."""
    Writer(state).run()
    return packed(state)


def packed(state: str) -> tuple[bytes, dict[str, Any]]:
    """Return the pack of a store, and what a verifier must find in it."""
    out = io.BytesIO()
    options: dict[str, Any] = {"organisation": ORGANISATION, "with_script": False}
    with Witnessed(state) as reader:
        summary = pack.export(reader, out, since=SINCE, until=UNTIL, **options)
    expected = {
        "blobs": summary.blobs,
        "entries": summary.entries,
        "exit_code": 0,
        "fingerprints": list(summary.fingerprints),
        "pruned": list(summary.missing),
        "since": summary.since,
        "tar_sha256": summary.tar_sha256,
        "until": summary.until,
        "witness": WITNESS.public.vkey(HUB, NOTE_COSIGNATURE),
    }
    return out.getvalue(), expected


def kept(state: str, folder: str) -> None:
    """Copy what a reader needs: no private key, no secret, no index, nothing that depends on this machine."""
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("logs", "blobs", "keys"):
        shutil.copytree(
            os.path.join(state, part),
            os.path.join(folder, part),
            ignore=shutil.ignore_patterns("*.pem", "secret", "identity.json"),
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        data, found = make(os.path.join(temporary, "state"))
        kept(os.path.join(temporary, "state"), os.path.join(FOLDER, "state"))
    with open(os.path.join(FOLDER, "pack.tar.gz"), "wb") as file:
        file.write(data)
    with open(os.path.join(FOLDER, "expected.json"), "w", encoding="utf-8") as text:
        text.write(json.dumps(found, indent=2, sort_keys=True) + "\n")
