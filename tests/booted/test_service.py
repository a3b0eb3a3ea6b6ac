"""The service under real systemd: it starts, notices, and survives.

A wall clock that is set is not among the faults here: a booted tree has the machine's own. tests/agent/ has it, and
tests/faults/ with the whole daemon.
"""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.booted.cage import drop_in
from tests.booted.folder_sink import FOLDER, add_folder_sink, delivered
from tests.booted.host import BootedHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("mmdebstrap"), pytest.mark.slow]

SUPERVISOR, SIGNER, UPLOADER = "evidenced.service", "evidenced-sign.service", "evidenced-upload.service"
SOCKETS = ("evidenced-sign.socket", "evidenced-upload.socket")
EXPOSURE = {"evidenced": 18, "evidenced-sign": 5, "evidenced-upload": 12, "evidenced-firewall": 12}
"""Goals of docs/hardening.md, in tenths, as --threshold takes them."""
AGAIN_S = 30
"""Within this time a part that ended runs again."""
RECORD = ("evidenced", "record", "backup-run", "--field", "job=nightly", "--field", "result=ok")
SAME_BOOT_ID = """
# Booting a tree gives each boot an id of its own by a mount, which a /proc of the unit's own would not have.
[Service]
BindReadOnlyPaths=/proc/sys/kernel/random/boot_id
"""


def read_all(host: BootedHost) -> None:
    """Ask the supervisor to read every table now."""
    host.ok("systemctl", "kill", "--kill-who=main", "-s", "USR1", SUPERVISOR)


def main_pid(host: BootedHost, unit: str) -> int:
    """Return the main process of a unit, 0 if it does not run."""
    return int(host.show(unit, "MainPID"))


def check_log(host: BootedHost) -> None:
    """Verify the whole log: every entry is there, signed, numbered without a hole (O1)."""
    numbers = [each["sequence"] for each in host.entries()]
    assert numbers == list(range(len(numbers)))
    host.run("rm", "-f", "/root/check.tar.gz")
    host.ok("evidenced", "export", "-o", "/root/check.tar.gz")
    verified = host.run("evidenced", "verify", "/root/check.tar.gz")
    assert verified.code in (0, 3), verified.out + verified.err  # 3: the period has just begun
    assert "Signature valid" in verified.out


def grows(host: BootedHost, within_s: float = AGAIN_S) -> None:
    """Wait for one more snapshot: what reads, signs and keeps the log does so again (O2)."""
    before = len(host.snapshots())
    read_all(host)
    host.until(lambda: len(host.snapshots()) > before, within_s, "another snapshot")


def test_the_units_are_well_formed(bare_host: BootedHost) -> None:
    units = bare_host.ok("find", "/usr/lib/systemd/system", "-name", "evidenced*").split()
    verified = bare_host.run("systemd-analyze", "verify", "--man=no", *units)
    assert (verified.code, verified.out, verified.err) == (0, "", "")


@pytest.mark.parametrize("unit", EXPOSURE)
def test_a_unit_is_exposed_no_more_than_its_goal(bare_host: BootedHost, unit: str) -> None:
    judged = bare_host.run("systemd-analyze", "security", f"--threshold={EXPOSURE[unit]}", f"{unit}.service")
    assert judged.code == 0, judged.out


def test_firewall_rules_are_left_for_the_daemon_by_their_own_unit(bare_host: BootedHost) -> None:
    bare_host.ok("nft", "add", "table", "inet", "planted")
    bare_host.ok("systemctl", "start", "evidenced-firewall.service")
    rules = json.loads(bare_host.ok("cat", "/run/evidenced-firewall.json"))["nftables"]
    assert any(each.get("table", {}).get("name") == "planted" for each in rules)
    assert bare_host.ok("stat", "-c", "%a %U", "/run/evidenced-firewall.json").strip() == "600 root"
    assert bare_host.run("systemctl", "is-enabled", "evidenced-firewall.timer").out.strip() == "disabled"


