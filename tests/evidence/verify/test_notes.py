"""Attacks on checkpoints and their signatures, witnesses and other copies of a log (V4, V5, V6, V7, V9)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence import verify
from tests.evidence.verify import forge
from tests.evidence.verify.forge import AGENT, DAY, SECOND, START, STRANGER, WITNESS, Story, b64
from tests.evidence.verify.verdict import Auditor

HUB = "hub.example/w1"
SEEN = 1_767_500_000
VKEY = WITNESS.vkey(HUB, 4)
JUNK = "— someone.else " + b64(bytes(68)) + "\n"


def _line(note: bytes) -> str:
    return note.decode().split("\n\n")[1]


def _resigned(note: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """Return the note with another text, validly signed by the log's own key."""
    text, _, _ = note.rpartition(b"\n\n")
    changed = edit(text + b"\n")
    origin = note.split(b"\n")[0].decode()
    return changed + b"\n" + AGENT.note_line(origin, changed).encode()


def _size(value: bytes) -> Callable[[bytes], bytes]:
    return lambda note: _resigned(note, lambda text: text.replace(b"\n6\n", b"\n" + value + b"\n"))


def _other_line(signer: forge.Signer, kind: int = 1) -> Callable[[bytes], bytes]:
    def edit(note: bytes) -> bytes:
        text, _, _ = note.rpartition(b"\n\n")
        origin = note.split(b"\n")[0].decode()
        signature = signer.sign(text + b"\n")
        return text + f"\n\n— {origin} {b64(AGENT.key_id(origin, kind) + signature)}\n".encode()

    return edit


NOTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "line ends of Windows": (lambda note: note.replace(b"\n", b"\r\n"), "a control character"),
    "a tab": (lambda note: note.replace(b"evidenced/", b"evidenced\t/", 1), "a control character"),
    "two empty lines": (lambda note: note.replace(b"\n\n", b"\n\n\n"), "three lines above"),
    "no empty line": (lambda note: note.replace(b"\n\n", b"\n"), "three lines above"),
    "a hyphen for the dash": (lambda note: note.replace("—".encode(), b"-"), "signature line"),
    "another dash": (lambda note: note.replace("—".encode(), "\u2013".encode()), "signature line"),
    "two spaces": (lambda note: note.replace("— ".encode(), "—  ".encode()), "signature line"),
    "a space of another kind": (lambda note: note.replace("— ".encode(), "—\u00a0".encode()), "signature line"),
    "size 007": (_size(b"006"), "an origin or size"),
    "size +6": (_size(b"+6"), "an origin or size"),
    "size -1": (_size(b"-1"), "an origin or size"),
    "size 2^64": (_size(b"18446744073709551616"), "an origin or size"),
    "size 2^53": (_size(b"9007199254740993"), "an origin or size"),
    "size of other digits": (_size("\uff16".encode()), "an origin or size"),
    "size 5": (_size(b"5"), "of size 6"),
    "another origin": (lambda note: _resigned(note, lambda text: text.replace(b"/1\n", b"/2\n")), "of size 6"),
    "an origin with a space": (lambda note: _resigned(note, lambda text: b" " + text), "an origin or size"),
    "a root that is too short": (
        lambda note: _resigned(note, lambda text: text.rsplit(b"\n", 2)[0] + b"\nAAAA\n"),
        "a root of another length",
    ),
    "a root that is no base64": (
        lambda note: _resigned(note, lambda text: text.rsplit(b"\n", 2)[0] + b"\n????\n"),
        "a signed checkpoint",
    ),
    "a fourth line": (lambda note: _resigned(note, lambda text: text + b"more\n"), "three lines above"),
    "no line of signatures": (lambda note: note.rpartition(b"\n\n")[0] + b"\n\n", "the log's own line"),
    "an end without newline": (lambda note: note[:-1], "an end without newline"),
    "text behind the end": (lambda note: note + b"x", "an end without newline"),
    "bytes that are no text": (lambda note: note + b"\xff\n", "utf-8"),
    "9,000 signatures": (lambda note: note + JUNK.encode() * 9_000, "too many signatures"),
    "the log's line twice": (lambda note: note + _line(note).encode(), "the log's own line first, once"),
    "the log's line second": (
        lambda note: note.replace(b"\n\n", b"\n\n" + JUNK.encode()),
        "the log's own line first, once",
    ),
    "a known key bad, an unknown one good": (
        lambda note: (
            _other_line(STRANGER)(note) + STRANGER.note_line("someone", note.rpartition(b"\n\n")[0] + b"\n").encode()
        ),
        "a valid signature of the log's key",
    ),
    "another key of the same name and id": (_other_line(STRANGER), "a valid signature of the log's key"),
    "the log's key as a witness": (_other_line(AGENT, 4), "the log's own line first, once"),
    "a signature line without signature": (
        lambda note: note + b"\xe2\x80\x94 x " + base64.b64encode(b"1234") + b"\n",
        "signature line",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_a_checkpoint_has_one_form_and_its_logs_signature(auditor: Auditor, name: str) -> None:
    story = forge.small()
    edit, words = NOTES[name]
    story.logs[0].note_edit = edit
    verdict = auditor.ask(story)
    assert verdict.code == 1
    assert words in verdict.lines[0]


def test_a_hundred_unknown_signatures_are_counted_and_mean_nothing(auditor: Auditor) -> None:
    story = forge.small()
    story.logs[0].note_edit = lambda note: note + JUNK.encode() * 99
    verdict = auditor.ask(story)
    assert verdict.code == 0
    assert "! Not checked: 99 signatures" in verdict.text


def _member(story: Story, name: str, raw: bytes | Callable[[bytes], bytes]) -> bytes:
    members = story.members()
    full = f"{story.logs[0].id}/{name}"
    members[full] = raw(members[full]) if callable(raw) else raw
    return story.tar(members)


@pytest.mark.parametrize("name", ["checkpoint.txt", "checkpoint.sig", "checkpoint.sshsig"])
def test_the_other_forms_of_a_checkpoint_say_the_same(auditor: Auditor, name: str) -> None:
    for edit in (
        lambda raw: raw[:-1],
        lambda raw: raw + b"\n",
        lambda _: b"",
        lambda raw: raw[:-40] + b"!" + raw[-39:],
    ):
        verdict = auditor.ask(_member(forge.small(), name, edit))
        assert verdict.code == 1
        assert "checkpoint" in verdict.lines[0]


def _ssh(signer: forge.Signer, text: bytes | None = None, namespace: bytes = b"checkpoint@evidenced") -> bytes:
    story = forge.small()
    return _member(story, "checkpoint.sshsig", signer.sshsig(text or story.logs[0].text(), namespace).encode())


def test_an_ssh_signature_is_for_this_text_this_key_and_this_use(auditor: Auditor) -> None:
    assert auditor.ask(_ssh(AGENT)).code == 0
    for data in (_ssh(STRANGER), _ssh(AGENT, b"other"), _ssh(AGENT, namespace=b"file"), _ssh(AGENT, namespace=b"git")):
        assert auditor.ask(data).code == 1


def test_a_signature_of_one_kind_is_none_of_another(auditor: Auditor) -> None:
    story = forge.small()
    text = story.logs[0].text()
    ssh = base64.b64decode("".join(AGENT.sshsig(text).split("\n")[1:-2]))[-64:]
    assert auditor.ask(_member(story, "checkpoint.sig", ssh)).code == 1
    cosignature = AGENT.sign(b"cosignature/v1\ntime 1\n" + text)
    assert auditor.ask(_member(story, "checkpoint.sig", cosignature)).code == 1
    story.logs[0].note_edit = lambda note: note.replace(
        b64(AGENT.key_id(story.logs[0].origin, 1) + AGENT.sign(text)).encode(),
        b64(AGENT.key_id(story.logs[0].origin, 1) + cosignature).encode(),
    )
    assert "a valid signature of the log's key" in auditor.ask(story).lines[0]


# --- witnesses


def _witnessed(seconds: int = SEEN, signer: forge.Signer = WITNESS, name: str = HUB) -> Story:
    story = forge.small()
    story.logs[0].cosigned = [(signer, name, seconds)]
    return story


def test_without_witness_and_timestamp_the_words_are_plain(auditor: Auditor) -> None:
    verdict = auditor.ask(forge.small())
    assert verdict.code == 0
    assert "! No witness: when it was signed, and that no other version exists, is the host's word" in verdict.lines
    assert "! No timestamp of an authority (RFC 3161): this format holds none" in verdict.lines


@pytest.mark.parametrize("what", ["witness", "timestamp"])
def test_a_required_witness_or_timestamp_that_is_missing_is_exit_4(auditor: Auditor, what: str) -> None:
    verdict = auditor.ask(forge.small(), "--require", what)
    assert verdict.code == 4
    assert f"✗ Missing: a {what} was required" in verdict.text


def test_a_witness_that_was_named_is_checked_and_shown_with_its_time(auditor: Auditor, tmp_path: Path) -> None:
    story = _witnessed()
    line = f"✓ Witness {HUB} saw 6 entries of log {story.logs[0].id} at 2026-01-04T04:13:20Z"
    verdict = auditor.ask(story, "--witness", VKEY, "--require", "witness")
    assert verdict.code == 0
    assert line in verdict.lines
    assert "No witness" not in verdict.text
    (tmp_path / "witnesses").write_text(f"# those we trust\n\n{VKEY}\n{STRANGER.vkey('other', 4)}\n")
    assert line in auditor.ask(story, "--witness", str(tmp_path / "witnesses")).lines


def test_a_witness_that_was_not_named_counts_for_nothing(auditor: Auditor) -> None:
    assert auditor.ask(_witnessed(), "--require", "witness").code == 4
    other = STRANGER.vkey(HUB, 4)
    verdict = auditor.ask(_witnessed(), "--require", "witness", "--witness", other)
    assert verdict.code == 4
    assert "! Not checked: 1 signature on" in verdict.text


def test_each_log_needs_the_witness_that_is_required(auditor: Auditor) -> None:
    story = forge.rotated()
    story.logs[0].cosigned = [(WITNESS, HUB, SEEN)]
    assert auditor.ask(story, "--witness", VKEY).code == 0
    assert auditor.ask(story, "--witness", VKEY, "--require", "witness").code == 4


def _broken_line(note: bytes) -> bytes:
    head, _, line = note.rstrip(b"\n").rpartition(b" ")
    raw = bytearray(base64.b64decode(line))
    raw[-1] ^= 1
    return head + b" " + base64.b64encode(bytes(raw)) + b"\n"


def _later(note: bytes) -> bytes:
    head, _, line = note.rstrip(b"\n").rpartition(b" ")
    raw = bytearray(base64.b64decode(line))
    raw[11] ^= 1
    return head + b" " + base64.b64encode(bytes(raw)) + b"\n"


@pytest.mark.parametrize("edit", [_broken_line, _later])
def test_an_invalid_line_of_a_known_witness_is_tampering(auditor: Auditor, edit: Callable[[bytes], bytes]) -> None:
    story = _witnessed()
    story.logs[0].note_edit = edit
    assert auditor.ask(story).code == 0
    verdict = auditor.ask(story, "--witness", VKEY)
    assert verdict.code == 1
    assert "a valid cosignature of hub.example/w1" in verdict.text


@pytest.mark.parametrize("seconds", [0, 253402300800, 2**64 - 1])
def test_a_witness_with_a_time_that_is_none_is_refused(auditor: Auditor, seconds: int) -> None:
    verdict = auditor.ask(_witnessed(seconds), "--witness", VKEY)
    assert verdict.code == 1
    assert "a time before the year 10000" in verdict.text


WITNESS_USES = {
    "a log's key": WITNESS.vkey(HUB, 1),
    "another id": VKEY.replace("+", "+0", 1)[: len(VKEY)],
    "no key": "hub.example/w1",
    "a name with a space": WITNESS.vkey("hub w1", 4),
    "no file": "nowhere.txt",
}


@pytest.mark.parametrize("name", WITNESS_USES)
def test_a_witness_key_that_is_none_is_wrong_use(auditor: Auditor, name: str) -> None:
    assert auditor.ask(forge.small(), "--witness", WITNESS_USES[name]).code == 2


def test_two_witness_keys_of_one_name_and_id_are_wrong_use(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(verify, "note_key_id", lambda *_: b"\1\2\3\4")  # four bytes can be made to collide
    keys = [f"{HUB}+01020304+{b64(bytes([4]) + signer.raw)}" for signer in (WITNESS, STRANGER)]
    assert auditor.run(str(tmp_path / "x"), "--witness", keys[0], "--witness", keys[1]).code == 2
    with pytest.raises(ValueError, match="two keys of one name"):
        verify.witnesses_of(keys)
    assert len(verify.witnesses_of([keys[0], keys[0]])) == 1


# --- two packs of one log


def _grown(days: int, signer: forge.Signer = AGENT, lie: str = "") -> Story:
    story = Story()
    log = story.log(signer)
    log.opened()
    for day in range(days):
        rows = [{**forge.ROWS[0], "name": lie}] if lie and day == 1 else None
        log.snapshot(START + day * DAY, log.table(rows=rows))
    story.until = START + (days - 1) * DAY
    return story


def test_packs_of_one_log_that_grew_agree(auditor: Auditor) -> None:
    verdict = auditor.ask([_grown(3), _grown(5), _grown(4)])
    assert verdict.code == 0
    assert [line for line in verdict.lines if line.endswith(".tar:")]


def test_packs_of_other_logs_do_not_concern_each_other(auditor: Auditor) -> None:
    assert auditor.ask([_grown(3), _grown(5, SECOND)]).code == 0


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (5, 3)])
def test_a_split_view_is_shown(auditor: Auditor, sizes: tuple[int, int]) -> None:
    verdict = auditor.ask([_grown(sizes[0]), _grown(sizes[1], lie="mallory")])
    assert verdict.code == 1
    assert "✗ Tampered: split view: log" in verdict.text
    assert "these are not one log" in verdict.text
    assert auditor.ask(_grown(sizes[1], lie="mallory")).code == 0


