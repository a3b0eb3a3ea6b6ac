"""Pressure, hints, events that wait, results, clocks: each small thing by itself."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.daemon import clocks, hints
from agent.daemon.parts import AGAIN_LIMIT_S, AGAIN_S, wait_said
from agent.daemon.pending import MOST, Pending
from agent.daemon.pressure import CHECK_S, Pause, share_in
from agent.daemon.results import Result
from agent.daemon.settings import read_settings
from agent.internal.events import parse_event
from evidence.errors import FormatError

FULL = "some avg10={} avg60=0.58 avg300=2.60 total=6726183481\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n"


@pytest.fixture
def pressure(tmp_path: Path) -> Path:
    for name in ("cpu", "memory", "io"):
        (tmp_path / name).write_text(FULL.format("0.00"))
    return tmp_path


class TestPressure:
    def test_readings_wait_while_something_is_short_and_say_what(self, pressure: Path) -> None:
        pause = Pause(str(pressure))
        assert pause.until((80, 20, 60), 1800, 100) is None
        (pressure / "io").write_text(FULL.format("60.01"))
        assert pause.until((80, 20, 60), 1800, 100) == 100 + CHECK_S
        assert pause.resource == "io"
        (pressure / "io").write_text(FULL.format("60.00"))
        assert pause.until((80, 20, 60), 1800, 120) is None
        assert (pause.resource, pause.since) == ("", None)

    def test_after_the_limit_they_wait_no_longer(self, pressure: Path) -> None:
        pause = Pause(str(pressure))
        (pressure / "cpu").write_text(FULL.format("99.00"))
        assert pause.until((80, 20, 60), 50, 100) == 120
        assert pause.until((80, 20, 60), 50, 140) == 150
        assert pause.until((80, 20, 60), 50, 150) is None

    def test_a_limit_of_zero_and_an_old_kernel_never_make_them_wait(self, pressure: Path) -> None:
        (pressure / "cpu").write_text(FULL.format("99.00"))
        assert Pause(str(pressure)).until((0, 0, 0), 50, 100) is None
        assert Pause(str(pressure / "none")).until((1, 1, 1), 50, 100) is None

    @given(st.text(max_size=60))
    @settings(max_examples=100)
    def test_any_text_is_a_share_or_none(self, text: str) -> None:
        for each in (text, f"some avg10={text}"):
            share = share_in(each)
            assert share is None or share >= 0


class TestHints:
    def test_what_was_saved_is_known_in_the_same_boot_only(self, tmp_path: Path) -> None:
        hints.save(str(tmp_path), "boot", {"users": 12.7, "groups": 3.0})
        assert hints.load(str(tmp_path), "boot") == {"users": 12, "groups": 3}
        assert hints.load(str(tmp_path), "other") == {}
        assert hints.load(str(tmp_path), "") == {}

    def test_a_folder_that_is_gone_costs_nothing(self, tmp_path: Path) -> None:
        hints.save(str(tmp_path / "gone"), "boot", {"users": 1.0})
        assert hints.load(str(tmp_path / "gone"), "boot") == {}

    def test_a_link_a_pipe_and_a_folder_in_its_place_are_not_followed_nor_waited_for(self, tmp_path: Path) -> None:
        hints.save(str(tmp_path), "boot", {"users": 1.0})
        (tmp_path / hints.NAME).rename(tmp_path / "elsewhere")
        (tmp_path / hints.NAME).symlink_to("elsewhere")
        assert hints.load(str(tmp_path), "boot") == {}
        (tmp_path / hints.NAME).unlink()
        os.mkfifo(tmp_path / hints.NAME)
        assert hints.load(str(tmp_path), "boot") == {}
        (tmp_path / hints.NAME).unlink()
        (tmp_path / hints.NAME).mkdir()
        assert hints.load(str(tmp_path), "boot") == {}

    @given(st.binary(max_size=300))
    @settings(max_examples=100)
    def test_any_bytes_give_numbers_or_nothing(self, data: bytes) -> None:
        folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"evidenced-hints-{os.getpid()}"
        folder.mkdir(exist_ok=True)
        (folder / hints.NAME).write_bytes(b"evidenced-readings 1\tboot\n" + data)
        try:
            assert all(0 <= moment < 1e15 for moment in hints.load(str(folder), "boot").values())
        finally:
            (folder / hints.NAME).unlink()
            folder.rmdir()


class TestPending:
    def test_events_are_kept_in_order_and_forgotten_when_signed(self) -> None:
        pending = Pending()
        pending.add("agent-started", "0a", due=5)
        pending.add("suspended", "1", "2", due=9)
        assert pending.words() == ("agent-started:0a", "suspended:1:2")
        assert pending.due == 5
        pending.signed(1)
        assert pending.words() == ("suspended:1:2",)
        pending.signed(1)
        assert not pending
        assert pending.due == float("inf")

    def test_a_clock_that_jumps_all_the_time_is_one_event_from_its_first_to_its_last_time(self) -> None:
        pending = Pending()
        for moment in range(1000):
            pending.add("clock-jumped", str(moment), str(moment + 1), due=0)
        assert pending.words() == ("clock-jumped:0:1000",)

    def test_a_host_that_sleeps_without_end_stays_within_bounds(self) -> None:
        pending = Pending()
        for moment in range(1000):
            pending.add("suspended", str(moment), str(moment + 1), due=0)
        assert len(pending.words()) == MOST
        assert pending.words()[-1] == f"suspended:{MOST - 1}:1000"

    def test_what_comes_while_a_run_signs_is_not_lost_with_what_it_signs(self) -> None:
        pending = Pending()
        pending.add("config-changed", "", "0a", due=0)
        pending.given(1)
        pending.add("config-changed", "", "0b", due=0)
        pending.add("config-changed", "", "0c", due=0)
        pending.signed(1)
        assert pending.words() == ("config-changed:0c",)
        pending.add("config-changed", "", "0d", due=0)
        assert pending.words() == ("config-changed:0d",)

    def test_a_run_that_broke_off_has_nothing_any_more(self) -> None:
        pending = Pending()
        pending.add("clock-jumped", "1", "2", due=0)
        pending.given(1)
        pending.given(0)
        pending.add("clock-jumped", "2", "3", due=0)
        assert pending.words() == ("clock-jumped:1:3",)

    def test_each_table_that_hangs_is_an_event_of_its_own_within_bounds(self) -> None:
        pending = Pending()
        for name in ("users", "mounts", "users"):
            pending.add("table-stuck", name, due=0)
        assert pending.words() == ("table-stuck:users", "table-stuck:mounts")
        for number in range(1000):
            pending.add("table-stuck", f"t{number}", due=0)
        assert len(pending.words()) == MOST


class TestResults:
    def test_what_a_run_says_is_taken(self) -> None:
        result = Result()
        for line in (
            "event\t1", "table\tusers\tcomplete\t26\t0\t3\t1\t23564", "stuck\tsweeps\t4711", "home\t/home/ann",
            "signed\t7\tevidenced/0a/1",
        ):  # fmt: skip
            result.take(line)
        assert (result.events, result.stuck, result.homes) == (1, [("sweeps", 4711)], ["/home/ann"])
        assert result.signed == "7 evidenced/0a/1"
        assert result.readings["users"].numbers == (26, 0, 3, 1, 23564)

    @given(st.lists(st.sampled_from(["event", "table", "stuck", "home", "signed", "1", "-1", "x", "complete", "²"])))
    @settings(max_examples=100)
    def test_any_words_are_taken_or_passed_over(self, words: list[str]) -> None:
        Result().take("\t".join(words))


class TestClocks:
    def test_nothing_happened_while_all_clocks_go_on_alike(self) -> None:
        changes = clocks.Changes(1000, 50, 40)
        assert changes.noticed(1100, 150, 140) == []
        assert changes.noticed(1101.5, 151, 141) == []  # what a time service does

    def test_a_suspend_is_noticed_by_the_clock_that_stood_still(self) -> None:
        changes = clocks.Changes(1000, 50, 40)
        assert changes.noticed(1110, 160, 50) == [("suspended", 1010, 1110)]
        assert changes.noticed(1111, 161, 51) == []

    @pytest.mark.parametrize("wall", [1000 + 10 * 365 * 86400, 1000 - 10 * 365 * 86400, 0, 2**31])
    def test_a_jump_of_the_wall_clock_is_noticed_once(self, wall: float) -> None:
        changes = clocks.Changes(1000, 50, 40)
        assert changes.noticed(wall, 60, 50) == [("clock-jumped", 1010, wall)]
        assert changes.noticed(wall + 10, 70, 60) == []

    def test_a_timer_is_due_at_its_time_and_at_once_if_that_is_over(self) -> None:
        timer = clocks.Timer(clocks.CLOCK_BOOTTIME)
        try:
            for moment in (clocks.boot() + 0.05, 1.0, 0.0, -5.0):
                timer.set(moment)
                assert select.select([timer.fd], [], [], 2)[0]
                assert timer.clear() is False
            timer.set(float("inf"))
            assert not select.select([timer.fd], [], [], 0)[0]
            assert timer.clear() is False
        finally:
            os.close(timer.fd)

    @pytest.mark.needs_root
    def test_a_timer_tells_when_somebody_sets_the_clock(self) -> None:
        timer = clocks.Timer(clocks.CLOCK_REALTIME)
        try:
            timer.set(clocks.FAR_S, clocks.TFD_TIMER_CANCEL_ON_SET)
            time.clock_settime(time.CLOCK_REALTIME, time.time())
            assert select.select([timer.fd], [], [], 2)[0]
            assert timer.clear() is True
        finally:
            os.close(timer.fd)


class TestEvents:
    def test_times_stand_as_the_log_writes_them(self) -> None:
        assert parse_event("clock-jumped:1500:0") == (
            "clock-jumped",
            {"from": "1970-01-01T00:00:01.500Z", "to": "1970-01-01T00:00:00.000Z"},
            None,
        )
        kind, fields, absence = parse_event("suspended:0:86400000")
        assert (kind, fields) == ("suspended", {})
        assert absence == {"from": "1970-01-01T00:00:00Z", "reason": "suspended", "until": "1970-01-02T00:00:00Z"}

    @pytest.mark.parametrize("moment", ["-99999999999999", "999999999999999"])
    def test_a_time_beyond_what_can_be_written_is_the_last_that_can(self, moment: str) -> None:
        _, fields, _ = parse_event(f"clock-jumped:{moment}:0")
        assert fields["from"][:4] in {"0001", "9999"}

    @given(st.text(max_size=40))
    @settings(max_examples=100)
    def test_any_text_is_an_event_or_refused(self, text: str) -> None:
        for each in (text, f"suspended:{text}", f"clock-jumped:1:{text}"):
            with contextlib.suppress(FormatError):
                assert isinstance(parse_event(each)[0], str)


def test_the_uploader_says_how_long_to_wait_within_bounds() -> None:
    assert wait_said(b"120\n") == 120
    assert wait_said(b"0\n") == 1
    assert wait_said(b"99999999\n") == AGAIN_LIMIT_S
    assert [wait_said(each) for each in (b"", b"soon", b"-5", b"9" * 100, b"\xff")] == [AGAIN_S] * 5


def test_the_supervisor_knows_its_own_options_only() -> None:
    settings = read_settings(["--run", "/r", "--state", "/s", "--user", "sign=5:6:6,7", "--", "/bin/python", "-m", "x"])
    assert settings.command("_sign", "a") == ["/bin/python", "-m", "x", "_sign", "--state", "/s", "a"]
    assert (settings.users["sign"].uid, settings.users["sign"].groups) == (5, [6, 7])
    for words in (["--other", "x", "--", "p"], ["--run", "/r", "--"], ["--state", "/s", "--", "p"]):
        with pytest.raises(ValueError, match="expected"):
            read_settings(words)
