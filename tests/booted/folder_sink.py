"""A sink that is a folder of the booted host, opened for the uploader as docs/hardening.md says."""

from __future__ import annotations

from tests.booted.host import BootedHost

FOLDER = "/srv/evidence"
SINK = f"""
[upload]
jitter = "0s"
[[sinks]]
name = "share"
type = "directory"
path = "{FOLDER}"
"""


def add_folder_sink(host: BootedHost) -> None:
    """Make the folder and name it; it counts once the supervisor has read its configuration again."""
    host.ok("install", "-d", "-o", "evidenced-upload", "-m", "700", FOLDER)
    host.write("/etc/evidenced/conf.d/sink.toml", SINK)
    host.write("/etc/systemd/system/evidenced-upload.service.d/sink.conf", f"[Service]\nReadWritePaths={FOLDER}\n")
    host.ok("systemctl", "daemon-reload")


def delivered(host: BootedHost) -> set[str]:
    """Return the batches in the folder."""
    return set(host.ok("find", FOLDER, "-name", "*.tar.gz").split())
