"""Attacks on the chain of keys and logs: rotated, restored, cloned, lost (V10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.evidence.verify import forge
from tests.evidence.verify.forge import AGENT, DAY, SECOND, START, STRANGER, Story, b64
from tests.evidence.verify.verdict import Auditor

THIRD = forge.Signer(5)


def test_a_rotation_is_followed_and_named(auditor: Auditor) -> None:
    story = forge.rotated()
    verdict = auditor.ask(story)
    assert verdict.code == 0
    old, new = story.logs
    assert f"  Key rotated at 2026-01-02T00:00:00Z: log {old.id} is followed by {new.id}" in verdict.lines
    assert f"  Logs: 2; the newest is {new.id}" in verdict.lines
    assert verdict.text.count("! Key not compared") == 1
    assert f"! Key not compared: {SECOND.fingerprint}" in verdict.text


@pytest.mark.parametrize("signer", [AGENT, SECOND])
def test_the_old_key_vouches_for_the_new_one_and_the_new_for_the_old_log(
    auditor: Auditor, signer: forge.Signer
) -> None:
    verdict = auditor.ask(forge.rotated(), "--key", signer.fingerprint)
    assert verdict.code == 0
    assert f"✓ Key compared: {signer.fingerprint}" in verdict.lines


def test_a_key_that_is_none_of_the_chain_is_a_mismatch_for_each_log(auditor: Auditor) -> None:
    verdict = auditor.ask(forge.rotated(), "--key", STRANGER.fingerprint)
    assert verdict.code == 1
    assert verdict.text.count("✗ Key mismatch") == 2


def _old_only(story: Story) -> None:
    story.logs[0].also_signed.clear()


def _new_only(story: Story) -> None:
    def edit(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "signatures": value["signatures"][1:]}

    story.logs[0].envelopes[3] = edit


def _in_the_other_order(story: Story) -> None:
    def edit(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "signatures": value["signatures"][::-1]}

    story.logs[0].envelopes[3] = edit


def _old_twice(story: Story) -> None:
    story.logs[0].also_signed[3] = [AGENT]


def _event(story: Story, log: int = 0, sequence: int = 3) -> dict[str, Any]:
    found: dict[str, Any] = story.logs[log].statements[sequence]["predicate"]["event"]
    return found


def _relink(story: Story) -> None:
    """Let the new log name the old one as it is now."""
    _event(story, 1, 0)["previous"] = story.logs[0].as_previous()


def _number(number: int) -> Callable[[Story], None]:
    def attack(story: Story) -> None:
        _event(story)["number"] = number
        _relink(story)

    return attack


def _other_fingerprint(story: Story) -> None:
    _event(story)["keyid"] = STRANGER.fingerprint
    _relink(story)


def _weak_key(story: Story) -> None:
    _event(story)["key"] = b64(forge.SPKI + bytes(32))
    _relink(story)


def _other_kind_of_key(story: Story) -> None:
    _event(story)["key"] = b64(b"\0" * 12 + SECOND.raw)
    _relink(story)


def _another_successor(story: Story) -> None:
    _event(story).update(key=b64(STRANGER.spki), keyid=STRANGER.fingerprint)
    story.logs[0].also_signed[3] = [STRANGER]
    _relink(story)


def _went_on(story: Story) -> None:
    old = story.logs[0]
    old.snapshot(START + 2 * DAY, old.table())


def _closed_and_went_on_with_another_size(story: Story) -> None:
    old = story.logs[0]
    old.statements.pop()
    old.also_signed.clear()
    old.snapshot(START + DAY, old.table())
    old.snapshot(START + DAY, old.table())


def _other_root(story: Story) -> None:
    _event(story, 1, 0)["previous"]["root"] = b64(bytes(32))


def _smaller_size(story: Story) -> None:
    log = story.logs[0]
    _event(story, 1, 0)["previous"].update(size=2, root=b64(forge.root_of(log.leaves()[:2])))


def _rotated_from_nothing(story: Story) -> None:
    _event(story, 1, 0)["previous"] = None


def _first_after_another(story: Story) -> None:
    _event(story, 1, 0)["why"] = "first"


def _logs_in_another_order(story: Story) -> None:
    story.logs.reverse()


ATTACKS: dict[str, tuple[Callable[[Story], None], str]] = {
    "signed by the old key only": (_old_only, "2 signatures"),
    "signed by the new key only": (_new_only, "key id"),
    "signed in the other order": (_in_the_other_order, "key id"),
    "signed twice by the old key": (_old_twice, "key id"),
    "a number that skips": (_number(3), "key number 2"),
    "a number that stays": (_number(1), "key number 2"),
    "a fingerprint of another key": (_other_fingerprint, "the new key"),
    "a key of small order": (_weak_key, "a new Ed25519 key"),
    "a key of another kind": (_other_kind_of_key, "a new Ed25519 key"),
    "a successor with another key": (_another_successor, "the key SHA256:"),
    "a closed log that went on": (_went_on, "nothing behind the entry that closes a log"),
    "a log closed at another size": (_smaller_size, "a log closed at 2"),
    "a previous log with another root": (_other_root, "as it was at 4"),
    "a rotated log without a previous one": (_rotated_from_nothing, "no log before a first one"),
    "a first log with a previous one": (_first_after_another, "no log before a first one"),
    "logs in another order": (_logs_in_another_order, "the order in which they followed"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_rotation_counts_only_if_both_keys_signed_all_of_it(auditor: Auditor, name: str) -> None:
    story = forge.rotated()
    attack, words = ATTACKS[name]
    attack(story)
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert words in verdict.lines[0]


def _three_keys(number: int = 3) -> Story:
    story = forge.rotated()
    second = story.logs[1]
    third = story.log(THIRD)
    second.rotate(START + 3 * DAY, THIRD, number)
    third.opened(START + 3 * DAY, "rotated", second.as_previous())
    third.snapshot(START + 3 * DAY, third.table())
    return story


def test_numbers_of_keys_rise_by_one_over_the_whole_chain(auditor: Auditor) -> None:
    assert auditor.ask(_three_keys(), "--key", AGENT.fingerprint).code == 0
    for number in (2, 4):
        assert "key number 3" in auditor.ask(_three_keys(number)).lines[0]


def test_a_pack_without_the_log_that_follows_a_rotation_is_incomplete(auditor: Auditor) -> None:
    story = forge.rotated()
    story.logs.pop()
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert "nothing in the pack ties a later log to it" in verdict.text
    story.until = START + DAY  # the rotation was after this period
    assert auditor.ask(story).code == 0


def test_a_pack_without_the_log_before_a_rotation_lacks_the_period_before_it(auditor: Auditor) -> None:
    story = forge.rotated()
    story.logs.pop(0)
    verdict = auditor.ask(story)
    assert verdict.code == 3
    assert "not read at or before the start of the period" in verdict.text


def test_a_stranger_cannot_append_a_log_of_his_own_to_a_chain(auditor: Auditor) -> None:
    story = forge.small()
    forged = story.log(STRANGER)
    forged.opened(START + 3 * DAY, "lost", None)
    forged.snapshot(START + 3 * DAY, forged.table())
    verdict = auditor.ask(story)
    assert verdict.text.count("! Key not compared") == 2
    assert f"! New epoch: log {forged.id} was begun; why: lost" in verdict.lines
    assert auditor.ask(story, "--key", AGENT.fingerprint).code == 1
    forged.statements.clear()
    forged.opened(START + 3 * DAY, "restored", story.logs[0].as_previous())
    forged.snapshot(START + 3 * DAY, forged.table())
    assert auditor.ask(story, "--key", AGENT.fingerprint).code == 1, "naming a log is not being named by it"
    assert auditor.ask(story, "--key", STRANGER.fingerprint).code == 0


def _restored(size: int, root: bytes | None = None) -> Story:
    story = forge.small()
    old = story.logs[0]
    new = story.log(AGENT, epoch=2)
    leaves = old.leaves()
    named = root or forge.root_of(leaves[:size])
    new.opened(START + 3 * DAY, "restored", {"origin": old.origin, "root": b64(named), "size": size})
    new.snapshot(START + 3 * DAY, new.table(), new.table("groups"))
    return story


def test_an_epoch_after_a_restore_is_printed_and_one_key_speaks_for_both(auditor: Auditor) -> None:
    story = _restored(4)
    verdict = auditor.ask(story, "--key", AGENT.fingerprint)
    assert verdict.code == 0
    old, new = story.logs
    assert f"! New epoch: log {new.id} was begun after {old.origin} of size 4; why: restored" in verdict.lines


def test_an_epoch_that_remembers_another_log_is_tampered(auditor: Auditor) -> None:
    assert "as it was at 4" in auditor.ask(_restored(4, bytes(32))).lines[0]


def test_an_epoch_that_remembers_more_than_the_pack_shows_is_incomplete(auditor: Auditor) -> None:
    verdict = auditor.ask(_restored(9, bytes(32)))
    assert verdict.code == 3
    assert "had 9 entries when" in verdict.text


def test_a_rotation_after_a_restore_counts_keys_not_epochs(auditor: Auditor) -> None:
    story = _restored(4)
    second = story.logs[1]
    third = story.log(SECOND)
    second.rotate(START + 3 * DAY, SECOND, 2)
    third.opened(START + 3 * DAY, "rotated", second.as_previous())
    third.snapshot(START + 3 * DAY, third.table())
    assert auditor.ask(story).code == 0
    _event(story, 1, 2)["number"] = 3
    third.statements[0]["predicate"]["event"]["previous"] = second.as_previous()
    assert "key number 2" in auditor.ask(story).lines[0]
