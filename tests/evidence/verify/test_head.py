"""What an honest pack gets: the head that a hurried auditor reads, and nothing that sounds better than it is."""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evidence import verify
from tests.conftest import program
from tests.evidence.verify import forge
from tests.evidence.verify.forge import AGENT, DAY, START, Story
from tests.evidence.verify.verdict import Auditor


def test_a_good_pack_begins_with_the_three_lines_and_the_fingerprint_to_compare(auditor: Auditor) -> None:
    verdict = auditor.ask(forge.small())
    assert verdict.code == 0
    assert verdict.lines[:4] == [
        "✓ Signature valid (Ed25519)",
        "✓ All 6 entries intact",
        "✓ Period: 2026-01-01 → 2026-01-03",
        f"! Key not compared: {AGENT.fingerprint} Compare it with the fingerprint you were given.",
    ]


def test_what_is_not_proved_is_printed_too(auditor: Auditor) -> None:
    text = auditor.ask(forge.small()).text
    for words in (
        "tamper-evident, not truth-evident",
        "No witness",
        "No timestamp",
        "Not signed: manifest.json, reports/, README.txt",
        "as the host says",
    ):
        assert words in text


def test_every_check_is_numbered_and_reported(auditor: Auditor) -> None:
    path = auditor.file(forge.small().tar())
    report = verify.verify(path, verify.Options())
    assert report.checks == set(range(1, 17)) - {verify.KEY, verify.WITNESS, verify.VIEW}
    assert report.code == 0
    assert [name for name, _ in report.members][:2] == ["manifest.json", f"keys/{AGENT.name16}-1.pem"]


def test_a_period_that_is_not_of_whole_days_is_shown_in_full(auditor: Auditor) -> None:
    story = forge.small()
    story.until = START + 2 * DAY + DAY / 2
    assert "✓ Period: 2026-01-01T00:00:00Z → 2026-01-03T12:00:00Z" in auditor.ask(story).lines
    story.since, story.until = START + DAY / 2, START + 3 * DAY
    assert "✓ Period: 2026-01-01T12:00:00Z → 2026-01-04T00:00:00Z" in auditor.ask(story).lines


def test_gaps_in_tables_are_said_and_are_no_fault(auditor: Auditor) -> None:
    story = forge.small()
    log = story.logs[0]
    log.snapshot(START + 3 * DAY, log.table(gaps=[forge.GAP]), log.table("groups"))
    verdict = auditor.ask(story)
    assert verdict.code == 0
    assert "! Last seen partial: table users" in verdict.lines
    assert "! Last seen unsupported: table rpm" in verdict.lines


def test_gzip_plain_and_folder_are_one_pack(auditor: Auditor, tmp_path: Path) -> None:
    story = forge.small()
    plain = auditor.ask(story)
    assert auditor.ask(forge.packed(story.tar())) == plain
    assert auditor.run(str(_folder(tmp_path / "folder", story.sealed()))) == plain


def _folder(path: Path, members: dict[str, bytes]) -> Path:
    for name, raw in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


@pytest.mark.needs_program("tar", "gzip")
@pytest.mark.parametrize("form", ["gnu", "ustar"])
def test_a_repack_by_tar_and_gzip_is_the_same_pack(auditor: Auditor, tmp_path: Path, form: str) -> None:
    story = forge.small()
    folder = _folder(tmp_path / "unpacked", story.sealed())
    path = str(tmp_path / "repacked.tar")
    tar, gzipper = program("tar"), program("gzip")
    assert tar is not None
    assert gzipper is not None
    subprocess.run([tar, f"--format={form}", "-C", str(folder), "-cf", path, *story.sealed()], check=True)
    subprocess.run([gzipper, "-9", path], check=True)
    assert auditor.run(path + ".gz") == auditor.ask(story)


def test_json_says_the_same_and_names_each_check(auditor: Auditor) -> None:
    value = json.loads(auditor.ask(forge.small(), "--json").text)
    assert (value["exit"], value["entries"], value["blobs"]) == (0, 6, 9)
    assert value["period"] == {"since": "2026-01-01T00:00:00Z", "until": "2026-01-04T00:00:00Z"}
    assert value["keys"] == [{"fingerprint": AGENT.fingerprint, "compared": False}]
    results = {each["number"]: each["result"] for each in value["checks"]}
    assert [each["check"] for each in value["checks"]] == list(verify.CHECKS)
    assert {at for at, result in results.items() if result == "not made"} == {12, 13, 16}
    assert {at for at, result in results.items() if result == "held"} == set(results) - {12, 13, 16}


def test_json_of_what_is_no_pack_has_no_period(auditor: Auditor, tmp_path: Path) -> None:
    value = json.loads(auditor.run(str(tmp_path / "nowhere"), "--json").text)
    assert (value["exit"], value["period"]) == (2, None)
    assert value["unusable"] == "expected a pack that can be read, found: No such file or directory"


def test_json_names_the_check_that_failed(auditor: Auditor) -> None:
    story = forge.small()
    story.logs[0].envelopes[2] = lambda value: {**value, "payloadType": "text/plain"}
    value = json.loads(auditor.ask(story, "--json").text)
    assert value["exit"] == 1
    assert value["problems"][0]["check"] == verify.ENTRIES
    assert value["checks"][verify.ENTRIES - 1]["result"] == "failed"
    assert value["checks"][verify.COVER - 1]["result"] == "not made"


