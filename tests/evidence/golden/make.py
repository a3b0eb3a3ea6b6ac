"""Make the golden pack of format 1: a small log with a rotation, an image, gaps, failures, a prune and a witness.

    python tests/evidence/golden/make.py

writes the files beside it. They are made once and then kept: what format 1 is, is what they are. The keys are
made of public seeds, and every clock is fixed, so the test beside it can make the same bytes again.
"""

from __future__ import annotations

import io
import json
import os
import sys
from datetime import datetime, timezone
from typing import Any

import msgspec

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "..", ".."))  # run as a script, the repository is not on the path

from evidence import note, pack, statement  # noqa: E402  after the path is set
from evidence.keys import NOTE_COSIGNATURE  # noqa: E402
from evidence.statement import Collected, Cost  # noqa: E402
from tests.evidence.known import AGENT, OTHER, WITNESS  # noqa: E402
from tests.evidence.memory_store import MemoryStore  # noqa: E402
from tests.evidence.statements import observation  # noqa: E402

SINCE = datetime(2026, 1, 10, tzinfo=timezone.utc)
UNTIL = datetime(2026, 1, 20, tzinfo=timezone.utc)
ORGANISATION = "Example & Söhne"
HUB = "hub.example/w1"
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


def support() -> Collected:
    """Return the one table that is read once a month; its rows will be pruned."""
    rows = [{"os_id": "debian", "supported_until": "2028-06-30T00:00:00Z"}]
    once_a_month = table("os_support", SUPPORT, rows)
    return msgspec.structs.replace(once_a_month, interval_s=30 * DAY_S)


def store() -> MemoryStore:
    """Return the store that the pack is made of."""
    made = MemoryStore(AGENT)
    made.snapshot([support()], "2026-01-05T06:59:00.000Z")
    for day in range(6, 26):
        wall = f"2026-01-{day:02d}T07:00:00.{day:03d}Z"
        failed = unread("failing", FAILING, "failed", "killed after 60 s")
        fine = table("failing", FAILING, [{"a": day // 8}])
        made.snapshot(
            [
                users(day),
                passwords(),
                packages(day),
                failed if day == 12 else fine,
                unread("rpm_only", SUPPORT.replace(b"os_support", b"rpm_only"), "unsupported"),
                unread("switched_off", None, "disabled"),
            ],
            wall,
        )
        if day == 12:
            image = observation(name="image.example.org", machine=None, observed="image", labels={}, reason="by-hand")
            made.snapshot([table("users", USERS, [])], "2026-01-12T09:30:00.000Z", image)
        if day == 14:
            made.rotate(OTHER, "2026-01-14T12:00:00.000Z")
    made.prune([statement.digest(support().rows)], "2026-01-25T08:00:00.000Z")
    for log in made.logs():
        log.cosignatures.append(note.cosign(log.text, HUB, WITNESS, 1_769_414_400))
    return made


def make() -> tuple[bytes, dict[str, Any]]:
    """Return the pack and what a verifier must find in it."""
    out = io.BytesIO()
    options: dict[str, Any] = {"organisation": ORGANISATION, "with_script": False}
    summary = pack.export(store(), out, since=SINCE, until=UNTIL, **options)
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


if __name__ == "__main__":
    data, found = make()
    with open(os.path.join(FOLDER, "pack.tar.gz"), "wb") as file:
        file.write(data)
    with open(os.path.join(FOLDER, "expected.json"), "w", encoding="utf-8") as text:
        text.write(json.dumps(found, indent=2, sort_keys=True) + "\n")
