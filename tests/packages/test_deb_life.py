"""The life of an installation: upgraded, downgraded, stopped, removed, installed again, purged."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.booted.host import BootedHost
from tests.packages.apt import apt, install, settle
from tests.packages.conftest import Boot

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("mmdebstrap"), pytest.mark.slow]

STATE = "/var/lib/evidenced"
OUTBOX = "/var/spool/evidenced/outbox"
FOLDER = "/srv/evidence"
SINK = f"""
[[sinks]]
type = "directory"
name = "folder"
path = "{FOLDER}"
"""
RECORDS_WITHOUT_END = """
while [ -e /run/recording ]; do
    evidenced record backup-run --field job=nightly --field result=ok
done >/tmp/recorded 2>/dev/null
"""
RECORDED = re.compile(r"^Recorded as entry ([0-9]+) of (\S+)$", re.MULTILINE)
BATCH = re.compile(r"([0-9a-f]{16}-[0-9]+)-([0-9]{12})-([0-9]{12})\.tar\.gz")

FIREWALL = "evidenced-firewall.timer"
"""Off, until an administrator switches it on."""

distributions = pytest.mark.parametrize("distribution", ["debian-12", "debian-13"])


def version(host: BootedHost) -> str:
    return host.ok("dpkg-query", "-W", "-f", "${Version}", "evidenced")


def active(host: BootedHost) -> str:
    return host.run("systemctl", "is-active", "evidenced.service").out.strip()


def fingerprint(host: BootedHost) -> str:
    found = re.search(r"SHA256:\S+", host.ok("evidenced", "keys", "show"))
    assert found
    return found[0]


def batches(host: BootedHost, folder: str) -> set[str]:
    """Return the names of the batches in a folder."""
    return {line.rpartition("/")[2] for line in host.run("find", folder, "-name", "*.tar.gz").out.split()}


def recording_meanwhile(host: BootedHost, act: Callable[[], object]) -> set[int]:
    """Have records signed one after the other while something is done; return the entries that were acknowledged."""
    host.write("/run/recording", "")
    host.ok("systemd-run", "--quiet", "--unit=recording", "sh", "-c", RECORDS_WITHOUT_END)
    host.until(lambda: "Recorded" in host.run("cat", "/tmp/recorded").out, 30, "a first record")
    act()
    host.ok("rm", "/run/recording")
    host.until(
        lambda: host.run("systemctl", "is-active", "recording").out.strip() != "active", 30, "the end of records"
    )
    return {int(number) for number, _ in RECORDED.findall(host.ok("cat", "/tmp/recorded"))}


def covered(names: set[str]) -> dict[str, int]:
    """Return up to which size the batches of each log cover it without a hole."""
    ends: dict[str, int] = {}
    for log, first, size in sorted(
        (found[1], int(found[2]), int(found[3])) for found in map(BATCH.fullmatch, names) if found
    ):
        assert first <= ends.get(log, 0), f"expected no hole before entry {first}, found {sorted(names)}"
        ends[log] = max(size, ends.get(log, 0))
    return ends


@distributions
def test_upgrade_and_downgrade_lose_nothing_though_nothing_was_delivered(boot: Boot, distribution: str) -> None:
    with boot(distribution) as host:
        install(host)
        host.write("/etc/evidenced/conf.d/sink.toml", SINK)
        host.ok("sed", "-i", 's/^#organisation = .*/organisation = "Example GmbH"/', "/etc/evidenced/agent.toml")
        settle(host)
        host.until(lambda: bool(batches(host, OUTBOX)), 60, "a batch that waits")
        key, waiting, before = fingerprint(host), batches(host, OUTBOX), host.entries()

        for release in (2, 1):
            acknowledged = recording_meanwhile(host, lambda release=release: install(host, release=release))  # type: ignore[misc]
            assert version(host) == f"0.1.0-{release}"
            after = {each["sequence"]: each for each in host.entries()}
            assert len(acknowledged) > 1
            assert {after[number]["kind"] for number in acknowledged} == {"backup-run"}
            assert [after[each["sequence"]] for each in before] == before
            assert active(host) == "active", host.journal(150)
            before = list(after.values())

        host.until(lambda: host.kinds().count("agent-started") == 3, 30, "that it says it has started")
        assert host.kinds().count("agent-stopped") == 2
        assert fingerprint(host) == key
        assert waiting <= batches(host, OUTBOX)
        assert 'organisation = "Example GmbH"' in host.ok("cat", "/etc/evidenced/agent.toml").splitlines()
        assert "packages" in host.ok("evidenced", "status")

        # The folder is there now: everything arrives, from the first entry on.
        host.ok("install", "-d", "-o", "evidenced-upload", "-m", "700", FOLDER)
        host.write("/etc/systemd/system/evidenced-upload.service.d/sink.conf", f"[Service]\nReadWritePaths={FOLDER}\n")
        host.ok("systemctl", "daemon-reload")
        host.run("evidenced", "ship", timeout_s=120)
        size = len(before)
        host.until(lambda: min(covered(batches(host, FOLDER)).values(), default=0) >= size, 60, "all entries delivered")
        host.ok("evidenced", "import", FOLDER, "--into", "/srv/filed")


def test_what_was_stopped_or_switched_off_stays_so_over_an_upgrade(boot: Boot) -> None:
    with boot("debian-13") as host:
        install(host)
        host.ok("systemctl", "stop", "evidenced.service")
        host.ok("systemctl", "enable", "--now", FIREWALL)
        assert "evidenced.service was stopped and stays so" in install(host, release=2).out
        assert host.ok("systemctl", "is-active", FIREWALL).strip() == "active"
        host.ok("systemctl", "disable", "--now", FIREWALL)
        assert active(host) == "inactive"
        host.ok("systemctl", "start", "evidenced.service")
        host.ok("systemctl", "disable", "--now", "evidenced.service")
        install(host, release=1)
        assert active(host) == "inactive"
        assert host.run("systemctl", "is-enabled", "evidenced.service").out.strip() == "disabled"


def test_an_administrators_preset_is_heard(boot: Boot) -> None:
    with boot("debian-13") as host:
        host.write("/etc/systemd/system-preset/00-ours.preset", "disable evidenced.service\n")
        install(host)
        assert host.run("systemctl", "is-enabled", "evidenced.service").out.strip() == "disabled"
        assert active(host) == "inactive"


def traces(host: BootedHost) -> set[str]:
    """Return every path with our name that is on the host itself, not in a test's folder."""
    tests = ("-path", "/usr/local/lib/evidenced-tests", "-prune", "-o", "-path", "/mnt", "-prune", "-o")
    listed = host.ok("find", "/", "-xdev", *tests, "-name", "*evidenced*", "-print")
    return set(listed.split()) | set(host.ok("find", "/run", "-xdev", "-name", "*evidenced*").split())