def test_it_starts_reads_signs_and_is_no_root(host: BootedHost) -> None:
    assert host.kinds()[:2] == ["log-opened", "agent-started"]
    assert host.run("evidenced", "status").code == 0
    assert host.ok("runuser", "-u", "nobody", "--", "evidenced", "status").startswith("running   process")
    check_log(host)
    uids = host.ok("ps", "-o", "user:32=", "-p", str(main_pid(host, SUPERVISOR))).split()
    assert uids == ["evidenced-collect"]
    owners = host.ok("find", "/var/lib/evidenced", "/var/spool/evidenced/outbox", "-printf", "%u\n").split()
    assert set(owners) == {"evidenced"}


def test_a_change_of_sudoers_is_signed_within_five_seconds(host: BootedHost) -> None:
    grows(host)
    before = len(host.snapshots())
    began = time.monotonic()
    host.write("/etc/sudoers.d/x", "mia ALL=(ALL) NOPASSWD: ALL\n", mode="0440")

    def signed() -> bool:
        for number in host.snapshots()[before:]:
            tables = [each["name"] for each in host.statement(number)["predicate"]["tables"]]
            if "sudo_rules" in tables:
                return True
        return False

    host.until(signed, 10, "the change in a signed snapshot")
    entry = next(each for each in host.entries() if each["sequence"] == host.snapshots()[before])
    changed = float(host.ok("stat", "-c", "%.Z", "/etc/sudoers.d/x"))
    seconds = host.python(
        "import datetime as d, sys; print(d.datetime.fromisoformat(sys.argv[1].replace('Z', '+00:00')).timestamp())",
        entry["wall"],
    )
    assert float(seconds) - changed <= 5, f"{time.monotonic() - began:g} s in all"


@pytest.mark.parametrize("unit", [SUPERVISOR, SIGNER])
def test_a_part_that_is_killed_runs_again_and_nothing_is_lost(host: BootedHost, unit: str) -> None:
    host.ok(*RECORD)  # the signer runs
    before, size = main_pid(host, unit), len(host.entries())
    host.ok("kill", "-9", str(before))
    if unit == SUPERVISOR:
        host.until(lambda: main_pid(host, unit) not in (0, before), AGAIN_S, "the supervisor again")
    host.ok(*RECORD)
    assert len(host.entries()) > size
    grows(host)
    check_log(host)


def test_a_collector_that_is_killed_leaves_the_service_running(host: BootedHost) -> None:
    supervisor = main_pid(host, SUPERVISOR)
    read_all(host)
    host.until(
        lambda: host.run("pkill", "-9", "-u", "evidenced-collect", "-f", "[_]collect ").code == 0, 10, "a collector"
    )
    grows(host, 60)
    assert main_pid(host, SUPERVISOR) == supervisor
    check_log(host)


def of_cgroup(host: BootedHost, *names: str) -> str:
    """Return what the service's control group says, under the name that its version has for it."""
    paths = [word for name in names for word in ("-o", "-path", f"*/evidenced.service/{name}")][1:]
    return host.ok("cat", *host.ok("find", "/sys/fs/cgroup", *paths).split())


def killed_for_memory(host: BootedHost) -> int:
    """Return how many processes of the service the kernel has killed for the memory they took."""
    counts = of_cgroup(host, "memory.oom_control", "memory.events")
    return sum(int(each) for each in re.findall(r"oom_kill (\d+)", counts))


def limit_memory(host: BootedHost, mebibytes: int) -> bool:
    """Limit the service's memory and return whether that holds: the kernel may refuse while it still makes room."""
    host.ok("systemctl", "set-property", "--runtime", SUPERVISOR, f"MemoryMax={mebibytes}M")
    return of_cgroup(host, "memory.limit_in_bytes", "memory.max").strip() == str(mebibytes << 20)


def test_a_collector_that_takes_too_much_memory_is_killed_alone(host: BootedHost) -> None:
    supervisor, before = main_pid(host, SUPERVISOR), killed_for_memory(host)
    host.until(lambda: host.run("pgrep", "-c", "-u", "evidenced-collect").out.strip() == "1", 60, "an idle supervisor")
    try:
        host.until(lambda: limit_memory(host, 10), 30, "a limit")  # enough for one, not for two
        read_all(host)
        host.until(lambda: killed_for_memory(host) > before, AGAIN_S, "a collector killed for its memory")
    finally:
        host.until(lambda: limit_memory(host, 1024), 30, "room again")
    grows(host, 90)
    assert main_pid(host, SUPERVISOR) == supervisor
    check_log(host)


