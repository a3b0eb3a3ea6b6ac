"""Attacks on what stands in a pack: JSON, envelopes, statements, entries, blobs and rows (V3, V12).

Each story changes one thing, signs whatever it can sign and makes the manifest fit: what is left to find it is the
one rule that it breaks.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest

from evidence import verify
from tests.evidence.verify import forge
from tests.evidence.verify.forge import AGENT, DAY, GAP, HEADER, ROWS, START, STRANGER, Story, b64, canonical
from tests.evidence.verify.verdict import Auditor

Attack = Callable[[Story], Any]
SNAPSHOT = 1
"""The sequence of the first snapshot in `forge.small`."""
NESTED = b'{"a":' + b"[" * 40 + b"]" * 40 + b"}"


def statement(edit: Callable[[dict[str, Any]], Any], sequence: int = SNAPSHOT) -> Attack:
    """Return the attack that changes a statement before it is signed."""
    return lambda story: edit(story.logs[0].statements[sequence])


def predicate(edit: Callable[[dict[str, Any]], Any], sequence: int = SNAPSHOT) -> Attack:
    return statement(lambda value: edit(value["predicate"]), sequence)


def users(**fields: Any) -> Attack:
    """Return the attack that changes what the first snapshot says of its second table, which has no gaps."""
    return predicate(lambda value: value["tables"][2].update(fields))


def payload(edit: Callable[[bytes], bytes], sequence: int = SNAPSHOT) -> Attack:
    """Return the attack that signs other bytes than the canonical ones."""

    def attack(story: Story) -> None:
        log = story.logs[0]
        log.raw[sequence] = edit(log.payload(sequence))

    return attack


def envelope(edit: Callable[[dict[str, Any]], Any], sequence: int = SNAPSHOT) -> Attack:
    """Return the attack that changes an envelope after it was signed."""

    def attack(story: Story) -> None:
        story.logs[0].envelopes[sequence] = edit

    return attack


def resigned(signer: forge.Signer, message: Callable[[bytes], bytes]) -> Attack:
    """Return the attack with a signature over something else than the PAE of the payload."""

    def attack(story: Story) -> None:
        raw = story.logs[0].payload(SNAPSHOT)
        envelope(lambda value: _signature(value, sig=b64(signer.sign(message(raw)))))(story)

    return attack


def _signature(value: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**value, "signatures": [{**value["signatures"][0], **fields}]}


def pae(raw: bytes, kind: str = forge.PAYLOAD_TYPE) -> bytes:
    return b"DSSEv1 %d %s %d " % (len(kind), kind.encode(), len(raw)) + raw


def _url_alphabet(value: dict[str, Any]) -> dict[str, Any]:
    signature = value["signatures"][0]["sig"].replace("+", "-").replace("/", "_")
    return _signature(value, sig="_" + signature[1:])


def _unpadded(value: dict[str, Any]) -> dict[str, Any]:
    return _signature(value, sig=value["signatures"][0]["sig"].rstrip("="))


def _loose_bits(value: dict[str, Any]) -> dict[str, Any]:
    text = value["signatures"][0]["sig"]  # 64 bytes end in "==": four bits of the last letter mean nothing
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return _signature(value, sig=text[:-3] + letters[letters.index(text[-3]) + 1] + "==")


def _second_signature(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "signatures": value["signatures"] * 2}


JSON_STORIES: dict[str, Attack] = {
    "a key twice": payload(lambda raw: raw.replace(b'"host":{', b'"host":{"labels":{},', 1)),
    "keys that are not sorted": payload(lambda raw: raw.replace(b'"rows":2,"version":1', b'"version":1,"rows":2', 1)),
    "a key in capitals": payload(lambda raw: raw.replace(b'"labels":{}', b'"labels":{"Env":"x"}', 1)),
    "a key that is too long": payload(lambda raw: raw.replace(b'"labels":{}', b'"labels":{"%s":""}' % (b"a" * 65), 1)),
    "an empty key": payload(lambda raw: raw.replace(b'"labels":{}', b'"labels":{"":""}', 1)),
    "NaN": payload(lambda raw: raw.replace(b'"cpu_ms":1', b'"cpu_ms":NaN', 1)),
    "Infinity": payload(lambda raw: raw.replace(b'"cpu_ms":1', b'"cpu_ms":-Infinity', 1)),
    "1e400": payload(lambda raw: raw.replace(b'"cpu_ms":1', b'"cpu_ms":1e400', 1)),
    "a fraction": payload(lambda raw: raw.replace(b'"cpu_ms":1', b'"cpu_ms":1.0', 1)),
    "an integer past 2^53": payload(lambda raw: raw.replace(b'"cpu_ms":1', b'"cpu_ms":9007199254740992', 1)),
    "an integer of 5,000 digits": payload(lambda raw: raw.replace(b'"cpu_ms":1', b'"cpu_ms":' + b"9" * 5000, 1)),
    "minus zero": payload(lambda raw: raw.replace(b'"cpu_ms":1', b'"cpu_ms":-0', 1)),
    "a leading zero": payload(lambda raw: raw.replace(b'"cpu_ms":1', b'"cpu_ms":01', 1)),
    "depth of 40": payload(lambda raw: raw.replace(b'"labels":{}', b'"labels":' + NESTED, 1)),
    "depth of 10,000": payload(
        lambda raw: raw.replace(b'"labels":{}', b'"labels":' + b"[" * 10_000 + b"]" * 10_000, 1)
    ),
    "a byte order mark": payload(lambda raw: b"\xef\xbb\xbf" + raw),
    "UTF-16": payload(lambda raw: raw.decode().encode("utf-16")),
    "UTF-8 that is too long": payload(lambda raw: raw.replace(b"web-1", b"web\xc0\xaf", 1)),
    "a surrogate in bytes": payload(lambda raw: raw.replace(b"web-1", b"web\xed\xa0\x80", 1)),
    "half a pair of surrogates": payload(lambda raw: raw.replace(b"web-1", b"web\\ud800", 1)),
    "half a pair in capitals": payload(lambda raw: raw.replace(b"web-1", b"web\\uD800", 1)),
    "a bare control character": payload(lambda raw: raw.replace(b"web-1", b"web\x01", 1)),
    "a space between tokens": payload(lambda raw: raw.replace(b'"rows":2', b'"rows": 2', 1)),
    "a newline at the end": payload(lambda raw: raw + b"\n"),
    "two documents": payload(lambda raw: raw + b"{}"),
    "no document": payload(lambda _: b" "),
}


@pytest.mark.parametrize("name", JSON_STORIES)
def test_json_that_readers_may_read_in_two_ways_is_tampered(auditor: Auditor, name: str) -> None:
    story = forge.small()
    JSON_STORIES[name](story)
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert "payload: expected restricted JSON" in verdict.lines[0]


def test_json_has_one_spelling_but_all_of_unicode() -> None:
    value = {"a": '\u00e9\U0001f600\\ud800 " { [ \x1f\x7f\u2028', "b": [1, -(2**53) + 1, True, None, ""]}
    assert verify.strict_json(canonical(value)) == value
    for other in (b'"\\ud83d\\ude00"', b'"\\u0041"', b'"\\/"', b'"\\u001F"', b"[1, 2]", b'{"b":1,"a":2}'):
        with pytest.raises(ValueError, match="another spelling"):
            verify.strict_json(other)


def test_depth_is_counted_outside_of_strings_only() -> None:
    assert verify.strict_json(canonical(["[" * 100]))
    flat = canonical([[{}] for _ in range(100)])
    assert verify.strict_json(flat)
    assert verify.strict_json(b"[" * 32 + b"]" * 32)
    with pytest.raises(ValueError, match="nesting deeper"):
        verify.strict_json(b"[" * 33 + b"]" * 33)


def test_more_values_than_memory_holds_are_not_judged() -> None:
    with pytest.raises(verify.UnusableError):
        verify.strict_json(b"[" + b"0," * verify.NODES_MAX + b"0]")


ENVELOPE_STORIES: dict[str, tuple[Attack, str]] = {
    "a field more": (envelope(lambda value: {**value, "note": "x"}), "exactly the keys"),
    "a field less": (envelope(lambda value: {"payload": value["payload"]}), "exactly the keys"),
    "another payload type": (envelope(lambda value: {**value, "payloadType": "text/plain"}), "payloadType"),
    "a field more in a signature": (envelope(lambda value: _signature(value, cert="x")), "exactly the keys"),
    "no signature": (envelope(lambda value: {**value, "signatures": []}), "a list of 1 to 2"),
    "three signatures": (envelope(lambda value: {**value, "signatures": value["signatures"] * 3}), "a list of 1 to 2"),
    "the same signature twice": (envelope(_second_signature), "1 signatures"),
    "the alphabet of URLs": (envelope(_url_alphabet), "base64"),
    "base64 without padding": (envelope(_unpadded), "base64"),
    "base64 with loose bits": (envelope(_loose_bits), "base64"),
    "base64 with a newline": (envelope(lambda value: {**value, "payload": value["payload"] + "\n"}), "base64"),
    "base64 of another script": (envelope(lambda value: {**value, "payload": "\u0410" + value["payload"]}), "base64"),
    "a signature that is too short": (envelope(lambda value: _signature(value, sig="AAAA")), "a valid signature"),
    "another key's id": (envelope(lambda value: _signature(value, keyid=STRANGER.fingerprint)), "key id"),
    "a hexadecimal key id": (envelope(lambda value: _signature(value, keyid="ab" * 32)), "keyid"),
    "another key's signature": (resigned(STRANGER, pae), "a valid signature"),
    "a signature over the bare payload": (resigned(AGENT, lambda raw: raw), "a valid signature"),
    "a signature over another type": (resigned(AGENT, lambda raw: pae(raw, "text/plain")), "a valid signature"),
    "a signature over the envelope of version 0": (
        resigned(AGENT, lambda raw: pae(raw).replace(b"DSSEv1", b"DSSEv0")),
        "a valid signature",
    ),
    "white space in the line": (envelope(lambda value: canonical(value).replace(b":", b": ")), "restricted JSON"),
    "an empty line more": (envelope(lambda value: canonical(value) + b"\n"), "restricted JSON"),
    "an endless line": (envelope(lambda value: {**value, "payload": "A" * 100_000}), "lines of at most"),
}


@pytest.mark.parametrize("name", ENVELOPE_STORIES)
def test_an_envelope_has_one_form(auditor: Auditor, name: str) -> None:
    story = forge.small()
    attack, words = ENVELOPE_STORIES[name]
    attack(story)
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert words in verdict.lines[0]
    assert "entries/000" in verdict.lines[0]


def _tables_unsorted(value: dict[str, Any]) -> None:
    value["tables"].reverse()


def _two_tables_alike(value: dict[str, Any]) -> None:
    value["tables"][1] = value["tables"][0]


STATEMENT_STORIES: dict[str, tuple[Attack, str]] = {
    "another statement type": (statement(lambda value: value.update(_type="https://in-toto.io/x")), "_type"),
    "another predicate type": (statement(lambda value: value.update(predicateType="urn:x")), "predicateType"),
    "a snapshot called an event": (
        statement(lambda value: value.update(predicateType="urn:evidenced:event:v1")),
        "exactly the keys",
    ),
    "a field more": (statement(lambda value: value.update(more=1)), "exactly the keys"),
    "no subject": (statement(lambda value: value.update(subject=[])), "a list of 1 to"),
    "subjects that are not sorted": (statement(lambda value: value["subject"].reverse()), "sorted and unique"),
    "a subject twice": (
        statement(lambda value: value["subject"].insert(0, value["subject"][0])),
        "sorted and unique",
    ),
    "a subject that no table has": (
        statement(lambda value: value["subject"].append({"digest": {"sha256": "0" * 64}, "name": "zzz"})),
        "the subjects",
    ),
    "a subject that is missing": (statement(lambda value: value["subject"].pop()), "the subjects"),
    "a digest of another kind": (
        statement(lambda value: value["subject"][0].update(digest={"sha512": "0" * 128})),
        "exactly the keys",
    ),
    "a digest in capitals": (
        statement(lambda value: value["subject"][0].update(digest={"sha256": "A" * 64})),
        "text like",
    ),
    "tables that are not sorted": (predicate(_tables_unsorted), "sorted and unique"),
    "a table twice": (predicate(_two_tables_alike), "sorted and unique"),
    "no table": (predicate(lambda value: value.update(tables=[])), "a list of 1 to"),
    "true for a number": (users(rows=True), "a number from 0"),
    "a number for true": (predicate(lambda value: value["run"].update(privileged=1)), "true or false"),
    "a negative number": (users(rows=-1), "a number from 0"),
    "an interval of nothing": (users(interval_s=0), "a number from 1"),
    "true for a number from 1": (users(interval_s=True), "a number from 1"),
    "text for a number from 1": (users(version="1"), "a number from 1"),
    "a coverage of another name": (users(coverage="perfect"), "one of complete"),
    "complete with a failure": (users(failure="x"), "in agreement"),
    "complete without a header": (users(header=None), "in agreement"),
    "complete with gaps": (users(gaps=1, reasons={"failed": 1}), "in agreement"),
    "partial without gaps": (users(coverage="partial"), "in agreement"),
    "gaps without reasons": (users(coverage="partial", gaps=1), "in agreement"),
    "reasons without gaps": (users(reasons={"failed": 1}), "in agreement"),
    "failed without a reason": (users(coverage="failed", rows=0), "in agreement"),
    "failed with rows": (users(coverage="failed", failure="x"), "in agreement"),
    "disabled with a header": (users(coverage="disabled", rows=0), "in agreement"),
    "disabled with gaps": (
        users(coverage="disabled", rows=0, header=None, gaps=1, reasons={"failed": 1}),
        "in agreement",
    ),
    "a time of another zone": (predicate(lambda value: value["clock"].update(wall="2026-01-01T00:00:00+01")), "wall"),
    "a day that is none": (predicate(lambda value: value["clock"].update(wall="2026-02-30T00:00:00.000Z")), "wall"),
    "an hour that is none": (predicate(lambda value: value["clock"].update(wall="2026-02-01T25:00:00.000Z")), "wall"),
    "a time in other digits": (
        predicate(lambda value: value["clock"].update(wall="\uff12026-02-01T00:00:00Z")),
        "wall",
    ),
    "an event without kind": (predicate(lambda value: value["event"].pop("kind"), 3), "kind"),
    "an event without absence": (predicate(lambda value: value["event"].pop("absence"), 3), "absence"),
    "a known event with more": (predicate(lambda value: value["event"].update(more=1), 0), "exactly the keys"),
    "an event that is no object": (predicate(lambda value: value.update(event=[]), 3), "predicate.event"),
    "an absence that ends before it begins": (
        predicate(
            lambda value: value["event"].update(
                absence={"from": "2026-01-02T00:00:00Z", "reason": "host-off", "until": "2026-01-01T00:00:00Z"}
            ),
            3,
        ),
        "an absence that begins before it ends",
    ),
    "a payload that is too long": (
        predicate(lambda value: value["host"].update(labels={"a": "x" * 61_440})),
        "a payload of at most",
    ),
    "another log's entry": (
        predicate(lambda value: value["log"].update(origin="evidenced/0000000000000000/1")),
        "an entry of evidenced/",
    ),
    "another's number": (predicate(lambda value: value["log"].update(sequence=2)), "the leaf 2 of the tree"),
    "a number past the end": (predicate(lambda value: value["log"].update(sequence=99)), "an entry from 1 to 5"),
    "a number that was there": (predicate(lambda value: value["log"].update(sequence=0), 2), "an entry from 2 to 5"),
    "a second opening": (
        predicate(lambda value: value["event"].update(kind="log-opened", why="first", previous=None), 3),
        "log-opened first",
    ),
    "no opening": (
        predicate(lambda value: value.update(event={"absence": None, "kind": "hello"}), 0),
        "log-opened first",
    ),
}


@pytest.mark.parametrize("name", STATEMENT_STORIES)
def test_a_statement_has_one_shape_and_agrees_with_itself(auditor: Auditor, name: str) -> None:
    story = forge.small()
    attack, words = STATEMENT_STORIES[name]
    attack(story)
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert words in verdict.lines[0]


def test_an_event_has_one_subject(auditor: Auditor) -> None:
    story = forge.small()
    story.logs[0].statements[3]["subject"][0]["name"] = "events"
    assert "the subject event" in auditor.ask(story).lines[0]


def test_an_event_of_a_kind_not_known_yet_is_accepted(auditor: Auditor) -> None:
    story = forge.small()
    story.logs[0].event(START + 3 * DAY, "backup-recorded", details={"any": ["thing"]}, blobs="many")
    assert auditor.ask(story).code == 0


# --- entries: attackers who can rewrite the pack, but not sign


def _entries(edit: Callable[[list[bytes]], Any]) -> Attack:
    """Return the attack on the lines of a bundle; the manifest's counts are made to fit."""

    def attack(story: Story) -> bytes:
        members = story.members()
        name = f"{story.logs[0].id}/entries/000"
        found = members[name].split(b"\n")[:-1]
        edit(found)
        members[name] = b"".join(line + b"\n" for line in found)
        count = len(found)

        def counts(value: dict[str, Any]) -> None:
            value["counts"]["entries"] = count

        story.manifest_edit = counts
        return story.tar(members)

    return attack


