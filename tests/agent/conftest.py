"""A small host, a state folder, and the command line as a user types it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.main import main
from tests.agent.command_line import Evidenced, Ran


@pytest.fixture
def evidenced(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Evidenced:
    """Run one command line in this process; what reads a host looks at no state of this machine."""

    def run(*arguments: str | Path) -> Ran:
        capfd.readouterr()
        words = [os.fspath(each) for each in arguments]
        if words[:1] in (["inventory"], ["show-payload"]) and "--state" not in words:
            words += ["--state", os.fspath(tmp_path / "no-state")]
        try:
            code = main(words)
        except SystemExit as stop:  # argparse leaves so
            code = int(stop.code or 0)
        told = capfd.readouterr()
        return Ran(code, told.out, told.err)

    return run


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep away what this machine has configured and signed; a process that a test starts as root is given --config."""
    nowhere = tmp_path_factory.getbasetemp() / "no-settings"
    monkeypatch.setattr("agent.configuration.files.SYSTEM_FILE", str(nowhere / "agent.toml"))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(nowhere))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a place for a state folder that is not there yet."""
    return tmp_path / "state"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a root tree with two accounts, one of them with a broken line in shadow."""
    root = tmp_path / "image"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (root / "etc/hostname").write_text("image.example\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n")
    (root / "etc/shadow").write_text("root:*:20000:0:99999:7:::\nann:$6$canary\n")
    return root
