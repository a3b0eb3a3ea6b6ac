"""Attacks of a courier without a key on a period of several logs: what is shown is one piece of all of them (V14)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.evidence.verify import forge
from tests.evidence.verify.forge import AGENT, DAY, ROWS, SECOND, START, Log, Story
from tests.evidence.verify.verdict import Auditor

GONE = "which the pack does not show right before it"


def read(log: Log, *days: float) -> None:
    """Let a table be read by hand on these days, so that no promise tells of what is missing."""
    for day in days:
        log.snapshot(START + day * DAY, log.table(interval=None))


def begun(story: Story, day: float, why: str = "restored", after: Log | None = None) -> Log:
    """Return the next epoch of the key; it names the log before, or another."""
    log = story.log(AGENT, len(story.logs) + 1)
    log.opened(START + day * DAY, why, (after or story.logs[-2]).as_previous())
    return log


def three_epochs() -> Story:
    """Return an honest story of 30 days read by hand: each log opens and ends within the period, but the last."""
    story = Story(until=START + 30 * DAY)
    log = story.log()
    log.opened()
    read(log, -0.5, 1, 2)
    read(begun(story, 3), 4, 5, 6, 7)
    read(begun(story, 8), 9, 10, 31, 32)
    story.logs[2].count = 4
    return story


def test_honest_logs_that_join_are_complete(auditor: Auditor) -> None:
    assert auditor.ask(three_epochs(), "--key", AGENT.fingerprint).code == 0


def _cut(log: int, first: int, count: int, *extras: int) -> Callable[[Story], None]:
    def attack(story: Story) -> None:
        found = story.logs[log]
        found.first, found.count, found.extras = first, count, list(extras)

    return attack


def _without(*logs: int) -> Callable[[Story], None]:
    def attack(story: Story) -> None:
        story.logs = [each for at, each in enumerate(story.logs) if at not in logs]

    return attack


def _all_cut(story: Story) -> None:
    for each in range(3):
        _cut(each, 0, 1)(story)


def _older_checkpoint(story: Story) -> None:
    del story.logs[1].statements[3:]


def _oldest_gone_and_the_next_cut(story: Story) -> None:
    _without(0)(story)
    _cut(0, 4, 1, 0)(story)


ATTACKS: dict[str, tuple[Callable[[Story], None], str]] = {
    "the first log is cut to what lies before the period": (_cut(0, 0, 2), "goes on behind the entries shown"),
    "and some of the rest are shown beside it": (_cut(0, 0, 2, 3), "goes on behind the entries shown"),
    "the first log is cut to its last entry": (_cut(0, 3, 1, 0, 1), "goes on before the entries shown"),
    "a log in the middle is cut at its end": (_cut(1, 0, 1, 4), "goes on behind the entries shown"),
    "a log in the middle is cut at its begin": (_cut(1, 4, 1, 0), "goes on before the entries shown"),
    "the last log is cut to what lies behind the period": (_cut(2, 4, 1, 0), "goes on before the entries shown"),
    "all logs are cut": (_all_cut, "goes on behind the entries shown"),
    "a log in the middle is left out": (_without(1), f"/2 of 5 entries, {GONE}"),
    "the first log is left out": (_without(0), f"/1 of 4 entries, {GONE}"),
    "the first two logs are left out": (_without(0, 1), f"/2 of 5 entries, {GONE}"),
    "the first log is left out and the next is cut": (_oldest_gone_and_the_next_cut, "goes on before"),
    "an older checkpoint of a log in the middle": (_older_checkpoint, "had 5 entries when"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_courier_without_a_key_cannot_leave_out_what_lies_within_the_period(auditor: Auditor, name: str) -> None:
    story = three_epochs()
    attack, words = ATTACKS[name]
    attack(story)
    verdict = auditor.ask(story, "--key", AGENT.fingerprint)
    assert verdict.code == 3
    assert words in verdict.text


def test_a_month_before_a_rotation_cannot_be_hidden_behind_it(auditor: Auditor) -> None:
    story = forge.rotated()
    assert auditor.ask(story).code == 0
    story.logs[0].first, story.logs[0].count, story.logs[0].extras = 0, 1, [1, 3]
    verdict = auditor.ask(story)
    assert verdict.code == 3
    words = "goes on behind the entries shown, perhaps in this period: 0 to 0 of 4"
    assert f"✗ Incomplete: log {story.logs[0].id} {words}" in verdict.lines


def test_an_entry_of_the_period_beside_the_main_range_shows_that_this_is_too_short(auditor: Auditor) -> None:
    """A clock that was ahead for a while gives the courier a border to stop at."""
    story = three_epochs()
    log = story.logs[0]
    story.logs = [log]
    read(log, 40, 3, 4)
    assert auditor.ask(story).code == 0
    log.count = 5
    assert auditor.ask(story).code == 0, "what is not shown at all has only its clock to tell of it"
    log.extras = [6]
    assert "goes on behind the entries shown" in auditor.ask(story).text


def test_the_log_before_the_period_may_begin_in_the_middle_and_the_one_behind_it_end_there(auditor: Auditor) -> None:
    story = three_epochs()
    story.since, story.until = START + 4.5 * DAY, START + 6.5 * DAY
    old, main, new = story.logs
    old.first, old.count, old.extras = 3, 1, [0]
    main.first, main.count, main.extras = 1, 4, [0]
    new.count = 1
    assert auditor.ask(story).code == 0
    new.first, new.count, new.extras = 1, 1, [0]
    assert auditor.ask(story).code == 3, "behind the main range only the first entry of a log is of any use"


def test_a_log_that_is_not_in_the_pack_does_not_matter_outside_of_the_period(auditor: Auditor) -> None:
    for since, until in ((9, 12), (-2, 2.5)):
        story = three_epochs()
        story.since, story.until = START + since * DAY, START + until * DAY
        read(story.logs[0], 2.6)
        story.logs = [each for each in story.logs if each.epoch != 2]
        story.logs[1].statements[0]["predicate"]["clock"]["wall"] = forge.time_text(START + 8 * DAY, milliseconds=True)
        assert GONE not in auditor.ask(story).text, "the range begins, or ends, in a log that is there"


def test_completeness_of_logs_is_judged_for_the_period_that_is_asked_for(auditor: Auditor) -> None:
    story = three_epochs()
    del story.logs[0]
    assert auditor.ask(story, "--since", "2026-01-06", "--until", "2026-01-20").code == 0
    assert auditor.ask(story, "--since", "2026-01-03", "--until", "2026-01-20").code == 3
    rotation = forge.rotated()
    rotation.logs.pop()
    assert auditor.ask(rotation, "--until", "2026-01-01").code == 0, "the rotation was later than that"


def test_two_logs_that_follow_the_same_one_show_no_end_of_the_first_of_them(auditor: Auditor) -> None:
    story = three_epochs()
    del story.logs[2]
    read(begun(story, 8, after=story.logs[0]), 9, 10)
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert f"was begun after {story.logs[0].origin} of 4 entries, {GONE}" in verdict.text


@pytest.mark.parametrize(("why", "code"), [("lost", 3), ("damaged", 3), ("cloned", 3), ("one-shot", 0), ("first", 0)])
def test_a_log_within_the_period_says_what_came_before_or_that_nothing_did(
    auditor: Auditor, why: str, code: int
) -> None:
    story = three_epochs()
    story.logs[1].statements[0]["predicate"]["event"].update(previous=None, why=why)
    story.logs[2].statements[0]["predicate"]["event"]["previous"] = story.logs[1].as_previous()
    verdict = auditor.ask(story)
    assert verdict.code == code
    assert (f"was begun after one not named ({why})" in verdict.text) == (code == 3)


def test_a_log_that_began_with_a_clock_of_old_is_still_a_part_of_the_piece(auditor: Auditor) -> None:
    story = three_epochs()
    second = story.logs[1]
    for at in range(2):
        second.statements[at]["predicate"]["clock"]["wall"] = "1970-01-01T00:00:00.000Z"
    story.logs[2].statements[0]["predicate"]["event"]["previous"] = second.as_previous()
    assert auditor.ask(story).code == 0
    story.logs.remove(second)
    assert auditor.ask(story).code == 3


# --- content that is named again


def _named_again(*pruned: float) -> Story:
    """Return a story of rows that are gone: read on days 0 and 2, and pruned on these days."""
    story = Story()
    log = story.log(SECOND)
    log.opened()
    digest = forge.digest(forge.blob_of(ROWS))
    for day in (0, 0.5, 1, 1.5, 2, 2.5):
        if day in pruned:
            log.event(
                START + day * DAY, "pruned", details={"digests": [digest]}, before=forge.time_text(START), blobs=1
            )
        elif day in (0, 2):
            log.snapshot(START + day * DAY, log.table())
    del story.blobs[digest]
    return story


@pytest.mark.parametrize(("pruned", "code"), [((0.5,), 3), ((0.5, 1.5), 3), ((2.5,), 0), ((0.5, 2.5), 0)])
def test_a_prune_speaks_for_what_was_named_before_it_alone(
    auditor: Auditor, pruned: tuple[float, ...], code: int
) -> None:
    verdict = auditor.ask(_named_again(*pruned))
    assert verdict.code == code
    assert ("(rows) is missing and was not pruned since it was named last" in verdict.text) == (code == 3)
    assert ("Pruned, as was signed" in verdict.text) == (code == 0)