def _swap(found: list[bytes]) -> None:
    found[2], found[3] = found[3], found[2]


@pytest.mark.parametrize("edit", [lambda found: found.pop(3), lambda found: found.insert(3, found[3]), _swap])
def test_an_entry_that_is_removed_doubled_or_swapped_is_found(
    auditor: Auditor, edit: Callable[[list[bytes]], Any]
) -> None:
    assert auditor.ask(_entries(edit)(forge.small())).code == 1


@pytest.mark.parametrize("gone", range(6))
def test_no_entry_can_be_left_out_even_if_the_main_range_is_restated(auditor: Auditor, gone: int) -> None:
    story = forge.small()
    log = story.logs[0]
    last = gone == len(log.statements) - 1
    log.first, log.count = (0, gone) if last else (gone + 1, None)
    verdict = auditor.ask(story)
    assert verdict.code == 3
    if gone < 4:  # beyond it, what is left lies behind the period, and says nothing of what was before
        assert f"goes on {'behind' if last else 'before'} the entries shown" in verdict.text


def test_a_log_cannot_be_cut_short_without_its_key(auditor: Auditor) -> None:
    story = forge.small()
    members = story.members()
    log = story.logs[0]
    members[f"{log.id}/leaves"] = members[f"{log.id}/leaves"][:-32]
    assert "leaf hashes" in auditor.ask(story.tar(members)).lines[0]


