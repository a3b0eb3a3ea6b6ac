"""Package managers that are recognised and not read yet: each is a gap that names it, never silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from collectors.contract import Gap
from collectors.reading.errors import AbsentError, ReadError

if TYPE_CHECKING:
    from collectors.reading.host import Host


class Manager(NamedTuple):
    """Where something lies as soon as a package is installed by this manager."""

    name: str
    folder: str
    suffix: str = ""
    """Only names that end so count; these folders hold other things too."""


MANAGERS = (
    Manager("snap", "/var/lib/snapd/snaps", ".snap"),
    Manager("flatpak", "/var/lib/flatpak/app"),
    Manager("flatpak", "/var/lib/flatpak/runtime"),
    Manager("rpm (as a distroless image's manifest)", "/var/lib/rpmmanifest"),
    Manager("pacman", "/var/lib/pacman/local"),
    Manager("portage", "/var/db/pkg"),
    Manager("opkg", "/usr/lib/opkg/info", ".control"),
    Manager("xbps", "/var/db/xbps", ".plist"),
    Manager("nix", "/nix/var/nix/db", "db.sqlite"),
    Manager("guix", "/var/guix/db", "db.sqlite"),
)


def unread(host: Host) -> Iterator[Gap]:
    """Yield a gap for each package manager whose packages this table does not hold."""
    for manager in MANAGERS:
        try:
            names = host.names(manager.folder)
        except AbsentError:
            continue
        except ReadError as error:
            yield error.gap()
            continue
        if any(name.endswith(manager.suffix) for name in names):
            detail = f"packages of {manager.name} are installed, which are not read yet"
            yield Gap(manager.folder, "unknown_format", detail)
