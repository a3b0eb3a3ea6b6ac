"""What damage took from a host: incomplete where a signed event names it, tampered where none does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from evidence import verify
from tests.evidence.verify import forge
from tests.evidence.verify.forge import AGENT, DAY, SECOND, START, Log, Story
from tests.evidence.verify.verdict import Auditor

ROWS = forge.digest(forge.blob_of(forge.ROWS))
GAPS = forge.digest(forge.blob_of([forge.GAP]))


def finding(*names: str, count: int | None = None) -> dict[str, Any]:
    number = len(names) if count is None else count
    return {"count": number, "found": "other bytes", "names": list(names), "part": "segment", "where": "logs/x"}


def damage(log: Log, *findings: Any, when: datetime = START + 3 * DAY, details: Any = None) -> None:
    """Let a log say what damage took."""
    count = sum(each["count"] for each in findings)
    log.event(
        when,
        "damage",
        details={"findings": list(findings)} if details is None else details,
        part="segment",
        count=count,
    )


def names(log: Log, *sequences: int) -> list[str]:
    return [f"{log.origin} {each}" for each in sequences]


def lost(*sequences: int, named: tuple[int, ...] | None = None) -> Story:
    """Return an honest story in which damage took entries; an event names them, or others."""
    story = forge.small()
    log = story.logs[0]
    damage(log, finding(*names(log, *(sequences if named is None else named))))
    log.gone = list(sequences)
    return story


# --- entries


def test_an_entry_that_a_signed_event_names_as_lost_is_incomplete_and_named(auditor: Auditor) -> None:
    story = lost(3)
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert "✗ Tampered" not in verdict.text
    assert verdict.lines[:3] == [
        "✓ Signature valid (Ed25519)",
        "✓ The other 6 entries intact",
        "✗ Incomplete period: 2026-01-01 → 2026-01-03",
    ]
    words = "lost to damage, as signed events say: entry 3"
    assert f"✗ Incomplete: log {story.logs[0].id}: {words}" in verdict.lines


def test_entries_that_were_lost_in_a_row_are_one_line(auditor: Auditor) -> None:
    verdict = auditor.ask(lost(1, 3, 4, 5))
    assert verdict.code == 3
    assert "as signed events say: entry 1\n" in verdict.text
    assert "as signed events say: entries 3 to 5\n" in verdict.text
    assert verdict.text.count("lost to damage") == 2


@pytest.mark.parametrize("sequences", [(0,), (3,), (5,), (1, 2, 3, 4, 5), (6,)])
def test_an_entry_that_no_signed_event_names_was_taken_out(auditor: Auditor, sequences: tuple[int, ...]) -> None:
    story = lost(*sequences, named=())
    verdict = auditor.ask(story)
    assert verdict.code == 1
    words = f"log {story.logs[0].id}: expected entry {sequences[0]}, or a signed event that names it as lost"
    assert verdict.lines[0] == f"✗ Tampered: {words}, found neither"


def _other_log(story: Story) -> str:
    log = story.logs[0]
    return f"evidenced/{log.signer.name16}/{log.epoch + 1} 3"


OTHER_NAMES: dict[str, Callable[[Story], Any]] = {
    "another entry": lambda story: finding(*names(story.logs[0], 2)),
    "another log": lambda story: finding(_other_log(story)),
    "the number alone": lambda _: finding("3"),
    "another spelling": lambda story: finding(f"{story.logs[0].origin} 03"),
    "a prefix": lambda story: finding(*names(story.logs[0], 31)),
    "its leaf": lambda story: finding(story.logs[0].leaves()[3].hex()),
    "other text of the finding": lambda story: {**finding(), "where": names(story.logs[0], 3)[0], "count": 1},
    "a finding that was mended": lambda story: finding(*names(story.logs[0], 3), count=0),
}


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_only_an_event_that_names_this_very_entry_as_lost_excuses_it(auditor: Auditor, name: str) -> None:
    story = forge.small()
    log = story.logs[0]
    damage(log, OTHER_NAMES[name](story))
    log.gone = [3]
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert "expected entry 3, or a signed event that names it as lost, found neither" in verdict.lines[0]


def test_an_attacker_who_takes_one_more_entry_than_was_lost_is_found(auditor: Auditor) -> None:
    """He holds a pack with an honest `damage` event, and cannot sign another."""
    for sequence in (1, 2, 4, 5):
        story = lost(3)
        story.logs[0].gone.append(sequence)
        verdict = auditor.ask(story)
        assert verdict.code == 1
        assert f"expected entry {sequence}, or a signed event" in verdict.lines[0]


def test_an_attacker_cannot_take_the_event_or_its_words_either(auditor: Auditor) -> None:
    story = lost(3)
    story.logs[0].gone.append(6)
    assert auditor.ask(story).code == 1, "the event that named the entry is gone as well"
    story = lost(3)
    details = story.logs[0].statements[6]["subject"][0]["digest"]["sha256"]
    del story.blobs[details]
    assert auditor.ask(story).code == 1, "what the event said is gone: nothing names the entry"


def test_an_event_of_another_kind_excuses_nothing(auditor: Auditor) -> None:
    story = forge.small()
    log = story.logs[0]
    log.event(START + 3 * DAY, "agent-started", details={"findings": [finding(*names(log, 3))]})
    log.snapshot(START + 3 * DAY, log.table(rows=[{**forge.ROWS[0], "name": names(log, 3)[0]}]))
    log.gone = [3]
    assert auditor.ask(story).code == 1


def test_a_lost_entry_that_is_there_is_no_matter(auditor: Auditor) -> None:
    story = lost(3)
    story.logs[0].gone = []
    verdict = auditor.ask(story)
    assert verdict.code == 0
    assert "✓ All 7 entries intact" in verdict.lines


def test_json_says_that_the_range_has_a_hole(auditor: Auditor) -> None:
    value = json.loads(auditor.ask(lost(3), "--json").text)
    assert value["exit"] == 3
    assert value["checks"][verify.RANGE - 1]["result"] == "failed"
    assert [each["check"] for each in value["problems"]] == [verify.RANGE]


def test_the_entry_that_opens_a_log_can_be_lost(auditor: Auditor) -> None:
    verdict = auditor.ask(lost(0), "--key", AGENT.fingerprint)
    assert verdict.code == 3
    assert "as signed events say: entry 0\n" in verdict.text


def test_the_whole_main_range_of_a_log_can_be_lost(auditor: Auditor) -> None:
    story = forge.rotated()
    old, new = story.logs
    old.gone = [0, 1, 2, 3]
    damage(new, finding(*names(old, *old.gone)))
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert f"✗ Incomplete: log {old.id}: lost to damage, as signed events say: entries 0 to 3" in verdict.lines
    old.first = 1
    old.gone = [1, 2, 3]
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert f"log {old.id} goes on before the entries shown, perhaps in this period" in verdict.text
    new.statements.pop()
    assert auditor.ask(story).code == 1


@pytest.mark.parametrize("signer", [AGENT, SECOND])
def test_keys_are_tied_without_the_entry_that_closed_the_old_log(auditor: Auditor, signer: forge.Signer) -> None:
    """The new log's first entry names the old one by its root; what the old key signed last is lost."""
    story = forge.rotated()
    old, new = story.logs
    old.gone = [3]
    damage(new, finding(*names(old, 3)))
    code = 3 if signer is SECOND else 1
    assert auditor.ask(story, "--key", signer.fingerprint).code == code


