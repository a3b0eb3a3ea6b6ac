"""What the supervisor is told is what the configuration says."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest

from agent.configuration.digest import digest, digest_of, parse
from agent.configuration.loading import load
from agent.configuration.model import Configuration
from agent.daemon.plan import Plan, read_plan
from agent.internal.plan import plan
from collectors.catalogue import all_tables
from tests.agent.command_line import Evidenced
from tests.agent.configuration.conftest import Writing

TABLES = {each.name: each for each in all_tables()}


def planned(**settings: Any) -> Plan:
    configuration = msgspec.convert(settings, Configuration)
    lines = plan(configuration, tuple(TABLES.values()))
    return read_plan("".join(f"{line}\n" for line in lines).encode())


def test_without_configuration_every_table_has_its_own_interval_and_distance() -> None:
    found = planned()
    assert {name: (each.interval_s, each.distance_s) for name, each in found.tables.items()} == {
        name: (each.interval_s, each.min_distance_s) for name, each in TABLES.items()
    }
    assert found.digest == digest(Configuration())
    assert found.upload is False
    assert (found.heartbeat_s, found.jitter_s, found.pause_limit_s) == (3600, 120, 1800)


def test_the_walk_of_all_file_systems_is_a_kind_of_its_own() -> None:
    kinds = {name: each.kind for name, each in planned().tables.items()}
    assert {name for name, kind in kinds.items() if kind == "sweep"} == {
        name for name, each in TABLES.items() if each.sweep is not None
    }


def test_settings_of_a_table_count_for_it_alone() -> None:
    found = planned(tables={"users": {"interval": 300}, "groups": {"enabled": False}})
    assert found.tables["users"].interval_s == 300
    assert "groups" not in found.tables
    assert found.tables["packages"].interval_s == TABLES["packages"].interval_s
    assert not [path for path, names in found.watches.items() if "groups" in names]


def test_the_distance_is_the_larger_one_but_never_larger_than_the_interval() -> None:
    found = planned(schedule={"minimum_distance": 900}, tables={"users": {"interval": 600}})
    assert found.tables["packages"].distance_s == 900
    assert found.tables["users"].distance_s == 600
    assert planned(schedule={"minimum_distance": 1}).tables["packages"].distance_s == TABLES["packages"].min_distance_s


def test_a_path_that_several_tables_want_is_one_watch() -> None:
    watches = planned().watches
    assert {"users", "groups"} <= set(watches["/etc/passwd"])
    assert watches["/etc/sudoers.d/"] == ("sudo_rules",)
    assert planned(watches={"enabled": False}).watches == {}


def test_any_sink_makes_the_uploader_run() -> None:
    assert planned(sinks=[{"type": "directory", "name": "stick", "path": "/mnt"}]).upload is True


def test_pressure_is_told_in_the_order_of_the_plan() -> None:
    assert planned(schedule={"pressure": {"cpu": 1, "memory": 2, "io": 3}}).pressure == (1, 2, 3)


def test_the_command_prints_a_plan_and_a_wrong_configuration_gives_none(written: Writing, evidenced: Evidenced) -> None:
    told = evidenced("_plan", "--config", written('[schedule]\nheartbeat = "5m"\n'))
    assert (told.code, told.err) == (0, "")
    assert read_plan(told.out.encode()).heartbeat_s == 300
    told = evidenced("_plan", "--config", written("heartbeat = 5\nlabel = 1\n"))
    assert (told.code, told.out) == (2, "")
    assert [line.count("expected") for line in told.err.splitlines()] == [1, 1, 1]


@pytest.mark.parametrize("given", ["--config", "nothing"])
def test_the_plan_is_that_of_the_file_that_is_named(
    tmp_path: os.PathLike[str], evidenced: Evidenced, given: str
) -> None:
    arguments = ("--config", os.path.join(tmp_path, "none.toml")) if given == "--config" else ("nothing",)
    assert evidenced("_plan", *arguments).code == 2


def test_the_plan_carries_the_settings_themselves_for_whoever_works_by_them(written: Writing) -> None:
    text = '[labels]\nplace = "Zürich \u2028 x"\n[[sinks]]\nname = "b"\ntype = "directory"\npath = "/b"\n'
    configuration = load(str(written(text.encode()))).configuration
    lines = plan(configuration, tuple(TABLES.values()))
    found = read_plan("".join(f"{line}\n" for line in lines).encode())
    assert parse(found.settings.encode()) == configuration
    assert digest_of(found.settings.encode()) == found.digest
