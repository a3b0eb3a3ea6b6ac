"""The machine itself: what it is called, which system and kernel it runs, and in what.

Sources: os-release(5), machine-id(5), proc(5), localtime(5), sysfs' class/dmi/id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, TypeVar

from collectors.contract import HOUR_S, Gap, Row, Table, means, shown, utc
from collectors.platform.machine import (
    DMI_NAMES,
    boot_seconds,
    elf_architecture,
    identity_in,
    version_key,
    virtualization,
    zone_of,
)
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host
from collectors.reading.os_release import OS_RELEASE, read_os_release

MACHINE_ID = "/etc/machine-id"
DMI = "/sys/class/dmi/id"
PROGRAMS = ("/bin/sh", "/bin/busybox", "/usr/bin/env")
CONTAINER_MARKS = (("/.dockerenv", "docker"), ("/run/.containerenv", "podman"))
MODULES = ("/lib/modules", "/usr/lib/modules")
RESCUE = "0-rescue-"
LIMIT = 64 << 10
LONG = 4 << 20  # /proc/stat and /proc/cpuinfo grow with the processors

T = TypeVar("T")


class Machine(Row):
    """The host as one row; what it could not tell is null, and a gap says why."""

    machine_id: Annotated[str | None, means("keyed hash of /etc/machine-id; the id itself is not collected")]
    hardware_id: Annotated[
        str | None, means("keyed hash of the DMI product UUID: two hosts with equal ones are clones")
    ]
    hostname: Annotated[str | None, means("name the kernel has; of an image, the one in /etc/hostname")]
    os_id: Annotated[str | None, means("ID of os-release")]
    os_version: Annotated[str | None, means("VERSION_ID of os-release; absent for rolling releases")]
    os_pretty: Annotated[str | None, means("PRETTY_NAME of os-release")]
    os_like: Annotated[tuple[str, ...], means("ID_LIKE of os-release")]
    kernel_release: Annotated[str | None, means("running kernel; absent for an image")]
    kernel_newest_installed: Annotated[
        str | None,
        means("newest kernel in /lib/modules or /boot; absent where none is installed (containers)"),
    ]
    kernels_installed: Annotated[tuple[str, ...], means("all of them, oldest first")]
    arch: Annotated[str | None, means("architecture as uname -m names it")]
    virtualization: Annotated[
        str | None, means("what it runs in, by the names of systemd-detect-virt(1); none is bare metal")
    ]
    vendor: Annotated[str | None, means("DMI system vendor")]
    model: Annotated[str | None, means("DMI product name")]
    boot_time: Annotated[str | None, means("when the kernel started; absent for an image", time=True)]
    timezone: Annotated[str | None, means("zone that /etc/localtime names; UTC if there is no such file")]


class _Reader:
    """Reads small texts and collects why one could not be had."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.gaps: list[Gap] = []

    def text(self, path: str, *, required: bool = False, limit: int = LIMIT) -> str | None:
        """Return a file's stripped text, or None; an absent file is a gap only if it is required."""
        content = self.attempt(lambda: self.host.read(path, limit=limit), required=required)
        if content is None:
            return None
        if content.truncated:  # half a name is another name
            self.gaps.append(Gap(path, "truncated", f"expected at most {limit} bytes, found more"))
            return None
        return content.data.decode("utf-8", "backslashreplace").strip()

    def attempt(self, act: Callable[[], T], *, required: bool = False) -> T | None:
        """Return what the act returns, or None with a gap."""
        try:
            return act()
        except AbsentError as error:
            if required:
                self.gaps.append(error.gap())
        except ReadError as error:
            self.gaps.append(error.gap())
        return None

    def odd(self, path: str, expected: str) -> None:
        """Note that a file was read and did not say what it is for."""
        self.gaps.append(Gap(path, "malformed", f"expected {expected}, found something else"))

    def names(self, path: str) -> list[str]:
        """Return the names in a folder; none if it is absent."""
        return self.attempt(lambda: self.host.names(path)) or []

    def exists(self, path: str) -> bool:
        return self.attempt(lambda: self.host.look(path)) is not None