def test_a_leaf_cannot_be_changed(auditor: Auditor) -> None:
    story = forge.small()
    members = story.members()
    name = f"{story.logs[0].id}/leaves"
    members[name] = bytes(32) + members[name][32:]
    assert "the root that the checkpoint signs" in auditor.ask(story.tar(members)).lines[0]


MANIFEST_STORIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a field more": (lambda value: value.update(more=1), "exactly the keys"),
    "a format of old": (lambda value: value.update(format=0), "format"),
    "another kind": (lambda value: value.update(kind="zip"), "kind"),
    "a period that ends before it begins": (
        lambda value: value.update(period={"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        "a period that begins before it ends",
    ),
    "more entries": (lambda value: value["counts"].update(entries=7), "7 entries"),
    "more blobs": (lambda value: value["counts"].update(blobs=10), "10 blobs"),
    "another host": (lambda value: value["hosts"][0].update(name="db-1"), "a host that an entry names"),
    "no host": (lambda value: value.update(hosts=[]), "each log once, and with its host"),
    "the log twice": (lambda value: value["logs"].append(value["logs"][0]), "each log once, and with its host"),
    "a log that is not there": (lambda value: value["hosts"][0]["logs"].append("0" * 16 + "-1"), "each log once"),
    "a larger size": (lambda value: value["logs"][0].update(size=7), "of size 7"),
    "a count of nothing": (lambda value: value["logs"][0].update(count=0), "a number from 1"),
    "a range past the end": (lambda value: value["logs"][0].update(first=1), "a main range within the log"),
    "another key": (lambda value: value["logs"][0].update(keyid=STRANGER.fingerprint), "the key SHA256:"),
    "another origin": (lambda value: value["logs"][0].update(origin="evidenced/x/1"), "the log id's origin"),
    "a digest of another member": (lambda value: value["members"][-1].update(sha256="0" * 64), "SHA-256 000"),
    "a size of another member": (lambda value: value["members"][-1].update(size=1), "expected this member, of 1 bytes"),
}


@pytest.mark.parametrize("name", MANIFEST_STORIES)
def test_nothing_that_the_manifest_says_is_believed(auditor: Auditor, name: str) -> None:
    story = forge.small()
    edit, words = MANIFEST_STORIES[name]
    story.manifest_edit = edit
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert words in verdict.lines[0]


def test_a_manifest_of_two_lines_or_none_is_tampered(auditor: Auditor) -> None:
    story = forge.small()
    sealed = story.sealed()
    for raw in (sealed["manifest.json"][:-1], sealed["manifest.json"] + b"\n", b"\n", b"{}\n"):
        assert auditor.ask(forge.tar_of({**sealed, "manifest.json": raw})).code == 1


# --- members of keys, in other forms or another order


def _replaced(name: str, raw: bytes | Callable[[bytes], bytes]) -> Attack:
    def attack(story: Story) -> bytes:
        members = story.members()
        full = next(each for each in members if each.endswith(name))
        members[full] = raw(members[full]) if callable(raw) else raw
        return story.tar(members)

    return attack


def _moved(name: str, behind: str) -> Attack:
    def attack(story: Story) -> bytes:
        members = story.members()
        full = next(each for each in members if each.endswith(name))
        raw = members.pop(full)
        found: dict[str, bytes] = {}
        for each, content in members.items():
            found[each] = content
            if each.endswith(behind):
                found[full] = raw
        return story.tar(found)

    return attack


def _without(name: str) -> Attack:
    def attack(story: Story) -> bytes:
        return story.tar({each: raw for each, raw in story.members().items() if not each.endswith(name)})

    return attack


MEMBER_STORIES: dict[str, tuple[Attack, str]] = {
    "another PEM": (_replaced(".pem", STRANGER.pem.encode()), "the key SHA256:"),
    "a PEM with text around": (_replaced(".pem", lambda raw: b"\n" + raw), "the log's key and nothing else"),
    "a PEM of another kind of key": (_replaced(".pem", lambda raw: raw.replace(b"MCow", b"MCox")), "an Ed25519"),
    "a PEM of nothing": (_replaced(".pem", b""), "an Ed25519 public key"),
    "another OpenSSH line": (_replaced(".pub", STRANGER.pub.encode()), "the log's key and nothing else"),
    "two OpenSSH lines": (_replaced(".pub", lambda raw: raw + raw), "the log's key and nothing else"),
    "another verifier key": (_replaced(".vkey", STRANGER.vkey("x").encode() + b"\n"), "the log's key and nothing else"),
    "a witness's verifier key": (
        _replaced(".vkey", lambda raw: AGENT.vkey(raw.decode().split("+", maxsplit=1)[0], 4).encode() + b"\n"),
        "the log's key and nothing else",
    ),
    "an unknown protection": (_replaced(f"{AGENT.name16}-1.json", b'{"protection":"perfect"}\n'), "one of file"),
    "a protection without newline": (_replaced(f"{AGENT.name16}-1.json", b'{"protection":"file"}'), "a newline"),
    "no PEM": (_without(".pem"), "the PEM before"),
    "no OpenSSH line": (_without(".pub"), "each form of key"),
    "no verifier key": (_without(".vkey"), "each form of key"),
    "no protection": (_without("-1.json"), "each form of key"),
    "no checkpoint": (_without("/checkpoint"), "the checkpoint before it"),
    "no raw signature": (_without("/checkpoint.sig"), "each form of key"),
    "no leaves": (_without("/leaves"), "behind the leaves"),
    "no entries": (_without("/entries/000"), "counts: expected 6 entries, found 0"),
    "a bundle with another number": (
        lambda story: story.tar(
            {name.replace("entries/000", "entries/001"): raw for name, raw in story.members().items()}
        ),
        "bundle 000",
    ),
    "an empty bundle": (
        lambda story: story.tar(_inserted(story, "blobs/00", f"{story.logs[0].id}/entries/001", b"")),
        "entries in each bundle",
    ),
    "an empty bundle alone": (_replaced("/entries/000", b""), "expected entries, found none"),
    "a line without end": (_replaced("/entries/000", lambda raw: raw[:-1]), "a newline at the end"),
    "leaves before the checkpoint": (_moved("/leaves", ".vkey"), "6 leaf hashes"),
    "leaves behind the entries": (_moved("/leaves", "/entries/000"), "bundle 000 behind the leaves"),
    "keys behind the log": (_moved(".json", "/leaves"), "the order of the format"),
    "blobs before the entries": (_moved("/entries/000", "blobs/00"), "counts: expected 6 entries, found 0"),
    "a page before the blobs": (_moved("blobs/00", "README.txt"), "the order of the format"),
    "a member of blobs with another number": (
        lambda story: story.tar({name.replace("s/00", "s/01") if name == "blobs/00" else name: raw
                                 for name, raw in story.members().items()}),
        "blobs/00 here",
    ),
}  # fmt: skip


def _inserted(story: Story, before: str, name: str, raw: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for each, content in story.members().items():
        if each == before:
            found[name] = raw
        found[each] = content
    return found


@pytest.mark.parametrize("name", MEMBER_STORIES)
def test_each_member_is_there_once_in_its_place_and_says_one_thing(auditor: Auditor, name: str) -> None:
    attack, words = MEMBER_STORIES[name]
    verdict = auditor.ask(attack(forge.small()))
    assert verdict.code == 1
    assert words in verdict.lines[0]


def test_a_comment_behind_the_openssh_key_is_allowed(auditor: Auditor) -> None:
    assert auditor.ask(_replaced(".pub", lambda raw: raw[:-1] + b" web-1, evidenced\n")(forge.small())).code == 0


# --- blobs


def _blobs(edit: Callable[[list[tuple[str, bytes]]], Any]) -> Attack:
    """Return the attack on the records of blobs, given as (name, record)."""

    def attack(story: Story) -> bytes:
        members = story.members()
        found = [(name, forge.record(raw)) for name, raw in sorted(story.blobs.items()) if name in story.named()]
        edit(found)
        members["blobs/00"] = b"".join(raw for _, raw in found)
        return story.tar(members)

    return attack


def _record(make: Callable[[str, bytes], bytes]) -> Attack:
    """Return the attack on one record, the one of the users' rows."""
    raw = forge.blob_of(ROWS)
    name = forge.digest(raw)

    def edit(found: list[tuple[str, bytes]]) -> None:
        at = [each for each, _ in found].index(name)
        found[at] = (name, make(name, raw))

    return _blobs(edit)


def _frame(name: str, raw: bytes, packed: bytes, length: int | None = None) -> bytes:
    size = len(raw) if length is None else length
    return f"{name} {size} {len(packed)}\n".encode() + packed + b"\n"


BLOB_STORIES: dict[str, tuple[Attack, str]] = {
    "a blob nobody names": (
        _blobs(lambda found: found.append(("f" * 64, forge.record(b"x", "f" * 64)))),
        "nobody names",
    ),
    "a blob twice": (_blobs(lambda found: found.insert(1, found[0])), "sorted and unique"),
    "blobs in another order": (_blobs(lambda found: found.reverse()), "sorted and unique"),
    "other content": (
        _record(lambda name, raw: _frame(name, raw, zlib.compress(raw.replace(b"bob", b"eve")))),
        "SHA-256",
    ),
    "more content": (_record(lambda name, raw: _frame(name, raw, zlib.compress(raw + b"{}\n"))), "expected"),
    "a smaller length": (_record(lambda name, raw: _frame(name, raw, zlib.compress(raw), 3)), "bytes of this SHA-256"),
    "a larger length": (
        _record(lambda name, raw: _frame(name, raw, zlib.compress(raw), 3000)),
        "bytes of this SHA-256",
    ),
    "a length that is too large": (_record(lambda name, raw: _frame(name, raw, zlib.compress(raw), 10**9)), "at most"),
    "data that is not zlib": (_record(lambda name, raw: _frame(name, raw, raw)), "intact zlib data"),
    "data that is cut": (
        _record(lambda name, raw: _frame(name, raw, zlib.compress(raw)[:-5])),
        "zlib data of its length",
    ),
    "data behind the data": (
        _record(lambda name, raw: _frame(name, raw, zlib.compress(raw) + b"hidden")),
        "zlib data of its length",
    ),
    "much data behind the data": (
        _record(lambda name, raw: _frame(name, raw, zlib.compress(raw) + bytes(600_000))),
        "zlib data of its length",
    ),
    "no newline behind": (
        _record(lambda name, raw: _frame(name, raw, zlib.compress(raw))[:-1] + b"-"),
        "a newline behind",
    ),
    "a head with a zero in front": (
        _record(lambda name, raw: _frame(name, raw, zlib.compress(raw)).replace(b" ", b" 0", 1)),
        "digest, length and compressed length",
    ),
    "no head": (_record(lambda _name, _raw: b"x\n"), "digest, length and compressed length"),
    "a head without end": (_record(lambda _name, _raw: b"x" * 300), "a line of at most 200 bytes"),
    "no blobs in the member": (_blobs(lambda found: found.clear()), "one blob, or 32 MiB"),
}


@pytest.mark.parametrize("name", BLOB_STORIES)
def test_a_blob_is_what_its_digest_says_and_named_by_an_entry(auditor: Auditor, name: str) -> None:
    attack, words = BLOB_STORIES[name]
    verdict = auditor.ask(attack(forge.small()))
    assert verdict.code == 1
    assert words in verdict.lines[0]


def test_a_member_of_several_blobs_has_a_limit(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "BLOB_MEMBER_MAX", 1000)
    assert "one blob, or 32 MiB" in auditor.ask(forge.small()).lines[0]


def _two_members(story: Story) -> dict[str, bytes]:
    members = story.members()
    found = [(name, raw) for name, raw in sorted(story.blobs.items()) if name in story.named()]
    first = b"".join(forge.record(raw) for _, raw in found[:3])
    rest = b"".join(forge.record(raw) for _, raw in found[3:])
    page = members.pop("README.txt")
    return {**members, "blobs/00": first, "blobs/01": rest, "README.txt": page}


def test_blobs_may_fill_more_than_one_member_and_stay_sorted(auditor: Auditor) -> None:
    story = forge.small()
    members = _two_members(story)
    assert auditor.ask(story.tar(members)).code == 0
    members["blobs/00"], members["blobs/01"] = members["blobs/01"], members["blobs/00"]
    assert "sorted and unique" in auditor.ask(story.tar(members)).lines[0]


# --- rows, gaps, headers, details: signed, and still not what they should be


def _story_with(**table: Any) -> Story:
    """Return an honest story but for one table."""
    story = Story()
    log = story.log()
    log.opened()
    log.snapshot(START, log.table(**{"interval": 7 * 86400, **table}))
    return story


def _blob(story: Story, name: str, raw: bytes) -> Story:
    """Let a subject of the only snapshot name other bytes."""
    for each in story.logs[0].statements[1]["subject"]:
        if each["name"] == name:
            each["digest"]["sha256"] = story.keep(raw)
    return story


def _header(**fields: Any) -> Story:
    story = _story_with()
    table = story.logs[0].statements[1]["predicate"]["tables"][0]
    table["header"] = story.keep(canonical({**HEADER, **fields}) + b"\n")
    return story


def _columns(at: int, **fields: Any) -> list[dict[str, Any]]:
    return [{**each, **(fields if index == at else {})} for index, each in enumerate(HEADER["fields"])]


def _row(**fields: Any) -> Story:
    return _story_with(rows=[{**ROWS[0], **fields}])


def _many_reasons() -> Story:
    reasons = {f"r{number}": 1 for number in range(1001)}
    gaps = [{**GAP, "count": 1, "reason": each} for each in reasons]
    return _story_with(gaps=gaps)


SORTED_ROWS = forge.blob_of(ROWS)
UNSORTED_ROWS = b"".join(sorted(SORTED_ROWS.splitlines(keepends=True), reverse=True))

ROW_STORIES: dict[str, tuple[Story, str]] = {
    "fewer rows than signed": (_blob(_story_with(), "users", forge.blob_of(ROWS[:1])), "2 lines, as signed"),
    "rows that are not sorted": (_blob(_story_with(), "users", UNSORTED_ROWS), "lines sorted by their bytes"),
    "rows without a last newline": (_blob(_story_with(), "users", SORTED_ROWS[:-1]), "a newline at the end"),
    "a row that is no object": (_blob(_story_with(), "users", b"[]\n{}\n"), "an object"),
    "a row that is no JSON": (_blob(_story_with(), "users", b"hello\nworld\n"), "restricted JSON"),
    "rows of nothing": (_blob(_story_with(), "users", b"{}\n{}\n"), "1 to 1000 fields"),
    "a row with a field more": (
        _story_with(rows=[ROWS[0], {**ROWS[1], "more": 1}]),
        "the fields of the rows before it",
    ),
    "all rows with a field more": (_story_with(rows=[{**each, "more": 1} for each in ROWS]), "the fields of its rows"),
    "all rows with a field less": (_story_with(rows=[{"name": "a"}]), "the fields of its rows"),
    "null in a field that has none": (_row(uid=None), "field uid: expected the type"),
    "text for a number": (_row(uid="0"), "field uid: expected the type"),
    "true for a number": (_row(uid=True), "field uid: expected the type"),
    "a number for text": (_row(name=1), "field name: expected the type"),
    "text for a time": (_row(seen="yesterday"), "field seen: expected the type"),
    "a time that is none": (_row(seen="2026-13-01T00:00:00Z"), "field seen: expected the type"),
    "text for a list": (_row(tags="adm"), "field tags: expected the type"),
    "numbers for texts": (_row(tags=[1]), "field tags: expected the type"),
    "a mixed list": (_row(tags=["a", 1]), "field tags: expected the type"),
    "a list in a list": (_row(tags=[[]]), "field tags: expected the type"),
    "an object in a field": (_row(name={}), "field name: expected the type"),
    "fewer gaps than signed": (_blob(_story_with(gaps=[GAP]), "users.gaps", b""), "1 lines, as signed"),
    "other reasons than signed": (
        _blob(_story_with(gaps=[GAP]), "users.gaps", forge.blob_of([{**GAP, "reason": "absent"}])),
        "the signed sums of reasons",
    ),
    "another sum than signed": (
        _blob(_story_with(gaps=[GAP]), "users.gaps", forge.blob_of([{**GAP, "count": 3}])),
        "the signed sums of reasons",
    ),
    "a gap with a field more": (
        _blob(_story_with(gaps=[GAP]), "users.gaps", forge.blob_of([{**GAP, "more": 1}])),
        "exactly the keys",
    ),
    "a gap that counts nothing": (
        _blob(_story_with(gaps=[GAP]), "users.gaps", forge.blob_of([{**GAP, "count": 0}])),
        "a number from 1",
    ),
    "gaps without end of reasons": (_many_reasons(), "at most 1000 reasons"),
    "a header of another table": (_header(table="groups"), "table, version"),
    "a header of another version": (_header(version=2), "table, version"),
    "a header with a field more": (_header(more=1), "exactly the keys"),
    "a header without columns": (_header(fields=[]), "a list of 1 to"),
    "a header whose columns are not sorted": (_header(fields=HEADER["fields"][::-1]), "sorted and unique"),
    "a header with a column twice": (_header(fields=_columns(1, name="name")), "sorted and unique"),
    "a header with an unknown type": (_header(fields=_columns(0, type="blob")), "the types text"),
    "a header whose key is no column": (_header(key=["nobody"]), "a key made of its fields"),
    "a header with a column of another name": (_header(fields=_columns(3, name="uuid")), "the fields of its rows"),
}


@pytest.mark.parametrize("name", ROW_STORIES)
def test_rows_are_as_many_as_sorted_and_as_typed_as_was_signed(auditor: Auditor, name: str) -> None:
    story, words = ROW_STORIES[name]
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert words in verdict.lines[0]


def test_each_type_of_column_is_accepted_for_what_it_is(auditor: Auditor) -> None:
    kinds: dict[str, list[Any]] = {
        "bool": [True, False],
        "int": [0, -5],
        "list of bool": [[], [True]],
        "list of int": [[], [1, 2]],
        "list of text": [[], ["a"], ["2026-01-01T00:00:00Z"]],
        "list of time": [[], ["2026-01-01T00:00:00Z"]],
        "text": ["", "2026-01-01T00:00:00Z", "2026-01-01T00:00:0xZ"],
        "time": ["2026-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"],
    }
    for kind, values in kinds.items():
        story = _header(fields=_columns(0, type=kind, nullable=True))
        rows = [{**ROWS[0], "name": value} for value in [*values, None]]
        story.logs[0].statements[1]["predicate"]["tables"][0]["rows"] = len(rows)
        assert auditor.ask(_blob(story, "users", forge.blob_of(rows))).code == 0, kind


def test_rows_of_two_collections_with_one_header_have_the_same_fields(auditor: Auditor) -> None:
    story = _story_with()
    log = story.logs[0]
    log.snapshot(START + DAY, log.table(rows=[{"name": "x"}], interval=7 * 86400))
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert "fields of" in verdict.lines[0]


def test_a_header_or_details_of_two_lines_are_refused(auditor: Auditor) -> None:
    story = _story_with()
    table = story.logs[0].statements[1]["predicate"]["tables"][0]
    table["header"] = story.keep(canonical(HEADER) + b"\n" + canonical(HEADER) + b"\n")
    assert "1 lines, as signed" in auditor.ask(story).lines[0]
    story = _story_with()
    story.logs[0].statements[0]["subject"][0]["digest"]["sha256"] = story.keep(b"{}\n{}\n")
    assert "1 lines, as signed" in auditor.ask(story).lines[0]


def test_a_row_longer_than_memory_allows_is_not_judged(auditor: Auditor) -> None:
    story = _row(name="x" * (verify.LINE_MAX + 1))
    verdict = auditor.ask(story)
    assert verdict.code == 2
    assert "too long for memory" in verdict.text


def test_a_blob_of_many_chunks_is_read_in_pieces(auditor: Auditor) -> None:
    rows = [{**ROWS[0], "name": f"user-{number:06d}-{'x' * 200}"} for number in range(5000)]
    assert auditor.ask(_story_with(rows=rows)).code == 0
