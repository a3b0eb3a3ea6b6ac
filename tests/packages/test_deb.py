"""A package that was installed a minute ago, in fresh Debian hosts with real systemd."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.booted.host import BootedHost
from tests.packages.apt import install, settle
from tests.packages.conftest import EXCHANGE, Boot

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_program("mmdebstrap"), pytest.mark.slow]

DISTRIBUTIONS = ("debian-12", "debian-13")
OTHER = {"debian-12": "debian-13", "debian-13": "debian-12"}
"""Where a pack of one is verified: with another Python."""


@dataclass
class Fresh:
    """A host on which the package was installed just now, and nothing was configured."""

    name: str
    host: BootedHost
    installed_s: float
    signed_s: float
    """From the beginning of the installation to the first signed snapshot."""


@pytest.fixture(scope="module", params=DISTRIBUTIONS)
def fresh(request: pytest.FixtureRequest, boot: Boot) -> Iterator[Fresh]:
    """Give a host with the package; what it took is printed."""
    with boot(request.param) as host:
        began = time.monotonic()
        install(host)
        installed_s = time.monotonic() - began
        host.until(lambda: bool(host.snapshots()), 60, "a first signed snapshot")
        signed_s = time.monotonic() - began
        settle(host)
        yield Fresh(request.param, host, installed_s, signed_s)


@pytest.fixture
def host(fresh: Fresh) -> BootedHost:
    """Return the host."""
    return fresh.host


def test_the_first_signed_snapshot_is_there_within_a_minute(fresh: Fresh) -> None:
    assert fresh.signed_s < 60


def test_units_are_as_the_preset_says(host: BootedHost) -> None:
    for unit in ("evidenced.service", "evidenced-sign.socket", "evidenced-upload.socket"):
        assert host.ok("systemctl", "is-enabled", unit).strip() == "enabled"
        assert host.ok("systemctl", "is-active", unit).strip() == "active"
    assert host.run("systemctl", "is-enabled", "evidenced-firewall.timer").out.strip() == "disabled"


def test_nobody_who_was_made_for_the_service_can_log_in(host: BootedHost) -> None:
    for user in ("evidenced", "evidenced-collect", "evidenced-upload"):
        *_, shell = host.ok("getent", "passwd", user).strip().split(":")
        assert shell == "/usr/sbin/nologin"
        assert host.ok("getent", "shadow", user).split(":")[1].startswith("!")


def test_it_has_bytecode_for_the_python_that_is_here_and_no_other(host: BootedHost) -> None:
    listed = host.ok("find", "/usr/lib/evidenced", "-name", "*.pyc").split()
    here = host.python("import sys; print(sys.implementation.cache_tag)").strip()
    assert len(listed) > 200
    assert {re.findall(r"cpython-[0-9]+", name)[-1] for name in listed} == {here}


def test_a_python_that_comes_gets_its_bytecode(host: BootedHost) -> None:
    minor = host.python("import sys; print(sys.version_info[1])").strip()
    host.ok("find", "/usr/lib/evidenced", "-name", "*.pyc", "-delete")
    host.ok("dpkg-trigger", f"--by-package=python3.{minor}-minimal", f"/usr/bin/python3.{minor}")
    host.ok("dpkg", "--triggers-only", "evidenced", timeout_s=120)
    assert len(host.ok("find", "/usr/lib/evidenced", "-name", "*.pyc").split()) > 200
    assert host.ok("systemctl", "is-active", "evidenced.service").strip() == "active"


def test_status_and_doctor_are_content_with_what_was_installed(host: BootedHost) -> None:
    assert "each part is a user of its own" in host.ok("evidenced", "status")
    said = host.run("evidenced", "doctor")
    assert said.code in (0, 3), said.err  # 3: nobody keeps this host's clock
    assert "install" not in said.out.lower()


def test_a_pack_is_verified_on_another_distribution_with_another_python(fresh: Fresh, boot: Boot) -> None:
    pack = f"{EXCHANGE}/{fresh.name}.tar.gz"
    fresh.host.ok("evidenced", "export", "-o", pack)
    fresh.host.ok("cp", "/usr/share/evidenced/verify.py", f"{EXCHANGE}/verify-{fresh.name}.py")
    minor = "import sys; print(sys.version_info[1])"
    with boot(OTHER[fresh.name]) as other:
        assert other.python(minor) != fresh.host.python(minor)
        done = other.run("python3", "-I", f"{EXCHANGE}/verify-{fresh.name}.py", pack)
    assert done.code in (0, 3), done.err
    assert done.out.startswith("✓ Signature valid (Ed25519)\n✓ All ")


def test_what_it_takes_of_this_host_is_said_and_little(fresh: Fresh, capsys: pytest.CaptureFixture[str]) -> None:
    host = fresh.host
    size = int(host.ok("dpkg-query", "-W", "-f", "${Installed-Size}", "evidenced"))
    with_bytecode = int(host.ok("du", "-sk", "/usr/lib/evidenced").split()[0])
    supervisor = host.show("evidenced.service", "MainPID")
    memory = {
        line.split(":")[0]: int(line.split()[1])
        for line in host.ok("cat", f"/proc/{supervisor}/smaps_rollup").splitlines()
        if line.startswith(("Rss:", "Pss:"))
    }
    said = (
        f"{fresh.name}: {fresh.installed_s:.1f} s to install, {fresh.signed_s:.1f} s to the first signed snapshot;"
        f" {size} KiB installed, {with_bytecode} KiB with bytecode;"
        f" resident {memory['Rss']} KiB (PSS {memory['Pss']} KiB)"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{said}\n")
    assert size < 16 * 1024
    assert memory["Rss"] < 24 * 1024


@pytest.mark.parametrize(
    ("spoil", "mend", "path"),
    [
        (("chown", "nobody"), ("chown", "root"), "/usr/lib/evidenced/evidenced/launcher.py"),
        (("chmod", "o+w"), ("chmod", "o-w"), "/usr/lib/evidenced/msgspec/__init__.py"),
        (("chmod", "o+w"), ("chmod", "o-w"), "/usr/lib/evidenced"),
        (("chmod", "o+w"), ("chmod", "o-w"), "/etc/evidenced/agent.toml"),
        (("chown", "nobody"), ("chown", "root"), "/etc/evidenced/conf.d/calm.toml"),
    ],
    ids=["code of another", "library others may write", "folder others may write", "settings", "settings of another"],
)
def test_it_does_not_start_with_what_others_could_have_written(
    host: BootedHost, spoil: tuple[str, str], mend: tuple[str, str], path: str
) -> None:
    host.ok("systemctl", "stop", "evidenced.service")
    host.ok(*spoil, path)
    try:
        assert host.run("systemctl", "start", "evidenced.service").code != 0
        said = host.ok("journalctl", "--no-pager", "-u", "evidenced.service", "-n", "20", "-o", "cat")
        assert f"{path}: expected" in said
    finally:
        host.run("systemctl", "stop", "evidenced.service")
        host.ok(*mend, path)
    host.ok("systemctl", "start", "evidenced.service")
