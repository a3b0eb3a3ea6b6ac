"""Signed notes: the published vector to the byte, and the attacks of faults.md, V4 to V6."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import note, tree
from evidence.errors import EvidenceError, FormatError, LimitError, SignatureError
from evidence.keys import NOTE_COSIGNATURE
from evidence.note import Checkpoint, Verifier
from tests.evidence.known import (
    AGENT,
    LEAVES,
    NOTE,
    ORIGIN,
    OTHER,
    OWN_LINE,
    ROOT,
    TEXT,
    WITNESS,
    WITNESS_LINE,
    WITNESS_TIME,
    flipped,
)

OURS = Verifier(ORIGIN, AGENT.public)
HUB = Verifier("hub.example/w1", WITNESS.public, NOTE_COSIGNATURE)


def test_the_checkpoint_of_the_vector_is_reproduced_to_the_byte() -> None:
    checkpoint = Checkpoint(ORIGIN, 7, tree.root(tree.leaf_hash(each) for each in LEAVES))
    assert checkpoint.text() == TEXT
    signed = note.sign(checkpoint.text(), ORIGIN, AGENT)
    assert signed.encode().decode() == TEXT + "\n" + OWN_LINE
    line = note.cosign(TEXT, "hub.example/w1", WITNESS, WITNESS_TIME)
    assert line.text() == WITNESS_LINE
    assert signed.with_line(line).encode() == NOTE


def test_both_lines_of_the_vector_verify_and_the_witness_gives_the_time() -> None:
    found = note.verify(note.parse(NOTE), [HUB, OURS])
    assert [(each.verifier, each.time) for each in found] == [(OURS, None), (HUB, WITNESS_TIME)]
    assert Checkpoint.parse(note.parse(NOTE).text) == Checkpoint(ORIGIN, 7, ROOT)


def test_verifier_keys_are_read_from_their_text() -> None:
    assert Verifier.parse(AGENT.public.vkey(ORIGIN)) == OURS
    assert Verifier.parse(WITNESS.public.vkey(HUB.name, NOTE_COSIGNATURE)) == HUB


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+f272aa42",
        AGENT.public.vkey(ORIGIN).replace("f272aa42", "f272aa43"),
        AGENT.public.vkey(ORIGIN).replace("f272aa42", "F272AA42"),
        AGENT.public.vkey("two words"),
        AGENT.public.vkey(ORIGIN, 0x06),
        AGENT.public.vkey(ORIGIN)[:-4],
        "name+00000000+",
    ],
)
def test_a_verifier_key_that_does_not_fit_itself_is_refused(vkey: str) -> None:
    with pytest.raises(FormatError):
        Verifier.parse(vkey)


def test_an_unknown_line_is_passed_over() -> None:
    assert [each.verifier for each in note.verify(note.parse(NOTE), [HUB])] == [HUB]


def test_a_note_without_a_known_key_is_refused() -> None:
    with pytest.raises(SignatureError, match="signature of a known key, found none"):
        note.verify(note.parse(NOTE), [Verifier(ORIGIN, OTHER.public)])
    with pytest.raises(SignatureError):
        note.verify(note.parse(NOTE), [Verifier("another/name", AGENT.public)])


def test_a_bad_line_of_a_known_key_condemns_the_note_whatever_else_verifies() -> None:
    good = note.parse(NOTE)
    bad = note.SignatureLine(ORIGIN, AGENT.public.note_id(ORIGIN), flipped(good.lines[0].signature))
    for lines in ((bad, *good.lines), (*good.lines, bad)):
        with pytest.raises(SignatureError):
            note.verify(note.Note(good.text, lines), [OURS, HUB])


def test_a_line_that_stands_twice_counts_once() -> None:
    good = note.parse(NOTE)
    doubled = note.Note(good.text, good.lines * 2)
    assert len(note.verify(doubled, [OURS, HUB])) == 2
    assert good.with_line(good.lines[0]) == good


def test_another_key_with_the_same_short_id_does_not_count() -> None:
    forged = note.SignatureLine(ORIGIN, AGENT.public.note_id(ORIGIN), OTHER.sign(TEXT.encode()))
    with pytest.raises(SignatureError):
        note.verify(note.Note(TEXT, (forged,)), [OURS])


def test_two_verifiers_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(FormatError, match="two alike"):
        note.verify(note.parse(NOTE), [OURS, OURS])


def test_a_plain_signature_is_not_a_cosignature_nor_the_other_way_round() -> None:
    plain = WITNESS.sign(TEXT.encode())
    as_cosignature = note.SignatureLine(HUB.name, HUB.key_id, bytes(8) + plain)
    with pytest.raises(SignatureError):
        note.verify(note.Note(TEXT, (as_cosignature,)), [HUB])
    cosigned = note.cosign(TEXT, HUB.name, WITNESS, WITNESS_TIME).signature[8:]
    verifier = Verifier(HUB.name, WITNESS.public)
    as_plain = note.SignatureLine(HUB.name, verifier.key_id, cosigned)
    with pytest.raises(SignatureError):
        note.verify(note.Note(TEXT, (as_plain,)), [verifier])


def test_a_cosignature_with_another_time_is_refused() -> None:
    line = note.cosign(TEXT, HUB.name, WITNESS, WITNESS_TIME)
    moved = (WITNESS_TIME + 1).to_bytes(8, "big") + line.signature[8:]
    with pytest.raises(SignatureError):
        note.verify(note.Note(TEXT, (note.SignatureLine(HUB.name, HUB.key_id, moved),)), [HUB])
    late = (2**63).to_bytes(8, "big") + line.signature[8:]
    with pytest.raises(SignatureError, match="another length or time"):
        note.verify(note.Note(TEXT, (note.SignatureLine(HUB.name, HUB.key_id, late),)), [HUB])


def test_every_flipped_bit_of_the_note_is_noticed() -> None:
    for place in range(len(NOTE)):
        for bit in range(8):
            data = bytearray(NOTE)
            data[place] ^= 1 << bit
            try:
                parsed = note.parse(bytes(data))
                found = note.verify(parsed, [OURS, HUB])
            except EvidenceError:
                continue
            # A line whose name or id was changed is unknown now; then the other one still has to hold.
            assert parsed.text == TEXT
            assert len(found) == 1


DAMAGED = {
    "nothing": b"",
    "no signature": TEXT.encode() + b"\n",
    "no empty line": (TEXT + OWN_LINE).encode(),
    "carriage returns": NOTE.replace(b"\n", b"\r\n"),
    "a tab": NOTE.replace(b"\n7\n", b"\n7\t\n"),
    "a NUL": NOTE.replace(b"\n7\n", b"\n7\0\n"),
    "two empty lines": NOTE.replace(b"\n\n", b"\n\n\n"),
    "a hyphen for the dash": NOTE.replace("\u2014".encode(), b"-"),
    "an en dash": NOTE.replace("\u2014".encode(), "\u2013".encode()),
    "two spaces": NOTE.replace("\u2014 ".encode(), "\u2014  ".encode()),
    "no newline at the end": NOTE[:-1],
    "text behind the signatures": NOTE + b"more\n",
    "not UTF-8": NOTE.replace("\u2014".encode(), b"\xe2\x80"),
    "base64 without padding": NOTE.replace(b"==\n", b"\n"),
    "only a key id": (TEXT + f"\n\u2014 {ORIGIN} 8nKqQg==\n").encode(),
    "a name with plus": (TEXT + "\n\u2014 a+b " + base64.b64encode(b"x" * 68).decode() + "\n").encode(),
    "a name with no-break space": (TEXT + "\n\u2014 a\u00a0b " + base64.b64encode(b"x" * 68).decode() + "\n").encode(),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_note_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Checkpoint.parse(note.parse(data).text)


def test_a_hundred_lines_are_read_and_more_are_not() -> None:
    line = note.SignatureLine("someone", b"idid", b"x" * 64)
    own = note.parse(NOTE).lines[0]
    assert note.verify(note.Note(TEXT, (*[line] * 99, own)), [OURS])
    assert len(note.parse(note.Note(TEXT, (*[line] * 99, own)).encode()).lines) == 100
    with pytest.raises(LimitError, match="at most 100"):
        note.parse(note.Note(TEXT, (line,) * 10_000).encode()[: note.MAX_NOTE - 50].rpartition(b"\n")[0] + b"\n")
    with pytest.raises(LimitError, match="at most 1000000 bytes"):
        note.parse(b"x" * 1_000_001)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n7\n", "\n007\n"),
        TEXT.replace("\n7\n", "\n-1\n"),
        TEXT.replace("\n7\n", "\n+7\n"),
        TEXT.replace("\n7\n", "\n\u0667\n"),
        TEXT.replace("\n7\n", f"\n{2**63}\n"),
        TEXT.replace("\n7\n", f"\n{2**64}\n"),
        TEXT.replace("\n7\n", "\n\n"),
        TEXT.replace("\n7\n", "\n" + "9" * 5000 + "\n"),
        TEXT + "extension\n",
        TEXT[:-1],
        TEXT.replace("CwB/", "CwB_"),
        TEXT.replace("cA=\n", "cB=\n"),
        f"{ORIGIN}\n7\nAAAA\n",
        "\n7\n" + TEXT.split("\n")[2] + "\n",
        "two words\n7\n" + TEXT.split("\n")[2] + "\n",
    ],
)
def test_a_checkpoint_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        Checkpoint.parse(text)


def test_a_text_that_would_not_be_read_again_is_not_signed() -> None:
    for text in ("no newline", "a tab\t\n", "x\n"):
        try:
            signed = note.sign(text, ORIGIN, AGENT)
        except FormatError:
            continue
        assert note.parse(signed.encode()).text == text == "x\n"
    with pytest.raises(FormatError):
        note.sign(TEXT, "two words", AGENT)


def test_a_text_with_empty_lines_is_split_at_the_last_one() -> None:
    signed = note.sign("a\n\nb\n\u2014 x eA==\n", "name", AGENT)
    assert note.parse(signed.encode()) == signed


@given(st.binary(max_size=300) | st.text().map(lambda text: NOTE + text.encode("utf-8", "replace")))
def test_any_bytes_are_a_note_or_our_error(data: bytes) -> None:
    try:
        parsed = note.parse(data)
    except EvidenceError:
        return
    assert parsed.encode() == data


@given(st.text(max_size=100) | st.builds(lambda size: TEXT.replace("\n7\n", f"\n{size}\n"), st.text(max_size=5)))
def test_any_text_is_a_checkpoint_or_our_error(text: str) -> None:
    try:
        checkpoint = Checkpoint.parse(text)
    except EvidenceError:
        return
    assert checkpoint.text() == text
