"""Installed, upgraded and erased by rpm, with its scripts, under real systemd.

There is no tree of a distribution that uses rpm: this is Debian's rpm, and a stub that provides what such a
distribution would. What that cannot show (dnf, SELinux) is said in docs/install.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted.host import BootedHost
from tests.packages.apt import settle
from tests.packages.conftest import EXCHANGE, PACKAGES, Boot

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_program("mmdebstrap"),
    pytest.mark.needs_program("rpm"),
    pytest.mark.slow,
]

STUB = """
name: distribution
arch: noarch
version: 9.0.0
description: what a distribution provides
provides: ["/usr/bin/python3", "python(abi) = {python}", "glibc = {glibc}", "systemd = 252", "ca-certificates"]
rpm: {{summary: stub}}
"""
STATE = "/var/lib/evidenced"


def file_of(release: int) -> str:
    """Return where a host sees a release of the agent's package."""
    return f"{PACKAGES}/evidenced-0.1.0-{release}.{os.uname().machine}.rpm"


def stub(folder: Path, python: str, glibc: str = "2.36") -> str:
    """Write a package that provides what a distribution does, and return where hosts see it."""
    name = f"distribution-{python}-{glibc}.rpm"
    described = folder / f"{name}.yaml"
    described.write_text(STUB.format(python=python, glibc=glibc))
    nfpm = Path(sys.executable).with_name("nfpm")
    subprocess.run(
        [nfpm, "package", "-f", described, "-p", "rpm", "-t", folder / name], check=True, capture_output=True
    )
    return f"{EXCHANGE}/{name}"


def rpm(host: BootedHost, *words: str) -> str:
    """Run rpm, which must succeed, and return what it and its scripts said."""
    done = host.run("rpm", *words, timeout_s=180)
    assert done.code == 0, f"{done.out}\n{done.err}\n{host.journal()}"
    assert "scriptlet failed" not in done.err
    return done.err


@pytest.fixture(scope="module")
def host(boot: Boot, exchange: Path) -> Iterator[BootedHost]:
    """Give a host of whose distribution rpm knows nothing but that it has a Python."""
    with boot("debian-12-rpm") as booted:
        rpm(booted, "-i", stub(exchange, "3.11"))
        yield booted


def entries(host: BootedHost) -> list[tuple[int, str]]:
    return [(each["sequence"], each["leaf"]) for each in host.entries()]


@pytest.mark.parametrize(("python", "glibc"), [("3.9", "2.36"), ("3.15", "2.36"), ("3.12", "2.28")])
def test_it_is_refused_where_it_could_not_run(
    host: BootedHost, exchange: Path, python: str, glibc: str, tmp_path: Path
) -> None:
    database = f"/tmp/{tmp_path.name}"
    host.ok("rpm", "--dbpath", database, "-i", stub(exchange, python, glibc))
    done = host.run("rpm", "--dbpath", database, "-i", "--test", file_of(1))
    assert done.code != 0
    assert "is needed by evidenced" in done.err


def test_install_upgrade_downgrade_and_erase(host: BootedHost) -> None:
    rpm(host, "-i", file_of(1))
    host.until(lambda: bool(host.snapshots()), 60, "a first signed snapshot")
    for unit in ("evidenced.service", "evidenced-sign.socket", "evidenced-upload.socket"):
        assert host.ok("systemctl", "is-enabled", unit).strip() == "enabled"
    assert host.run("systemctl", "is-enabled", "evidenced-firewall.timer").out.strip() == "disabled"
    assert host.ok("rpm", "-V", "evidenced") == ""
    settle(host)
    host.ok("sed", "-i", 's/^#organisation = .*/organisation = "Example GmbH"/', "/etc/evidenced/agent.toml")
    fingerprint = host.ok("evidenced", "keys", "show")

    for release, how in ((2, "-U"), (1, "-U --oldpackage")):
        before = entries(host)
        rpm(host, *how.split(), file_of(release))
        assert host.ok("rpm", "-q", "evidenced").startswith(f"evidenced-0.1.0-{release}.")
        assert host.ok("systemctl", "is-active", "evidenced.service").strip() == "active"
        assert entries(host)[: len(before)] == before
        assert 'organisation = "Example GmbH"' in host.ok("cat", "/etc/evidenced/agent.toml").splitlines()
    host.until(lambda: host.kinds().count("agent-started") == 3, 60, "that it says it has started")
    assert host.kinds().count("agent-stopped") == 2
    assert host.ok("evidenced", "keys", "show") == fingerprint

    host.ok("systemctl", "stop", "evidenced.service")
    host.ok("systemctl", "enable", "--now", "evidenced-firewall.timer")
    assert "was stopped and stays so" in rpm(host, "-U", file_of(2))
    assert host.run("systemctl", "is-active", "evidenced.service").out.strip() == "inactive"
    assert host.ok("systemctl", "is-active", "evidenced-firewall.timer").strip() == "active"
    host.ok("systemctl", "start", "evidenced.service")

    said = rpm(host, "-e", "evidenced")
    assert f"{STATE} stays, with keys and evidence" in said
    assert host.run("pgrep", "-f", "evidenced/_rooms").code != 0
    assert host.run("test", "-e", "/usr/lib/evidenced").code != 0
    assert host.ok("ls", "/etc/evidenced").split() == ["agent.toml.rpmsave", "conf.d"]
    assert host.ok("find", "/etc/systemd", "-name", "*evidenced*") == ""
    assert host.run("systemctl", "--failed", "--no-legend").out == ""

    size = len(before)
    rpm(host, "-i", file_of(1))
    host.until(lambda: len(host.entries()) > size, 60, "the log to go on")
    assert host.ok("evidenced", "keys", "show") == fingerprint