def collect(host: Host) -> Iterator[Machine | Gap]:
    """Yield the one row, then why it lacks what it lacks."""
    reader = _Reader(host)
    told = reader.attempt(lambda: read_os_release(host), required=True)
    release, gaps = told or ({}, [])
    reader.gaps.extend(gaps)
    kernels = _kernels(reader)
    vendor, model = (reader.text(f"{DMI}/{each}") for each in ("sys_vendor", "product_name"))
    yield Machine(
        machine_id=_hashed(host, reader.text(MACHINE_ID, required=True), MACHINE_ID, reader),
        hardware_id=_hashed(host, reader.text(f"{DMI}/product_uuid"), None, reader),
        hostname=reader.text("/proc/sys/kernel/hostname") or reader.text("/etc/hostname"),
        # os-release(5): without an ID it is linux; a line that was not understood may have been it
        os_id=release.get("ID", None if told is None or gaps else "linux"),
        os_version=release.get("VERSION_ID"),
        os_pretty=release.get("PRETTY_NAME"),
        os_like=tuple(release.get("ID_LIKE", "").split()),
        kernel_release=reader.text("/proc/sys/kernel/osrelease"),
        kernel_newest_installed=kernels[-1] if kernels else None,
        kernels_installed=kernels,
        arch=_architecture(reader),
        virtualization=_virtualization(reader),
        vendor=vendor,
        model=model,
        boot_time=_boot_time(reader),
        timezone=_timezone(reader),
    )
    yield from reader.gaps


def _hashed(host: Host, text: str | None, path: str | None, reader: _Reader) -> str | None:
    """Return the keyed hash of an id; one that is there but says nothing is a gap, not an id."""
    identity = None if text is None else identity_in(text)
    if text is not None and identity is None and path is not None:
        reader.gaps.append(Gap(path, "malformed", "expected an id, found a file without one"))
    return None if identity is None else host.pseudonym(identity)


def _kernels(reader: _Reader) -> tuple[str, ...]:
    """Return installed kernels: those with modules, and those with an image in /boot.

    The rescue image of Red Hat's kin is none, and bears the machine id as its version.
    """
    found = {name for folder in MODULES for name in reader.names(folder) if name[:1].isdigit()}
    found |= {
        name.removeprefix("vmlinuz-")
        for name in reader.names("/boot")
        if name.startswith("vmlinuz-") and name[8:9].isdigit()
    }
    found = {name for name in found if not name.startswith(RESCUE)}
    return tuple(shown(each)[0] for each in sorted(found, key=lambda each: (version_key(each), each)))


def _architecture(reader: _Reader) -> str | None:
    """Return the kernel's own word, or for which processor the host's programs were built."""
    text = reader.text("/proc/sys/kernel/arch")
    if text:
        return text
    for path in PROGRAMS:
        content = reader.attempt(partial(reader.host.read, path, limit=64))
        if content is not None and (name := elf_architecture(content.data)):
            return name
    return None


def _virtualization(reader: _Reader) -> str | None:
    """Return what a running host runs in; None for an image, of which it cannot be said."""
    cpu = reader.text("/proc/cpuinfo", limit=LONG)
    if cpu is None:
        return None
    container = reader.text("/run/systemd/container")
    for path, name in CONTAINER_MARKS:
        container = container or (name if reader.exists(path) else None)
    dmi = {name: reader.text(f"{DMI}/{name}") or "" for name in DMI_NAMES}
    return virtualization(
        dmi,
        container=container,
        hypervisor_type=reader.text("/sys/hypervisor/type"),
        cpu_flag=" hypervisor" in cpu,
    )


def _boot_time(reader: _Reader) -> str | None:
    text = reader.text("/proc/stat", limit=LONG)
    seconds = None if text is None else boot_seconds(text)
    if text is not None and seconds is None:
        reader.odd("/proc/stat", "a line btime")
    return None if seconds is None else utc(seconds)


def _timezone(reader: _Reader) -> str | None:
    """Return the zone; localtime(5): without the file it is UTC, and a copy instead of a link has no name."""
    facts = reader.attempt(lambda: reader.host.look("/etc/localtime"))
    if facts is None:
        return None if any(gap.source == "/etc/localtime" for gap in reader.gaps) else "UTC"
    if facts.kind != "link":
        return reader.text("/etc/timezone")
    target = reader.attempt(lambda: reader.host.target("/etc/localtime"))
    zone = None if target is None else zone_of(target)
    if target is not None and zone is None:
        reader.odd("/etc/localtime", "a link to a zone in a folder zoneinfo")
    return zone


TABLE = Table(
    "host",
    Machine,
    key=("machine_id",),
    reads=(
        MACHINE_ID,
        *OS_RELEASE,
        "/etc/hostname",
        "/etc/timezone",
        f"{DMI}/*",
        "/proc/cpuinfo",
        "/proc/stat",
        "/proc/sys/kernel/*",
        "/run/systemd/container",
        "/sys/hypervisor/type",
        *PROGRAMS,
    ),
    collect=collect,
    needs=("CAP_DAC_READ_SEARCH",),
    interval_s=HOUR_S,
    watches=(MACHINE_ID, *OS_RELEASE, "/etc/hostname", "/etc/timezone", "/etc/localtime"),
    care=(
        "Both kernels are named because an update counts only once it runs. The machine id is a keyed hash: equal "
        "on two reports of one agent, and useless for looking the machine up elsewhere."
    ),
)
