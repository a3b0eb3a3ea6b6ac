"""N6 to N9: what counts as an acknowledgement, what it is kept as, and what it proves in a pack."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import note, pack, sshsig, tree, verify
from evidence.accepting import ReceiptError, RestoredError
from evidence.errors import StateError
from evidence.keys import NOTE_COSIGNATURE, PrivateKey
from evidence.log import EvidenceStore
from evidence.note import Checkpoint, Verifier
from evidence.predicates import Event, Receipt
from evidence.reader import StoreReader
from tests.evidence.known import OTHER, WITNESS, flipped
from tests.evidence.packs import unpacked
from tests.evidence.statements import users
from tests.evidence.store_parts import SEEN, START, ticking

HERE = "aa" * 32
HUB = Verifier("hub.example", WITNESS.public, NOTE_COSIGNATURE)
SECOND = Verifier("witness.example", OTHER.public, NOTE_COSIGNATURE)
PINNED = (HUB, SECOND)
SEEN_AT = 1767225600
"""2026-01-01T00:00:00Z."""


class Host:
    """A state with entries, its own key, and a hub that cosigns whatever a test asks for."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.clock = ticking()
        with self.opened() as store:
            for _ in range(6):
                entry = store.append_snapshot([users()], SEEN)
        self.origin = entry.origin
        self.log = entry.origin.removeprefix("evidenced/").replace("/", "-")

    def opened(self) -> EvidenceStore:
        return EvidenceStore.open(str(self.state), machine=HERE, clock=self.clock, wait_s=0)

    def reading(self) -> StoreReader:
        return EvidenceStore.read(str(self.state))

    @property
    def key(self) -> PrivateKey:
        return PrivateKey.from_pkcs8_pem((self.state / "keys" / "agent.pem").read_text())

    def leaves(self) -> list[bytes]:
        with self.reading() as reader:
            return tree.split(reader.leaves(self.log))

    def note(self, size: int, *hubs: Verifier, at: int = SEEN_AT, root: bytes | None = None) -> bytes:
        """Return what hubs answer for a size: our note with their lines."""
        checkpoint = Checkpoint(self.origin, size, root or tree.root(self.leaves()[:size]))
        signed = note.sign(checkpoint.text(), self.origin, self.key)
        for each in hubs:
            key = WITNESS if each == HUB else OTHER
            signed = signed.with_line(note.cosign(signed.text, each.name, key, at))
        return signed.encode()

    def accept(self, answer: bytes, covers: int = 0) -> Any:
        with self.opened() as store:
            return store.accept_receipt(self.log, answer, PINNED, covers=covers)

    @property
    def receipts(self) -> Path:
        return self.state / "receipts" / self.log

    def kept(self) -> list[str]:
        return sorted(each.name for each in self.receipts.iterdir() if each.is_file())

    def rejected(self) -> list[bytes]:
        folder = self.receipts / "rejected"
        return [each.read_bytes() for each in folder.iterdir()] if folder.exists() else []

    def named(self) -> Receipt | None:
        """Append, and return the receipt that the new entry names."""
        with self.opened() as store:
            entry = store.append_snapshot([users()], SEEN)
        with self.reading() as reader:
            said = reader.entry(entry.origin.removeprefix("evidenced/").replace("/", "-"), entry.sequence).statement
        assert said is not None
        return said.predicate.receipt


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "state")


def test_an_acknowledgement_is_kept_and_the_next_entry_names_it(host: Host) -> None:
    assert host.named() is None
    accepted = host.accept(host.note(4, HUB), covers=4)
    expected = Receipt(name="hub.example", size=4, time="2026-01-01T00:00:00Z")
    assert (accepted.log_id, accepted.size, accepted.receipts) == (host.log, 4, (expected,))
    assert host.kept() == ["000000000004", "000000000004.sshsig", "000000000004.vkeys"]
    assert all(stat.S_IMODE((host.receipts / each).stat().st_mode) == 0o600 for each in host.kept())
    assert host.named() == expected
    assert host.rejected() == []


