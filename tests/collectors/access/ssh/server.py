"""The real sshd, asked what it makes of a configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from collectors.access.ssh.effective_output import parse_effective
from tests.collectors.access.ssh.keygen import ssh_keygen
from tests.conftest import program

NOBODY = 65534


class Server:
    """An sshd that only ever runs in test mode, in a folder that nobody may read.

    As root it would want a folder in /run, so it runs as nobody then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        self._key = folder / "host_key"
        ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", str(self._key)).check_returncode()
        if os.geteuid() == 0:
            os.chown(self._key, NOBODY, NOBODY)

    def prints(self, config: Path, connection: str | None = None) -> bytes | None:
        """Return what `sshd -T` prints for a configuration, None if it refuses it."""
        path = program("sshd")
        assert path is not None
        arguments = [path, "-T", "-f", str(config), "-h", str(self._key)]
        done = subprocess.run(
            arguments + ([] if connection is None else ["-C", connection]),
            capture_output=True,
            check=False,
            timeout=60,
            user=NOBODY if os.geteuid() == 0 else None,
        )
        return done.stdout if done.returncode == 0 else None

    def settings(self, config: Path, connection: str | None = None) -> dict[str, tuple[str, ...]]:
        """Return the settings `sshd -T` prints; the configuration must be a good one."""
        printed = self.prints(config, connection)
        assert printed is not None
        return parse_effective(printed)


def write_tree(files: dict[str, str], ours: Path, theirs: Path) -> Path:
    """Write a configuration twice, for `Host(ours)` and for sshd; return its main file for sshd.

    `ROOT` in the text stands for the folder that sshd must be told and a host needs not.
    """
    for root, prefix in ((ours, ""), (theirs, str(theirs))):
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("ROOT", prefix))
    return theirs / "etc/ssh/sshd_config"
