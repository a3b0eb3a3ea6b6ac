"""Commands that only parts of the service start."""

from __future__ import annotations

import importlib

import pytest

from agent.main import INTERNAL
from tests.agent.command_line import Evidenced


def test_no_help_lists_them(evidenced: Evidenced) -> None:
    told = evidenced("--help")
    assert told.code == 0
    assert not [name for name in INTERNAL if name in told.out]


def test_a_name_that_begins_with_an_underscore_and_is_none_of_them_is_wrong_use(evidenced: Evidenced) -> None:
    told = evidenced("_os")
    assert told.code == 2
    assert "invalid choice" in told.err


@pytest.mark.parametrize("name", ["_collect"])
def test_each_has_the_shape_of_a_command(name: str) -> None:
    module = importlib.import_module(f"agent.internal.{name[1:]}")
    assert callable(module.declare)
    assert callable(module.run)
