"""All files of a configuration as one: read, checked, merged, with where each setting comes from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

import msgspec

from agent.configuration.checking import Checker
from agent.configuration.files import SYSTEM_FILE, all_files, configuration_file, read_file
from agent.configuration.model import Configuration
from agent.configuration.problems import Key, Place, Problem
from agent.configuration.rules import Judgement, judge, judge_tables
from agent.configuration.syntax import SyntaxProblemError, lines_of, parse
from agent.terminal import counted
from collectors.contract import Table
from program.errors import WRONG_USE, CommandError


class Loaded(msgspec.Struct):
    """What was read. With problems, `configuration` holds what was good, and must not be used to run."""

    main: str
    files: list[str]
    configuration: Configuration = msgspec.field(default_factory=Configuration)
    origins: dict[Key, Place] = {}
    """Where each setting comes from; one that is missing here has its default."""
    problems: list[Problem] = []
    warnings: list[Problem] = []


def load(option: str | None = None, tables: Sequence[Table] | None = None) -> Loaded:
    """Return the configuration of `--config`, or else of this user, with all that is wrong with it.

    Without `tables` the names of tables and columns are not compared with the catalogue, which takes time to import.
    """
    main = configuration_file(option)
    # The units name the system's file, and nobody needs one; a sink that enroll wrote stands in conf.d alone.
    files, problems = all_files(main, must_exist=option not in {None, SYSTEM_FILE})
    loaded = Loaded(main, files, problems=problems)
    merged: dict[str, Any] = {}
    for path in files:
        _take(path, merged, loaded)
    loaded.configuration = msgspec.convert(merged, Configuration)
    take_judgements(loaded, judge(loaded.configuration))
    if tables is not None:
        take_judgements(loaded, judge_tables(loaded.configuration, tables))
    return loaded


def take_judgements(loaded: Loaded, judgements: Iterable[Judgement]) -> None:
    """Add what rules say about the whole, each with the place it is about."""
    for each in judgements:
        place = nearest(loaded.origins, each.key) or Place(loaded.main)
        problem = Problem(place, each.key, each.expected, each.found, each.hint)
        (loaded.warnings if each.warning else loaded.problems).append(problem)


def configured(
    option: str | None = None, tables: Sequence[Table] | None = None, *, stream: TextIO | None = None
) -> Configuration:
    """Return a configuration without a problem.

    Raises: CommandError (exit code 2) after each problem was written to `stream` (stderr), one a line.
    """
    loaded = load(option, tables)
    if loaded.problems:
        (stream or sys.stderr).writelines(f"{each}\n" for each in loaded.problems)
        found = counted(len(loaded.problems), "problem")
        raise CommandError(f"expected a configuration without problems, found {found}: see above", WRONG_USE)
    return loaded.configuration


def nearest(origins: dict[Key, Place], key: Key) -> Place | None:
    """Return the place of a setting or, if it is not written, of what it would stand in."""
    while key and key not in origins:
        key = key[:-1]
    return origins.get(key)


def _take(path: str, merged: dict[str, Any], loaded: Loaded) -> None:
    """Read one file and merge what is good in it."""
    data, problems = read_file(path)
    loaded.problems += problems
    if problems:
        return
    try:
        document = parse(data)
    except SyntaxProblemError as error:
        loaded.problems.append(Problem(Place(path, error.line), (), error.expected, error.found))
        return
    lines = lines_of(data.decode())

    def place_of(key: Key) -> Place:
        return Place(path, next((lines[key[:size]] for size in range(len(key), 0, -1) if key[:size] in lines), None))

    checker = Checker(place_of)
    good, numbers = checker.check(document), checker.good_entries
    loaded.problems += checker.problems
    _merge(merged, good, (), (), _Origins(loaded.origins, place_of, numbers))


class _Origins(msgspec.Struct, frozen=True):
    known: dict[Key, Place]
    place_of: Callable[[Key], Place]
    numbers: dict[Key, list[int]]
    """For an array of tables, the number that each good entry has in its file."""


def _merge(into: dict[str, Any], new: dict[str, Any], key: Key, own: Key, origins: _Origins) -> None:
    """Put what is new in place: tables merge, arrays of tables are joined, anything else is replaced.

    `key` is the way in the whole, `own` that in the file.
    """
    for name, value in new.items():
        way, own_way = (*key, name), (*own, name)
        origins.known[way] = origins.place_of(own_way)
        if isinstance(value, dict):
            _merge(into.setdefault(name, {}), value, way, own_way, origins)
        elif own_way in origins.numbers:
            for number, entry in zip(origins.numbers[own_way], value, strict=True):
                joined = into.setdefault(name, [])
                joined.append({})
                there: Key = (*way, len(joined) - 1)
                origins.known[there] = origins.place_of((*own_way, number))
                _merge(joined[-1], entry, there, (*own_way, number), origins)
        else:
            into[name] = value