def test_batches_reach_a_folder_though_the_uploader_is_killed(host: BootedHost) -> None:
    add_folder_sink(host)
    host.ok("systemctl", "reload", SUPERVISOR)
    grows(host)
    host.until(lambda: bool(delivered(host)), 60, "a batch in the folder")
    before = delivered(host)
    read_all(host)
    host.until(lambda: host.run("pkill", "-9", "-u", "evidenced-upload").code == 0, 60, "an uploader at work")
    host.ok(*RECORD)
    grows(host)
    host.until(lambda: bool(delivered(host) - before), 60, "another batch in the folder")
    assert host.ok("find", FOLDER, "!", "-user", "evidenced-upload").strip() == ""


def test_a_supervisor_that_hangs_is_replaced(host: BootedHost) -> None:
    with drop_in(host, SUPERVISOR, "[Service]\nWatchdogSec=3\n"):
        hanging = main_pid(host, SUPERVISOR)
        time.sleep(4)  # it is alive as long as nobody stops it
        assert main_pid(host, SUPERVISOR) == hanging
        host.ok("kill", "-STOP", str(hanging))
        host.until(lambda: main_pid(host, SUPERVISOR) not in (0, hanging), AGAIN_S, "another supervisor")
        assert "Watchdog timeout" in host.journal(300)
    grows(host)
    check_log(host)


def test_it_stops_within_ten_seconds_and_says_so(host: BootedHost) -> None:
    began = time.monotonic()
    host.ok("systemctl", "stop", SUPERVISOR)
    assert time.monotonic() - began < 10
    assert host.show(SUPERVISOR, "Result") == "success"
    assert host.kinds()[-1] == "agent-stopped"
    host.ok("systemctl", "start", SUPERVISOR)
    host.until(lambda: "agent-started" in host.kinds()[-5:], AGAIN_S, "a signed start")


def test_a_full_disk_loses_nothing_and_ends_by_itself(host: BootedHost) -> None:
    host.ok("systemctl", "stop", SUPERVISOR, *SOCKETS, SIGNER)
    host.ok("mount", "-t", "tmpfs", "-o", "size=6m,mode=700,uid=evidenced,gid=evidenced", "tmpfs", "/var/lib/evidenced")
    try:
        host.ok("systemctl", "start", SUPERVISOR)
        host.until(lambda: bool(host.snapshots()), 60, "a first snapshot on the small disk")
        host.run("dd", "if=/dev/zero", "of=/var/lib/evidenced/filler", "bs=4k")
        supervisor, before = main_pid(host, SUPERVISOR), host.entries()
        for turn in range(3):  # each is another row
            host.write("/etc/sudoers.d/x", f"mia ALL=(ALL) /bin/{turn}\n", mode="0440")
            time.sleep(3)
        assert main_pid(host, SUPERVISOR) == supervisor, "no crash loop"
        assert host.entries()[: len(before)] == before
        host.ok("rm", "/var/lib/evidenced/filler")
        grows(host, 90)
        assert main_pid(host, SUPERVISOR) == supervisor
        check_log(host)
    finally:
        host.run("systemctl", "stop", SUPERVISOR, *SOCKETS, SIGNER)
        host.ok("umount", "/var/lib/evidenced")
        host.ok("systemctl", "start", SUPERVISOR)


def test_a_reboot_is_a_signed_absence(host: BootedHost) -> None:
    for unit in (SUPERVISOR, SIGNER):
        host.write(f"/etc/systemd/system/{unit}.d/boot-id.conf", SAME_BOOT_ID)
    host.ok("systemctl", "daemon-reload")
    host.ok("systemctl", "stop", SUPERVISOR, *SOCKETS, SIGNER)
    starts = host.kinds().count("agent-started")
    host.ok("systemctl", "start", SUPERVISOR)
    host.until(lambda: host.kinds().count("agent-started") > starts, AGAIN_S, "a signed start")
    grows(host)
    size = len(host.entries())
    host.reboot()
    host.until(lambda: "agent-started" in host.kinds()[size:], AGAIN_S, "a signed start after the reboot")
    started = next(each for each in host.entries()[size:] if each["kind"] == "agent-started")
    assert host.statement(started["sequence"])["predicate"]["event"]["absence"]["reason"] == "host-off"
    grows(host, 60)
    check_log(host)
