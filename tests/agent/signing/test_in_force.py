"""The signer works by the configuration that it signed last, whatever is in the files meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.configuration.digest import digest
from agent.configuration.loading import load
from agent.places import places
from agent.signing.clerk import Clerk
from agent.signing.in_force import NAME, InForce
from agent.signing.outbox import Outbox
from agent.signing.protocol import Event
from agent.signing.service import Service
from agent.signing.session import Request
from agent.version import VERSION
from evidence.log import Entry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "agent.toml"
    file.touch(0o600)
    return file


def write(file: Path, sink: str) -> str:
    """Configure one sink, and return the digest of that."""
    file.write_text(f'[[sinks]]\nname = "{sink}"\ntype = "directory"\npath = "/mnt"\n')
    return digest(load(str(file)).configuration)


def signed(state: Path, file: Path, kind: str, **fields: str) -> InForce:
    """Have a signer sign an event, and return what another one finds afterwards."""
    clerk, in_force = Clerk(str(state), 1), InForce(str(state), str(file))
    service = Service(clerk, Outbox(places(str(state)).outbox, clerk, in_force.policy), in_force=in_force)
    service.act(Request(Event(kind=kind, fields=fields, details={}, labels={}), ()), 0)
    clerk.close()
    return InForce(str(state), str(file))


def test_an_edit_counts_when_it_was_signed(tmp_path: Path, file: Path) -> None:
    state = tmp_path / "state"
    in_force = signed(state, file, "agent-started", config=write(file, "one"), version=VERSION)
    assert set(in_force.policy().sinks) == {"one"}
    changed = write(file, "two")
    assert set(in_force.policy().sinks) == {"one"}
    assert set(signed(state, file, "heartbeat").policy().sinks) == {"one"}
    assert set(signed(state, file, "config-changed", digest=changed).policy().sinks) == {"two"}


def test_settings_that_nobody_wrote_into_the_files_are_not_taken_from_whoever_asks(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    first = write(file, "one")
    signed(state, file, "agent-started", config=first, version=VERSION)
    write(file, "two")
    assert set(signed(state, file, "config-changed", digest="0a" * 32).policy().sinks) == {"one"}
    assert "reload" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [b"", b"{", b'{"sinks":7}', b"\xff", b"[" * 100_000])
def test_where_what_was_kept_is_gone_or_damaged_the_files_count(tmp_path: Path, file: Path, damage: bytes) -> None:
    state = tmp_path / "state"
    signed(state, file, "agent-started", config=write(file, "one"), version=VERSION)
    (state / NAME).write_bytes(damage)
    write(file, "two")
    assert set(InForce(str(state), str(file)).policy().sinks) == {"two"}
    (state / NAME).unlink()
    assert set(InForce(str(state), str(file)).policy().sinks) == {"two"}


def test_an_edit_behind_the_entry_does_not_count_by_it(tmp_path: Path, file: Path) -> None:
    """Whoever sees the entry and edits at once is not ahead of the signer."""
    state = tmp_path / "state"
    first = write(file, "one")

    class Edited(Clerk):
        def event(self, *args: Any, **kwargs: Any) -> Entry:
            entry = super().event(*args, **kwargs)
            write(file, "two")
            return entry

    clerk, in_force = Edited(str(state), 1), InForce(str(state), str(file))
    service = Service(clerk, Outbox(places(str(state)).outbox, clerk, in_force.policy), in_force=in_force)
    service.act(
        Request(Event(kind="agent-started", fields={"config": first, "version": VERSION}, details={}, labels={}), ()), 0
    )
    clerk.close()
    assert set(InForce(str(state), str(file)).policy().sinks) == {"one"}
