"""Valid and still not enough: a month that is missing, another host, promises that were not kept (V8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.evidence.verify import forge
from tests.evidence.verify.forge import AGENT, DAY, START, Story, time_text
from tests.evidence.verify.verdict import Auditor


def days(*at: float, interval: int | None = 86400, until: float | None = None) -> Story:
    """Return a story of one table that was read on these days, counted from the start of the period."""
    story = Story()
    log = story.log()
    log.opened(START - 100 * DAY)
    for day in at:
        log.snapshot(START + day * DAY, log.table(interval=interval))
    story.until = START + (max(at) if until is None else until) * DAY
    return story


def absent(story: Story, start: float, end: float, reason: str = "host-off", told: float | None = None) -> Story:
    """Let the log say, at its end, that nothing was read between two days."""
    absence = {"from": time_text(START + start * DAY), "reason": reason, "until": time_text(START + end * DAY)}
    story.logs[0].event(START + (end if told is None else told) * DAY, "agent-started", absence=absence)
    return story


def test_twice_the_promised_interval_is_still_in_time(auditor: Auditor) -> None:
    assert auditor.ask(days(0, 2, 4)).code == 0


def test_a_second_more_is_a_gap_and_is_named_with_its_times(auditor: Auditor) -> None:
    verdict = auditor.ask(days(0, 2 + 1 / 86400, 4))
    assert verdict.code == 3
    assert verdict.lines[2] == "✗ Incomplete period: 2026-01-01 → 2026-01-04"
    words = (
        "table users not read from 2026-01-01T00:00:00Z to 2026-01-03T00:00:01Z, later than promised and not explained"
    )
    assert f"✗ Incomplete: web-1: {words}" in verdict.lines


def test_the_end_of_the_period_counts_as_well(auditor: Auditor) -> None:
    assert auditor.ask(days(0, 1, 2, until=4)).code == 0
    verdict = auditor.ask(days(0, 1, 2, until=4.1))
    assert verdict.code == 3
    assert "from 2026-01-03T00:00:00Z to 2026-01-05T02:24:00Z" in verdict.text


def test_what_comes_after_the_period_is_not_asked_for(auditor: Auditor) -> None:
    assert auditor.ask(days(0, 1, 9, until=2)).code == 0


def test_the_last_reading_before_the_period_may_not_be_too_old(auditor: Auditor) -> None:
    assert auditor.ask(days(-1, 1, 2)).code == 0
    assert auditor.ask(days(-1, 1.5, 2)).code == 3
    assert auditor.ask(days(-9, -1, 1, 2)).code == 0, "a gap that ended before the period does not concern it"


def test_a_table_that_was_first_read_within_the_period_is_not_covered(auditor: Auditor) -> None:
    story = days(0, 1, 2)
    log = story.logs[0]
    log.snapshot(START + DAY, log.table("groups"))
    log.snapshot(START + 2 * DAY, log.table("groups"))
    verdict = auditor.ask(story)
    assert verdict.code == 3
    words = "table groups not read at or before the start of the period; first read at 2026-01-02T00:00:00Z"
    assert f"✗ Incomplete: web-1: {words}" in verdict.lines


def _failed(story: Story, day: float) -> Story:
    log = story.logs[0]
    log.snapshot(START + day * DAY, log.unread("users", "failed"))
    return story


def test_an_attempt_that_failed_is_no_reading(auditor: Auditor) -> None:
    assert auditor.ask(_failed(days(0, 1, until=3), 2.5)).code == 0
    assert auditor.ask(_failed(days(0, 1, until=3.5), 2.5)).code == 3
    story = Story()
    log = story.log()
    log.opened()
    log.snapshot(START, log.unread("users", "failed"))
    assert "table users not read at or before the start" in auditor.ask(story).text


@pytest.mark.parametrize("coverage", ["unsupported", "disabled"])
def test_a_table_that_is_not_for_this_host_was_looked_at(auditor: Auditor, coverage: str) -> None:
    story = Story()
    log = story.log()
    log.opened()
    log.snapshot(START, log.unread("users", coverage), log.table("groups", interval=30 * 86400))
    story.until = START + DAY
    assert auditor.ask(story).code == 0


def _switched_off(story: Story, day: float) -> Story:
    """Let a table be switched off, beside another one that is read every hundred days."""
    log = story.logs[0]
    log.snapshot(START, log.table("groups", interval=100 * 86400))
    log.snapshot(START + day * DAY, log.unread("users", "disabled"), log.table("groups", interval=100 * 86400))
    return story


def test_a_table_that_was_switched_off_promises_nothing_until_it_is_on_again(auditor: Auditor) -> None:
    story = _switched_off(days(0, 1, until=20), 2)
    log = story.logs[0]
    assert auditor.ask(story).code == 0
    log.snapshot(START + 10 * DAY, log.table())
    assert auditor.ask(story).code == 3
    log.snapshot(START + 12 * DAY, log.table(interval=30 * 86400))
    assert auditor.ask(story).code == 0


def test_switching_a_table_off_too_late_leaves_the_gap_before_it(auditor: Auditor) -> None:
    assert auditor.ask(_switched_off(days(0, until=9), 2)).code == 0
    assert auditor.ask(_switched_off(days(0, until=9), 5)).code == 3


@pytest.mark.parametrize("reason", ["host-off", "agent-off", "suspended", "disk-full"])
def test_a_signed_absence_explains_a_gap_and_is_printed(auditor: Auditor, reason: str) -> None:
    verdict = auditor.ask(absent(days(0, 1, 9, 10), 2, 9, reason))
    assert verdict.code == 0
    assert f"  Absent: web-1, {reason}, 2026-01-03T00:00:00Z to 2026-01-10T00:00:00Z" in verdict.lines


def test_an_absence_of_another_reason_explains_nothing(auditor: Auditor) -> None:
    verdict = auditor.ask(absent(days(0, 1, 9, 10), 2, 9, "holiday"))
    assert verdict.code == 3
    assert "holiday, which explains nothing" in verdict.text


def test_an_absence_explains_no_more_than_its_time(auditor: Auditor) -> None:
    assert auditor.ask(absent(days(0, 1, 9, 10), 2, 8)).code == 0
    assert auditor.ask(absent(days(0, 1, 9, 10), 2, 7.9)).code == 3


def test_two_absences_that_overlap_count_once(auditor: Auditor) -> None:
    story = absent(absent(days(0, 1, 9, 10), 2, 5, told=9), 3, 6, told=9)
    assert auditor.ask(story).code == 3
    assert auditor.ask(absent(story, 5, 8, told=9)).code == 0


def test_an_absence_cannot_speak_for_what_is_to_come(auditor: Auditor) -> None:
    assert auditor.ask(absent(days(0, 1, 9, 10), 2, 9, told=2)).code == 3


def test_an_absence_of_another_host_explains_nothing(auditor: Auditor) -> None:
    story = absent(days(0, 1, 9, 10), 2, 9)
    story.logs[0].statements[-1]["predicate"]["host"].update(machine="cd" * 16, name="db-1")
    assert auditor.ask(story).code == 3


def test_an_absence_outside_of_the_period_is_not_printed(auditor: Auditor) -> None:
    assert "Absent" not in auditor.ask(absent(days(0, 1, 2), -9, -8, told=2)).text


def test_a_clock_that_was_set_back_does_not_hide_a_gap(auditor: Auditor) -> None:
    story = days(0, 1, 6, 7)
    log = story.logs[0]
    log.snapshot(START - 20000 * DAY, log.table())
    assert auditor.ask(story).code == 3


def test_readings_are_ordered_by_their_time_not_by_their_number(auditor: Auditor) -> None:
    assert auditor.ask(days(0, 2, 1, 3)).code == 0


# --- read by hand


def test_reading_by_hand_promises_nothing_and_says_so(auditor: Auditor) -> None:
    story = days(0, 30, 90, interval=None)
    verdict = auditor.ask(story)
    assert verdict.code == 0
    assert "! Read by hand: nothing is promised about the time between snapshots (2 in the period)" in verdict.lines
    strict = auditor.ask(story, "--require", "schedule")
    assert strict.code == 3
    assert "a schedule was required" in strict.text


def test_a_schedule_that_was_kept_is_what_was_required(auditor: Auditor) -> None:
    assert auditor.ask(days(0, 1, 2), "--require", "schedule").code == 0


def test_a_run_by_hand_does_not_take_back_what_the_schedule_promised(auditor: Auditor) -> None:
    story = days(0, 1, until=9)
    log = story.logs[0]
    log.snapshot(START + 1.5 * DAY, log.table(interval=None))
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert "Read by hand" not in verdict.text


def test_reading_by_hand_after_the_start_of_the_period_does_not_cover_it(auditor: Auditor) -> None:
    assert auditor.ask(days(1, 2, interval=None)).code == 3


# --- period, host, snapshots


@pytest.mark.parametrize(
    ("since", "until", "code"),
    [
        ("2026-01-01", "2026-01-10", 0),
        ("2026-01-02", "2026-01-03", 0),
        ("2026-01-02T03:00:00Z", "2026-01-03T04:00:00.500Z", 0),
        ("2025-12-31", "2026-01-10", 3),
        ("2026-01-01", "2026-01-11", 3),
        ("2026-02-01", "2026-02-28", 3),
        ("2026-01-05", "2026-01-05", 0),
        ("2026-01-05", "2026-01-04", 2),
        ("2026-01-05T00:00:00Z", "2026-01-05T00:00:00Z", 2),
    ],
)
def test_the_pack_must_cover_the_period_that_is_asked_for(auditor: Auditor, since: str, until: str, code: int) -> None:
    story = days(*range(11), until=10)
    assert auditor.ask(story, "--since", since, "--until", until).code == code


def test_completeness_is_judged_for_the_period_that_is_asked_for(auditor: Auditor) -> None:
    story = days(0, 1, 2, 6, 7, 8)
    assert auditor.ask(story).code == 3
    verdict = auditor.ask(story, "--since", "2026-01-07", "--until", "2026-01-08")
    assert verdict.code == 0
    assert verdict.lines[2] == "✓ Period: 2026-01-07 → 2026-01-08"
    assert auditor.ask(story, "--since", "2026-01-04").code == 3
    assert auditor.ask(story, "--until", "2026-01-03").code == 0


@pytest.mark.parametrize("text", ["2026-13-01", "yesterday", "2026-01-01T00:00:00", "2026-01-01T00:00:00+01:00", ""])
def test_a_period_that_is_none_is_wrong_use(auditor: Auditor, text: str) -> None:
    assert auditor.ask(days(0), "--since", text).code == 2


def test_a_month_that_was_left_off_at_the_end_is_found(auditor: Auditor) -> None:
    story = days(*range(10))
    log = story.logs[0]
    log.count = 6
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert "goes on behind the entries shown, perhaps in this period" in verdict.text


def test_a_period_may_lie_between_two_entries_of_the_log(auditor: Auditor) -> None:
    story = days(0, 1, 2, 3, 4, interval=7 * 86400, until=4)
    log = story.logs[0]
    log.first, log.count = 2, 2
    story.since, story.until = START + 1.2 * DAY, START + 1.8 * DAY
    verdict = auditor.ask(story)
    assert "goes on" not in verdict.text
    assert "there is no snapshot in the period" in verdict.text
    assert verdict.code == 3


def test_the_last_reading_of_a_rare_table_is_shown_as_an_entry_of_its_own(auditor: Auditor) -> None:
    story = Story()
    log = story.log()
    log.opened(START - 50 * DAY)
    log.snapshot(START - 9 * DAY, log.table("rare", interval=30 * 86400))
    for day in range(-2, 4):
        log.snapshot(START + day * DAY, log.table())
    log.first, log.extras = 3, [1]
    assert auditor.ask(story).code == 0
    log.extras = []
    assert auditor.ask(story).code == 0, "a table that nothing names cannot be missed"
    log.snapshot(START + 3 * DAY, log.table("rare", interval=30 * 86400))
    assert auditor.ask(story).code == 3


def test_another_host_is_not_in_the_pack(auditor: Auditor) -> None:
    assert auditor.ask(days(0, 1), "--host", "web-1").code == 0
    verdict = auditor.ask(days(0, 1), "--host", "db-1")
    assert verdict.code == 3
    assert "host db-1 is not in the pack" in verdict.text


def _two_hosts() -> Story:
    story = days(0, 1, 2)
    other = story.log(forge.SECOND)
    other.opened()
    other.snapshot(START, other.table())
    for statement in other.statements:
        statement["predicate"]["host"].update(machine="cd" * 16, name="db-1")
    story.until = START + 5 * DAY
    story.hosts = [{"logs": [log.id], "name": name} for log, name in zip(story.logs, ("web-1", "db-1"), strict=True)]
    return story


def test_each_host_is_judged_and_one_alone_if_it_is_asked_for(auditor: Auditor) -> None:
    verdict = auditor.ask(_two_hosts())
    assert verdict.code == 3
    assert "✗ Incomplete: db-1: table users not read from" in verdict.text
    assert "✗ Incomplete: web-1: table users not read from" in verdict.text
    alone = auditor.ask(_two_hosts(), "--host", "db-1")
    assert "✗ Incomplete: web-1" not in alone.text
    until = auditor.ask(_two_hosts(), "--host", "db-1", "--until", "2026-01-02")
    assert until.code == 0


def test_a_host_that_was_renamed_stays_one_host(auditor: Auditor) -> None:
    story = days(0, 1, 2, 3)
    for statement in story.logs[0].statements[:3]:
        statement["predicate"]["host"]["name"] = "old-name"
    verdict = auditor.ask(story)
    assert verdict.code == 0
    assert "  Host web-1, once old-name: tables: 1, snapshots in the period: 3" in verdict.lines
    assert auditor.ask(story, "--host", "old-name").code == 0


def _image(story: Story, day: float) -> Story:
    log = story.logs[0]
    log.snapshot(START + day * DAY, log.table("users", interval=None))
    log.statements[-1]["predicate"]["host"] = {"labels": {}, "machine": None, "name": "image-1", "observed": "image"}
    return story


def test_an_image_is_told_apart_from_the_host_that_observed_it(auditor: Auditor) -> None:
    story = _image(days(0, 1, 2), 1.5)
    verdict = auditor.ask(story)
    assert verdict.code == 0
    assert "  Host image-1 (image): tables: 1, snapshots in the period: 1" in verdict.lines
    assert auditor.ask(story, "--host", "image-1").code == 3
    assert auditor.ask(_image(days(0, 1, 9), 5)).code == 3, "an image does not stand in for the host"


def test_a_pack_of_images_only_is_judged_by_them(auditor: Auditor) -> None:
    story = Story(hosts=[])
    log = story.log()
    log.opened()
    _image(story, 0)
    story.hosts = [{"logs": [log.id], "name": "image-1"}]
    assert auditor.ask(story).code == 0


def test_a_pack_without_entries_shows_nothing(auditor: Auditor) -> None:
    members = {"README.txt": b"x"}
    story = Story(manifest_edit=lambda value: value.update(hosts=[]))
    verdict = auditor.ask(story.tar(members))
    assert verdict.code == 3
    assert "there is no snapshot in the period" in verdict.text
    assert "✓ Signature" not in verdict.text


def test_a_pack_of_events_only_shows_nothing(auditor: Auditor) -> None:
    story = Story()
    story.log().opened(START + DAY)
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert "there is no snapshot in the period" in verdict.text


# --- content that is missing


def _pruned(story: Story, *gone: bytes, count: int | None = None) -> Story:
    details = {"digests": [forge.digest(each) for each in gone]}
    for each in gone:
        del story.blobs[forge.digest(each)]
    number = len(gone) if count is None else count
    story.logs[0].event(START + 3 * DAY, "pruned", details=details, before=time_text(START), blobs=number)
    return story


def test_content_that_is_missing_without_a_word_is_incomplete(auditor: Auditor) -> None:
    story = forge.small()
    del story.blobs[forge.digest(forge.blob_of(forge.ROWS))]
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert "(rows) is missing and was not pruned" in verdict.text


def test_content_that_a_signed_event_pruned_is_explained(auditor: Auditor) -> None:
    story = _pruned(forge.small(), forge.blob_of(forge.ROWS), forge.blob_of([forge.GAP]))
    verdict = auditor.ask(story)
    assert verdict.code == 0
    assert "! Pruned, as was signed: 2 of the blobs" in verdict.lines


def test_an_event_that_prunes_names_as_many_as_it_counts(auditor: Auditor) -> None:
    verdict = auditor.ask(_pruned(forge.small(), forge.blob_of(forge.ROWS), count=2))
    assert verdict.code == 1
    assert "2 digests of pruned blobs" in verdict.lines[0]


def test_an_event_of_another_kind_prunes_nothing(auditor: Auditor) -> None:
    story = forge.small()
    rows = forge.blob_of(forge.ROWS)
    del story.blobs[forge.digest(rows)]
    story.logs[0].event(START + 3 * DAY, "agent-started", details={"digests": [forge.digest(rows)]})
    assert auditor.ask(story).code == 3


@pytest.mark.parametrize("what", ["header", "details", "gaps"])
def test_each_kind_of_content_can_be_missed(auditor: Auditor, what: str) -> None:
    story = forge.small()
    raw = {
        "header": forge.canonical(forge.HEADER) + b"\n",
        "details": forge.canonical({"why": "boot"}) + b"\n",
        "gaps": forge.blob_of([forge.GAP]),
    }[what]
    del story.blobs[forge.digest(raw)]
    assert auditor.ask(story).code == 3


def test_of_an_entry_before_the_period_only_the_last_reading_of_a_table_is_needed(auditor: Auditor) -> None:
    def story(gone: Callable[[dict[str, Any]], bool]) -> Story:
        found = Story()
        log = found.log()
        log.opened(START - 50 * DAY)
        rare = [{**forge.ROWS[0], "name": "rare"}]
        old = [{**forge.ROWS[0], "name": "old"}]
        log.snapshot(START - 9 * DAY, log.table("rare", rows=rare, interval=30 * 86400), log.table(rows=old))
        for day in range(-2, 4):
            log.snapshot(START + day * DAY, log.table())
        log.first, log.extras = 3, [1]
        for rows in (rare, old):
            if gone(rows[0]):
                del found.blobs[forge.digest(forge.blob_of(rows))]
        return found

    assert auditor.ask(story(lambda _: False)).code == 0
    assert auditor.ask(story(lambda row: row["name"] == "old")).code == 0
    assert auditor.ask(story(lambda row: row["name"] == "rare")).code == 3


def test_key_mismatch_outweighs_incompleteness_and_that_a_missing_witness(auditor: Auditor) -> None:
    story = days(0, 9)
    assert auditor.ask(story, "--require", "witness").code == 3
    assert auditor.ask(story, "--require", "witness", "--key", forge.STRANGER.fingerprint).code == 1
    assert auditor.ask(days(0, 1), "--require", "witness", "--key", AGENT.fingerprint).code == 4