def test_a_rotation_whose_first_entry_is_lost_ties_no_key(auditor: Auditor) -> None:
    story = forge.rotated()
    old, new = story.logs
    new.gone = [0]
    damage(new, finding(*names(new, 0)))
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert f"log {old.id} was closed for a new key; nothing in the pack ties a later log to it" in verdict.text
    assert auditor.ask(story, "--key", AGENT.fingerprint).code == 1


def test_a_pack_that_claims_a_range_of_millions_is_answered_at_once(auditor: Auditor) -> None:
    story = lost(3)
    story.manifest_edit = lambda value: value["logs"][0].update(count=2**53 - 1)
    assert auditor.ask(story).code == 1


def test_thousands_of_lost_entries_are_a_few_lines(auditor: Auditor) -> None:
    story = Story()
    log = story.log()
    log.opened()
    log.snapshot(START, log.table())
    for each in range(2500):
        log.event(START + DAY * (each / 2500), "agent-started")
    log.gone = list(range(2, 2502, 2))
    damage(log, finding(*names(log, *log.gone)), when=START + 2 * DAY)
    story.until = START + 2 * DAY
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert len(verdict.lines) == 200
    report = verify.verify(auditor.file(story.tar()), verify.Options())
    assert len(report.problems) == verify.PROBLEMS_MAX


