"""The sink that `evidenced enroll` writes into the configuration, as TOML."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from agent.configuration.checking import Checker
from agent.configuration.files import FOLDER
from agent.configuration.model import Directory, HttpPut, Hub
from agent.configuration.problems import Place
from agent.configuration.schema import Kinds, Leaf, Node, schema
from evidence.pack_target import Target
from program.errors import WRONG_USE, CommandError
from program.text import printable

MODE = 0o644
"""Nothing in it is a secret, and every part of the service reads it."""
FOLDER_MODE = 0o755
_DEFAULT = _KIND = "hub"


def toml_of(settings: Hub) -> str:
    """Return a sink as a piece of a configuration file."""
    return "".join(f"{line}\n" for line in _lines(settings))


def _lines(settings: Hub) -> Iterator[str]:
    yield "# A hub that this host enrolled with: evidenced enroll. Its key is pinned; see docs/delivery.md"
    yield "[[sinks]]"
    yield 'type = "hub"'
    for name, leaf in _settings().items():
        value = getattr(settings, name)
        if isinstance(leaf, Leaf) and value is not None and value != ():
            yield f"{name} = {leaf.form.shown(value)}"


def _settings() -> Mapping[str, Node]:
    sinks = schema().fields["sinks"]
    return sinks.kinds[_KIND].fields if isinstance(sinks, Kinds) else {}


def way_of(options: argparse.Namespace) -> dict[str, str | None]:
    """Return how a hub is reached, from the options that commands have for it; files with their whole path."""
    files = ("ca_file", "client_certificate", "client_key")
    paths = {name: getattr(options, name) for name in files}
    found = {name: None if path is None else os.path.abspath(path) for name, path in paths.items()}
    return {**found, "proxy": options.proxy}


def hold_to_way(options: argparse.Namespace, settings: Hub) -> None:
    """See that options say nothing else than the configuration of a hub that it names. Raises: CommandError."""
    for name, given in way_of(options).items():
        configured = getattr(settings, name)
        if given is not None and given != configured:
            what = "none" if configured is None else printable(configured)
            found = "another" if name == "proxy" else printable(given)  # it was not checked: a password may be in it
            raise CommandError(
                f"--{name.replace('_', '-')}: expected {what}, which sink {settings.name} is configured with, "
                f"found {found}; leave the option out, or change {name} in the configuration",
                WRONG_USE,
            )


def checked(values: Mapping[str, str | None]) -> Hub:
    """Return a sink of values that somebody typed, by the rules of the configuration. Raises: CommandError."""
    checker = Checker(lambda _key: Place("options"))
    good = checker.check(
        {"sinks": [{"type": _KIND} | {name: each for name, each in values.items() if each is not None}]}
    )
    if checker.problems:
        first = checker.problems[0]
        option = str(first.key[-1]).replace("_", "-")
        option = "hub" if option == "url" else option
        raise CommandError(f"--{option}: expected {first.expected}, found {first.found}", WRONG_USE)
    return msgspec.convert(good["sinks"][0], Hub)


def free_name(taken: Sequence[Directory | HttpPut | Hub]) -> str:
    """Return a name that no sink has."""
    names = {each.name for each in taken}
    return next(each for each in (_DEFAULT, *(f"{_DEFAULT}-{n}" for n in range(2, 1000))) if each not in names)


def path_of(main: str, name: str) -> str:
    """Return the file beside the main one that a sink is written into."""
    return os.path.join(os.path.dirname(main), FOLDER, f"50-{re.sub('[^a-z0-9-]', '-', name)}.toml")


def write(path: str, settings: Hub) -> None:
    """Write a sink into a file of its own. Raises: OSError; PackError if something stands there."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        os.makedirs(folder)
        os.chmod(folder, FOLDER_MODE)  # whatever the umask: every part of the service reads it
    target = Target(path, overwrite=False, mode=MODE)
    try:
        target.write(toml_of(settings).encode())
        target.commit()
    finally:
        target.close()