@distributions
def test_removal_stops_reinstallation_goes_on_and_purge_leaves_what_it_names(boot: Boot, distribution: str) -> None:
    with boot(distribution) as host:
        untouched = traces(host)
        install(host)
        host.until(lambda: bool(host.snapshots()), 60, "a first signed snapshot")
        key, size = fingerprint(host), len(host.entries())

        said = apt(host, "remove", "evidenced").out
        assert f"{STATE} stays; apt purge evidenced removes it" in said
        assert host.run("pgrep", "-f", "evidenced/_rooms").code != 0
        assert host.run("test", "-e", "/usr/lib/evidenced").code != 0
        assert host.run("test", "-e", "/run/evidenced").code != 0
        assert host.run("systemctl", "--failed", "--no-legend").out == ""

        install(host)
        host.until(lambda: len(host.entries()) > size, 60, "the log to go on")
        assert fingerprint(host) == key
        assert active(host) == "active"

        said = apt(host, "purge", "evidenced").out
        assert re.search(r"^ssh-ed25519 \S+", said, re.MULTILINE), said
        for each in (STATE, "/var/lib/evidenced-upload", "/var/spool/evidenced", "/etc/evidenced"):
            assert f"purge removes {each} (" in said
        assert f"the private key {STATE}/keys/agent.pem, which cannot be made again" in said
        assert said.index("cannot be made again") < said.index("stay, so that nobody is given their numbers")
        assert traces(host) - untouched == set()
        assert host.run("systemctl", "--failed", "--no-legend").out == ""