def test_a_witness_that_saw_the_log_shrink_is_shown(auditor: Auditor) -> None:
    large, small = _grown(5), _grown(3)
    large.logs[0].cosigned = [(WITNESS, HUB, SEEN)]
    small.logs[0].cosigned = [(WITNESS, HUB, SEEN + 1)]
    verdict = auditor.ask([large, small], "--witness", VKEY)
    assert verdict.code == 1
    assert "a witness saw the log shrink" in verdict.text
    small.logs[0].cosigned = [(WITNESS, HUB, SEEN - 1)]
    assert auditor.ask([large, small], "--witness", VKEY).code == 0


def test_a_broken_pack_among_good_ones_is_what_the_exit_code_says(auditor: Auditor) -> None:
    assert auditor.ask([_grown(3), b"hello"]).code == 2
    assert auditor.ask([_grown(3).tar()[:-1024] + b"x" * 1024, b"hello"]).code == 1


# --- the tree, against its definition


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100])
def test_the_root_is_the_one_of_rfc_6962(size: int) -> None:
    leaves = [hashlib.sha256(b"\0leaf-%d" % each).digest() for each in range(size)]
    assert verify.roots_of(b"".join(leaves), size)[size] == forge.root_of(leaves)
    assert verify.roots_of(b"".join(leaves) + bytes(320), size)[size] == forge.root_of(leaves)


def test_the_published_vector_holds() -> None:
    leaves = b"".join(hashlib.sha256(b"\0leaf-%d" % each).digest() for each in range(7))
    assert b64(verify.roots_of(leaves, 7)[7]) == "CwB/uRXrmyoUb1SxyG7FO2ZPjkVbdmCwtu4T7cDZIcA="
