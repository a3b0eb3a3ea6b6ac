"""Commands that only parts of the service start."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from agent.internal.collect import PORTION_BYTES, portions
from agent.main import INTERNAL
from agent.places import places
from agent.signing.session import REQUEST_BYTES
from tests.agent.command_line import Evidenced
from tests.agent.signing.running import collection


def test_no_help_lists_them(evidenced: Evidenced) -> None:
    told = evidenced("--help")
    assert told.code == 0
    assert not [name for name in INTERNAL if name in told.out]


def test_a_name_that_begins_with_an_underscore_and_is_none_of_them_is_wrong_use(evidenced: Evidenced) -> None:
    told = evidenced("_os")
    assert told.code == 2
    assert "COMMAND: expected one of" in told.err


@pytest.mark.parametrize("name", ["_collect"])
def test_each_has_the_shape_of_a_command(name: str) -> None:
    module = importlib.import_module(f"agent.internal.{name[1:]}")
    assert callable(module.declare)
    assert callable(module.run)


def test_what_was_read_is_handed_to_the_signer_in_portions_that_it_takes() -> None:
    some = [collection(rows) for rows in (1, 2, 3, 50, 1, 0)]
    size = sum(map(len, some[0].rows)) + 10
    parts = list(portions(some, 3 * size))
    assert [each for part in parts for each in part] == some
    assert [len(part) for part in parts] == [2, 1, 1, 2]
    assert list(portions([])) == []
    assert REQUEST_BYTES > 2 * PORTION_BYTES, "one table has as much in rows, and once more in gaps"


def test_what_the_schedule_brings_waits_for_more_and_a_change_of_the_configuration_waits_for_nothing(
    evidenced: Evidenced, state: Path, tmp_path: Path
) -> None:
    (tmp_path / "sink").mkdir()
    config = tmp_path / "agent.toml"
    config.write_text(f'[[sinks]]\nname = "share"\ntype = "directory"\npath = "{tmp_path}/sink"\n')
    written = []
    for event in ("heartbeat", "heartbeat", f"config-changed:{'0a' * 32}"):
        ran = evidenced("_collect", "--event", event, "--reason", "scheduled", "--state", state, "--config", config)
        assert ran.code == 0, ran.err
        written.append(len(list(Path(places(str(state)).outbox).rglob("*.tar.gz"))))
    assert written[0] == written[1] < written[2]
