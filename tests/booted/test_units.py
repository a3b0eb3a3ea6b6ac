"""Each line of a unit that takes something away says why; see docs/hardening.md."""

from __future__ import annotations

from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = sorted(path for path in SYSTEMD.rglob("*") if path.suffix in {".service", ".socket", ".timer"})
SECTIONS = {"[Service]", "[Socket]", "[Timer]"}
"""What a unit is and may do; [Unit] and [Install] say when it is started."""


def unexplained(text: str) -> list[str]:
    """Return the settings of these sections that have no comment above them; lines of one setting share theirs."""
    found, section, before, explained = [], "", "", False
    for line in text.splitlines():
        if line.startswith("["):
            section, before, explained = line, "", False
        elif line.startswith("#"):
            explained = not line.startswith("# ---")
        elif line and section in SECTIONS:
            name = line.partition("=")[0]
            if name != before and not explained:
                found.append(line)
            before, explained = name, False
    return found


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_every_setting_of_a_unit_has_its_reason(path: Path) -> None:
    assert unexplained(path.read_text("utf-8")) == []


def test_the_hubs_unit_is_among_them() -> None:
    assert {"evidenced.service", "evidenced-sign.socket", "evidenced-firewall.timer", "evidenced-hub.service"} <= {
        path.name for path in UNITS
    }


def test_a_setting_without_a_reason_is_found() -> None:
    text = "[Service]\n# --- who it is\nUser=a\n# why\nGroup=b\n# why\nExecPaths=/a\nExecPaths=/b\nUMask=1\n"
    assert unexplained(text) == ["User=a", "UMask=1"]