def test_the_entry_that_follows_in_the_same_process_names_the_receipt(host: Host) -> None:
    with host.opened() as store:
        store.accept_receipt(host.log, host.note(4, HUB), PINNED)
        entry = store.append_snapshot([users()], SEEN)
    with host.reading() as reader:
        said = reader.entry(host.log, entry.sequence).statement
    assert said is not None
    assert said.predicate.receipt == Receipt(name="hub.example", size=4, time="2026-01-01T00:00:00Z")


def test_a_receipt_alone_is_no_entry(host: Host) -> None:
    before = len(host.leaves())
    host.accept(host.note(4, HUB))
    assert len(host.leaves()) == before


def test_the_same_answer_twice_changes_nothing(host: Host) -> None:
    first = host.accept(host.note(4, HUB))
    before = {each: (host.receipts / each).read_bytes() for each in host.kept()}
    assert host.accept(host.note(4, HUB, at=SEEN_AT + 60)).size == first.size
    assert {each: (host.receipts / each).read_bytes() for each in host.kept()} == before


def test_the_newest_of_each_cosigner_is_kept_and_no_more(host: Host) -> None:
    host.accept(host.note(3, HUB, SECOND))
    host.accept(host.note(5, HUB))
    assert [each for each in host.kept() if "." not in each] == ["000000000003", "000000000005"]
    host.accept(host.note(6, SECOND))
    assert host.kept() == [f"{size:012d}{form}" for size in (5, 6) for form in ("", ".sshsig", ".vkeys")]


def test_two_cosigners_of_one_size_share_a_note(host: Host) -> None:
    host.accept(host.note(5, HUB))
    host.accept(host.note(5, SECOND, at=SEEN_AT + 9))
    with host.reading() as reader:
        found = reader.receipt(host.log)
    assert found is not None
    assert {each.name: each.time for each in found.receipts} == {
        "hub.example": "2026-01-01T00:00:00Z",
        "witness.example": "2026-01-01T00:00:09Z",
    }
    assert host.named() == Receipt(name="witness.example", size=5, time="2026-01-01T00:00:09Z")


def test_answers_out_of_order_acknowledge_what_they_cover(host: Host) -> None:
    host.accept(host.note(6, HUB), covers=6)
    assert host.accept(host.note(4, HUB), covers=4).size == 4
    assert [each for each in host.kept() if "." not in each] == ["000000000006"]


ANSWERS: dict[str, Any] = {
    "a captive portal": lambda _: b"<html>please log in</html>",
    "nothing": lambda _: b"",
    "our note and nobody's line": lambda host: host.note(4),
    "a line of a key that was not pinned": lambda host: (
        note.parse(host.note(4))
        .with_line(note.cosign(note.parse(host.note(4)).text, "hub.example", PrivateKey(bytes(32)), SEEN_AT))
        .encode()
    ),
    "a flipped cosignature": lambda host: _line_flipped(host, 1),
    "a flipped line of our own": lambda host: _line_flipped(host, 0),
    "a time of 0": lambda host: host.note(4, HUB, at=0),
    "a time behind the year 9999": lambda host: host.note(4, HUB, at=2**40),
    "an old size": lambda host: host.note(3, HUB),
    "another log": lambda host: _of_another_log(host),  # noqa: PLW0108  it stands below
    "another tree that our key did not sign": lambda host: host.note(4, HUB).replace(b"\n4\n", b"\n5\n"),
    "more than 64 KiB": lambda host: host.note(4, HUB) * 400,
}


def _line_flipped(host: Host, which: int) -> bytes:
    found = note.parse(host.note(4, HUB))
    lines = list(found.lines)
    lines[which] = note.SignatureLine(lines[which].name, lines[which].key_id, flipped(lines[which].signature))
    return note.Note(found.text, tuple(lines)).encode()


def _of_another_log(host: Host) -> bytes:
    text = Checkpoint("evidenced/0123456789abcdef/1", 4, bytes(32)).text()
    signed = note.sign(text, "evidenced/0123456789abcdef/1", host.key)
    return signed.with_line(note.cosign(text, "hub.example", WITNESS, SEEN_AT)).encode()


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_acknowledgement_is_rejected_and_kept(host: Host, name: str) -> None:
    answer = ANSWERS[name](host)
    with pytest.raises(ReceiptError, match=f"answer for log {host.log}"):
        host.accept(answer, covers=4)
    assert host.rejected() == [answer[: 64 * 1024]]
    assert host.kept() == []
    assert host.named() is None


