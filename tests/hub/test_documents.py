"""What the documents say of the protocol is what the hub does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hub import problem
from hub.limits import MIB, Limits
from tests.hub.running import ROOT, RunningHub

DOCS = ROOT / "docs"
PROTOCOL = (DOCS / "hub-protocol.md").read_text("utf-8")
OPENAPI: dict[str, Any] = json.loads((DOCS / "hub-openapi.json").read_text("utf-8"))


def test_the_table_of_answers_has_every_kind_with_its_status() -> None:
    rows = [line for line in PROTOCOL.split("\n") if re.match(r"\| [45]\d\d", line)]
    told = {
        (status, kind)
        for row in rows
        for status in re.findall(r"\d{3}", row.split("|")[1])
        for kind in re.findall(r"`([a-z-]+)`", row)
    }
    for kind, (status, _) in problem._KINDS.items():
        name = problem._SPELLED.get(kind, kind)
        if kind not in ("internal", "unavailable"):
            assert (f"{status}", name) in told, (status, name)


def test_the_openapi_file_has_every_path_and_no_other(hub: RunningHub) -> None:
    paths = {
        "/v1/hub",
        "/v1/enrolments",
        "/v1/logs/{log}/checkpoint",
        "/v1/batches",
        "/v1/uploads/{upload}",
        "/add-checkpoint",
    }
    assert set(OPENAPI["paths"]) == paths
    for path, operations in OPENAPI["paths"].items():
        methods = {each.upper() for each in operations if each != "parameters"}
        concrete = re.sub(r"\{\w+\}", "0" * 32, path)
        answer = hub.ask("DELETE", concrete)
        assert (answer.status, set(answer.headers["Allow"].split(", "))) == (405, methods)


def test_every_reference_in_the_openapi_file_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(OPENAPI)):
        place: Any = OPENAPI
        for step in reference.split("/"):
            place = place[step]
        assert place


def test_what_the_hub_says_of_itself_has_the_documented_shape(hub: RunningHub) -> None:
    assert set(hub.describe()) == set(OPENAPI["components"]["schemas"]["Hub"]["required"])


def test_the_limits_are_the_documented_ones() -> None:
    limits = Limits()
    assert (limits.max_chunk, limits.max_batch, limits.max_head) == (4 * MIB, 256 * MIB, 16 * 1024)
    assert "Headers must be there within 10 s" in PROTOCOL
    assert (limits.head_s, limits.piece_s, limits.body_s, limits.nonce_s) == (10, 30, 120, 600)
    assert "forgotten, a log has at most 4 open ones" in PROTOCOL
    assert (limits.upload_age_s, limits.uploads_per_log) == (24 * 3600, 4)


def test_the_manual_names_every_command_and_option() -> None:
    from hub.main import COMMANDS  # noqa: PLC0415  beside what it is compared with

    manual = (DOCS / "man" / "evidenced-hub.1").read_text("ascii").replace("\\-", "-")
    for command in COMMANDS:
        assert f"\n.B {command}\n" in manual
        lines = Path(ROOT / "hub" / "commands" / f"{command}.py").read_text("utf-8").splitlines()
        source = "\n".join(each for each in lines if "SUPPRESS" not in each)
        for option in re.findall(r'"(--[a-z-]+)"', source):
            assert option in manual or option in ("--output", "--until"), option
