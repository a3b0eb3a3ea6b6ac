"""What people and jobs have signed: fields of a known form, and who it was by the kernel's word."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.places import SYSTEM, own_log_note, recording_places
from agent.signing.records import RECORDS, checked, moment
from evidence.errors import FormatError
from evidence.predicates import Event
from evidence.reader import StoreReader
from tests.agent.command_line import Evidenced
from tests.agent.signing.running import signer

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.timezone.utc)
WINDOW = ("change-window", "--field", "from=2026-01-01T00:00:00Z", "--field", "until=2026-01-02T00:00:00Z")
BACKUP = ("backup-run", "--field", "job=nightly", "--field", "result=ok")


def last(state: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Return the event and the details of the newest entry."""
    with StoreReader(str(state)) as reader:
        log = reader.logs()[-1]
        statement = reader.entry(log.id, log.size - 1).statement
        assert isinstance(statement, Event)
        return statement.predicate.event, json.loads(reader.blob(statement.subjects()["event"]) or b"")


@pytest.mark.parametrize("remote", [True, False])
def test_a_record_is_signed_with_who_made_it_and_free_text_beside_it(
    evidenced: Evidenced, state: Path, remote: bool
) -> None:
    command = ("record", *BACKUP, "--field", "bytes=12", "--field", "target=/mnt/ann", "--note", "with\na line")
    if remote:
        with signer(state):
            ran = evidenced(*command, "--at", "2026-01-01T00:00:00Z", "--state", state)
    else:
        ran = evidenced(*command, "--at", "2026-01-01T00:00:00Z", "--state", state)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Recorded as entry 1 of evidenced/")
    event, details = last(state)
    expected = {"at": "2026-01-01T00:00:00Z", "bytes": 12, "duration_s": None, "files": None}
    assert event == {**expected, "absence": None, "job": "nightly", "kind": "backup-run", "result": "ok"}
    by = details.pop("recorded_by")
    assert isinstance(by, dict)
    assert by["uid"] == os.getuid()
    assert details == {"note": "with\na line", "target": "/mnt/ann"}


@pytest.mark.parametrize(
    ("there", "may_write", "told"),
    [(True, False, "group evidenced-record"), (True, True, None), (False, False, "the service signs into that one")],
)
def test_who_records_into_his_own_log_and_not_the_host_s_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, may_write: bool, told: str | None
) -> None:
    """Else a record of a job would be missing from what is delivered, and nobody would know."""
    if there:
        (tmp_path / "sign.sock").touch()
    monkeypatch.setattr("agent.places.SYSTEM", replace(SYSTEM, run=str(tmp_path)))
    monkeypatch.setattr("agent.places.os.geteuid", lambda: 1000)
    monkeypatch.setattr("agent.places.os.access", lambda _path, _mode: may_write)
    note = own_log_note(recording_places())
    assert own_log_note(recording_places("/x"), "/x") is None
    assert (note or "").startswith("signed into your own log in ") == (told is not None)
    assert (told or "") in (note or "")


def test_every_kind_can_be_recorded_and_is_shown_in_words(evidenced: Evidenced, state: Path) -> None:
    digest = "a" * 64
    for command in (
        BACKUP,
        WINDOW,
        ("restore-test", "--field", "job=nightly", "--field", "result=failed"),
        ("baseline-approved", "--field", f"baseline={digest}", "--field", "by=Ann"),
        ("acknowledgement", "--field", "finding=ssh-root-login", "--field", "reason=known until May"),
    ):
        assert evidenced("record", *command, "--state", state).code == 0
    listing = evidenced("log", "--state", state)
    assert listing.code == 0
    for name in RECORDS.keys() - {"job"}:
        assert f" {name} " in listing.out
    assert "Ann" not in listing.out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("backup-ru",), "did you mean backup-run"),
        (("job",), "expected what can be recorded"),
        (("backup-run",), "expected field job, found none"),
        (("backup-run", "--field", "job"), "expected KEY=VALUE"),
        (("backup-run", "--field", "jobb=x"), "did you mean job"),
        (("backup-run", "--field", "job=a", "--field", "job=b"), "each key once"),
        (("backup-run", "--field", "job=a b", "--field", "result=ok"), "1 to 64 characters"),
        (("backup-run", "--field", "job=a", "--field", "result=fine"), "ok or failed"),
        ((*BACKUP, "--field", "bytes=-1"), "a decimal number"),
        ((*BACKUP, "--field", "bytes=٣"), "a decimal number"),
        ((*BACKUP, "--field", "bytes=" + "9" * 5000), "a decimal number"),
        ((*BACKUP, "--field", "target=\x1b[2J"), "printable"),
        ((*BACKUP, "--at", "2126-01-01T00:00:00Z"), "that has come"),
        ((*BACKUP, "--at", "2026-02-30T00:00:00Z"), "--at: expected a time"),
        ((*BACKUP, "--at", "yesterday\x1b"), "--at: expected a time"),
        ((*BACKUP, "--note", ""), "--note"),
        ((*BACKUP, "--note", "\x1b"), "--note"),
        ((*WINDOW[:3], "--field", "until=2025-01-01T00:00:00Z"), "a time behind from"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_signed(
    evidenced: Evidenced, state: Path, arguments: tuple[str, ...], expected: str
) -> None:
    ran = evidenced("record", *arguments, "--state", state)
    assert (ran.code, ran.out) == (2, "")
    assert expected in ran.err
    assert len(ran.err.splitlines()) == 1
    assert "\x1b" not in ran.err
    assert not state.exists()


def test_help_says_what_can_be_recorded_with_which_fields(evidenced: Evidenced) -> None:
    told = evidenced("record", "--help").out
    for name, kind in RECORDS.items():
        if name != "job":
            assert name in told
            assert all(field in told for field in (*kind.required, *kind.optional))


@settings(max_examples=100)
@given(
    st.sampled_from(sorted(RECORDS)),
    st.dictionaries(
        st.sampled_from(["job", "result", "from", "until", "by", "name", "exit", "x"]), st.text(max_size=9)
    ),
    st.none() | st.text(max_size=22),
)
def test_any_text_is_a_record_or_our_error(kind: str, fields: dict[str, str], at: str | None) -> None:
    try:
        stated, free = checked(kind, fields, at, NOW)
    except FormatError:
        return
    assert set(free) <= fields.keys()
    assert {name for name, value in stated.items() if value is not None} <= {*fields, "at"}


def test_a_job_ends_with_an_exit_code_or_a_signal() -> None:
    fields = {"name": "x", "started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:01Z", "duration_ms": "1000"}
    assert checked("job", {**fields, "exit": "0"}, None, NOW)[0]["signal"] is None
    for wrong in ({}, {"exit": "0", "signal": "9"}):
        with pytest.raises(FormatError, match="an exit code or a signal"):
            checked("job", {**fields, **wrong}, None, NOW)


def test_times_are_utc_and_there() -> None:
    assert moment("2026-01-31T07:00:00Z") == dt.datetime(2026, 1, 31, 7, tzinfo=dt.timezone.utc)
    for wrong in ("2026-01-31", "2026-01-31T07:00:00+00:00", "2026-13-31T07:00:00Z", "٢026-01-31T07:00:00Z", ""):
        assert moment(wrong) is None


def test_what_is_wrong_with_a_record_is_said_once(evidenced: Evidenced, state: Path) -> None:
    ran = evidenced("record", "acknowledgement", "--field", "finding=f1", "--state", state)
    assert ran.code == 2
    assert (
        ran.err == "evidenced record: acknowledgement: expected field reason, found none; see evidenced record --help\n"
    )
