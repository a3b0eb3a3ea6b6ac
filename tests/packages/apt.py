"""What an administrator does with apt in a booted host."""

from __future__ import annotations

from tests.booted.host import BootedHost, Done
from tests.packages.conftest import ARCH, PACKAGES

CALM = """
[schedule]
jitter = "0s"
minimum_distance = "1s"
[schedule.pressure]
cpu = 0
memory = 0
io = 0
"""
"""Settings of a host that reads at once, however busy the machine is that it runs on."""


def apt(host: BootedHost, *words: str) -> Done:
    """Run apt-get; it must succeed."""
    done = host.run("apt-get", "-y", "-q", "-o", "Dpkg::Progress-Fancy=0", *words, timeout_s=180)
    assert done.code == 0, f"{done.out[-3000:]}\n{done.err[-3000:]}\n{host.journal()}"
    return done


def file_of(package: str = "evidenced", release: int = 1) -> str:
    """Return where a host sees a package."""
    return f"{PACKAGES}/{package}_0.1.0-{release}_{ARCH}.deb"


def install(host: BootedHost, package: str = "evidenced", release: int = 1) -> Done:
    """Install a release of a package, be it newer or older than what is there."""
    return apt(host, "install", "--allow-downgrades", file_of(package, release))


def settle(host: BootedHost) -> None:
    """Make the host read without waiting for calm; wait until that is in force and each table was read."""
    host.write("/etc/evidenced/conf.d/calm.toml", CALM)
    host.ok("systemctl", "reload", "evidenced")
    host.until(lambda: "config-changed" in host.kinds(), 60, "the new settings in force")
    host.until(lambda: " never " not in host.run("evidenced", "status").out, 60, "a reading of each table")