def test_rejected_answers_do_not_fill_the_disk(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evidence.accepting._MAX_REJECTED", 3)
    with host.opened() as store:
        for at in range(6):
            with pytest.raises(ReceiptError):
                store.accept_receipt(host.log, b"%d" % at, PINNED)
    assert sorted(host.rejected()) == [b"0", b"1", b"2"]


def test_a_rejected_answer_does_not_disturb_the_log(host: Host) -> None:
    with host.opened() as store:
        with pytest.raises(ReceiptError):
            store.accept_receipt(host.log, b"", PINNED)
        store.append_snapshot([users()], SEEN)
    assert len(list((host.state / "logs" / host.log / "segments").iterdir())) == 1


def test_a_receipt_for_a_log_that_is_not_there_is_an_error(host: Host) -> None:
    with host.opened() as store:
        for name in ("0123456789abcdef-1", "../x", "quarantine"):
            with pytest.raises(StateError, match="expected a log"):
                store.accept_receipt(name, b"", PINNED)


def openings(host: Host) -> list[tuple[str, Any]]:
    found = []
    with host.reading() as reader:
        for log in reader.logs():
            said = reader.entry(log.id, 0).statement
            assert isinstance(said, Event)
            found.append((said.predicate.event["why"], said.predicate.event["previous"]))
    return found


@pytest.mark.parametrize("same_process", [True, False])
def test_a_size_that_the_log_does_not_have_proves_a_restored_state_and_opens_a_new_epoch(
    host: Host, *, same_process: bool
) -> None:
    answer = host.note(50, HUB, root=b"\x07" * 32)
    with host.opened() as store:
        with pytest.raises(RestoredError, match="the next entry begins a new epoch"):
            store.accept_receipt(host.log, answer, PINNED)
        if same_process:
            store.append_snapshot([users()], SEEN)
    if not same_process:
        host.named()
    (first, _), (why, previous) = openings(host)
    assert (first, why, previous["size"]) == ("first", "restored", 50)
    assert (host.receipts / "000000000050").read_bytes() == answer


def test_another_tree_that_our_own_key_signed_opens_a_new_epoch_that_names_our_own(host: Host) -> None:
    size = len(host.leaves())
    answer = host.note(4, HUB, root=b"\x07" * 32)
    with host.opened() as store, pytest.raises(RestoredError, match="its own tree of 4 entries"):
        store.accept_receipt(host.log, answer, PINNED)
    host.named()
    _, (why, previous) = openings(host)
    assert (why, previous["size"]) == ("restored", size)
    assert (host.receipts / "fork.000000000004").read_bytes() == answer
    host.named()
    assert len(openings(host)) == 2


@pytest.mark.parametrize("name", ["000000000004", "000000000004.vkeys"])
def test_a_damaged_receipt_is_set_aside_and_recorded(host: Host, name: str) -> None:
    host.accept(host.note(4, HUB))
    path = host.receipts / name
    path.write_bytes(flipped(path.read_bytes(), 30))
    with host.opened() as store:
        store.append_snapshot([users()], SEEN)
        assert [each.kind for each in store.events] == ["damage"]
    assert host.kept() == []
    assert host.named() is None


@pytest.mark.parametrize("left", [".000000000006.new", "000000000005.vkeys", "000000000005.sshsig"])
def test_what_a_killed_process_left_is_no_damage_and_goes_with_the_next_receipt(host: Host, left: str) -> None:
    host.accept(host.note(4, HUB))
    (host.receipts / left).write_bytes(b"half")
    (host.receipts / left).chmod(0o600)
    assert host.named() is not None
    host.accept(host.note(6, HUB))
    assert host.kept() == [f"000000000006{form}" for form in ("", ".sshsig", ".vkeys")]


def test_the_reader_gives_the_newest_cosigned_note_with_its_sshsig(host: Host) -> None:
    with host.reading() as reader:
        assert reader.receipt(host.log) is None
    host.accept(host.note(5, HUB))
    with host.reading() as reader:
        found = reader.receipt(host.log)
        key = reader.public_key(host.log)
    assert found is not None
    assert found.checkpoint == Checkpoint(host.origin, 5, tree.root(host.leaves()[:5]))
    assert found.armoured is not None
    sshsig.verify(found.armoured, found.note.text.encode(), key)


def exported(host: Host, until: datetime) -> bytes:
    out = io.BytesIO()
    with host.reading() as reader:
        pack.export(reader, out, since=START, until=until)
    return out.getvalue()


ALL_TIME = START + timedelta(days=9)


def judged(tmp_path: Path, data: bytes, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what the auditor's script says, started as an auditor starts it."""
    path = tmp_path / "pack.tar.gz"
    path.write_bytes(data)
    command = [sys.executable, verify.__file__, str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_pack_shows_the_witness_to_an_auditor_who_requires_one(host: Host, tmp_path: Path) -> None:
    size = len(host.leaves())
    host.accept(host.note(size, HUB))
    vkey = HUB.key.vkey(HUB.name, NOTE_COSIGNATURE)
    when = ("--since", "2026-01-01T00:00:02Z", "--until", "2026-01-01T00:00:08Z")
    out = io.BytesIO()
    with host.reading() as reader:
        since = datetime(2026, 1, 1, 0, 0, 2, tzinfo=timezone.utc)
        pack.export(reader, out, since=since, until=since + timedelta(seconds=6))
    said = judged(tmp_path, out.getvalue(), "--require", "witness", "--witness", vkey, *when)
    assert said.returncode == 0, said.stdout
    assert f"✓ Witness hub.example saw {size} entries of log {host.log} at 2026-01-01T00:00:00Z" in said.stdout
    assert judged(tmp_path, out.getvalue(), "--require", "witness", *when).returncode == 4


def test_a_pack_ends_at_the_cosigned_checkpoint_if_that_covers_all_it_needs(host: Host) -> None:
    host.accept(host.note(6, HUB))
    within = unpacked(exported(host, START + timedelta(seconds=5, milliseconds=500)))
    assert within.log()["size"] == 6
    assert within.members[f"{host.log}/checkpoint"].count("—".encode()) == 2
    beyond = unpacked(exported(host, ALL_TIME))
    assert beyond.log()["size"] == len(host.leaves())
    assert beyond.members[f"{host.log}/checkpoint"].count("—".encode()) == 1


def test_a_closed_log_is_shown_with_the_receipt_for_its_end(host: Host, tmp_path: Path) -> None:
    host.accept(host.note(6, HUB))
    with host.opened() as store:
        old = host.key
        store.rotate(SEEN)
    leaves = host.leaves()
    signed = note.sign(Checkpoint(host.origin, len(leaves), tree.root(leaves)).text(), host.origin, old)
    answer = signed.with_line(note.cosign(signed.text, HUB.name, WITNESS, SEEN_AT)).encode()
    assert host.accept(answer, covers=len(leaves)).size == len(leaves)
    assert not (host.receipts / f"{len(leaves):012d}.sshsig").exists()
    data = exported(host, ALL_TIME)
    found = unpacked(data)
    assert found.log()["size"] == len(leaves)
    assert found.members[f"{host.log}/checkpoint"] == answer
    vkey = HUB.key.vkey(HUB.name, NOTE_COSIGNATURE)
    said = judged(tmp_path, data, "--witness", vkey)
    assert said.returncode == 3, said.stdout  # nothing is shown before the first snapshot
    assert f"✓ Witness hub.example saw {len(leaves)} entries of log {host.log}" in said.stdout


@settings(max_examples=60)
@given(data=st.data())
def test_any_answer_is_an_acknowledgement_or_our_error(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    host = _shared(tmp_path_factory)
    good = host.note(4, HUB)
    at = st.integers(0, len(good))
    pieces = st.builds(lambda a, middle, b: good[:a] + middle + good[b:], at, st.binary(max_size=8), at)
    answer = data.draw(st.binary(max_size=300) | pieces)
    with host.opened() as store:
        try:
            store.accept_receipt(host.log, answer, PINNED, covers=4)
        except RestoredError:
            raise AssertionError("our key signed nothing else") from None
        except ReceiptError:
            return
    assert note.parse(answer).text == note.parse(good).text


_hosts: list[Host] = []


def _shared(factory: pytest.TempPathFactory) -> Host:
    if not _hosts:
        _hosts.append(Host(factory.mktemp("receipts") / "state"))
    return _hosts[0]
