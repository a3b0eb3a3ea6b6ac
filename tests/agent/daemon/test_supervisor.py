"""The supervisor as a process: what it starts and when, and that nothing which befalls a part befalls it."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from pathlib import Path

import pytest

from agent.daemon import hints, supervisor
from tests.agent.daemon.conftest import Daemon, until
from tests.agent.daemon.starting_children import gone

LONG_S = 4
FULL = "some avg10=99.00 avg60=0.00 avg300=0.00 total=0\n"


def test_it_reads_what_is_due_says_that_it_began_and_that_it_ends(daemon: Daemon) -> None:
    daemon.write_plan("table\tusers\t3600\t1\tfile", "table\tsweeps\t7200\t1\tsweep", "table\tdna\t900\t1\tprocess")
    daemon.start()
    begun = daemon.wait_for(1, "users=3600")
    assert begun["words"][2:4] == ["--reason", "scheduled"]
    assert daemon.wait_for(1, "sweeps=7200")["words"] != daemon.wait_for(1, "dna=900")["words"]
    assert len(daemon.runs("agent-started:" + "0a" * 32)) == 1
    until(lambda: all(each.coverage == "complete" for each in daemon.status().tables))
    assert {each.name for each in daemon.status().tables} == {"users", "sweeps", "dna"}
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5
    assert daemon.runs("agent-stopped") == daemon.journal()[-1:]
    assert os.listdir(daemon.folder / "run") == ["lock"]
    assert daemon.said() == ""


def test_a_change_is_read_within_seconds_and_a_burst_once(daemon: Daemon) -> None:
    daemon.start()
    daemon.wait_for(1, "users=3600")
    last = 0.0
    for _ in range(10):
        last = daemon.touch()
        time.sleep(0.03)
    run = daemon.wait_for(1, "change")
    assert 1.4 <= run["at"] - last <= 10
    assert run["words"][2:] == ["--reason", "change", "--tables", "users=3600"]
    time.sleep(1)
    assert len(daemon.runs("change")) == 1


def test_a_change_while_the_table_is_read_is_read_in_one_more_run(daemon: Daemon) -> None:
    daemon.script("_collect", "import os, time\nwhile os.path.exists(folder + '/hold'): time.sleep(0.01)")
    (daemon.folder / "hold").touch()
    daemon.start()
    daemon.wait_for(1, "users=3600")
    daemon.touch()
    daemon.touch()
    until(lambda: daemon.status().watches > 0)
    time.sleep(1.7)
    assert len(daemon.journal()) == 1
    (daemon.folder / "hold").unlink()
    daemon.wait_for(1, "change")
    time.sleep(0.5)
    assert len(daemon.journal()) == 2


@pytest.mark.slow
def test_a_killed_run_is_tried_again_and_costs_nothing_else(daemon: Daemon) -> None:
    daemon.script(
        "_collect", "import os, signal\nif not os.path.exists(folder + '/well'): os.kill(os.getpid(), signal.SIGKILL)"
    )
    daemon.start()
    daemon.wait_for(1, "users=3600")
    (daemon.folder / "well").touch()
    second = daemon.wait_for(2, "users=3600")
    assert 4.5 <= second["at"] - daemon.journal()[0]["at"] <= 20
    until(lambda: daemon.status().tables[0].coverage == "complete")
    assert len(daemon.runs("agent-started")) == 2, "what was not signed is signed with the next run"


def test_where_systemd_listens_it_only_nudges(daemon: Daemon) -> None:
    daemon.write_plan(upload=1)
    listeners = {}
    for name in ("sign", "upload"):
        listeners[name] = socket.socket(socket.AF_UNIX)
        listeners[name].bind(f"{daemon.folder}/run/{name}.sock")
        listeners[name].listen()
    daemon.start()
    daemon.wait_for(1, "users=3600")
    assert select.select([listeners["upload"]], [], [], 10)[0]
    assert daemon.status().parts == "systemd"
    assert daemon.stop() == 0
    assert daemon.journal("_sign") == daemon.journal("_upload") == []
    assert sorted(os.listdir(daemon.folder / "run")) == ["lock", "sign.sock", "upload.sock"]
    for each in listeners.values():
        each.close()


@pytest.mark.needs_root
def test_root_has_each_part_run_as_its_user(daemon: Daemon) -> None:
    (daemon.folder / "journal").touch()
    (daemon.folder / "journal").chmod(0o666)
    daemon.start("--user", "collect=65533:65533:65533", "--user", "sign=65532:65532:65532", "--record-gid", "65531")
    assert daemon.wait_for(1, "users=3600")["uid"] == 65533
    status = os.stat(daemon.folder / "run/sign.sock")
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65533, 65531, 0o660)
    assert daemon.status().separation == "separate"


@pytest.mark.slow
def test_when_nothing_can_be_signed_little_is_tried_first_and_then_all_of_it(daemon: Daemon) -> None:
    daemon.script("_collect", "import os\nif not os.path.exists(folder + '/room'): raise SystemExit(75)")
    daemon.start()
    daemon.wait_for(1, "users=3600")
    until(lambda: daemon.status().held_s is not None)
    (daemon.folder / "room").touch()
    daemon.wait_for(2, "users=3600")
    probe = daemon.journal()[1]["words"]
    assert "--tables" not in probe
    assert probe[2:] == ["--event", "agent-started:" + "0a" * 32]
    until(lambda: daemon.status().held_s is None)


@pytest.mark.slow
def test_a_stopped_run_holds_up_no_other_kind_and_no_stop(daemon: Daemon) -> None:
    daemon.write_plan("table\tusers\t3600\t1\tfile", "table\tsweeps\t7200\t1\tsweep", f"watch\t{daemon.files}/x\tusers")
    daemon.script("_collect", "import os, signal\nif 'sweeps' in str(words): os.kill(os.getpid(), signal.SIGSTOP)")
    daemon.start()
    stuck = daemon.wait_for(1, "sweeps")["pid"]
    daemon.wait_for(1, "users=3600")
    daemon.touch("x")
    daemon.wait_for(1, "change")
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 10
    assert gone(stuck)
    assert daemon.runs("agent-stopped")


@pytest.mark.slow
def test_a_part_that_hangs_in_the_kernel_is_listed_and_its_table_read_again_when_it_ends(daemon: Daemon) -> None:
    hanging = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    daemon.script("_collect", f"if 'agent-started' in str(words): print('stuck\\tusers\\t{hanging}', flush=True)")
    daemon.start()
    daemon.wait_for(1, "users=3600")
    until(lambda: [each.pid for each in daemon.status().stuck] == [hanging])
    daemon.wait_for(1, "table-stuck:users")
    os.kill(hanging, signal.SIGKILL)
    os.waitpid(hanging, 0)
    daemon.wait_for(1, "change")
    until(lambda: daemon.status().stuck == [])


def test_after_three_that_hang_their_tables_fail_unread(daemon: Daemon) -> None:
    hanging = [os.posix_spawn("/bin/sleep", ["sleep", "60"], {}) for _ in range(3)]
    daemon.write_plan("table\tusers\t3600\t1\tfile", "table\tgood\t3600\t1\tfile")
    lines = "".join(f"stuck\\tusers\\t{pid}\\n" for pid in hanging)
    daemon.script("_collect", f"if 'agent-started' in str(words): print('{lines}', flush=True)")
    daemon.start()
    until(lambda: len(daemon.status().stuck) == 3)
    daemon.signal(signal.SIGUSR1)
    words = daemon.wait_for(1, "--hanging")["words"]
    assert words[words.index("--hanging") + 1] == "users=3600"
    assert words[words.index("--tables") + 1] == "good=3600"
    until(
        lambda: {each.name: each.coverage for each in daemon.status().tables} == {"users": "failed", "good": "complete"}
    )
    for pid in hanging:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_the_signer_is_started_by_a_call_and_again_after_it_was_killed(daemon: Daemon) -> None:
    daemon.start()
    daemon.wait_for(1, "users")
    path = f"{daemon.folder}/run/sign.sock"
    assert os.stat(path).st_mode & 0o777 == 0o600
    for count in (1, 2):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(path)
            until(lambda: len(daemon.journal("_sign")) >= count)  # noqa: B023  called at once
        os.kill(daemon.journal("_sign")[-1]["pid"], signal.SIGKILL)
        until(lambda: all(each.what != "sign" for each in daemon.status().children))
    assert daemon.process.poll() is None


def test_a_signer_that_always_breaks_off_is_not_started_in_a_storm(daemon: Daemon) -> None:
    daemon.script("_sign", "raise SystemExit(1)")
    daemon.start()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{daemon.folder}/run/sign.sock")
        until(lambda: len(daemon.journal("_sign")) >= 3)
        times = [each["at"] for each in daemon.journal("_sign")]
    assert times[1] - times[0] >= 0.9
    assert times[2] - times[1] >= 1.9
    until(lambda: [each.what for each in daemon.status().failing] == ["sign"])


def test_a_signer_that_was_killed_once_is_seen_to_be_well_before_anybody_calls_it(daemon: Daemon) -> None:
    daemon.script("_sign", "import time; time.sleep(3600)")
    daemon.start()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{daemon.folder}/run/sign.sock")
        until(lambda: len(daemon.journal("_sign")) == 1)
    daemon.script("_sign", "")
    os.kill(daemon.journal("_sign")[0]["pid"], signal.SIGKILL)
    until(lambda: len(daemon.journal("_sign")) == 2)
    until(lambda: all(each.what != "sign" for each in daemon.status().children))
    assert daemon.status().failing == []
    assert len(daemon.journal("_sign")) == 2, "it ended well, and is not needed"


def test_delivery_follows_a_signed_run_and_is_tried_again_when_the_uploader_says(daemon: Daemon) -> None:
    daemon.write_plan(upload=1)
    daemon.script("_upload", "print(1)\nraise SystemExit(75)")
    daemon.start()
    until(lambda: len(daemon.journal("_upload")) >= 2)
    times = [each["at"] for each in daemon.journal("_upload")]
    assert 0.9 <= times[1] - times[0] <= 10


def test_what_is_signed_while_an_attempt_is_on_its_way_is_delivered_by_the_next(daemon: Daemon) -> None:
    daemon.write_plan(upload=1)
    daemon.script("_upload", f"import time\ntime.sleep({LONG_S})")
    daemon.start()
    until(lambda: len(daemon.journal("_upload")) == 1)
    signed = len(daemon.journal("_collect"))
    daemon.signal(signal.SIGUSR1)  # reads everything now
    until(lambda: len(daemon.journal("_collect")) > signed)
    until(lambda: len(daemon.journal("_upload")) == 2)
    first, second = [each["at"] for each in daemon.journal("_upload")]
    assert LONG_S <= second - first < LONG_S + 3


def test_an_attempt_to_deliver_that_was_killed_is_made_again_in_seconds(daemon: Daemon) -> None:
    daemon.write_plan(upload=1)
    daemon.script("_upload", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    daemon.start()
    until(lambda: len(daemon.journal("_upload")) >= 2)
    first, second = [each["at"] for each in daemon.journal("_upload")][:2]
    assert 4 <= second - first < 10


def test_without_anywhere_to_deliver_to_nothing_is_tried_unless_somebody_asks(daemon: Daemon) -> None:
    daemon.start()
    daemon.wait_for(1, "users")
    until(lambda: daemon.status().signed is not None)
    assert daemon.journal("_upload") == []
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{daemon.folder}/run/upload.sock")
        until(lambda: len(daemon.journal("_upload")) == 1)


def test_a_heartbeat_shows_that_silence_is_none(daemon: Daemon) -> None:
    daemon.write_plan(heartbeat=2)
    daemon.start()
    daemon.wait_for(1, "users")
    signed = daemon.wait_for(1, "users")["at"]
    assert 1.9 <= daemon.wait_for(1, "--event", "heartbeat")["at"] - signed <= 10


def test_under_pressure_nothing_is_read_until_the_limit_and_then_all_the_same(daemon: Daemon) -> None:
    for name in ("cpu", "memory", "io"):
        (daemon.folder / "pressure" / name).write_text(FULL if name == "io" else "some avg10=0.00\n")
    daemon.write_plan()
    daemon.plan.write_text(daemon.plan.read_text().replace("1800", "3"))
    daemon.start()
    until(lambda: daemon.status().paused == "io")
    began = time.monotonic()
    assert daemon.wait_for(1, "users=3600")["at"] - began >= 1
    assert "agent-started" in str(daemon.journal()[0]["words"]), "an event does not wait for reading to be allowed"


def test_under_pressure_a_change_is_read_all_the_same(daemon: Daemon) -> None:
    (daemon.folder / "pressure/cpu").write_text(FULL)
    daemon.start()
    until(lambda: daemon.status().paused == "cpu")
    changed = daemon.touch()
    assert daemon.wait_for(1, "--reason", "change", "users=3600")["at"] - changed <= 10


def test_a_new_plan_is_followed_and_recorded_and_a_bad_one_is_not(daemon: Daemon) -> None:
    daemon.start()
    daemon.wait_for(1, "users=3600")
    daemon.write_plan("table\tusers\t60\t1\tfile", "table\tnew\t60\t1\tfile", digest="0b")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(1, "new=60", "config-changed:" + "0b" * 32)
    daemon.plan.write_text("nonsense\n")
    daemon.signal(signal.SIGHUP)
    until(lambda: daemon.status().plan_problem is not None)
    assert "expected a known word" in daemon.said()
    assert daemon.status().plan == "0b" * 32
    daemon.signal(signal.SIGUSR1)
    daemon.wait_for(2, "new=60")


def test_a_reload_reads_nothing_unless_other_paths_are_watched(daemon: Daemon) -> None:
    daemon.start()
    daemon.wait_for(1, "users=3600")
    daemon.signal(signal.SIGHUP)
    time.sleep(0.1)  # until it was heeded
    daemon.write_plan(digest="0b")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(1, "config-changed:" + "0b" * 32)
    assert len(daemon.runs("users=3600")) == 1
    changed = daemon.touch()
    assert daemon.wait_for(1, "--reason", "change", "users=3600")["at"] - changed <= 10
    more = f"watch\t{daemon.files}/shadow\tusers"
    daemon.write_plan("table\tusers\t3600\t1\tfile", f"watch\t{daemon.files}/passwd\tusers", more, digest="0c")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(2, "--reason", "scheduled", "users=3600")
    seen = [each for each in daemon.runs("users=3600") if "change" in each["words"]]
    assert len(seen) == 1, "nobody saw anything change since"


def test_a_second_supervisor_ends_with_an_error(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start()
    daemon.wait_for(1, "users")
    first = daemon.process
    second = Daemon.__new__(Daemon)
    second.__dict__.update(daemon.__dict__, _process=None, errors=tmp_path / "second")
    second.start(hurry=False)
    assert second.process.wait(5) == 3
    assert "expected no other supervisor" in second.said()
    assert first.poll() is None
    assert os.path.exists(f"{daemon.folder}/run/sign.sock")


def test_a_signer_that_outlived_its_supervisor_is_not_taken_for_one_of_systemd(daemon: Daemon) -> None:
    daemon.write_plan(upload=1)
    daemon.script("_sign", "import time\ntime.sleep(60)")
    daemon.start()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(f"{daemon.folder}/run/sign.sock")
        until(lambda: len(daemon.journal("_sign")) == 1)
    until(lambda: len(daemon.journal("_upload")) >= 1)
    daemon.process.kill()
    daemon.process.wait()
    before = len(daemon.journal("_upload"))
    daemon.start(hurry=False)
    until(lambda: len(daemon.journal("_upload")) > before)
    assert daemon.status().parts == "own"


def test_after_it_was_killed_it_starts_again_over_what_was_left(daemon: Daemon) -> None:
    daemon.script("_collect", "import time\nif 'sweeps' in str(words): time.sleep(60)")
    daemon.write_plan("table\tusers\t3600\t1\tfile", "table\tsweeps\t7200\t1\tsweep")
    daemon.start()
    left = daemon.wait_for(1, "sweeps")["pid"]
    until(lambda: daemon.status().tables[0].coverage == "complete")
    daemon.process.kill()
    daemon.process.wait()
    assert gone(left), "a run ends with the supervisor"
    assert hints.load(f"{daemon.folder}/cache", supervisor.boot_id()).keys() == {"users"}
    daemon.start()
    daemon.wait_for(2, "agent-started")


def test_what_one_that_was_killed_said_of_itself_is_not_believed_of_the_next(daemon: Daemon) -> None:
    (daemon.folder / "run/status").write_text("evidenced-status 1\npart\tsign\t-\t3\t1.0\n")
    daemon.plan.write_text("nonsense")
    daemon.start(hurry=False)
    assert daemon.process.wait(15) == 3
    assert not (daemon.folder / "run/status").exists()


def test_what_was_read_not_long_ago_waits_for_its_time_after_a_restart(daemon: Daemon) -> None:
    daemon.write_plan("table\tsweeps\t7200\t1\tsweep")
    daemon.start()
    until(lambda: bool(daemon.runs("sweeps")) and daemon.status().tables[0].coverage == "complete")
    assert daemon.stop() == 0
    daemon._process = None
    (daemon.folder / "journal").unlink()
    daemon.start(hurry=False)
    until(lambda: bool(daemon.journal()))
    assert daemon.runs("sweeps") == []
    due = daemon.status().tables[0].due_in_s
    assert due is not None
    assert 7000 < due <= 7200


def test_a_flood_of_signals_and_of_noise_in_a_watched_folder_changes_nothing(daemon: Daemon) -> None:
    daemon.start()
    daemon.wait_for(1, "users")
    for number in range(500):
        (daemon.files / f"noise-{number}").touch()
        daemon.signal(signal.SIGHUP)
    until(lambda: daemon.status().plan_problem is None)
    time.sleep(2)
    assert daemon.process.poll() is None
    assert len(daemon.journal()) <= 3


def test_an_event_does_not_wait_for_a_long_run_that_has_signed_its_own(daemon: Daemon) -> None:
    daemon.script(
        "_collect",
        "import os, time\n"
        "if '--tables' in words:\n"
        "    os.write(1, b'event\\t1\\n')\n"
        "    while os.path.exists(folder + '/hold'): time.sleep(0.01)",
    )
    (daemon.folder / "hold").touch()
    daemon.start()
    daemon.wait_for(1, "agent-started")
    daemon.write_plan(digest="0b")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(1, "config-changed:" + "0b" * 32)
    assert len(daemon.runs("users=3600")) == 1, "which still goes on"
    assert len(daemon.runs("agent-started")) == 1


def test_a_run_that_calls_itself_stuck_costs_only_itself(daemon: Daemon) -> None:
    daemon.script("_collect", "import os\nos.write(1, b'stuck\\tusers\\t%d\\n' % os.getpid())")
    daemon.start()
    daemon.wait_for(1, "users=3600")
    until(lambda: daemon.status().tables[0].coverage == "complete")
    assert daemon.process.poll() is None
    assert daemon.status().stuck == []