@pytest.mark.parametrize("form", ["fingerprint", "pem", "pub", "vkey"])
def test_a_key_that_was_given_is_compared_in_each_form(auditor: Auditor, tmp_path: Path, form: str) -> None:
    texts = {"pem": AGENT.pem, "pub": AGENT.pub, "vkey": AGENT.vkey("any/name")}
    argument = AGENT.fingerprint
    if form in texts:
        (tmp_path / "key").write_text(texts[form])
        argument = str(tmp_path / "key")
    verdict = auditor.ask(forge.small(), "--key", argument)
    assert verdict.code == 0
    assert f"✓ Key compared: {AGENT.fingerprint}" in verdict.lines
    assert "not compared" not in verdict.text


def test_a_pack_signed_whole_with_another_key_passes_without_a_key_and_fails_with_it(auditor: Auditor) -> None:
    story = forge.small()
    story.logs[0].signer = forge.STRANGER
    for statement in story.logs[0].statements:
        statement["predicate"]["log"]["origin"] = story.logs[0].origin
    assert auditor.ask(story).code == 0
    assert f"! Key not compared: {forge.STRANGER.fingerprint}" in auditor.ask(story).text
    verdict = auditor.ask(story, "--key", AGENT.fingerprint)
    assert verdict.code == 1
    assert "✗ Key mismatch" in verdict.text
    assert "✓ Key compared" not in verdict.text


def test_the_numbered_list_of_the_manual_is_the_one_of_the_script() -> None:
    manual = (Path(verify.__file__).parent.parent / "docs" / "verify.md").read_text(encoding="utf-8")
    items = re.findall(r"^(\d+)\. \*\*(.+?)\*\*", re.sub(r"\n {3,4}(?=\S)", " ", manual), flags=re.MULTILINE)
    assert [(int(number), text.rstrip(".")) for number, text in items] == list(enumerate(verify.CHECKS, 1))


def test_the_root_by_hand_in_the_manual_is_the_one_that_is_signed(tmp_path: Path) -> None:
    manual = (Path(verify.__file__).parent.parent / "docs" / "verify.md").read_text(encoding="utf-8")
    code = re.findall(r"^python3 - LOG <<'END'\n(.*?)^END$", manual, flags=re.MULTILINE | re.DOTALL)[0]
    story = forge.small()
    log = story.logs[0]
    _folder(tmp_path, story.members())
    command = [sys.executable, "-c", code, log.id]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == log.text().decode().split("\n")[2]


def _imported(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [each.name.partition(".")[0] for each in node.names]
    return [(node.module or "").partition(".")[0]] if isinstance(node, ast.ImportFrom) else []


def test_the_script_stays_within_one_sitting_and_the_standard_library() -> None:
    source = Path(verify.__file__).read_text(encoding="utf-8")
    assert source.count("\n") <= 1500
    names = {name for node in ast.walk(ast.parse(source)) for name in _imported(node)} - {"__future__"}
    assert names <= set(sys.stdlib_module_names)
    assert not names & {"socket", "http", "urllib", "ssl", "subprocess", "tempfile", "shutil", "tarfile"}


def test_nothing_is_written_anywhere(auditor: Auditor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = auditor.file(forge.small().tar())
    before = {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*")}
    monkeypatch.chdir(tmp_path)
    opened = []
    hook_on = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if hook_on and event == "open" and isinstance(arguments[2], int):
            opened.append(arguments)

    sys.addaudithook(hook)
    assert auditor.run(path).code == 0
    hook_on = False
    assert [name for name, _, _ in opened if name == path]
    writing = 0o1 | 0o2 | 0o100 | 0o1000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC
    assert not [each for each in opened if isinstance(each[2], int) and each[2] & writing]
    assert {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*")} == before


def test_more_than_256_entries_fill_more_than_one_bundle_and_are_counted(auditor: Auditor) -> None:
    story = _long(600)
    verdict = auditor.ask(story)
    assert verdict.lines[1] == "✓ All 602 entries intact"
    assert verdict.code == 0


def _long(count: int) -> Story:
    story = Story()
    log = story.log()
    log.opened()
    log.snapshot(START, log.table())
    for each in range(count - 1):
        log.event(START + DAY * (each / count), "agent-started")
    log.snapshot(START + 2 * DAY, log.table())
    return story


def test_a_cut_in_a_bundle_that_is_not_the_last_is_found(auditor: Auditor) -> None:
    story = _long(600)
    members = story.members()
    name = f"{story.logs[0].id}/entries/000"
    moved, rest = members[name].rsplit(b"\n", 2)[0], members[name].rsplit(b"\n", 2)[1]
    members[name] = moved + b"\n"
    members[name[:-1] + "1"] = rest + b"\n" + members[name[:-1] + "1"]
    verdict = auditor.ask(story.tar(members))
    assert verdict.code == 1
    assert "at most 256 entries" in verdict.text or "256 entries in each bundle" in verdict.text


def test_the_golden_pack_of_format_1_is_valid_and_witnessed() -> None:
    folder = Path(__file__).parent.parent / "golden"
    expected = json.loads((folder / "expected.json").read_text())
    pack = str(folder / "pack.tar.gz")
    verdict = Auditor.run(pack, "--key", expected["fingerprints"][0], "--witness", expected["witness"])
    assert verdict.code == expected["exit_code"] == 0
    assert verdict.lines[1] == f"✓ All {expected['entries']} entries intact"
    assert verdict.text.count("✓ Witness hub.example/w1 saw") == len(expected["fingerprints"])
    report = verify.verify(pack, verify.Options())
    assert report.blobs == expected["blobs"]
    tar = gzip.decompress(Path(pack).read_bytes())
    assert hashlib.sha256(tar).hexdigest() == expected["tar_sha256"]
    assert shutil.which("true") is None or io.BytesIO(tar).read(13) == b"manifest.json"
