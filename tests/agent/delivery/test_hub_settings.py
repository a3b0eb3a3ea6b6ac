"""The sink that enroll writes is one that the configuration reads."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from agent.configuration.loading import load
from agent.delivery import hub_settings
from evidence.errors import PackError
from program.errors import CommandError
from tests.agent.delivery.batches import HUB, HUB_NAME

VKEY = HUB.key.vkey(HUB_NAME, HUB.kind)


def test_what_is_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    made = hub_settings.checked(
        {
            "name": "hub-2",
            "url": "https://hub.example:8443/base",
            "vkey": VKEY,
            "ca_file": str(tmp_path / "ca.pem"),
            "proxy": "http://proxy.example:3128",
            "client_key": None,
        }
    )
    path = hub_settings.path_of(str(tmp_path / "agent.toml"), made.name)
    before = os.umask(0o077)
    try:
        hub_settings.write(path, made)
    finally:
        os.umask(before)
    (tmp_path / "agent.toml").touch(0o644)
    loaded = load(str(tmp_path / "agent.toml"))
    assert (loaded.problems, loaded.configuration.sinks) == ([], (made,))
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o755


def test_a_file_that_stands_there_is_left(tmp_path: Path) -> None:
    path = hub_settings.path_of(str(tmp_path / "agent.toml"), "hub")
    made = hub_settings.checked({"name": "hub", "url": "https://hub.example"})
    hub_settings.write(path, made)
    with pytest.raises(PackError):
        hub_settings.write(path, made)


def test_a_password_in_the_address_of_a_proxy_is_shown_nowhere() -> None:
    made = hub_settings.checked({"name": "hub", "url": "https://hub.example"})
    given = argparse.Namespace(
        ca_file=None, client_certificate=None, client_key=None, proxy="http://ann:canary@proxy.example:3128"
    )
    with pytest.raises(CommandError, match="--proxy: expected none") as refused:
        hub_settings.hold_to_way(given, made)
    assert "canary" not in str(refused.value)


def test_a_name_is_taken_that_no_sink_has() -> None:
    taken = [hub_settings.checked({"name": name, "url": "https://hub.example"}) for name in ("hub", "hub-2", "other")]
    assert (hub_settings.free_name([]), hub_settings.free_name(taken)) == ("hub", "hub-3")


@pytest.mark.parametrize(
    ("values", "option"),
    [
        ({"url": "http://hub.example"}, "--hub"),
        ({"url": 'https://hub.example/"\nname = "x'}, "--hub"),
        ({"name": "Hub"}, "--name"),
        ({"proxy": "socks5://x"}, "--proxy"),
        ({"ca_file": "relative"}, "--ca-file"),
    ],
)
def test_what_somebody_typed_wrong_is_said_with_its_option(values: dict[str, str], option: str) -> None:
    with pytest.raises(CommandError, match=option):
        hub_settings.checked({"name": "hub", "url": "https://hub.example", **values})