@pytest.mark.parametrize("key", [forge.STRANGER, SECOND])
def test_a_flood_of_findings_does_not_hide_a_mismatch_of_keys(
    auditor: Auditor, key: forge.Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "PROBLEMS_MAX", 1)
    story = lost(1, 3, 5)
    verdict = auditor.ask(story, "--key", key.fingerprint)
    assert verdict.code == 1
    assert "✗ Key mismatch" in verdict.text
    assert auditor.ask(story, "--require", "witness").text.count("✗ Missing") == 1


def test_a_check_that_failed_beyond_the_cap_is_not_said_to_have_held(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "PROBLEMS_MAX", 1)
    story = lost(1, 3, 5)
    del story.blobs[ROWS]
    checks = json.loads(auditor.ask(story, "--json").text)["checks"]
    assert checks[verify.CONTENT - 1]["result"] == "failed"


# --- blobs


def test_a_blob_that_a_signed_event_names_as_lost_is_incomplete_in_other_words(auditor: Auditor) -> None:
    story = forge.small()
    damage(story.logs[0], finding(ROWS))
    del story.blobs[ROWS]
    del story.blobs[GAPS]
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert f"✗ Incomplete: blob {ROWS} (rows) was lost to damage, as a signed event says" in verdict.lines
    assert f"✗ Incomplete: blob {GAPS} (gaps) is missing and was not pruned" in verdict.lines
    assert "Pruned" not in verdict.text


def test_a_blob_that_was_made_again_and_is_missing_was_not_lost_then(auditor: Auditor) -> None:
    story = forge.small()
    damage(story.logs[0], finding(ROWS, count=0))
    del story.blobs[ROWS]
    assert f"blob {ROWS} (rows) is missing and was not pruned" in auditor.ask(story).text


def test_a_blob_that_was_lost_and_pruned_is_pruned(auditor: Auditor) -> None:
    story = forge.small()
    log = story.logs[0]
    damage(log, finding(ROWS))
    log.event(START + 3 * DAY, "pruned", details={"digests": [ROWS]}, before="2026-01-01T00:00:00Z", blobs=1)
    del story.blobs[ROWS]
    verdict = auditor.ask(story)
    assert verdict.code == 0
    assert "! Pruned, as was signed: 1 of the blobs" in verdict.lines
    assert "damage" not in verdict.text


# --- what an event says


DETAILS: dict[str, Any] = {
    "nothing": {},
    "no list": {"findings": {}},
    "names that are no list": {"findings": [{**finding(), "names": "x"}]},
    "a name that is no text": {"findings": [{**finding(), "names": [3]}]},
    "a count below zero": {"findings": [finding(count=-1)]},
    "a finding without a count": {"findings": [{"names": []}]},
    "one thing more": {"findings": [], "more": 1},
    "what another kind says": {"digests": []},
}


@pytest.mark.parametrize("name", DETAILS)
def test_the_details_of_damage_have_one_shape(auditor: Auditor, name: str) -> None:
    story = forge.small()
    damage(story.logs[0], details=DETAILS[name])
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert verdict.lines[0].startswith("✗ Tampered: blob ")


@pytest.mark.parametrize("digests", [{}, "x", ["x"], [ROWS.upper()], [3], None])
def test_the_details_of_pruned_have_one_shape(auditor: Auditor, digests: Any) -> None:
    story = forge.small()
    details = {"digests": digests}
    story.logs[0].event(START + 3 * DAY, "pruned", details=details, before="2026-01-01T00:00:00Z", blobs=1)
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert verdict.lines[0].startswith("✗ Tampered: blob ")


def test_names_of_what_was_lost_count_as_memory_by_their_length(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "HELD_MAX", 50_000)
    story = forge.small()
    damage(story.logs[0], finding("x" * 100, "y" * 45_000))
    verdict = auditor.ask(story)
    assert verdict.code == 2
    assert "export shorter periods" in verdict.text
