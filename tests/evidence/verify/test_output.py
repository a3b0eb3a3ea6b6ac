"""What reaches the auditor's terminal: escaped, bounded, and in letters that it has (V11); and how it may be asked."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from evidence import verify
from tests.evidence.verify import forge
from tests.evidence.verify.forge import AGENT, DAY, SECOND, START, WITNESS, Story
from tests.evidence.verify.verdict import Auditor

HOSTILE = {
    "an escape": "\x1b[2J\x1b[31mweb",
    "a newline": "web\n✓ Signature valid (Ed25519)",
    "a carriage return": "web\r✓ All is well",
    "a bell": "web\x07",
    "an escape in eight bits": "web\x9b31m",
    "a text that runs backwards": "\u202ebew",
    "an isolate": "\u2066web\u2069",
    "a letter of another script": "w\u0435b",
    "nothing to be seen": "w\u200beb",
    "a picture": "web\U0001f600",
    "an end of line of Unicode": "web\u2028x",
    "a mark of ours": "✓ web",
    "a backslash": "web\\x41",
    "without end": "web" * 85,
    "empty": "",
}
PLAIN = set(map(chr, range(32, 127))) | {"✓", "✗", "→", "\n"}


def _safe(text: str) -> None:
    assert set(text) <= PLAIN
    assert len(text.split("\n")) <= 201
    assert max(map(len, text.split("\n"))) <= 400


@pytest.mark.parametrize("name", HOSTILE)
def test_foreign_text_is_shown_in_plain_letters_and_cut(auditor: Auditor, name: str) -> None:
    text = HOSTILE[name]
    story = forge.small()
    log = story.logs[0]
    absence = {"from": "2026-01-01T00:00:00Z", "reason": text, "until": "2026-01-02T00:00:00Z"}
    log.event(START + 3 * DAY, "gap", absence=absence)
    log.event(START + 3 * DAY, "gap")
    for statement in log.statements:
        statement["predicate"]["host"]["name"] = text
    story.hosts = [{"logs": [log.id], "name": text}]
    verdict = auditor.ask(story)
    assert verdict.code == 0
    _safe(verdict.text)
    assert verdict.text.count("✓") == 3
    assert auditor.ask(story, "--json").text.isascii()
    _safe(auditor.ask(story, "--host", text + "x").text)


@pytest.mark.parametrize("name", HOSTILE)
def test_foreign_text_in_an_accusation_is_shown_in_plain_letters_too(auditor: Auditor, name: str) -> None:
    text = HOSTILE[name]
    for edit in ("coverage", "name", "failure"):
        story = forge.small()
        story.logs[0].statements[1]["predicate"]["tables"][0][edit] = text
        verdict = auditor.ask(story)
        assert verdict.code == 1
        _safe(verdict.text)
    story = forge.small()
    story.manifest_edit = lambda value: value["logs"][0].update(origin=text)
    _safe(auditor.ask(story).text)
    members = {**forge.small().members(), "reports/" + text: b"x"} if len(text) < 90 else {}
    if members and "\0" not in text:
        _safe(auditor.ask(forge.small().tar(members)).text)


def test_a_name_of_a_witness_cannot_pose_as_more(auditor: Auditor) -> None:
    name = "hub/\u202exx"
    story = forge.small()
    story.logs[0].cosigned = [(WITNESS, name, 1_767_500_000)]
    verdict = auditor.ask(story, "--witness", WITNESS.vkey(name, 4))
    assert verdict.code == 0
    assert "✓ Witness hub/\\u202exx saw 6 entries" in verdict.text


def test_endless_findings_fill_two_hundred_lines_and_no_more(auditor: Auditor) -> None:
    story = Story()
    log = story.log()
    log.opened()
    for day in range(0, 1200, 3):
        log.snapshot(START + day * DAY, log.table())
    story.until = START + 1200 * DAY
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert len(verdict.lines) == 200
    assert verdict.lines[-1].startswith("  ... and ")
    assert verdict.lines[-1].endswith(" more lines")
    assert verdict.lines[0] == "✓ Signature valid (Ed25519)"


def test_many_tables_in_one_gap_are_one_line(auditor: Auditor) -> None:
    story = Story()
    log = story.log()
    log.opened()
    names = [f"t{number}" for number in range(8)]
    for day in (0, 9):
        log.snapshot(START + day * DAY, *(log.table(name) for name in names))
    story.until = START + 9 * DAY
    verdict = auditor.ask(story)
    assert "web-1: tables t0, t1, t2, t3, t4 and 3 more not read from" in verdict.text
    assert verdict.text.count("✗ Incomplete: ") == 1


def test_problems_are_kept_up_to_a_limit() -> None:
    report = verify.Report("x")
    for _ in range(verify.PROBLEMS_MAX + 5):
        report.problem(verify.INCOMPLETE, verify.SCHEDULE, "late")
    assert len(report.problems) == verify.PROBLEMS_MAX
    report.passed(verify.SCHEDULE, verify.COVER)
    assert report.checks == {verify.COVER}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r"])
def test_a_terminal_without_our_marks_gets_plain_ones(auditor: Auditor, encoding: str) -> None:
    path = auditor.file(forge.small().tar())
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    assert verify.main([path], out) == 0
    out.flush()
    text = raw.getvalue().decode("ascii")
    assert text.startswith("[ok] Signature valid (Ed25519)\n[ok] All 6 entries intact\n")
    assert "[ok] Period: 2026-01-01 -> 2026-01-03\n" in text
    broken = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert verify.main([auditor.file(b"x")], broken) == 2


USES: dict[str, list[str]] = {
    "no file": [],
    "an unknown option": ["x", "--trust-me"],
    "a key that is no file": ["x", "--key", "nowhere.pem"],
    "a key that is neither": ["x", "--key", "SHA256:short"],
    "something required that is none": ["x", "--require", "luck"],
}


@pytest.mark.parametrize("name", USES)
def test_wrong_use_is_exit_2_and_talks_on_stderr(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Auditor.run(*USES[name])
    assert verdict.code == 2
    assert verdict.text == ""
    assert capsys.readouterr().err.count("verify.py: error: ") == 1


KEY_WORDS = "--key: expected a fingerprint SHA256:... or a file with the public key, found"
WITNESS_WORDS = "--witness: expected a verifier key NAME+ID+KEY or a file of them, found"
PERIOD_WORDS = "--since, --until: expected days or times, the first before the second, found"
COMPLAINTS = {
    "a fingerprint in small letters": (["--key", AGENT.fingerprint.lower()], KEY_WORDS + " no such file or directory"),
    "a fingerprint without its name": (["--key", AGENT.fingerprint[7:]], KEY_WORDS + " no such file or directory"),
    "a fingerprint that is cut off": (["--key", AGENT.fingerprint[:-1]], KEY_WORDS + " no such file or directory"),
    "a folder as key": (["--key", "."], KEY_WORDS + " is a directory"),
    "a file without a key": (["--key", __file__], KEY_WORDS + " something else"),
    "no witness": (["--witness", "foo"], WITNESS_WORDS + " something else"),
    "a log's key as witness": (["--witness", AGENT.vkey("x")], WITNESS_WORDS + " something else"),
    "no time": (["--since", "foo"], PERIOD_WORDS + " something else"),
    "a day that is none": (["--until", "2026-02-30"], PERIOD_WORDS + " something else"),
    "an hour that is none": (["--until", "2026-02-28T24:00:00Z"], PERIOD_WORDS + " something else"),
    "reversed days": (["--since", "2026-01-02", "--until", "2026-01-01"], PERIOD_WORDS + " something else"),
    "reversed times": (["--since", "2026-01-02T00:00:01Z", "--until", "2026-01-02T00:00:00Z"], PERIOD_WORDS),
    "no time between": (["--since", "2026-01-02", "--until", "2026-01-02T00:00:00Z"], PERIOD_WORDS),
}


@pytest.mark.parametrize("name", COMPLAINTS)
def test_a_complaint_says_which_forms_are_taken(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, words = COMPLAINTS[name]
    assert Auditor.run("x", *arguments).code == 2
    assert words in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--since", "2026-01-01T00:00:01Z"]])
def test_the_end_of_time_is_a_time(auditor: Auditor, arguments: list[str]) -> None:
    verdict = auditor.ask(forge.small(), "--until", "9999-12-31", *arguments)
    assert verdict.code == 3
    assert "9999-12-31" in verdict.text


KEY_FILES = {
    "an RSA key": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7\n",
    "a private key": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n",
    "a certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "a PEM of another key": AGENT.pem.replace("MCow", "MCox"),
    "an OpenSSH line of another key": AGENT.pub.replace("AAAAC3", "AAAAC2"),
    "half an OpenSSH line": "ssh-ed25519 ",
    "a verifier key of a witness": AGENT.vkey("x", 4),
    "a verifier key with another id": AGENT.vkey("x").replace("x+", "y+"),
    "text": "hello",
    "nothing": "",
}


@pytest.mark.parametrize("name", KEY_FILES)
def test_a_file_without_a_key_is_wrong_use(auditor: Auditor, tmp_path: Path, name: str) -> None:
    (tmp_path / "key").write_text(KEY_FILES[name])
    assert auditor.run("x", "--key", str(tmp_path / "key")).code == 2


def test_a_key_file_of_bytes_is_wrong_use(auditor: Auditor, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    assert auditor.run("x", "--key", str(tmp_path / "key")).code == 2


def test_several_keys_may_be_given_for_several_hosts(auditor: Auditor) -> None:
    packs = [forge.small(), _other()]
    arguments = ["--key", AGENT.fingerprint, "--key", SECOND.fingerprint]
    assert auditor.ask(packs, *arguments).code == 0
    assert auditor.ask(packs, *arguments[:2]).code == 1


def _other() -> Story:
    story = Story()
    log = story.log(SECOND)
    log.opened()
    log.snapshot(START, log.table(interval=7 * 86400))
    return story


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert Auditor.run("--help").code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: verify.py ")
    assert "--require" in text
    for words in ("0 valid", "1 tampered", "2 wrong use", "3 incomplete", "4 a required witness or timestamp"):
        assert words in " ".join(text.split())
    assert text.isascii(), "it can be printed anywhere"


def test_help_names_the_program_that_was_called(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main(["--help"], io.StringIO(), "evidenced verify") == 0
    assert capsys.readouterr().out.startswith("usage: evidenced verify ")


def test_json_of_several_packs_is_a_line_for_each(auditor: Auditor) -> None:
    verdict = auditor.ask([forge.small(), b"x"], "--json")
    first, second = (json.loads(line) for line in verdict.lines)
    assert (first["exit"], second["exit"], verdict.code) == (0, 2, 2)
    assert second["unusable"].startswith("expected a pack")
    assert first["checks"][verify.VIEW - 1]["result"] == "held"


def test_text_is_cut_after_it_was_escaped() -> None:
    assert verify.shown("a" * 121) == "a" * 117 + "..."
    assert verify.shown("a" * 120) == "a" * 120
    assert verify.shown("\\x1b \x1b") == "\\\\x1b \\x1b", "a backslash that was there is told from one of ours"
    assert len(verify.shown("\U0001f600" * 100)) == 120
