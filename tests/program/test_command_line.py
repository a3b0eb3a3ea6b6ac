"""A command line of either program: what the system refuses is one line, and who has gone is told nothing."""

from __future__ import annotations

import argparse
import os

import pytest

from program.command_line import carried_out
from program.parser import Parser


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            FileNotFoundError(2, "No such file", "/x"),
            "/x: expected a file or folder, found no such file; see how it is",
        ),
        (PermissionError(13, "Denied", "/x"), "/x: expected what this user may use, found denied; ask as its owner"),
        (OSError(5, "Input/output error", "/x"), "/x: input/output error\n"),
        (OSError(5, "Input/output error"), "test: input/output error\n"),
    ],
)
def test_what_the_system_refuses_is_one_line(error: OSError, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    class Refused:
        def declare(self, parser: argparse.ArgumentParser) -> None:
            pass

        def run(self, options: argparse.Namespace) -> int:
            assert not vars(options)
            raise error

    assert carried_out(Refused(), Parser(prog="test"), ()) == 3
    told = capfd.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_reader_who_has_gone_is_told_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    class Printed:
        def declare(self, parser: argparse.ArgumentParser) -> None:
            pass

        def run(self, options: argparse.Namespace) -> int:
            raise BrokenPipeError(32, "Broken pipe", *vars(options))

    there, here = os.pipe()
    os.close(there)
    before = os.dup(1)
    try:
        os.dup2(here, 1)
        assert carried_out(Printed(), Parser(prog="test"), ()) == 3
    finally:
        os.dup2(before, 1)
        for each in (before, here):
            os.close(each)
    assert capfd.readouterr().err == ""
    assert carried_out(Printed(), Parser(prog="test"), ()) == 3
    assert capfd.readouterr().err == "test: broken pipe\n"
